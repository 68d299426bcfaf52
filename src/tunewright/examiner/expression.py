"""Regular expressions given by users: checked when a suite is read, searched under a time limit.

Some expressions take for ever on some texts ("(a+)+$"). No check of an expression finds them all, so the search itself
has a limit, which the standard library's ``re`` cannot give: the package ``regex`` can, and comes with transformers.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from tunewright.examiner.words import LONGEST_TEXT
from tunewright.schema.errors import EnvironmentMissing

TIME_LIMIT_S = 0.5
_TRIAL_LIMIT_S = 0.1
_TRIAL_LENGTH = 60


def fault_of(expression: str) -> str | None:
    """What is wrong with an expression: it does not compile, or stalls on plain repetitive text. None: usable.

    >>> fault_of("dock (seven|7)"), fault_of("dock (seven")
    (None, 'not a regular expression: missing ) at position 11')
    """
    engine = _engine()
    if not expression:
        return "the expression is empty"
    try:
        compiled = _compiled(expression)
        for trial in _trials(expression):
            compiled.search(trial, timeout=_TRIAL_LIMIT_S)
    except engine.error as error:
        return f"not a regular expression: {error}"
    except TimeoutError:
        return "takes too long on repetitive text: a repeat inside a repeat, such as (a+)+"
    except (RecursionError, OverflowError, MemoryError):
        return "too large"
    return None


def finds(expression: str, text: str) -> bool:
    """Whether the expression, letter case aside, is found in the text; false when that cannot be told in time."""
    try:
        return _compiled(expression).search(text[:LONGEST_TEXT], timeout=TIME_LIMIT_S) is not None
    except TimeoutError:
        return False


def _trials(expression: str) -> list[str]:
    """Texts that runaway expressions stall on: one character of the expression again and again, then a misfit."""
    letters = dict.fromkeys(c for c in expression if c.isalnum() or c == " ")
    return [c * _TRIAL_LENGTH + "\x01" for c in (*list(letters)[:12], "a", "1", " ")] + ["a 1, " * 20 + "\x01"]


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    engine = _engine()
    return engine.compile(expression, engine.IGNORECASE)


def _engine() -> Any:
    try:
        return importlib.import_module("regex")
    except ImportError:
        raise EnvironmentMissing(
            "questions with a regex need the package regex, which is not installed",
            hint="pip install 'tunewright[train]'",
        ) from None
