"""The numbers of a run that every face shows. Worked out here and nowhere else, so that no two faces disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.reporter import load

if TYPE_CHECKING:
    from tunewright.schema.curve import Curve


@dataclass(frozen=True)
class Figures:
    """None where a number is not known, never 0.

    eval_loss      : of the kept checkpoint, nats per token: as recorded, else the lowest on the curve
    base_eval_loss : of the untouched model
    best_step      : step of the kept checkpoint, alike
    steps          : optimizer steps taken
    forgetting     : rise of the loss on general text, nats per token: by the run, else by its exam
    health         : healthy, warning, sick or unknown: by the findings, else as recorded
    train_tokens   : input tokens trained on
    seconds        : the whole command; train_seconds: of training alone
    """

    eval_loss: float | None
    base_eval_loss: float | None
    best_step: int | None
    steps: int | None
    forgetting: float | None
    health: str
    train_tokens: int | None
    seconds: float | None
    train_seconds: float | None
    peak_GiB: float | None


def figures_of(
    result: Mapping[str, Any], curve: Curve | None = None, *, health: str = "", exam_forgetting: float | None = None
) -> Figures:
    """The figures of a run from its ``train`` JSON and, where that is silent, from its curve.

    health : as the findings say; "" when there are none on record

    >>> figures_of({"eval_loss": "NaN", "steps": 12}).eval_loss
    nan
    """
    loss, step = load.number(result.get("eval_loss")), load.count(result.get("best_step"))
    lowest_at, lowest = _lowest(curve)
    base = load.number(result.get("base_eval_loss"))
    steps = load.count(result.get("steps"))
    forgetting = load.number(result.get("forgetting"))
    return Figures(
        eval_loss=lowest if loss is None else loss,
        base_eval_loss=curve.base_eval_loss if base is None and curve is not None else base,
        best_step=lowest_at if step is None else step,
        steps=curve.last_step if steps is None and curve is not None else steps,
        forgetting=exam_forgetting if forgetting is None else forgetting,
        health=health or str(result.get("health") or "unknown"),
        train_tokens=load.count(load.mapping(result.get("tokens")).get("train")),
        seconds=load.number(result.get("seconds")),
        train_seconds=load.number(result.get("train_seconds")),
        peak_GiB=load.number(result.get("peak_GiB")),
    )


def _lowest(curve: Curve | None) -> tuple[int | None, float | None]:
    """Step and value of the lowest finite validation loss."""
    if curve is None or not len(curve.eval_loss.finite()):
        return None, None
    measured = curve.eval_loss.finite()
    place = int(measured.values.argmin())
    return int(measured.steps[place]), float(measured.values[place])
