"""The same rows seen by two trainers: which of them the other one feeds otherwise, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.data.tokens import TokenRow
from tunewright.trainers.exported import labels_of
from tunewright.trainers.inside.host import describe

Described = Mapping[str, Any]
"""A row as ``inside.host.describe`` gives it: counts, and fingerprints of its tokens and of its labels."""


@dataclass(frozen=True)
class Difference:
    """what: the kind; rows: numbers of our rows it is true of (of theirs, when they have rows that we have not);
    effect: False when nothing that is learnt depends on it."""

    what: str
    rows: tuple[int, ...]
    why: str
    effect: bool = True


def described(rows: Sequence[TokenRow]) -> list[dict[str, Any]]:
    """Our rows as the other side describes its own."""
    return [describe(row.ids.tolist(), labels_of(row)) for row in rows]


def differences(ours: Sequence[Described], theirs: Sequence[Described], title: str) -> list[Difference]:
    """How the rows of ``theirs`` differ from ours, in whatever order they come. Empty when they are the same.

    Rows pair up by what is learnt from them; what is left over by its tokens; what is then left over has no partner.
    """
    left, extra = _unpaired(ours, theirs, "of_both", range(len(ours)), range(len(theirs)))
    mute = tuple(number for number in left if not ours[number]["supervised"])
    spoken = [number for number in left if ours[number]["supervised"]]
    dumb = {number for number in extra if not theirs[number]["supervised"]}
    alone, strangers = _unpaired(ours, theirs, "of_tokens", spoken, [one for one in extra if one not in dumb])
    relabelled = tuple(number for number in spoken if number not in set(alone))
    found = []
    if len(mute) > len(dumb):
        found.append(
            Difference("left out", _numbers(mute), f"no token of them is trained on: {title} drops them", False)
        )
    if relabelled:
        found.append(
            Difference("other labels", _numbers(relabelled), f"{title} trains on other tokens of the same text")
        )
    if alone or strangers:
        found.append(_without_partner(alone, strangers, len(ours), len(theirs), title))
    return found


def _unpaired(
    ours: Sequence[Described], theirs: Sequence[Described], key: str, left: Sequence[int], right: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Places on either side whose ``key`` has no partner on the other, equal ones paired off one by one."""
    here, there = (Counter(rows[place][key] for place in places) for rows, places in ((ours, left), (theirs, right)))
    return _surplus(ours, left, key, there), _surplus(theirs, right, key, here)


def _surplus(rows: Sequence[Described], places: Sequence[int], key: str, partners: Counter[str]) -> list[int]:
    free, lonely = Counter(partners), []
    for place in places:
        if free[rows[place][key]]:
            free[rows[place][key]] -= 1
        else:
            lonely.append(place)
    return lonely


def _without_partner(alone: Sequence[int], strangers: Sequence[int], ours: int, theirs: int, title: str) -> Difference:
    if not strangers:
        return Difference("left out", _numbers(alone), f"{title} leaves rows out: {theirs} of {ours} are there")
    if not alone:
        return Difference("added", _numbers(strangers), f"{title} has {len(strangers)} rows that are not in ours")
    why = f"{title} turns the same text into other tokens: {len(strangers)} of its rows hold what no row of ours does"
    return Difference("other tokens", _numbers(alone), why)


def _numbers(places: Sequence[int]) -> tuple[int, ...]:
    return tuple(place + 1 for place in places)
