"""What an exam's figures mean, in one word and one sentence. Pure: figures in, reading out.

Tried in this order; the first that holds is the reading:

over_refuses   in-domain questions are refused, clearly more than ``REFUSED`` of them, and clearly more than the base
               refuses
forgot         an old skill is clearly lost (see ``SKILL_DROP``), or the loss on general text rose more than
               ``FORGETTING_NATS``
memorised      trained questions are right (at least half of them), and other wordings of them clearly less so
undertrained   fewer than ``RIGHT`` of the trained questions are right
learned        everything else

"Clearly" always means beyond what chance explains at 95 %. Without trained questions (part exact) the other wordings
stand in for them. With neither, nothing shows that the domain was learned, and the reading is undertrained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunewright.examiner.rates import difference, lost_by_chance
from tunewright.schema.exam import Reading, Score

REFUSED = 0.10
"""Share of refused in-domain questions that its interval has to exceed: a tenth is what the guides' data sets hold."""
RIGHT = 0.80
"""Share of trained questions that has to be right before the tuning counts as learned."""
HALF_RIGHT = 0.50
"""Share of trained questions that has to be right before a gap to other wordings counts as memorising."""
VARIATION_GAP = 0.05
"""The exact-minus-variation difference has to exceed this with its whole interval."""
SKILL_DROP = 0.03
"""A skill is lost when it falls by more than 3 points and chance explains the losses with p < 0.05, shared among the
skills (Bonferroni). Proposed grade "harmful", the same as for ``FORGETTING_NATS``."""
FORGETTING_NATS = 0.20
"""Nats per token of rise on the base's own answers and a general text: to 0.05 none, to 0.2 mild, above harmful."""
CHANCE = 0.05


@dataclass(frozen=True)
class SkillChange:
    """``lost``: questions only the base passed; ``gained``: only the tuned model; of ``n``."""

    name: str
    n: int
    lost: int
    gained: int


@dataclass(frozen=True)
class Figures:
    """What a reading is made from. ``refused`` / ``base_refused``: in-domain questions that were refused."""

    parts: Mapping[str, Score]
    refused: Score
    base_refused: Score
    skills: Sequence[SkillChange]
    forgetting: float | None
    copied: float | None


def read(figures: Figures) -> tuple[Reading, str]:
    """The reading, and one sentence that says why, with its figures."""
    exact, variation = figures.parts["exact"], figures.parts["variation"]
    domain, asked = (exact, "trained questions") if exact.n else (variation, "other wordings of the domain")
    if _over_refuses(figures):
        base = f"the base refuses {_share(figures.base_refused)}"
        return "over_refuses", f"{_share(figures.refused)} in-domain questions are refused ({base})."
    if lost := [skill for skill in figures.skills if _is_lost(skill, len(figures.skills))]:
        worst = max(lost, key=lambda skill: (skill.lost - skill.gained) / skill.n)
        return "forgot", (
            f"The old skill {worst.name} is worse: of {worst.n} questions {worst.lost} were lost and {worst.gained} "
            f"gained ({_percent((worst.gained - worst.lost) / worst.n, sign=True)})" + _others(lost, figures.forgetting)
        )
    if figures.forgetting is not None and not figures.forgetting <= FORGETTING_NATS:  # NaN is no sign of health
        return "forgot", (
            f"The loss on general text rose by {figures.forgetting:.2f} nats per token (to {FORGETTING_NATS} is mild)."
        )
    if domain.rate is None:
        return "undertrained", "No question of the tuned domain was asked, so nothing shows that it was learned."
    low, high = difference(exact, variation)
    if exact.rate is not None and exact.rate >= HALF_RIGHT and low > VARIATION_GAP:
        return "memorised", (
            f"{_share(exact)} trained questions are right but only {_share(variation)} in other wordings "
            f"(difference {_percent(low)} to {_percent(high)})" + _copied(figures.copied)
        )
    if domain.rate < RIGHT:
        return "undertrained", f"Only {_share(domain)} {asked} are right{_copied(figures.copied)}"
    return "learned", f"{_share(domain)} {asked} are right" + _rest(figures, exact.n > 0)


def _over_refuses(figures: Figures) -> bool:
    more_than_base, _ = difference(figures.refused, figures.base_refused)
    return figures.refused.n > 0 and figures.refused.low > REFUSED and more_than_base > 0


def _is_lost(skill: SkillChange, skills: int) -> bool:
    drop = (skill.lost - skill.gained) / skill.n if skill.n else 0.0
    return drop > SKILL_DROP and lost_by_chance(skill.lost, skill.gained) < CHANCE / skills


def _others(lost: Sequence[SkillChange], forgetting: float | None) -> str:
    more = f"; so are {len(lost) - 1} more" if len(lost) > 2 else "; so is one more" if len(lost) == 2 else ""
    return more + (f"; general loss {forgetting:+.2f} nats per token." if forgetting is not None else ".")


def _copied(copied: float | None) -> str:
    return "." if not copied else f"; {_percent(copied)} of the wrong answers are copied from training answers."


def _rest(figures: Figures, has_exact: bool) -> str:
    """How the other parts did, so that "learned" does not hide a weak one."""
    variation, outside = figures.parts["variation"], figures.parts["out_of_domain"]
    said = ""
    if has_exact and variation.n:
        said += f", {_share(variation)} in other wordings"
    if outside.n:
        said += f", and {_share(outside)} questions from outside are answered as they should be"
    return said + "."


def _share(of: Score) -> str:
    return f"{of.passed} of {of.n}"


def _percent(rate: float, *, sign: bool = False) -> str:
    return f"{100 * rate:+.0f} %" if sign else f"{100 * rate:.0f} %"
