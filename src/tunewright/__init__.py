"""Tunewright: fine-tuning of language models that finds its own sweet spot.

    import tunewright as tw
    plan = tw.plan("rows.jsonl", model="Qwen/Qwen3-0.6B")
    run = tw.train("rows.jsonl", model="Qwen/Qwen3-0.6B")
    result = tw.tune("rows.jsonl", model="Qwen/Qwen3-0.6B")

Importing this imports neither torch nor transformers; the verbs load what they need when called.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Threads that wait by spinning make a small model a hundred times slower as soon as anything else uses a core
# (measured: 44 ms a step on one thread, 54 on two that sleep, 6,200 on two that spin, beside one busy process).
# Must be set before torch is loaded; it changes no number.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_VERBS = {
    "bakeoff": "tunewright.app.bakeoff",
    "chat": "tunewright.app.chat",
    "check": "tunewright.app.check",
    "diagnose": "tunewright.app.diagnose",
    "exam": "tunewright.app.exam",
    "export": "tunewright.app.export",
    "merge": "tunewright.app.merge",
    "next_recipe": "tunewright.app.next_recipe",
    "plan": "tunewright.app.plan",
    "report": "tunewright.app.report",
    "sweep": "tunewright.app.sweep",
    "train": "tunewright.app.train",
    "tune": "tunewright.app.tune",
    "TunewrightCallback": "tunewright.trainers.callback",
    "TunewrightPruner": "tunewright.trainers.pruner",
}

__all__ = ["__version__", *sorted(_VERBS)]


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    raise AttributeError(f"module 'tunewright' has no attribute {name!r}")
