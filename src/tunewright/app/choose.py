"""``--filter`` and ``--sort``: which of many runs, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError

OWN_KEYS = (
    "name", "status", "health", "model", "data", "series", "tag", "note", "finding", "eval_loss", "base_eval_loss",
    "best_step", "steps", "forgetting", "train_tokens", "seconds", "train_seconds", "peak_GiB", "started", "ended",
    "exact", "variation", "out_of_domain", "general", "reading", "parent",
)  # fmt: skip
"""What can be asked of a run beside its recipe keys; the four parts of the exam by their rates."""
_SEVERAL = {"tag": "tags", "note": "notes", "finding": "findings"}
_TERM = re.compile(r"\s*([\w.]+)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_ORDERED: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


@dataclass(frozen=True)
class Term:
    """One condition: ``key`` of a run, compared by ``sign`` with ``wanted``."""

    key: str
    sign: str
    wanted: str

    def holds(self, summary: Mapping[str, Any]) -> bool:
        """Whether a run meets it. What a run does not know meets nothing but ``!=``."""
        values = values_of(summary, self.key)
        if self.sign == "!=":
            return not any(_equal(value, self.wanted) for value in values)
        return any(self._meets(value) for value in values)

    def _meets(self, value: Any) -> bool:
        if self.sign == "=":
            return _equal(value, self.wanted)
        if self.sign == "~":
            return self.wanted.casefold() in _text(value).casefold()
        one, other = _number(value), _number(self.wanted)
        return one is not None and other is not None and _ORDERED[self.sign](one, other)


def parse_term(text: str) -> Term:
    """``"eval_loss<1.2"`` as a condition. Raises UsageError for another form or a key no run has.

    >>> parse_term("model ~ qwen")
    Term(key='model', sign='~', wanted='qwen')
    """
    found = _TERM.fullmatch(text)
    if found is None or not found[3]:
        raise UsageError(
            f"--filter {text}: expected KEY and VALUE with one of = != < <= > >= ~ between them",
            hint="tunewright runs ls --filter health=sick --filter 'eval_loss<1.2' --filter model~qwen",
        )
    term = Term(_known_key(found[1], "--filter"), found[2], found[3])
    if term.sign in _ORDERED and _number(term.wanted) is None:
        raise UsageError(f"--filter {text}: {term.wanted!r} is no number and no date, so nothing is above or below it")
    return term


def _known_key(key: str, flag: str) -> str:
    """A key as runs have it; the plural of one is meant as the one."""
    if key in OWN_KEYS:
        return key
    from tunewright.schema.recipe_io import KEYS, nearest  # pydantic takes a while to load

    if key in KEYS:
        return key
    singular = next((one for one, many in _SEVERAL.items() if many == key), "")
    if singular:
        return singular
    guess = nearest(key, (*OWN_KEYS, *KEYS))
    asked = f", did you mean {guess!r}?" if guess else ""
    raise UsageError(
        f"{flag}: no run has a key {key!r}{asked}", hint=f"expected one of {', '.join(OWN_KEYS)}, or a recipe key"
    )


def chosen(summaries: Iterable[Mapping[str, Any]], filters: Sequence[str]) -> list[Mapping[str, Any]]:
    """The runs that meet every condition, in the order they came."""
    terms = [parse_term(text) for text in filters]
    return [one for one in summaries if all(term.holds(one) for term in terms)]


def ordered(summaries: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """The runs by one key, the smallest first; with "-" before the key the largest. Those that lack it come last.

    >>> [one["steps"] for one in ordered([{"steps": 2}, {"steps": None}, {"steps": 3}], "-steps")]
    [3, 2, None]
    """
    if not key:
        return list(summaries)
    down = key.startswith("-")
    name = _known_key(key.removeprefix("-"), "--sort")
    placed = [(_place(one, name), one) for one in summaries]
    have = sorted((pair for pair in placed if pair[0] is not None), key=lambda pair: pair[0] or (), reverse=down)
    return [one for _, one in have] + [one for place, one in placed if place is None]


def _place(summary: Mapping[str, Any], key: str) -> tuple[int, float, str] | None:
    """What to sort by: numbers before words, a loss that is not finite after every finite one."""
    values = values_of(summary, key)
    if not values:
        return None
    number = _number(values[0])
    if number is None:
        return (1, 0.0, _text(values[0]).casefold())
    return (0, number if number == number else float("inf"), "")


def values_of(summary: Mapping[str, Any], key: str) -> list[Any]:
    """Every value a run has under a key: several tags, at most one of anything else."""
    if key in _SEVERAL:
        return list(summary.get(_SEVERAL[key]) or ())
    if key in OWN_KEYS:
        value = summary.get(key, (summary.get("exam") or {}).get(key))
    else:
        value = (summary.get("settings") or {}).get(key)
    return [] if value is None or value == "" else [value]


def _equal(value: Any, wanted: str) -> bool:
    one, other = _number(value), _number(wanted)
    if one is not None and other is not None:
        return one == other or (one != one and other != other)
    return _text(value).casefold() == wanted.casefold()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


def _number(value: Any) -> float | None:
    """A number, or a date as seconds since 1970; None for anything else.

    >>> _number("1e-4"), _number("1970-01-02"), _number("qwen"), _number(True)
    (0.0001, 86400.0, None, None)
    """
    if isinstance(value, bool) or value is None or isinstance(value, (list, tuple, dict)):
        return None
    try:
        return jsonio.number(value)
    except (ValueError, TypeError):
        pass
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
