"""Runs that stopped too soon, and those without evaluations: how long to train, and with how much capacity."""

from __future__ import annotations

import math
from typing import Any

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.usual import back_to_usual, fewer_rows_a_step, more_rows_a_step, planned_epochs
from tunewright.prescribe.fit import LogFit, fit_log_steps, least_gain, longer_run
from tunewright.prescribe.guide.bands import SWEET_LOW, Band, band_of
from tunewright.prescribe.guide.final_loss import tree_rungs
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0, LORA_WITHOUT_REGRET
from tunewright.prescribe.symptoms import UNSTABLE, bears_its_rate, rate_far_above, rate_far_below
from tunewright.prescribe.values import is_number, show
from tunewright.schema.prescription import Range

UNFITTED_FACTOR = 1.5  # with nothing to fit: the guides' smaller step up
STEEP_GAIN = 0.1  # expected of one more epoch, a share of the loss: then twice the run is too little
TOO_SMALL_RANK, USUAL_RANK = 2, 16
SEVERAL_EPOCHS = 2.0


def _underfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("underfit")
    # an unfinished run has its remaining steps to fall in; without evaluations the bands speak, as weak evidence
    if case.has("prefix_log", "overfit") or not case.has_eval:
        return ()
    if finding is None:
        return _not_one_epoch(case)
    says = f"stopped while still learning ({finding.why})"
    longer = _longer(case, says, finding.evidence.get("gain_one_more_epoch"))
    calm = not case.has(*UNSTABLE, "spike")
    return (
        *(back_to_usual(case, says) if (calm and rate_far_below(case)) or _rate_is_too_high(case) else ()),
        *_rank_of_one(case, says),
        *fewer_rows_a_step(case, says),
        *more_rows_a_step(case, says),
        *_few_rows_seen(case, says, finding.evidence.get("gain_one_more_epoch")),
        longer,
        Rung("LR x 2", says, (Move("learning_rate", 2.0),) if calm and not rate_far_above(case) else ()),
        Rung("rank x 2", says, (Move("lora_rank", 2.0),)),
    )


def _rate_is_too_high(case: Case) -> bool:
    """Whether the learning rate lies far above the planned one and the run does not show that it bears it."""
    return rate_far_above(case) and not bears_its_rate(case)


def _rank_of_one(case: Case, says: str) -> tuple[Rung, ...]:
    """A rank of 1 or 2 holds too little for supervised tuning: to the smallest rank that is usually swept."""
    rank = case.number("lora_rank")
    if rank is None or rank > TOO_SMALL_RANK:
        return ()
    return (Rung("rank", f"{says}; rank {rank:g} holds little", (Move("lora_rank", to=USUAL_RANK),)),)


def _few_rows_seen(case: Case, says: str, gain_one_more: Any) -> tuple[Rung, ...]:
    """As many epochs as such a set is planned with, for a steep run that had less than half of them."""
    if not is_number(gain_one_more) or gain_one_more < STEEP_GAIN:
        return ()
    why = f"{says}; {_planned(case)}"
    return (Rung("planned epochs", why, planned_epochs(case, why)),)


def _planned(case: Case) -> str:
    usual = case.usual.get("num_train_epochs")
    return f"such a set is planned with {show(usual)} epochs, and this run had {show(case.epochs)}"


def _not_one_epoch(case: Case) -> tuple[Rung, ...]:
    """Rows that were never seen: a run of less than one epoch whose loss is lowest at the end, though a set like this
    is planned with several. Noise of single evaluations may hide that it still fell."""
    epochs, low, usual = case.epochs, case.lowest_eval, case.usual.get("num_train_epochs", 0.0)
    turned = low is None or low[0] < int(case.evals.steps[-1])
    if epochs is None or epochs >= 1 or usual < SEVERAL_EPOCHS or turned or case.has(*UNSTABLE):
        return ()
    says = f"the rows were not all seen once, and the evaluation loss was lowest at the end; {_planned(case)}"
    return (*more_rows_a_step(case, says), Rung("planned epochs", says, planned_epochs(case, says)))


def _longer(case: Case, says: str, gain_one_more: Any) -> Rung:
    """More epochs, as long as each further stretch is expected to gain more than noise; at most twice the run.

    A stretch is an epoch, or a quarter of the run when that is longer: the gain of the 25th epoch alone would
    drown in noise. The first stretch is proposed even if its fitted gain is small; whoever chooses compares it with
    noise. ``gain_one_more`` is the doctor's own estimate, a share of the loss: it also knows runs that flattened
    only because their learning rate ran out, which the fit does not, so there it stands without a prediction.
    """
    curve, total = case.curve, float(case.total_steps)
    fit = None if curve is None else fit_log_steps(curve)
    promised = f"; one more epoch is estimated to gain {gain_one_more:.1%}" if is_number(gain_one_more) else ""
    if fit is None or curve is None or total <= 0:
        return Rung("epochs", says + promised, (Move("duration", UNFITTED_FACTOR),))
    least, stretch = least_gain(curve) or 0.0, total * _stretch_share(case.epochs)
    end = total + stretch
    if fit.gain(total, end) <= least and is_number(gain_one_more) and gain_one_more * (case.last_eval or 0.0) > least:
        return Rung("epochs", says + promised, (Move("duration", end / total),))
    while end + stretch <= 2.001 * total and fit.gain(end, end + stretch) > least:
        end += stretch
    predicted = expected_of_longer(case, fit, gain_one_more, end)
    if predicted.middle <= 0:  # so steep that the straight line reaches 0: no promise
        return Rung("epochs", says + promised, (Move("duration", end / total),))
    says = (
        f"{says}; {show(fit.a)} {'-' if fit.b < 0 else '+'} {show(abs(fit.b))} ln(step), fitted to the last {fit.n} "
        f"evaluations, gives {show(fit.at(end).middle)} at step {round(end)}"
    )
    return Rung("epochs", says, (Move("duration", end / total, predicted=predicted),))


def expected_of_longer(case: Case, fit: LogFit, gain_one_more: Any, end: float) -> Range:
    """What the same run at a length of ``end`` steps is expected to give: the more cautious of the fit and of the
    doctor's gain of one more epoch, where there is one.

    Losses are straight in the logarithm of the steps, so the logarithm of what is left goes with that of the length.
    """
    last = case.last_eval or 0.0
    if not is_number(gain_one_more) or not 0 <= gain_one_more < 1:
        return longer_run(fit, last, None, end)
    epochs = case.epochs_of_the_curve
    one_more = 1 + (1 / max(1.0, epochs) if epochs else 0.5)
    left = math.log1p(-gain_one_more) * math.log(end / case.total_steps) / math.log(one_more)
    return longer_run(fit, last, last * math.exp(left), end)


def _stretch_share(epochs: float | None) -> float:
    """The stretch as a share of the run: whole epochs, at least a quarter; half of a run of under two epochs."""
    if epochs is None or epochs < 2:
        return 0.5
    return math.ceil(epochs / 4) / epochs


UNDERFIT = Rule(
    name="evidence.underfit",
    family="duration",
    source=LORA_WITHOUT_REGRET,
    says="losses are close to straight in the logarithm of the steps, so the gain of more steps can be fitted",
    generalises=(
        "an LR far from the planned one goes there first, but not one above it under which every evaluation fell; a "
        "rank of 1 or 2 goes to 16, rows a step to the planned ones where they leave under 100 steps, or to eight "
        "where they are under four, with epochs for as many steps and an LR that goes with the rows' fourth root; "
        "then the planned epochs for a steep run of less than half of them, also where some rows were never seen; then "
        "more epochs while a further stretch gains more than 2 x noise and 1 % of the loss, at most x2, promised from "
        "no gain to twice the more cautious of the fit and of the doctor's estimate; x1.5 without a fit; if that was "
        "tried, LR x2, then rank x2, alpha unchanged"
    ),
    ask=_underfit,
)


def _bands(case: Case) -> tuple[Rung, ...]:
    loss = case.final_loss
    finding = case.first("underfit", "memorising")
    if case.has_eval or loss is None or case.has("prefix_log"):
        return ()
    if finding is None:
        return _perhaps_by_heart(case, loss)
    band = band_of(loss)
    weak = (
        f"weak evidence, as no evaluation loss was measured: {finding.symptom} ({finding.why}) and the final training "
        f"loss {show(loss)} is {band.text()}; hold out rows (val_size 0.1) to know"
    )
    if not _agree(finding.symptom, band):
        return (Rung("keep", weak, keep=True),)
    return tuple(Rung(rung.label, weak, rung.moves, rung.keep) for rung in tree_rungs(case))


def _perhaps_by_heart(case: Case, loss: float) -> tuple[Rung, ...]:
    """A look, not a knob, at a training loss that rows seen more than once reach by heart: answers with little choice
    reach it soundly."""
    epochs = case.epochs
    if epochs is None or epochs <= 1 or loss >= SWEET_LOW:
        return ()
    says = (
        f"a training loss of {show(loss)} after {show(epochs)} epochs is often rows learned by heart, though answers "
        "with little choice (labels, JSON) come as low: without validation rows it cannot be told; hold out rows "
        "(val_size 0.1) before this recipe is used again"
    )
    return (Rung("validation rows", says, (Move("val_size", why=says),)),)


def _agree(symptom: str, band: Band) -> bool:
    return band.epochs_factor > 1 if symptom == "underfit" else band.epochs_factor < 1


BANDS = Rule(
    name="evidence.bands",
    family="duration",
    source=G0,
    says="the guide's bands of the final training loss, where no evaluation loss exists",
    generalises=(
        "weak evidence: the level of a training loss also depends on the data, so the bands only act together with a "
        "finding that points the same way; below 0.2 after more than one epoch validation rows are asked for"
    ),
    ask=_bands,
)
