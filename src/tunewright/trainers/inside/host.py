"""Starts another trainer's export unmodified and rides along: ``python host.py ORDER.json``, in its own interpreter.

The order is JSON: ``tool``, ``folder`` and ``config`` (what to start), ``mode``, and the files to talk through.

train : every row its Trainer logs becomes a line of ``events``, as it is logged. While a file ``stop`` is there, or
        when the process that gave the order is gone, the run ends after its step and saves a checkpoint.
probe : nothing is trained. The rows as its Trainer would feed them, and their loss, become the file ``answer``.

This file is read by interpreters without Tunewright: nothing is imported but the standard library and the tool. It is
one file on purpose: a worker process that the tool starts anew reads it again, from another folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import runpy
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOTHING = -100
PACKAGES = ("trl", "unsloth", "axolotl", "llamafactory", "transformers", "peft", "torch", "datasets")
TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}
"""Packages, any of which is enough."""

Order = dict[str, Any]


class Probed(BaseException):
    """Raised where training would begin: the probe has its answer. Not an Exception, so that no tool catches it."""


def main() -> None:
    order: Order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]  # as if the tool had been started there
    if order["tool"] == "unsloth":
        __import__("unsloth")  # before transformers: it patches it
    _ride(order)
    try:
        _start(order["tool"], order["config"])
    except Probed:
        return
    if order["mode"] == "probe":
        sys.exit("it ended without training: no Trainer was started")


def _start(tool: str, config: str) -> None:
    """Begin as the tool's own command does, in this process."""
    if tool == "llamafactory":
        from llamafactory.train.tuner import run_exp  # type: ignore[import-not-found, unused-ignore]

        sys.argv = ["llamafactory-cli", config]
        run_exp()
    elif tool == "axolotl":
        from axolotl.cli.train import do_cli  # type: ignore[import-not-found, unused-ignore]

        sys.argv = ["axolotl"]
        do_cli(config)
    else:
        sys.argv = [config]
        runpy.run_path(config, run_name="__main__")


def _ride(order: Order) -> None:
    """From now on every Trainer that starts is answered for (probe) or written down (train)."""
    from transformers import Trainer

    begin = Trainer.train

    def train(self: Any, *given: Any, **named: Any) -> Any:
        if order["mode"] == "probe":
            _write(order["answer"], probe(self, order))
            raise Probed
        counts = _count_tokens(self)
        self.add_callback(_writer(order, counts))
        if order.get("resume") and _checkpoints(self.args.output_dir):
            given, named = (), {**named, "resume_from_checkpoint": True}
        return begin(self, *given, **named)

    Trainer.train = train
    _without_missing_trackers(order)


def _without_missing_trackers(order: Order) -> None:
    """A tracker that is not installed here is left out, and named in the order, rather than ending the run."""
    module, name = sys.modules.get("transformers.trainer"), "get_reporting_integration_callbacks"
    if not hasattr(module, name):
        return
    callbacks_of = getattr(module, name)

    def present(asked: Any) -> Any:
        wanted = [asked] if isinstance(asked, str) else list(asked or ())
        missing = [one for one in wanted if one in TRACKERS and not any(map(find_spec, TRACKERS[one]))]
        order["left_out"] = missing
        return callbacks_of([one for one in wanted if one not in missing])

    setattr(module, name, present)


def _checkpoints(folder: str) -> list[Path]:
    return [path for path in Path(folder).glob("checkpoint-*") if (path / "trainer_state.json").is_file()]


# --- train ----------------------------------------------------------------------------------------------------------


def _count_tokens(trainer: Any) -> dict[str, Any]:
    """Input tokens without pads, counted where the batches pass by; read from the device only when logged."""
    counts: dict[str, Any] = {"train": 0, "eval": 0}
    for name, key in (("training_step", "train"), ("prediction_step", "eval")):
        setattr(trainer, name, _counted(getattr(trainer, name), counts, key))
    return counts


def _counted(step: Any, counts: dict[str, Any], key: str) -> Any:
    def counting(model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        mask, ids = inputs.get("attention_mask"), inputs.get("input_ids")
        if mask is not None and mask.dim() == 2:
            counts[key] = counts[key] + mask.sum()
        elif ids is not None:
            counts[key] = counts[key] + ids.numel()
        return step(model, inputs, *given, **named)

    return counting


def _writer(order: Order, counts: dict[str, Any]) -> Any:
    from transformers import TrainerCallback

    began_s, parent = time.perf_counter(), os.getppid()

    def write(state: Any, **row: Any) -> None:
        if state.is_world_process_zero:
            stamp = {"step": state.global_step, "epoch": state.epoch, "clock_s": time.perf_counter() - began_s}
            with open(order["events"], "a", encoding="utf-8") as file:
                file.write(json.dumps({**stamp, **row}) + "\n")

    def tokens() -> dict[str, int]:
        return {key: int(value) for key, value in counts.items()}

    class Writer(TrainerCallback):  # type: ignore[misc, unused-ignore]
        over = False  # an evaluation after the end is of the best checkpoint, not of the last step

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            write(state, what="begin", total_steps=state.max_steps, versions=versions(), left_out=order.get("left_out"))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not self.over:
                numbers = {key: value for key, value in (logs or {}).items() if isinstance(value, (int, float))}
                write(state, what="log", logs=numbers, tokens=tokens())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if os.path.exists(order["stop"]) or os.getppid() != parent:
                control.should_training_stop = control.should_save = True

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            best = {"best_step": getattr(state, "best_global_step", None), "best_metric": state.best_metric}
            self.over = True
            write(state, what="end", tokens=tokens(), peak_bytes=peak_bytes(), output_dir=args.output_dir, **best)

    return Writer()


def peak_bytes() -> int:
    """Most memory ever held: the GPU's where there is one, else this process's."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def versions() -> dict[str, str]:
    """Of the packages that decide what a run does, those that are there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# --- probe ----------------------------------------------------------------------------------------------------------


def probe(trainer: Any, order: Order) -> dict[str, Any]:
    """The training rows as the model would be fed them, and the loss of the first ones before any update."""
    rows = [row for row, _ in zip(trainer.train_dataset, range(order["most_rows"]), strict=False)]
    collate = trainer.get_train_dataloader().collate_fn
    fed = [_fed(collate([row])) for row in rows]
    few = rows[: order["loss_rows"]]
    return {
        "versions": versions(),
        "rows": [describe(ids, labels) for ids, labels in fed],
        "loss_rows": len(few),
        "loss": _loss(trainer, collate(few)) if few else None,
        "packed": bool(getattr(trainer.args, "packing", False) or any(_several(row) for row in rows[:50])),
        "dtype": str(next(trainer.model.parameters()).dtype).removeprefix("torch."),
        "trainable": sum(one.numel() for one in trainer.model.parameters() if one.requires_grad),
        "steps": _planned_steps(trainer),
    }


def _several(row: Any) -> bool:
    """Whether a row of the data set is several rows laid end to end: its positions begin anew on the way."""
    positions = row.get("position_ids") if hasattr(row, "get") else None
    return isinstance(positions, list) and list(positions).count(0) > 1


def _fed(batch: Any) -> tuple[list[int], list[int]]:
    ids, labels = (batch[key].reshape(-1).tolist() for key in ("input_ids", "labels"))
    mask = batch.get("attention_mask")
    real = mask.reshape(-1).bool().tolist() if mask is not None and mask.dim() == 2 else [True] * len(ids)
    kept = [pair for pair, wanted in zip(zip(ids, labels, strict=True), real, strict=True) if wanted]
    return [token for token, _ in kept], [label for _, label in kept]


def describe(ids: list[int], labels: list[int]) -> dict[str, Any]:
    """A row's counts, and fingerprints: of its tokens, and of what is learnt from it.

    Nothing predicts the first token, so its label counts for nothing; nor does anything after the last trained token.

    >>> describe([5, 6, 7, 8], [5, -100, 7, -100])["supervised"]
    1
    """
    trained = [at > 0 and label != NOTHING for at, label in enumerate(labels)]
    end = max((at + 1 for at, flag in enumerate(trained) if flag), default=0)
    marks = "".join("1" if flag else "0" for flag in trained[:end])
    return {
        "tokens": len(ids),
        "supervised": sum(trained),
        "of_tokens": _print(",".join(map(str, ids))),
        "of_both": _print(",".join(map(str, ids[:end])) + ";" + marks),
    }


def _print(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _loss(trainer: Any, batch: Any) -> float:
    """Nats per trained token, dropout off."""
    import torch

    model = trainer.model
    model.eval()
    with torch.no_grad(), trainer.compute_loss_context_manager():
        return float(trainer.compute_loss(model, trainer._prepare_inputs(dict(batch))))


def _planned_steps(trainer: Any) -> int | None:
    """Optimizer steps of the whole run; None for a stream of unknown length."""
    args = trainer.args
    if args.max_steps > 0:
        return int(args.max_steps)
    if not hasattr(trainer.train_dataset, "__len__"):
        return None
    batches = len(trainer.get_train_dataloader())
    per_epoch = math.ceil(batches / int(args.gradient_accumulation_steps))
    return math.ceil(float(args.num_train_epochs) * per_epoch)


def _write(path: str, value: Any) -> None:
    temporary = Path(f"{path}.tmp")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
