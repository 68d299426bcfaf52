"""How a plan takes one value out of a guide's range: small pure functions (low, high, facts) -> (value, because)."""

from __future__ import annotations

import math

from tunewright.planner.draft import Facts
from tunewright.planner.preset import Chosen
from tunewright.planner.words import counted

VIEWS = 5000
"""Example views of the guide's own sum (Understanding Training Parameters, 2025-10): 625 rows x 8 epochs = 5,000."""


def lower_end(low: float, high: float, facts: Facts) -> Chosen:
    """The cautious end."""
    return low, 'the guides say "start conservative": a run that learned too little is easier to mend'


def upper_end(low: float, high: float, facts: Facts) -> Chosen:
    """The strong end, for settings that push every knob."""
    return high, "these settings push all knobs"


def whole_lower_end(low: float, high: float, facts: Facts) -> Chosen:
    return int(low), 'the guide wants it moderate, "to preserve existing abilities"'


def whole_upper_end(low: float, high: float, facts: Facts) -> Chosen:
    return int(high), "these settings push all knobs"


def short_warmup(low: float, high: float, facts: Facts) -> Chosen:
    return low, "the guide wants it short"


def where_guides_meet(low: float, high: float, facts: Facts) -> Chosen:
    return low, "there it meets the 3-10 % of The Training Process"


def usual_rank(low: float, high: float, facts: Facts) -> Chosen:
    """The rank that the guide starts with in its section 3.2."""
    return 8, "the guide starts typical tasks at rank 8, alpha 16 (3.2); --task complex goes higher"


def usual_alpha(low: float, high: float, facts: Facts) -> Chosen:
    return 16.0, "2:1 to rank 8 is the guide's own start (3.2), and 4.2 allows 1:1 or 2:1"


def alpha_one_to_one(low: float, high: float, facts: Facts) -> Chosen:
    return low, "the guide keeps alpha and rank 1:1 here"


def epochs_for_views(low: float, high: float, facts: Facts) -> Chosen:
    """5,000 example views, rounded up to whole epochs and kept inside the range.

    The guide's own sum: 5,000 / 825 rows = 6.06, rounded up to 7.
    """
    needed = VIEWS / max(1, facts.data.rows)
    epochs = float(min(high, max(low, math.ceil(needed))))
    rows = counted(facts.data.rows, "row")
    return epochs, f"{VIEWS:,} views / {rows} = {needed:.2f}, rounded up and kept in the range: more for smaller sets"


def fewer_epochs_for_more_rows(low: float, high: float, facts: Facts) -> Chosen:
    """The high end up to 1,000 rows, the low end from 100,000 rows, evenly in the logarithm between."""
    rows = max(1, facts.data.rows)
    share = min(1.0, max(0.0, math.log10(rows / 1_000) / 2))
    epochs = float(round(high - share * (high - low)))
    return epochs, f"with {counted(rows, 'row')}: the most up to 1,000 rows, the fewest from 100,000"


def shortest_that_cuts_nothing(low: float, high: float, facts: Facts) -> Chosen:
    """The low end when no row is longer, else the high end; never more than the model reads."""
    longest = facts.data.length_max
    length = int(low) if longest <= low else int(high)
    return within_context(length, facts, f"the longest row has {longest:,} tokens")


def shortest_blocks(low: float, high: float, facts: Facts) -> Chosen:
    return within_context(int(low), facts, "longer blocks cost memory and text is joined to full blocks anyway")


def fixed_length(low: float, high: float, facts: Facts) -> Chosen:
    """The guide's one length, or what the model reads when that is less."""
    return within_context(int(high), facts, "the guide prints this one length")


def within_context(length: int, facts: Facts, because: str) -> Chosen:
    """``length``, cut to the model's context where that is shorter, with the reason."""
    context = facts.model.context
    if length <= context:
        return length, because
    return context, f"{facts.model.name} reads no more than {context:,} tokens"
