"""The text of the rows a finding names, so that nobody has to look them up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.data.dataset import load_dataset
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow
from tunewright.record.run import Run
from tunewright.schema.curve import Curve
from tunewright.schema.errors import TunewrightError
from tunewright.schema.finding import Diagnosis

MOST_ROWS = 16
"""Rows shown of one diagnosis: a whole batch of the usual size."""
LONGEST = 160
"""Characters of one row; its beginning and its end are shown."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """One line of at most ``longest`` characters: the beginning and the end of a longer text.

    >>> shortened("a  b"), shortened("x" * 50 + "y" * 50, 11)
    ('a b', 'xxxxx…yyyyy')
    """
    line = " ".join(text.split())
    half = (longest - 1) // 2
    return line if len(line) <= longest else f"{line[:half]}…{line[-half:]}"


def row_texts(curve: Curve, diagnosis: Diagnosis) -> dict[int, str]:
    """The rows named by the findings on one of our own runs, by number; empty when the data is not at hand.

    Nothing is shown when the data has changed since the run: the numbers would name other rows.
    """
    wanted = dict.fromkeys(row for finding in diagnosis.findings for row in finding.rows)
    if not wanted or curve.kind != "tunewright" or "data" not in curve.config:
        return {}
    try:
        recorded = Run(Path(curve.path)).read().get("data_sha256")
        dataset = load_dataset({**curve.config, "val_size": 0, "val": None, "test": None})
    except TunewrightError:
        return {}
    if recorded not in (None, dataset.sha256):
        return {}
    by_number = {row.number: row for row in dataset.file_rows}
    return {number: _said(by_number[number]) for number in list(wanted)[:MOST_ROWS] if number in by_number}


def _said(row: Row) -> str:
    return shortened(row.text if row.text is not None else f"{row.prompt} → {row.answer}")


def token_texts(rows: Sequence[TokenRow], tokenizer: Any) -> Callable[[int], str]:
    """The same for a run at work, whose rows are at hand as tokens."""
    by_number: Mapping[int, TokenRow] = {row.number: row for row in rows}

    def text(number: int) -> str:
        row = by_number.get(number)
        return "" if row is None else shortened(tokenizer.decode(row.ids.tolist()))

    return text
