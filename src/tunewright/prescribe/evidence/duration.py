"""How long to train, and with how much capacity, as the evaluation loss tells it."""

from __future__ import annotations

import math
from typing import Any

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.usual import back_to_usual, more_rows_a_step
from tunewright.prescribe.fit import fit_log_steps, least_gain, lowest_as_range
from tunewright.prescribe.guide.bands import Band, band_of
from tunewright.prescribe.guide.blocks import fewer_epochs
from tunewright.prescribe.guide.final_loss import tree_rungs
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0, LORA_WITHOUT_REGRET, PRECHELT
from tunewright.prescribe.symptoms import UNSTABLE, rate_far_above, rate_far_below
from tunewright.prescribe.values import is_number, show

UNFITTED_FACTOR = 1.5  # with nothing to fit: the guides' smaller step up
STEEP_GAIN = 0.1  # expected of one more epoch, a share of the loss: then twice the run is too little
TOO_SMALL_RANK, USUAL_RANK = 2, 16


def _overfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("overfit")
    if finding is None:
        return ()
    says = f"over-fitting ({finding.why})"
    dropout = case.number("lora_dropout")
    return (
        _stop_at_lowest(case, says),
        *(back_to_usual(case, says) if rate_far_above(case) else ()),
        Rung("LR / 2", says, (Move("learning_rate", 0.5),)),
        Rung("rank / 2", says, (Move("lora_rank", 0.5),)),
        Rung("dropout", says, () if dropout is None else (Move("lora_dropout", to=min(0.5, dropout + 0.05)),)),
    )


def _stop_at_lowest(case: Case, says: str) -> Rung:
    """As many epochs as lead to the lowest evaluation; a fifth less when there is no curve to look at."""
    low, total = case.lowest_eval, case.total_steps
    if low is None or case.curve is None or total <= 0:
        return Rung("epochs", says, fewer_epochs(case, 0.8, floor=0.0))
    factor = low[0] / total
    if factor >= 1:
        return Rung("epochs", says)
    predicted = lowest_as_range(case.curve)
    says = f"{says}; the lowest evaluation loss {show(low[1])} was at step {low[0]} of {total}"
    return Rung("epochs", says, (Move("duration", factor, predicted=predicted),))


OVERFIT = Rule(
    name="evidence.overfit",
    family="regularisation",
    source=PRECHELT,
    says="evaluation loss rises while training loss falls: stop where it was lowest",
    generalises="epochs x (step of the lowest evaluation / all steps); if that was tried, LR / 2, rank / 2, dropout",
    ask=_overfit,
)


def _underfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("underfit")
    # an unfinished run has its remaining steps to fall in; without evaluations the bands speak, as weak evidence
    if finding is None or case.has("prefix_log", "overfit") or not case.has_eval:
        return ()
    says = f"stopped while still learning ({finding.why})"
    longer = _longer(case, says, finding.evidence.get("gain_one_more_epoch"))
    calm = not case.has(*UNSTABLE, "spike")
    return (
        *(back_to_usual(case, says) if calm and rate_far_below(case) else ()),
        *_rank_of_one(case, says),
        *_few_rows_seen(case, says, finding.evidence.get("gain_one_more_epoch")),
        longer,
        *more_rows_a_step(case, says),
        Rung("LR x 2", says, (Move("learning_rate", 2.0),) if calm else ()),
        Rung("rank x 2", says, (Move("lora_rank", 2.0),)),
    )


def _rank_of_one(case: Case, says: str) -> tuple[Rung, ...]:
    """A rank of 1 or 2 holds too little for supervised tuning: to the smallest rank that is usually swept."""
    rank = case.number("lora_rank")
    if rank is None or rank > TOO_SMALL_RANK:
        return ()
    return (Rung("rank", f"{says}; rank {rank:g} holds little", (Move("lora_rank", to=USUAL_RANK),)),)


def _few_rows_seen(case: Case, says: str, gain_one_more: Any) -> tuple[Rung, ...]:
    """As many epochs as such a set is planned with, for a steep run that had less than half of them."""
    times, usual = case.times_usual("num_train_epochs"), case.usual.get("num_train_epochs")
    steep = is_number(gain_one_more) and gain_one_more >= STEEP_GAIN
    if not steep or times is None or usual is None or times >= 0.5 or case.duration_key == "max_steps":
        return ()
    why = f"{says}; such a set is planned with {show(usual)} epochs, and this run had {show(case.epochs)}"
    return (Rung("planned epochs", why, (Move("num_train_epochs", to=usual, why=why),)),)


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
    predicted = fit.at(end)
    if predicted.middle <= 0:  # so steep that the straight line reaches 0: no promise
        return Rung("epochs", says + promised, (Move("duration", end / total),))
    says = (
        f"{says}; {show(fit.a)} {'-' if fit.b < 0 else '+'} {show(abs(fit.b))} ln(step), fitted to the last {fit.n} "
        f"evaluations, gives {show(predicted.middle)} ({show(predicted.low)}-{show(predicted.high)}) "
        f"at step {round(end)}"
    )
    return Rung("epochs", says, (Move("duration", end / total, predicted=predicted),))


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
        "an LR or a number of epochs far below the planned one goes there first, a rank of 1 or 2 to 16; then more "
        "epochs while a further stretch gains more than 2 x noise and 1 % of the loss, at most x2; x1.5 without a fit; "
        "if that was tried, eight rows a step where there were fewer than four, LR x2, then rank x2, alpha unchanged"
    ),
    ask=_underfit,
)


def _bands(case: Case) -> tuple[Rung, ...]:
    loss = case.final_loss
    finding = case.first("underfit", "memorising")
    if case.has_eval or loss is None or finding is None or case.has("prefix_log"):
        return ()
    band = band_of(loss)
    weak = (
        f"weak evidence, as no evaluation loss was measured: {finding.symptom} ({finding.why}) and the final training "
        f"loss {show(loss)} is {band.text()}; hold out rows (val_size 0.1) to know"
    )
    if not _agree(finding.symptom, band):
        return (Rung("keep", weak, keep=True),)
    return tuple(Rung(rung.label, weak, rung.moves, rung.keep) for rung in tree_rungs(case))


def _agree(symptom: str, band: Band) -> bool:
    return band.epochs_factor > 1 if symptom == "underfit" else band.epochs_factor < 1


BANDS = Rule(
    name="evidence.bands",
    family="duration",
    source=G0,
    says="the guide's bands of the final training loss, where no evaluation loss exists",
    generalises=(
        "weak evidence: the level of a training loss also depends on the data, so the bands only act together with a "
        "finding that points the same way"
    ),
    ask=_bands,
)
