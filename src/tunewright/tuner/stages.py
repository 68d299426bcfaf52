"""Whether a stage on raw domain text pays: the same short run on the instructions, with it before and without.

Source of when the question is asked: Mastering Large Model Training: Practical Parameter Tuning, 4.3, which decides by
rows and is silent between 10,000 and 1,000,000.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.tuner.rungs import BAR_SHARE, Rung, difference

TRIAL_STEPS = 40
TRIAL_SHARE = 0.25
"""Of the budget, the most that a stage on raw text may take."""


@dataclass(frozen=True)
class Verdict:
    """Whether the stage is kept, and the figures in words."""

    kept: bool
    why: str


def domain_pays(with_stage: Rung, without: Rung) -> Verdict:
    """Kept when the short run is better after it by more than 0.5 % and by two standard errors of the difference.

    Two errors, as a stage costs its tokens in every later use of the recipe too.
    """
    gain, error = difference(without, with_stage)
    kept = gain > max(2 * error, BAR_SHARE * with_stage.loss)
    figures = f"{without.loss:.4f} without, {with_stage.loss:.4f} after it: a gain of {gain:+.4f} ± {error:.4f}"
    return Verdict(kept, f"{figures}, {'more' if kept else 'no more'} than noise")
