"""The losses of a finished run's validation rows, one by one, kept in its folder: what paired comparisons need."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.app.kept_rows import FILE, kept_rows
from tunewright.app.worn import tuned_weights
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base
from tunewright.engine.evaluate import row_losses
from tunewright.record.run import Run
from tunewright.schema.recipe import Recipe

__all__ = ["FILE", "kept_rows", "measure_rows"]


def measure_rows(run: Run, recipe: Recipe, base: Base, rows: Sequence[TokenRow]) -> int:
    """Evaluate ``best/`` row by row and keep the losses. Returns the tokens forwarded; 0 when they were kept already.

    Leaves the base without an adapter.
    """
    if (run.path / FILE).is_file():
        return 0
    with tuned_weights(run.best, recipe, base) as tuned:
        nats_n, tokens_n = row_losses(tuned, rows, recipe.per_device_eval_batch_size)
    run.write(FILE, {"rows": [row.number for row in rows], "nats": nats_n, "tokens": tokens_n})
    return sum(len(row.ids) for row, tokens in zip(rows, tokens_n, strict=True) if tokens)
