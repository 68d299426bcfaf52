"""Checkpoints: everything that makes the next step, in one folder that appears whole or not at all.

checkpoints/step-N/state.json            the run's state, and a checksum of the tensors
checkpoints/step-N/tensors.safetensors   parameters, their mean where it is kept, optimizer state, the best so far
"""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch

from tunewright.engine.tensor_files import save_tensors
from tunewright.record.files import write_folder
from tunewright.schema import jsonio
from tunewright.schema.errors import DataError

KEPT = 2
TENSORS = "tensors.safetensors"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a folder ``step-N`` holds: the run's state, and tensors on the CPU."""

    step: int
    state: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def save_checkpoint(
    checkpoints: Path,
    step: int,
    state: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    *,
    spared: Collection[int] = (),
) -> Path:
    """Write ``step-N`` under ``checkpoints`` and drop all but the newest two and those of the ``spared`` steps.

    Raises RunFailed on a full disk.
    """
    folder = checkpoints / f"step-{step}"
    write_folder(folder, lambda temporary: _fill(temporary, step, state, tensors))
    names = {f"step-{one}" for one in spared}
    for old in _folders(checkpoints)[KEPT:]:
        if old.name not in names:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def state_at(checkpoints: Path, step: int) -> dict[str, Any]:
    """What ``step-N`` says of itself: step, checksum and the run's state. Raises DataError when it is not there."""
    try:
        return dict(orjson.loads((checkpoints / f"step-{step}" / STATE).read_bytes()))
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataError(f"{checkpoints}: no checkpoint of step {step} to go on from: {error}") from None


def copy_checkpoint(source: Path, step: int, target: Path, **state: Any) -> None:
    """Copy ``step-N`` of ``source`` to the folder ``target`` with some fields of its state replaced, whole."""
    about = state_at(source, step)

    def fill(temporary: Path) -> None:
        shutil.copyfile(source / f"step-{step}" / TENSORS, temporary / TENSORS)
        changed = {**about, "state": {**about["state"], **state}}
        (temporary / STATE).write_bytes(jsonio.dumps(changed, indent=True))

    write_folder(target / f"step-{step}", fill)


def newest_step(checkpoints: Path) -> int | None:
    """The step of the newest checkpoint, whole or not; None without any."""
    folders = _folders(checkpoints)
    return int(folders[0].name.removeprefix("step-")) if folders else None


def drop_checkpoint(checkpoints: Path, step: int) -> None:
    """Forget ``step-N``: a run that is resumed goes on from the one before."""
    shutil.rmtree(checkpoints / f"step-{step}", ignore_errors=True)


def newest_checkpoint(checkpoints: Path, shapes: Mapping[str, torch.Size]) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole and holds tensors of these shapes; and why newer ones were passed over."""
    passed_over: list[str] = []
    for folder in _folders(checkpoints):
        checkpoint, fault = _read(folder, shapes)
        if checkpoint is not None:
            return checkpoint, passed_over
        passed_over.append(f"{folder.name} {fault}: passed over")
    return None, passed_over


def _fill(folder: Path, step: int, state: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    save_tensors({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    about = {"step": step, "crc32": _crc32(folder / TENSORS), "state": state}
    (folder / STATE).write_bytes(jsonio.dumps(about, indent=True))


def _read(folder: Path, shapes: Mapping[str, torch.Size]) -> tuple[Checkpoint | None, str]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = orjson.loads((folder / STATE).read_bytes())
        if _crc32(folder / TENSORS) != about["crc32"]:
            return None, "is damaged (its tensors changed after they were written)"
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        return None, f"is damaged ({type(error).__name__}: {error})"
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            return None, f"is of another recipe ({name} is not {list(shape)})"
    return Checkpoint(int(about["step"]), about["state"], tensors), ""


def _crc32(path: Path) -> int:
    """Catches what a format check cannot: a flipped bit in a weight."""
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(2**22):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _folders(checkpoints: Path) -> list[Path]:
    """Checkpoint folders, newest first; temporary ones of a killed write begin with a dot and are none."""
    if not checkpoints.is_dir():
        return []
    named = [(re.fullmatch(r"step-(\d+)", path.name), path) for path in checkpoints.iterdir()]
    return [path for match, path in sorted(((m, p) for m, p in named if m), key=lambda pair: -int(pair[0][1]))]
