"""Checkpoints: everything that makes the next step, in one folder that appears whole or not at all.

checkpoints/step-N/state.json            the run's state, and a checksum of the tensors
checkpoints/step-N/tensors.safetensors   parameters, optimizer state, the best parameters so far
"""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch

from tunewright.engine.tensor_files import save_tensors
from tunewright.record.files import write_folder
from tunewright.schema import jsonio

KEPT = 2
TENSORS = "tensors.safetensors"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    step: int
    state: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def save_checkpoint(
    checkpoints: Path, step: int, state: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> Path:
    """Write ``step-N`` under ``checkpoints`` and drop all but the newest two. Raises RunFailed on a full disk."""
    folder = checkpoints / f"step-{step}"
    write_folder(folder, lambda temporary: _fill(temporary, step, state, tensors))
    for old in _folders(checkpoints)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def newest_checkpoint(checkpoints: Path, shapes: Mapping[str, torch.Size]) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole and holds tensors of these shapes; and why newer ones were passed over."""
    passed_over: list[str] = []
    for folder in _folders(checkpoints):
        checkpoint, fault = _read(folder, shapes)
        if checkpoint is not None:
            return checkpoint, passed_over
        passed_over.append(f"{folder.name} is damaged ({fault}): passed over")
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
            return None, "its tensors changed after they were written"
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        return None, f"{type(error).__name__}: {error}"
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            return None, f"{name} is not {list(shape)}: of another recipe"
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
