"""Lines that a training loop printed: ``step 10/100 | loss: 1.23 | lr: 2e-05``, as nanoGPT, torchtune, MLX and
hand-written loops do, progress bars with ``loss=1.23`` included.

A line counts when it has a loss. Its step is the one it names, else that of its progress bar, else the last one named;
in a log without any, rows are counted. Steps that start over in every epoch are put end to end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from tunewright.curve.collect import Collector, Columns
from tunewright.curve.json_text import read_text
from tunewright.curve.names import loss_named
from tunewright.curve.printouts import BAR, SUFFIXES, head_of, with_failure, without_colours
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError

FEWEST = 2
"""Lines with a loss and a step or an epoch that tell a log from prose."""

MOST_LINE = 2000

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|[-+]?inf(?:inity)?)(?![\w.]*\d)"
_IS = r"""['"]?\s{0,3}[:=]?\s{0,9}"""
_LOSS = re.compile(rf"(?:([a-z]{{1,20}})[ _/.-]{{1,3}})?(?<![a-z])loss{_IS}{_NUMBER}", re.IGNORECASE)
_STEP = re.compile(r"(?<![a-z])(?:steps?|iters?|iteration|update)[\s:=#\[]{1,4}(\d{1,12})(?:\s?/\s?(\d{1,12}))?", re.I)
_EPOCH = re.compile(r"(?<![a-z])epoch[\s:=#\[]{1,4}(\d{1,6}(?:\.\d{1,6})?)", re.I)
_OTHERS = {
    "learning_rate": re.compile(rf"(?<![a-z])(?:lr|learning[ _]rate){_IS}{_NUMBER}", re.I),
    "grad_norm": re.compile(rf"(?<![a-z])grad(?:ient)?[ _]norm{_IS}{_NUMBER}", re.I),
}
_ENDS = re.compile(r"[\r\n]+")


def matches(path: Path) -> bool:
    """A text file whose first part has lines with a loss and where in the run it was."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return (
        len(list(islice((row for row in rows_of(head_of(path)) if "step" in row or "epoch" in row), FEWEST))) == FEWEST
    )


def read(path: Path, columns: Columns | None = None) -> list[Curve]:
    """The curve of the lines. Raises DataError when none has a loss."""
    text = read_text(path)
    rows = list(rows_of(text))
    if not rows:
        raise DataError(f"{path}: no line with a loss in it (such as step 10/100 loss: 1.25)")
    collected = Collector(columns)
    total = _number(rows, collected.notes)
    for row in rows:
        collected.add({name: value for name, value in row.items() if name != "of"})
    return [with_failure(collected.curve("printed", path, total_steps=total), text)]


def rows_of(text: str) -> Iterator[dict[str, Any]]:
    """What each line with a loss says; ``of``: the number of steps it counts to.

    >>> list(rows_of("warming up\\nstep 3/9 | loss: 1.5 | lr 2e-5"))
    [{'loss': '1.5', 'learning_rate': '2e-5', 'step': 3, 'of': 9}]
    """
    for line in _ENDS.split(without_colours(text)):
        row: dict[str, Any] = {}
        for word, value in _LOSS.findall(line) if len(line) <= MOST_LINE else ():
            name = loss_named(word)
            row |= {name: value} if name and name not in row else {}
        if row:
            yield row | _beside(line)


def _beside(line: str) -> dict[str, Any]:
    """Everything else a line says about its step."""
    found: dict[str, Any] = {}
    for name, pattern in _OTHERS.items():
        if value := pattern.search(line):
            found[name] = value[1]
    if epoch := _EPOCH.search(line):
        found["epoch"] = float(epoch[1])
    if step := _STEP.search(line) or BAR.search(line):
        found["step"] = int(step[1])
        found |= {"of": int(step[2])} if step[2] else {}
    return found


def _number(rows: list[dict[str, Any]], notes: list[str]) -> int | None:
    """Give every row a step where any has one; returns the total of steps when the lines name one."""
    _drop_ended_bars(rows)
    if not any("step" in row for row in rows):
        notes.append("no steps in the output: lines with a loss are counted, a line may stand for several steps")
        return None
    totals = {row["of"] for row in rows if "of" in row}
    total = totals.pop() if len(totals) == 1 else None
    if total is not None and _starts_over(rows):
        _end_to_end(rows, total)
        notes.append(f"the steps start over in every epoch: put end to end, {total} an epoch")
        total = None
    last = 0
    for row in rows:
        last = row.setdefault("step", last)
    return total


def _drop_ended_bars(rows: list[dict[str, Any]]) -> None:
    """A bar printed when its epoch is over stands at the same step in every line, which is no step of the run."""
    steps = [row["step"] for row in rows if "step" in row]
    if len(steps) > 1 and len(set(steps)) == 1:
        for row in rows:
            row.pop("step", None)


def _starts_over(rows: list[dict[str, Any]]) -> bool:
    """Whether the step falls exactly where the epoch rises."""
    told = [(row["step"], row["epoch"]) for row in rows if "step" in row and "epoch" in row]
    falls = [later[1] > before[1] for before, later in pairwise(told) if later[0] < before[0]]
    return bool(falls) and all(falls)


def _end_to_end(rows: list[dict[str, Any]], steps_per_epoch: int) -> None:
    first = next(row["epoch"] for row in rows if "epoch" in row)
    done = 0
    for row in rows:
        done = int(row["epoch"] - first) if "epoch" in row else done
        if "step" in row:
            row["step"] += done * steps_per_epoch
