"""A Trainer's log rows under our names, one validation set chosen among several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.doctor.live import event_of

LOGGED = ("loss", "eval_loss", "learning_rate", "grad_norm")


class LogRows:
    """Reads log rows. Of several validation sets (``eval_<name>_loss``) the one that chooses the best checkpoint is
    watched, else the first that was logged; the losses of the others stay beside it as ``other_eval_loss``.

    >>> rows = LogRows("loss")
    >>> rows.row({"eval_a_loss": 1.5}), rows.row({"eval_b_loss": 2.0})
    ({'eval_loss': 1.5}, {'other_eval_loss': {'eval_b_loss': 2.0}})
    """

    def __init__(self, best_metric: str | None = None) -> None:
        name = str(best_metric or "")
        name = name if name.startswith("eval_") else f"eval_{name}"
        self.watched = name if _is_named_set(name) else ""

    def row(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers we keep; empty for a row without any, such as the closing one with ``train_runtime``."""
        named = [key for key in logs if _is_named_set(key)]
        if not named or "eval_loss" in logs:
            return {key: value for key, value in event_of(logs).items() if key in LOGGED}
        self.watched = self.watched or named[0]
        others = {key: logs[key] for key in named if key != self.watched}
        row = {"eval_loss": float(logs[self.watched])} if self.watched in logs else {}
        return {**row, "other_eval_loss": others} if others else row


def _is_named_set(key: str) -> bool:
    return key.startswith("eval_") and key.endswith("_loss") and key != "eval_loss"
