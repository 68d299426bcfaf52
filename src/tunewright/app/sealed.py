"""One look at the sealed test rows: the loss of the run that was kept, after everything was chosen without them."""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.app.prepare import Prepared
from tunewright.data.tokens import encode_rows
from tunewright.engine.base import Base, load_base
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.export import load_tuned
from tunewright.record.run import Run
from tunewright.tuner.ranking import RowLosses, loss_error


@dataclass(frozen=True)
class Sealed:
    """Nats per supervised token on the test rows, its standard error over them, and the tokens forwarded."""

    loss: float
    standard_error: float
    rows: int
    tokens: int


def look_once(run: Run, prepared: Prepared, base: Base) -> Sealed | None:
    """The kept adapter on the test rows; None when the data has none. Leaves the base without an adapter."""
    if not prepared.dataset.test:
        return None
    recipe = prepared.recipe
    encoded = encode_rows(
        prepared.dataset.test,
        prepared.tokenizer,
        loss_on=recipe.loss_on,
        max_length=prepared.facts.max_length,
        stage=recipe.stage,
    )
    size = recipe.per_device_eval_batch_size
    if recipe.method == "full":
        tuned = load_base(str(run.best), method="full", precision=recipe.precision, template=recipe.template)
        nats_n, tokens_n = row_losses(tuned.model, encoded.rows, size)
    else:
        pack = load_tuned(base, run.best)
        try:
            nats_n, tokens_n = row_losses(pack, encoded.rows, size)
        finally:
            pack.detach()
    error = loss_error(RowLosses(nats_n, tokens_n))
    return Sealed(mean_loss(nats_n, tokens_n), error, len(encoded.rows), encoded.tokens)
