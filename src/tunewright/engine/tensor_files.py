"""Writing tensors, with the file system's refusals as the OSErrors they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file. Raises OSError with its number (disk full, no permission), as open() would."""
    from safetensors.torch import save_file

    with os_errors():
        save_file(dict(tensors), path, metadata=metadata)


@contextmanager
def os_errors() -> Iterator[None]:
    """safetensors reports a full disk as an error of its own, with the system's number only in its text."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from None
