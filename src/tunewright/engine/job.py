"""What the loop is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunewright.engine.pack import Pack
from tunewright.record.run import Run
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow


@dataclass(frozen=True)
class Job:
    """One run to train: the recipe and its tokenised rows.

    ``replay``: rows against forgetting, of which every epoch takes the next ``replay_rows`` in turn.
    ``probe``: general rows whose loss tells what is being forgotten. ``run``: the folder that is written; None
    trains without leaving a trace. ``kept_at``: steps after which a checkpoint is written whatever the cadence, and
    never dropped: other runs may begin there. Jobs of one pack that share rows should share the object: it is read
    once.
    """

    recipe: Recipe
    train: Sequence[TokenRow]
    val: Sequence[TokenRow] = ()
    probe: Sequence[TokenRow] = ()
    run: Run | None = None
    replay: Sequence[TokenRow] = ()
    replay_rows: int = 0
    kept_at: frozenset[int] = frozenset()


@dataclass(frozen=True)
class TrainResult:
    """What came of a run. Losses are None where there were no such rows.

    A branch counts its trunk's steps and tokens as its own, as the separate run would; ``tokens_inherited`` says how
    many (train, eval) those were. ``train_seconds`` and ``peak_GiB`` are those of the whole pack while it was in it.
    """

    steps: int
    tokens_train: int
    tokens_eval: int
    base_eval_loss: float | None
    eval_loss: float | None
    best_step: int
    general_rise: float | None
    train_seconds: float
    tokens_per_s: float
    peak_GiB: float
    stopped_because: str
    kept: Pack | None = field(repr=False)
    notes: tuple[str, ...] = ()
    tokens_inherited: tuple[int, int] = (0, 0)

    @property
    def pack(self) -> Pack:
        """The pack of one with the best parameters. Raises UsageError when the run shared its pack with others."""
        if self.kept is None:
            raise UsageError("the run's row in the pack went to others: load its best/ folder")
        return self.kept
