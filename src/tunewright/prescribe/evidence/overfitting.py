"""Runs that went on past their lowest evaluation: how much shorter, or what else had made validation turn."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.area import cut_to_lowest, decay_to_lowest, ended_above_lowest, never_decays
from tunewright.prescribe.evidence.usual import back_to_usual
from tunewright.prescribe.guide.blocks import fewer_epochs
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import PRECHELT
from tunewright.prescribe.symptoms import rate_far_above
from tunewright.prescribe.values import show

AT_ONCE = 0.1  # share of the steps
SOONER = 0.5
"""Of what is far above the planned rate: rows seen once are not learned by heart, so a high rate is the likelier."""


def _overfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("overfit")
    if finding is None:
        return _learned_by_heart(case) or _never_settled(case)
    says = f"over-fitting ({finding.why})"
    dropout = case.number("lora_dropout")
    suspect = rate_far_above(case, SOONER if _in_first_epoch(case) else 1.0)
    look = _rows_seen_once(case, says)
    usual = back_to_usual(case, says, *look) if suspect else ()
    cut = _stop_at_lowest(case, says, *look)
    return (
        *((*usual, cut) if _turned_at_once(case) else (cut, *usual)),
        Rung("LR / 2", says, (Move("learning_rate", 0.5),)),
        Rung("rank / 2", says, (Move("lora_rank", 0.5),)),
        Rung("dropout", says, () if dropout is None else (Move("lora_dropout", to=min(0.5, dropout + 0.05)),)),
    )


def _rows_seen_once(case: Case, says: str) -> tuple[Move, ...]:
    """A look at the rows where validation turned before each of them had been seen once: what has not come back cannot
    have been learned by heart, unless it stands there in copies. Else answers are wrong, or of another kind."""
    if not _in_first_epoch(case):
        return ()
    why = (
        f"{says}, and it turned before every row had been seen once: look for rows that stand there in copies "
        "(`tunewright check`; once these are gone, keep the steps, not the epochs), and read a sample of the answers"
    )
    return (Move("data", why=why),)


def _in_first_epoch(case: Case) -> bool:
    """Whether the lowest evaluation lies before the end of the first epoch; False where that is not known."""
    low, epochs = case.lowest_eval, case.epochs
    return low is not None and epochs is not None and low[0] * epochs < case.total_steps


def _stop_at_lowest(case: Case, says: str, *with_it: Move) -> Rung:
    """As many epochs as lead to the lowest evaluation with the rate decayed; a fifth less without a curve."""
    if case.lowest_eval is None or case.curve is None or case.total_steps <= 0:
        return Rung("epochs", says, fewer_epochs(case, 0.8, floor=0.0))
    if never_decays(case):
        moves, where = decay_to_lowest(case)
        return Rung("epochs", f"{says}; {where}", (*with_it, *moves))
    cut, where = cut_to_lowest(case)
    return Rung("epochs", f"{says}; {where}", (*with_it, cut))


def _turned_at_once(case: Case) -> bool:
    """Whether the lowest evaluation lies in the first tenth or the first epoch: a cut would leave a few huge steps
    under a high rate, while the planned one takes the same area in as many times more."""
    low = case.lowest_eval
    return low is not None and (low[0] <= AT_ONCE * case.total_steps or _in_first_epoch(case))


def _learned_by_heart(case: Case) -> tuple[Rung, ...]:
    """Validation that turned, in swings too wide for a rise to be sure, while the training loss fell on and on:
    shorter too, where what was lost since the lowest evaluation is more than noise (whoever chooses asks for that)."""
    finding = case.first("memorising")
    if finding is None or "evals_since" not in finding.evidence or not ended_above_lowest(case):
        return ()
    return (_stop_at_lowest(case, finding.why),)


def _never_settled(case: Case) -> tuple[Rung, ...]:
    """Validation that ended far above its lowest under a rate that never came down, swinging or over-fitting: a decay
    mends the one, and the cut that goes with it the other."""
    if not never_decays(case) or not ended_above_lowest(case):
        return ()
    return (_stop_at_lowest(case, f"the evaluation loss ended at {show(case.last_eval)}"),)


OVERFIT = Rule(
    name="evidence.overfit",
    family="regularisation",
    source=PRECHELT,
    says="evaluation loss rises while training loss falls: stop where it was lowest",
    generalises=(
        "epochs x the geometric mean of two shares that lay behind the lowest evaluation, of the steps and of the area "
        "under the learning rate: a shorter run decays sooner, and learns more by area; also where validation "
        "ended 10 % above its lowest and rows are learned by heart, or the LR never came down: that gets a cosine too; "
        "one far above the planned one, where validation turned in the first tenth of the steps, or half as far in "
        "the first epoch, goes back to that instead; such an early turn sends to the rows too, which cannot be learned "
        "by heart before they come back; if that was tried, LR / 2, rank / 2, dropout"
    ),
    ask=_overfit,
)
