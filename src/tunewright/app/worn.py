"""A run's tuned weights on its base, for as long as they are asked something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from tunewright.engine.base import Base, load_base
from tunewright.engine.export import load_tuned
from tunewright.engine.pack import Pack
from tunewright.schema.recipe import Recipe


@contextmanager
def tuned_weights(folder: Path, recipe: Recipe, base: Base) -> Iterator[Pack | nn.Module]:
    """The adapter in ``folder`` on the base, which is left bare; or the whole model of a full fine-tuning."""
    if recipe.method == "full":
        yield load_base(str(folder), method="full", precision=recipe.precision, template=recipe.template).model
        return
    pack = load_tuned(base, folder)
    try:
        yield pack
    finally:
        pack.detach()
