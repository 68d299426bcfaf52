"""Whom the use cases report to while they work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Watch(Protocol):
    """Told what happens; asked, after each step, whether to stop cleanly."""

    def say(self, text: str) -> None: ...

    def working(self, what: str, done: int, total: int) -> None: ...

    def event(self, run: str, event: Mapping[str, Any], total_steps: int, finding: str = "") -> None: ...

    def should_stop(self) -> bool: ...


class Silent:
    """Hears everything, says nothing, never stops: the default of the Python API."""

    def say(self, text: str) -> None:
        return

    def working(self, what: str, done: int, total: int) -> None:
        return

    def event(self, run: str, event: Mapping[str, Any], total_steps: int, finding: str = "") -> None:
        return

    def should_stop(self) -> bool:
        return False
