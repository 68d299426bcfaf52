"""The keys of PEFT's LoraConfig (read from peft 0.21.2, 2026-08), as TRL and Unsloth scripts spell them."""

from __future__ import annotations

from typing import Any

from tunewright.schema.recipe import Recipe
from tunewright.trainers.translation import Translation, Values, targets


def adapter_entry(ours: str, theirs: str, out: Any = None, back: Any = None, about: str = "") -> Translation:
    """One adapter key; absent from a full fine-tuning."""

    def exported(recipe: Recipe, _: int) -> Values:
        value = getattr(recipe, ours)
        return {theirs: None if recipe.method == "full" else (out(value) if out else value)}

    def imported(keys: Any) -> Values:
        value = keys.get(theirs)
        return {} if value is None else {ours: back(value) if back else value}

    return Translation((ours,), (theirs,), exported, imported, about)


def number(value: float) -> int | float:
    """A whole number as one, since most tools ask for that.

    >>> number(32.0), number(22.6)
    (32, 22.6)
    """
    return int(value) if value == int(value) else value


def whole(value: float) -> int:
    """The nearest whole number, at least 1, for tools that take no other.

    >>> whole(22.6), whole(0.5)
    (23, 1)
    """
    return max(1, round(value))


def linear_out(value: str | tuple[str, ...]) -> str | list[str]:
    """ "all" as PEFT says it, else a list of names."""
    found = targets(value)
    return "all-linear" if isinstance(found, str) else list(found)


def linear_back(value: Any) -> Any:
    """ "all", or names; nothing for what a recipe cannot mean (a pattern)."""
    if value in ("all-linear", "all"):
        return "all"
    if isinstance(value, str):
        return (value,) if value.replace("_", "").isalnum() else None
    return tuple(value) if isinstance(value, (list, tuple, set)) else None


def lora_table(prefix: str) -> tuple[Translation, ...]:
    """rank, alpha, dropout, targets and extra modules under LoraConfig's names."""
    return (
        adapter_entry("lora_rank", f"{prefix}r"),
        adapter_entry("lora_alpha", f"{prefix}lora_alpha", number, float),
        adapter_entry("lora_dropout", f"{prefix}lora_dropout", back=float),
        adapter_entry("lora_target", f"{prefix}target_modules", linear_out, linear_back, 'all is "all-linear"'),
        adapter_entry(
            "modules_to_save", f"{prefix}modules_to_save", lambda names: list(names) or None, tuple, "none: left out"
        ),
    )
