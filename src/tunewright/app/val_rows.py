"""The losses of a finished run's validation rows, one by one, kept in its folder: what paired comparisons need."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.app.kept_rows import FILE, kept_rows
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base, load_base
from tunewright.engine.evaluate import row_losses
from tunewright.engine.export import load_tuned
from tunewright.record.run import Run
from tunewright.schema.recipe import Recipe

__all__ = ["FILE", "kept_rows", "measure_rows"]


def measure_rows(run: Run, recipe: Recipe, base: Base, rows: Sequence[TokenRow]) -> int:
    """Evaluate ``best/`` row by row and keep the losses. Returns the tokens forwarded; 0 when they were kept already.

    Leaves the base without an adapter.
    """
    if (run.path / FILE).is_file():
        return 0
    size = recipe.per_device_eval_batch_size
    if recipe.method == "full":
        tuned = load_base(str(run.best), method="full", precision=recipe.precision, template=recipe.template)
        nats_n, tokens_n = row_losses(tuned.model, rows, size)
    else:
        pack = load_tuned(base, run.best)
        try:
            nats_n, tokens_n = row_losses(pack, rows, size)
        finally:
            pack.detach()
    run.write(FILE, {"rows": [row.number for row in rows], "nats": nats_n, "tokens": tokens_n})
    return sum(len(row.ids) for row, tokens in zip(rows, tokens_n, strict=True) if tokens)
