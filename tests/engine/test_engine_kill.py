"""kill -9 at any moment, again and again: the run still ends with the numbers of an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tunewright.record.run import Run, create_run

CHILD = """
import sys
from pathlib import Path
import numpy as np, torch
from transformers import AutoModelForCausalLM
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.record.run import Run
from tunewright.schema.recipe import Recipe

torch.set_num_threads(1)
folder, run = Path(sys.argv[1]), Run(Path(sys.argv[2]))
random = np.random.Generator(np.random.PCG64(5))
rows = []
for number in range(1, 61):
    ids = random.integers(3, 64, int(random.integers(4, 20))).astype(np.int32)
    rows.append(TokenRow(number=number, ids=ids, supervised=np.arange(len(ids)) >= 2))
recipe = Recipe(model="m", data="d", learning_rate=1e-2, lora_rank=4, lora_dropout=0.1, num_train_epochs=12.0,
                eval_steps=5, save_steps=3, report_to=())
base = Base(AutoModelForCausalLM.from_pretrained(folder), None, torch.device("cpu"), torch.float32, str(folder), "")
print("ready", flush=True)
run_job(base, Job(recipe, rows[:50], rows[50:], run=run), resume=True)
print("done", flush=True)
"""


def events(run: Run) -> list[dict[str, Any]]:
    kept = {(event["step"], "eval_loss" in event): event for event in run.events() if "resumed_at" not in event}
    return [{k: v for k, v in kept[key].items() if k != "seconds"} for key in sorted(kept)]


def start(folder: Path, run: Run) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(run.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.slow
def test_kill_minus_nine_leaves_nothing_to_repair(make_model: Callable[..., nn.Module], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_model().save_pretrained(folder)  # type: ignore[operator]
    whole, cut = (create_run(tmp_path, name, about={}) for name in ("whole", "cut"))
    with start(folder, whole) as child:
        began = time.perf_counter()
        assert child.wait(timeout=300) == 0
    length_s = time.perf_counter() - began
    for share in (0.05, 0.15, 0.25):  # of an undisturbed life; each gets a little further
        with start(folder, cut) as child:
            time.sleep(share * length_s)
            child.send_signal(signal.SIGKILL)
    with start(folder, cut) as child:
        assert child.wait(timeout=300) == 0
    assert events(cut) == events(whole)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (cut.best / name).read_bytes() == (whole.best / name).read_bytes()
    assert sum("resumed_at" in event for event in cut.events()) == 4
