"""What the live callback costs: the share of a training step, by timing its own events in a replayed run.

    python -m bench.callback_cost [--steps 2000] [--logging-steps 1] [--json FILE]

The callback's events are driven exactly as the Trainer drives them (the model's forward with its hook, on_step_end,
on_log), without any training between: what is left is what the callback adds. Printed against a step of 50 ms.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import TrainerControl, TrainerState, TrainingArguments

from tunewright.trainers.callback import TunewrightCallback

STEP_S = 0.050


class Model(torch.nn.Module):
    """Returns the loss it is given: a forward pass that costs nothing, so that only the hook is timed."""

    def forward(self, loss: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": loss}


def cost_s(steps: int, every: int, folder: Path, *, watched: bool) -> float:
    """Seconds per step of everything the Trainer calls, with the callback or without."""
    args = TrainingArguments(output_dir=str(folder), report_to="none", logging_steps=every, use_cpu=True)
    state, control = TrainerState(max_steps=steps, is_world_process_zero=True), TrainerControl()
    model, callback = Model(), TunewrightCallback(quiet=True)
    draw = np.random.default_rng(0)
    losses = (1.1 + 0.5 * np.exp(-np.arange(steps) / 200)) * np.exp(0.1 * draw.standard_normal(steps))
    tensors = [torch.tensor(loss) for loss in losses]
    labels = torch.ones(4, 512, dtype=torch.long)
    if watched:
        callback.on_train_begin(args, state, control, model=model)
    began = time.perf_counter()
    for step in range(1, steps + 1):
        model(loss=tensors[step - 1], labels=labels)
        state.global_step, state.epoch = step, step / steps
        if watched:
            callback.on_step_end(args, state, control)
        if step % every == 0:
            logs = {"loss": float(losses[step - every : step].mean()), "grad_norm": 1.0, "learning_rate": 1e-4}
            if watched:
                callback.on_log(args, state, control, logs=logs)
    seconds = time.perf_counter() - began
    if watched:
        callback.on_train_end(args, state, control)
    return seconds / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--logging-steps", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    extra: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(given.repeats):
            folder = Path(place) / str(number)
            with_it = cost_s(given.steps, given.logging_steps, folder, watched=True)
            without = cost_s(given.steps, given.logging_steps, folder, watched=False)
            extra.append(with_it - without)
    share = statistics.median(extra) / STEP_S
    answer: dict[str, Any] = {
        "microseconds_per_step": 1e6 * statistics.median(extra),
        "worst_microseconds_per_step": 1e6 * max(extra),
        "share_of_a_50_ms_step": share,
        "steps": given.steps,
        "logging_steps": given.logging_steps,
        "repeats": given.repeats,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "machine": platform.processor() or platform.machine(),
    }
    print(
        f"{1e6 * statistics.median(extra):.0f} us a step (worst of {given.repeats}: {1e6 * max(extra):.0f}), "
        f"{100 * share:.3f} % of a 50 ms step; {given.steps} steps, a log every {given.logging_steps}"
    )
    if given.json:
        given.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
