"""Changing single values of a user's YAML file as text: every other character, comments included, stays as it was."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe_io import parse_yaml
from tunewright.trainers.exported import yaml_value
from tunewright.trainers.translation import Values

WAS = "# was "


@dataclass(frozen=True)
class _Place:
    """Where a top-level key lies: offsets of its first character, behind its colon, of its value, and behind that."""

    key: int
    colon: int
    value: int
    end: int


def edit_yaml(text: str, changes: Mapping[str, Any], gone: Collection[str] = (), *, where: str) -> str:
    """``text`` with these top-level keys set and those ``gone`` taken out; keys it lacks are added at its end.

    A changed line that has no comment gets one with the value that stood there. Raises RecipeError for a text that
    cannot be changed line by line (a mapping in braces, a value that others refer to).

    >>> print(edit_yaml("lr: 0.1  # first try\\nrank: 8\\n", {"rank": 16, "alpha": 32}, where="x"))
    lr: 0.1  # first try
    rank: 16  # was 8
    alpha: 32
    <BLANKLINE>
    """
    before = parse_yaml(text, where=where)
    places = _places(text, where)
    new = text
    for key, place in sorted(places.items(), key=lambda one: -one[1].key):  # from the end, so that offsets hold
        if key in gone:
            new = _without(new, place)
        elif key in changes:
            new = _with(new, place, changes[key])
    added = [f"{key}: {yaml_value(value)}\n" for key, value in changes.items() if key not in places]
    if added:
        new = new + ("" if new.endswith("\n") or not new else "\n") + "".join(added)
    _check(new, {key: value for key, value in {**before, **changes}.items() if key not in gone}, where)
    return new


def _places(text: str, where: str) -> dict[str, _Place]:
    root = YAML(typ="rt", pure=True).compose(text)
    if not isinstance(root, MappingNode) or root.flow_style:
        raise RecipeError(f"{where}: expected one key a line, to be changed in place")
    starts = [key.start_mark.index for key, _ in root.value] + [len(text)]
    found = {}
    for (key, value), following in zip(root.value, starts[1:], strict=True):
        begin, colon = key.start_mark.index, text.index(":", key.end_mark.index) + 1
        inside = colon <= value.start_mark.index <= following
        if inside:
            found[str(key.value)] = _Place(begin, colon, value.start_mark.index, _end(value))
        else:  # a reference: its node lies where it refers to
            alias = re.compile(r"\s*(\*\S+)").match(text, colon)
            if alias:
                found[str(key.value)] = _Place(begin, colon, alias.start(1), alias.end(1))
    return found


def _end(node: Node) -> int:
    """Where a value's last character is; a block's own mark lies behind the comments that follow it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _with(text: str, place: _Place, value: Any) -> str:
    old = text[place.value : place.end].strip()
    beside, newline, _ = text[place.colon : place.value].partition("\n")
    if newline:  # a block, which began on the next line: what stood beside its key stays
        comment, old = beside.strip(), ""
    else:
        comment = text[place.end :].partition("\n")[0].strip()
    if comment.startswith(WAS) or (not comment and old and "\n" not in old):
        comment = f"{WAS}{old}"
    end = text.find("\n", place.end)
    return (
        f"{text[: place.colon]} {yaml_value(value)}{'  ' if comment else ''}{comment}{text[end:] if end >= 0 else ''}"
    )


def _without(text: str, place: _Place) -> str:
    begin = text.rfind("\n", 0, place.key) + 1
    end = text.find("\n", place.end)
    return text[:begin] + (text[end + 1 :] if end >= 0 else "")


def _check(text: str, wanted: Values, where: str) -> None:
    try:
        same = parse_yaml(text, where=where) == parse_yaml("\n".join(_lines(wanted)), where=where)
    except RecipeError:
        same = False
    if not same:
        raise RecipeError(f"{where}: cannot be changed in place: other values refer to those that change")


def _lines(values: Values) -> list[str]:
    return [f"{yaml_value(key)}: {yaml_value(value)}" for key, value in values.items()]
