"""What a bench has measured so far, line by line in a file, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class Records:
    """A JSONL file of finished measurements. A measurement of another setting, machine or code is never reused.

    ``state``: everything that must be the same for a figure to count, as :func:`fingerprint` gives it.
    """

    def __init__(self, path: Path, state: str) -> None:
        self.path, self.state = path, state
        self._found = {line["key"]: line["value"] for line in _lines(path) if line.get("state") == state}

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        """The value under a key: what the file says, or else what ``measure`` returns, which is then written down."""
        if key not in self._found:
            value = measure()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"state": self.state, "key": key, "value": value})
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")  # the first newline ends a line that a kill has cut short
            self._found[key] = value
        return self._found[key]


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; empty ones, and those cut short by a kill, are left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def fingerprint(settings: Any, sources: Iterable[Path]) -> str:
    """A short hash of settings, this machine and the contents of source files (folders: every .py file in them)."""
    digest = hashlib.sha256(json.dumps([settings, machine()], sort_keys=True, default=str).encode())
    for source in sources:
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"host": platform.node(), "cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform()}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
