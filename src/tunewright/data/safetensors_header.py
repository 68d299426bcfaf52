"""The header of safetensors files: names, shapes and number types of the weights, without reading one of them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tunewright.schema.errors import ModelError

# The format's own limit. Source: safetensors format description, huggingface/safetensors README (2022-09).
_MOST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class Weight:
    """A stored tensor; stored_bytes: what it takes in the file."""

    name: str
    shape: tuple[int, ...]
    stored_bytes: int

    @property
    def count(self) -> int:
        """Numbers in it; 1 for a scalar."""
        return prod(self.shape)


def read_weights(folder: Path) -> tuple[Weight, ...]:
    """The weights of a model folder, of all its shards; empty when it holds none in this format.

    Raises ModelError for a damaged file, and for a shard that the index names and the folder lacks.
    """
    return tuple(weight for shard in _shards(folder) for weight in _header(shard))


def _shards(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        single = folder / "model.safetensors"
        return [single] if single.exists() else sorted(folder.glob("model-*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"{index}: not an index of weights, expected an object with weight_map") from None
    missing = [name for name in names if not (folder / str(name)).exists()]
    if missing:
        raise ModelError(f"{folder}: the index names {missing[0]} and {len(missing) - 1} more that are not there")
    return [folder / str(name) for name in names]


def _header(path: Path) -> Iterator[Weight]:
    damaged = ModelError(f"{path}: not a safetensors file, or a damaged one", hint="copy or download the model again")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(_MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise damaged
        content = file.read(length)
    try:
        entries: dict[str, Any] = json.loads(content)
        weights = [_weight(name, entry) for name, entry in entries.items() if name != "__metadata__"]
        end = max(
            (int(entry["data_offsets"][1]) for name, entry in entries.items() if name != "__metadata__"), default=0
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise damaged from None
    if 8 + length + end > path.stat().st_size:  # a copy that stopped half way
        raise damaged
    yield from weights


def _weight(name: str, entry: Any) -> Weight:
    begin, end = entry["data_offsets"]
    return Weight(name, tuple(int(size) for size in entry["shape"]), int(end) - int(begin))
