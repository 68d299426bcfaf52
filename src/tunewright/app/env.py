"""env: this machine and what is installed on it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from tunewright import __version__
from tunewright.planner.machine import this_machine

PACKAGES = (
    "torch", "transformers", "peft", "datasets", "accelerate", "safetensors", "bitsandbytes", "numpy", "pydantic",
    "typer", "rich", "orjson", "ruamel.yaml", "pyarrow", "tensorboard",
)  # fmt: skip


def env() -> dict[str, Any]:
    """Versions (None: not installed) and the machine's facts."""
    return {
        "tunewright": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": this_machine(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
