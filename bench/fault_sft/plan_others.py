"""The runs made with TRL and LLaMA-Factory: the faults that a user's own settings and data can bring about."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.fault_sft.injections import inject
from bench.fault_sft.plan import background
from bench.fault_sft.spec import Spec

# Two bases of either half
BASES_USED = ("docs-llama", "grammar-gemma3", "code-qwen3", "facts-llama")
CONTROLS = 4
FAULTS = (
    ("lr_high", 30),
    ("lr_low", 100),
    ("tiny_epochs", 24),
    ("nan_weights", 0.5),
    ("warmup_all", 1.0),
    ("permuted", 1),
    ("val_shift", 1),
    ("duplicates", 16),
)


def plan(base: str, trainer: str, references: Mapping[str, Mapping[str, Any]]) -> list[Spec]:
    """The runs of one trainer on one base; none on the other bases."""
    if base not in BASES_USED:
        return []
    rng = random.Random(f"plan {base} {trainer}")
    specs = [background(base, references, rng) for _ in range(CONTROLS)]
    specs += [inject(background(base, references, rng), fault) for fault in FAULTS]
    return [replace(spec, trainer=trainer) for spec in specs]
