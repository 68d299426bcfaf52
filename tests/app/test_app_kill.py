"""kill -9 at any moment, a full disk, Ctrl-C: nothing lost, nothing half-written, the same losses at the end."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from tests_support import random_model

ROWS = [(f"What is item {n}?", f"It is {('blue', 'red', 'green')[n % 3]}.") for n in range(120)]
KILLS = 10
# dropout and a cosine schedule: whatever is not restored exactly shows in the losses
SETTINGS = ("max_steps=150", "eval_steps=15", "per_device_train_batch_size=4", "lora_dropout=0.1", "val_size=0.2")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    random_model(folder / "model", "llama")
    rows = [{"instruction": question, "completion": answer} for question, answer in ROWS]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def tunewright(place: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Started in the background; what it says on stderr goes to ``said`` in the folder."""
    command = [sys.executable, "-m", "tunewright", *arguments, "--no-progress"]
    with open(place / "said", "wb") as said:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=said)


def start(place: Path, name: str) -> list[str]:
    given = [part for setting in SETTINGS for part in ("--set", setting)]
    return ["train", "rows.jsonl", "--model", "model", "--name", name, *given]


def whole_lines(place: Path, name: str) -> list[bytes]:
    file = place / "runs" / name / "metrics.jsonl"
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def last_losses(lines: list[bytes]) -> dict[tuple[int, str], float]:
    """(step, metric) -> value; a line written again after a resume replaces the first."""
    found = {}
    for line in lines:
        event = orjson.loads(line)
        found |= {(event["step"], key): event[key] for key in ("loss", "eval_loss", "grad_norm") if key in event}
    return found


@pytest.mark.slow
def test_kill_9_at_ten_random_moments_changes_nothing(place: Path) -> None:
    whole = tunewright(place, *start(place, "whole"))
    assert whole.wait() == 0, (place / "said").read_text()
    drawn = random.Random(0)
    arguments = start(place, "killed")
    kills = 0
    while kills < KILLS:
        before = whole_lines(place, "killed")
        process = tunewright(place, *arguments)
        _wait_for(place, process, len(before) + drawn.randrange(1, 16))
        time.sleep(drawn.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = whole_lines(place, "killed")
        assert after[: len(before)] == before, "a complete line was lost"
        assert all(isinstance(orjson.loads(line), dict) for line in after)
        arguments = ["train", "--resume", "runs/killed"]
        kills += 1
    rest = tunewright(place, *arguments)
    assert rest.wait() == 0, (place / "said").read_text()
    assert last_losses(whole_lines(place, "killed")) == last_losses(whole_lines(place, "whole"))
    same = [(place / "runs" / name / "best" / "adapter_model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert same[0] == same[1]


def _wait_for(place: Path, process: subprocess.Popen[bytes], lines: int) -> None:
    deadline = time.monotonic() + 60
    while len(whole_lines(place, "killed")) < lines and process.poll() is None:
        assert time.monotonic() < deadline, "the run makes no progress"
        time.sleep(0.01)
    assert process.poll() is None, f"ended before it could be killed: {(place / 'said').read_text()}"


@pytest.mark.slow
def test_ctrl_c_saves_and_names_the_resume_command(place: Path) -> None:
    process = tunewright(place, *start(place, "stopped"))
    while len(whole_lines(place, "stopped")) < 20:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    said = (place / "said").read_text().splitlines()
    hint = next(line for line in said if line.startswith("hint: "))
    assert hint.startswith("hint: tunewright train --resume ")
    rest = tunewright(place, *hint.removeprefix("hint: tunewright ").split())
    assert rest.wait() == 0


FULL_DISK = "mount -t tmpfs -o size={size}k none {where} && {command}; code=$?; cp -r {where}/. {kept}; exit $code"


@pytest.mark.slow
@pytest.mark.parametrize("size_KiB", [16, 96, 400])
def test_a_full_disk_is_one_line_and_what_was_written_is_whole(place: Path, size_KiB: int, tmp_path: Path) -> None:
    where = place / f"small{size_KiB}"
    where.mkdir()
    train = [sys.executable, "-m", "tunewright", *start(place, "full"), "--runs-dir", str(where), "--no-progress"]
    script = FULL_DISK.format(size=size_KiB, where=where, command=shlex.join(train), kept=tmp_path)
    # a namespace of its own: no privilege is needed, and the mount goes with the process
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 3, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ") and "disk is full" in line]
    assert "Traceback" not in done.stderr
    for file in tmp_path.rglob("*.json"):
        orjson.loads(file.read_bytes())
    for file in tmp_path.rglob("metrics.jsonl"):
        assert file.read_bytes() == b"" or file.read_bytes().endswith(b"\n")
