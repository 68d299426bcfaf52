"""One look at the sealed test rows: the loss of the run that was kept, after everything was chosen without them."""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.app.prepare import Prepared
from tunewright.app.worn import tuned_weights
from tunewright.data.encode import encode_rows
from tunewright.engine.base import Base
from tunewright.engine.evaluate import mean_loss, row_losses
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
    with tuned_weights(run.kept, recipe, base) as tuned:
        nats_n, tokens_n = row_losses(tuned, encoded.rows, recipe.per_device_eval_batch_size)
    error = loss_error(RowLosses(nats_n, tokens_n))
    return Sealed(mean_loss(nats_n, tokens_n), error, len(encoded.rows), encoded.tokens)
