"""Rules that read the final training loss: the decision tree and the quick reference of the first guide."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.guide.bands import SWEET_HIGH, SWEET_LOW, band_of
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0
from tunewright.prescribe.values import show


def tree_rungs(case: Case) -> tuple[Rung, ...]:
    """The tree's two ways out of the band, epochs first (the guide: more epochs rather than a higher LR)."""
    loss = case.final_loss
    if loss is None:
        return ()
    band = band_of(loss)
    says = f"the final training loss {show(loss)} is {band.text()} ({band.word} in the guide's tree)"
    if band.is_target:
        return (Rung("keep", says, keep=True),)
    return (
        Rung("epochs", says, (Move("duration", band.epochs_factor),)),
        Rung("learning rate", says, (Move("learning_rate", band.learning_rate_factor),)),
    )


DECISION_TREE = Rule(
    name="guide.decision_tree",
    family="duration",
    source=G0,
    says=(
        "final loss < 0.2: epochs -20 % or LR -50 %; 0.2-0.5: done; "
        "0.5-1.0: epochs +50 % or LR x2; > 1.0: epochs x2 or LR x3"
    ),
    generalises="the percentages as printed; of each 'or' the epochs come first, the LR stays as an option",
    ask=tree_rungs,
)


def _quick_reference(case: Case) -> tuple[Rung, ...]:
    loss = case.final_loss
    if loss is None or SWEET_LOW <= loss <= SWEET_HIGH:
        return ()
    high = loss > SWEET_HIGH
    says = f"the final training loss {show(loss)} is {'above 0.5' if high else 'below 0.2'}"
    epochs, rates = ((1.3, 1.5), (1.5, 2.0)) if high else ((0.8, 0.7), (0.5,))
    return (
        *(Rung(f"epochs x {factor:g}", says, (Move("duration", factor),)) for factor in epochs),
        *(Rung(f"learning rate x {factor:g}", says, (Move("learning_rate", factor),)) for factor in rates),
    )


QUICK_REFERENCE = Rule(
    name="guide.quick_reference",
    family="duration",
    source=G0,
    says="loss > 0.5: epochs +30-50 % or LR +50-100 %; loss < 0.2: epochs -20-30 % or LR -50 %",
    generalises="each range becomes its two ends, the smaller change first",
    ask=_quick_reference,
)
