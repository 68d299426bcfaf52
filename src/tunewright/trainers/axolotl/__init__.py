"""Axolotl: one YAML file, and a plugin (``plugins: [tunewright.trainers.axolotl.Plugin]``)."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """``Plugin`` is made when Axolotl asks for it: it is a subclass of Axolotl's own class, which may not be there."""
    if name != "Plugin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tunewright.trainers.axolotl.plugin import Plugin

    return Plugin
