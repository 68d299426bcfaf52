"""What this machine has, with its tools replaced by what they print."""

from __future__ import annotations

import itertools
import subprocess
from typing import Any

import pytest

from tunewright.data.model_folder import bundled_models
from tunewright.planner import machine
from tunewright.planner.models import models_that_fit
from tunewright.schema.facts import MachineFacts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("81920 MiB, 9.0\n", (80.0, 9.0)),
        ("15360 MiB, 7.5\n81920 MiB, 9.0\n", (15.0, 7.5)),
        ("[N/A], [N/A]\n24576 MiB, 8.6\n", (24.0, 8.6)),
        ("", None),
        ("No devices were found\n", None),
        ("Failed, to talk, to the driver", None),
    ],
)
def test_nvidia_smi_is_read_line_by_line(text: str, found: tuple[float, float] | None) -> None:
    assert machine.parse_nvidia_smi(text) == found


def test_meminfo_without_a_total_is_unknown() -> None:
    assert machine.parse_meminfo("MemFree: 12 kB\nMemTotal: lots\n") is None


@pytest.fixture
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A CUDA torch is installed, nothing is hidden, and the system has 64 GiB."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine.metadata, "version", lambda name: "2.13.0")
    monkeypatch.setattr(machine, "_system_memory_GiB", lambda: 64.0)
    return monkeypatch


@pytest.mark.parametrize(("capability", "bf16"), [("7.5", False), ("8.0", True), ("9.0", True)])
def test_a_gpu_is_found_with_its_number_format(plain_machine: Any, capability: str, bf16: bool) -> None:
    plain_machine.setattr(machine, "_ask_nvidia", lambda: f"24576 MiB, {capability}\n")
    found = machine.this_machine()
    assert (found.device, found.memory_GiB, found.bf16) == ("cuda", 24.0, bf16)


def test_without_a_gpu_it_is_the_cpu(plain_machine: Any) -> None:
    plain_machine.setattr(machine, "_ask_nvidia", lambda: "")
    found = machine.this_machine()
    assert (found.device, found.memory_GiB) == ("cpu", 64.0)
    assert found.cores >= 1


def test_a_torch_without_cuda_is_believed(plain_machine: Any) -> None:
    plain_machine.setattr(machine, "_ask_nvidia", lambda: "24576 MiB, 8.6\n")
    plain_machine.setattr(machine.metadata, "version", lambda name: "2.13.0+cpu")
    assert machine.this_machine().device == "cpu"


def test_hidden_gpus_stay_hidden(plain_machine: Any) -> None:
    plain_machine.setattr(machine, "_ask_nvidia", lambda: "24576 MiB, 8.6\n")
    plain_machine.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.this_machine().device == "cpu"


def test_a_hanging_or_missing_tool_is_no_gpu(plain_machine: Any) -> None:
    plain_machine.setattr(machine.shutil, "which", lambda name: "/usr/bin/nvidia-smi")

    def hang(*args: Any, **kwargs: Any) -> Any:
        raise subprocess.TimeoutExpired("nvidia-smi", kwargs["timeout"])

    plain_machine.setattr(machine.subprocess, "run", hang)
    assert machine.this_machine().device == "cpu"


def test_the_tool_is_asked_for_the_first_visible_gpu_without_a_shell(plain_machine: Any) -> None:
    asked: list[Any] = []

    def answer(question: list[str], **kwargs: Any) -> Any:
        asked.append((question, kwargs.get("shell")))
        return subprocess.CompletedProcess(question, 0, "40960 MiB, 8.0\n", "")

    plain_machine.setattr(machine.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    plain_machine.setattr(machine.subprocess, "run", answer)
    plain_machine.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert machine.this_machine().memory_GiB == 40.0
    (question, shell) = asked[0]
    assert question[:3] == ["/usr/bin/nvidia-smi", "-i", "3"]
    assert not shell


def test_a_real_look_at_this_machine_finds_memory() -> None:
    found = machine.this_machine()
    assert found.memory_GiB > 0
    assert found.cores >= 1


@pytest.mark.parametrize(
    ("where", "largest"),
    [
        (MachineFacts("cpu", 8.0, False, 4), "Qwen/Qwen3-0.6B"),
        (MachineFacts("cpu", 0.0, False, 4), "tiny"),
        (MachineFacts("cuda", 8.0, True, 4), "Qwen/Qwen3-8B"),
        (MachineFacts("cuda", 80.0, True, 4), "Qwen/Qwen3-32B"),
    ],
)
def test_models_are_named_by_memory(where: MachineFacts, largest: str) -> None:
    named = models_that_fit(where)
    assert named[0][0] == largest
    assert named[-1][0] == bundled_models()[-1]
    assert all(why for _, why in named)


def test_more_memory_never_loses_a_model() -> None:
    names = [{name for name, _ in models_that_fit(MachineFacts("cuda", GB, True, 4))} for GB in range(1, 100)]
    assert all(less <= more for less, more in itertools.pairwise(names))
