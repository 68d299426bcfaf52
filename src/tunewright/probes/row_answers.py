"""What no curve answers about rows: are those of the validation unseen, and do all answers belong to their prompts?"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from tunewright.probes.misfits import Misfits
from tunewright.schema.finding import Abstention, Finding
from tunewright.schema.probe import ProbeAnswer

VAL_QUESTION = "Does the validation loss speak for rows that were not trained on?"
ROWS_QUESTION = "Do all answers belong to their prompts?"
SHOWN = 20
"""Row numbers said in a sentence; the evidence has all of them."""
ALIKE_SHARE = 0.1
"""Of the validation rows, those nearly trained on, from which their loss is no longer that of unseen rows."""


def val_answer(
    rows: int, leaked: Collection[int], alike: Collection[int], losses: Mapping[int, tuple[float, int]]
) -> ProbeAnswer:
    """From the numbers of validation rows whose question is asked in training too, or nearly so.

    rows: validation rows in all; losses: (nats, tokens) of each at the run's end, by number; empty when not known.
    """
    evidence: dict[str, Any] = {"rows": rows, "leaked": sorted(leaked), "alike": sorted(alike)}
    if not rows:
        return ProbeAnswer(
            "validation", VAL_QUESTION, "unclear", "Not to be told: there are no validation rows", evidence
        )
    seen = {*leaked, *alike}
    if not leaked and len(alike) < ALIKE_SHARE * rows:
        said = f"Yes: none of {rows} rows is asked in the training rows too"
        return ProbeAnswer("validation", VAL_QUESTION, "fine", said + _some(alike), evidence)
    trained, unseen = (_mean(losses, numbers) for numbers in (seen, losses.keys() - seen))
    evidence |= {"seen_loss": trained, "unseen_loss": unseen}
    known = "" if trained is None else f"; their loss is {trained:.3f} nats per token"
    known += f", that of the others {unseen:.3f}" if known and unseen is not None else ""
    nearly = f", {len(alike)} of them nearly" if alike else ""
    said = f"No: {len(seen)} of {rows} rows are asked in the training rows too{nearly} (rows {_listed(seen)}){known}"
    return ProbeAnswer("validation", VAL_QUESTION, "fault", said, evidence)


def _some(alike: Collection[int]) -> str:
    return f", {len(alike)} nearly so" if alike else ""


def _mean(losses: Mapping[int, tuple[float, int]], numbers: Collection[int]) -> float | None:
    """Nats per token over these rows; None when nothing is known of them."""
    of = [losses[number] for number in numbers if number in losses]
    nats, tokens = sum(one for one, _ in of), sum(count for _, count in of)
    return nats / tokens if tokens and math.isfinite(nats) else None


def rows_answer(
    found: Misfits, said: Finding | Abstention | None, *, tokens: int = 0, seconds: float = 0.0
) -> ProbeAnswer:
    """What two trainings, each on half of the rows, said of the other half, as one answer."""
    evidence: dict[str, Any] = {
        **{"share": found.share, "measured": found.measured, "apart": found.apart, "typical": found.typical},
        "rows": [],
    }
    if isinstance(said, Finding):
        answer = f"No: {said.why}: rows {_listed(found.rows)}"
        evidence |= {"rows": list(said.rows), "worst_first": list(found.rows)}
        return ProbeAnswer("rows", ROWS_QUESTION, "fault", answer, evidence, tokens, seconds)
    if isinstance(said, Abstention):
        answer = f"Not to be told ({said.because})"
        return ProbeAnswer("rows", ROWS_QUESTION, "unclear", answer, evidence, tokens, seconds)
    answer = (
        f"Yes: of {found.measured} rows, each judged by a model that learnt from others, {found.beyond} fit another "
        "prompt better than their own"
    )
    return ProbeAnswer("rows", ROWS_QUESTION, "fine", answer, evidence, tokens, seconds)


def _listed(numbers: Collection[int]) -> str:
    """The first of them in order, and how many more there are.

    >>> _listed(range(1, 5)), _listed([3])
    ('1, 2, 3, 4', '3')
    """
    ordered = sorted(numbers)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(map(str, ordered[:SHOWN])) + more
