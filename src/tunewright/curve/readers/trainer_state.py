"""The Hugging Face Trainer's trainer_state.json; TRL, Axolotl, Unsloth and LLaMA-Factory write the same file.

Traps (read in transformers 5.23.0, trainer.py): ``loss`` is the mean over the steps since the last log; the closing
row's ``train_loss`` is the mean of the run; NaN is written as a bare token, or hidden as 0.0 by
``logging_nan_inf_filter``; the file of a checkpoint is a prefix of the run, whose length is ``max_steps``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_object
from tunewright.curve.names import to_float, to_step
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

FILE = "trainer_state.json"


def matches(path: Path) -> bool:
    """The file under its own or another name, or a folder with it (its own, or a checkpoint's)."""
    if path.is_dir():
        return newest(path) is not None
    return path.name == FILE or (path.suffix == ".json" and path.is_file() and _looks_like_state(path))


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of a trainer_state.json, or of the newest one in a folder. Raises DataError."""
    file = newest(path) if path.is_dir() else path
    if file is None:
        raise DataError(f"{path}: no {FILE} in it or in its checkpoint folders")
    state = read_object(file)
    history = state.get("log_history")
    if not isinstance(history, list):
        raise DataError(f"{file}: no log_history in it, so it is not a Trainer state")
    collected = Collector(columns)
    for row in history:
        if isinstance(row, dict):
            collected.add(row)
    total = to_step(state.get("max_steps"))
    return [collected.curve("trainer_state", file, total_steps=total, config=_config(state))]


def newest(folder: Path) -> Path | None:
    """The folder's own state file (written when a run ends), else that of its newest checkpoint, else None."""
    own = folder / FILE
    if own.is_file():
        return own
    states = {_number(file.parent): file for file in folder.glob(f"checkpoint-*/{FILE}")}
    return states[max(states)] if states else None


def _number(checkpoint: Path) -> int:
    digits = re.search(r"checkpoint-(\d{1,15})$", checkpoint.name)
    return int(digits.group(1)) if digits else -1


def _looks_like_state(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(65536)
    return b'"log_history"' in head


def _config(state: dict[str, Any]) -> dict[str, Any]:
    """The recipe keys a state file knows (training_args.bin beside it is a pickle and is never opened)."""
    config: dict[str, Any] = {}
    epochs = to_float(state.get("num_train_epochs"))
    if epochs and 0 < epochs < 1e6:
        config["num_train_epochs"] = epochs
    for theirs, ours in (("train_batch_size", "per_device_train_batch_size"), ("logging_steps", "logging_steps")):
        count = to_step(state.get(theirs))
        if count:
            config[ours] = count
    return config
