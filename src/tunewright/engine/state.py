"""What a run carries from step to step beside its tensors, and how an evaluation or a branch changes it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from tunewright.engine.schedule import PlateauLR
from tunewright.schema.jsonio import number


@dataclass
class LoopState:
    """Everything that survives a restart. Losses are nats per supervised token; None where there are no such rows."""

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

    @property
    def general_rise(self) -> float | None:
        """How much the probe's loss rose from the start to the best step; None without a probe."""
        if self.general_best is None or self.general_base is None:
            return None
        return self.general_best - self.general_base

    def judge(self, eval_loss: float | None, general_loss: float | None) -> bool:
        """Take note of an evaluation at this step. Returns whether it is the best so far.

        A loss that is not finite never is. Without validation rows the last parameters are the best.
        """
        self.evaluated_step = self.step
        if self.step == 0:
            self.base_eval_loss, self.general_base = eval_loss, general_loss
        elif eval_loss is not None:
            self.plateau.see(eval_loss)
        best = self.best_loss
        improved = eval_loss is None or (math.isfinite(eval_loss) and (best is None or eval_loss < best))
        if improved:
            self.best_step, self.best_loss, self.general_best = self.step, eval_loss, general_loss
        self.evaluations_without_gain = 0 if improved else self.evaluations_without_gain + 1
        return improved

    def branch_of(self, trunk: LoopState, seconds: float) -> LoopState:
        """The state of a run that begins where ``trunk`` is, at so many seconds; how many rows fit stays its own."""
        state = LoopState()
        state.take(trunk.to_json())
        state.micro_rows, state.eval_rows = self.micro_rows, self.eval_rows
        state.stopped_because, state.seconds = "", seconds
        state.tokens_inherited = (trunk.tokens_train, trunk.tokens_eval)
        return state

    def measured_anew(self) -> None:
        """From now on the validation rows are others: no evaluation so far counts."""
        self.best_loss = self.base_eval_loss = None
        self.evaluated_step, self.plateau = -1, PlateauLR()
