"""What the loop is given, what it carries from step to step, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tunewright.engine.pack import Pack
from tunewright.engine.schedule import PlateauLR
from tunewright.record.run import Run
from tunewright.schema.errors import UsageError
from tunewright.schema.jsonio import number
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


@dataclass
class LoopState:
    """Everything that survives a restart, beside the tensors. Losses are nats per supervised token."""

    step: int = 0  # updates made
    tokens_train: int = 0
    tokens_eval: int = 0
    tokens_inherited: tuple[int, int] = (0, 0)  # of those, (train, eval) that a branch took over from its trunk
    seconds: float = 0.0  # wall time since the run's start, all of its lives together
    train_seconds: float = 0.0  # wall time of its steps, which in a pack it shares with the others
    evaluated_step: int = -1
    base_eval_loss: float | None = None
    best_step: int = 0
    best_loss: float | None = None
    general_base: float | None = None
    general_best: float | None = None
    evaluations_without_gain: int = 0
    non_finite_in_a_row: int = 0
    plateau: PlateauLR = field(default_factory=PlateauLR)
    micro_rows: int = 1
    eval_rows: int = 1
    stopped_because: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def take(self, saved: dict[str, Any]) -> None:
        """Become a saved state (in place: the loop holds on to this object)."""
        for key, value in saved.items():
            setattr(self, key, number(value) if value in ("NaN", "Infinity", "-Infinity") else value)
        self.plateau = PlateauLR(**saved["plateau"])
        self.tokens_inherited = (self.tokens_inherited[0], self.tokens_inherited[1])


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
