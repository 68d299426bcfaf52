"""Changing single arguments of a user's script as text: every other character stays as it was."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from tunewright.schema.errors import RecipeError
from tunewright.trainers.exported import python_value
from tunewright.trainers.script_reading import POSITIONS, calls_of, script_settings
from tunewright.trainers.translation import Values, is_code


def edit_script(text: str, changes: Mapping[str, Any], *, where: str) -> str:
    """``text`` with these arguments set, named as :func:`script_settings` names them (``SFTConfig.learning_rate``).

    An argument that is a name given once, as a plain value at the top level, and used nowhere else is changed there;
    one that the call lacks is added to it. Raises RecipeError when the script has no such call, or gives the argument
    in a way that cannot be changed in place.

    >>> print(edit_script("a = SFTConfig(learning_rate=1e-4)", {"SFTConfig.learning_rate": 2e-4}, where="x"))
    a = SFTConfig(learning_rate=0.0002)
    """
    tree = ast.parse(text)
    lines = _LineStarts(text)
    edits = [_edit(tree, lines, key, value, where) for key, value in changes.items()]
    raw = text.encode()
    for start, end, new in sorted(edits, reverse=True):
        raw = raw[:start] + new.encode() + raw[end:]
    edited = raw.decode()
    if _values(edited) != {**_values(text), **changes}:
        raise RecipeError(f"{where}: cannot be changed in place")
    return edited


def _values(text: str) -> Values:
    """What the script says in plain values: code may quote what was changed."""
    return {key: value for key, value in script_settings(text).items() if not is_code(value)}


class _LineStarts:
    """Byte offsets, which is what ast counts columns in."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        for line in text.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset


Edit = tuple[int, int, str]


def _edit(tree: ast.Module, lines: _LineStarts, key: str, value: Any, where: str) -> Edit:
    scope, _, name = key.partition(".")
    calls = calls_of(tree, scope)
    if not calls:
        raise RecipeError(f"{where}: no {scope} in it to be told {name}={python_value(value)}")
    call = calls[-1]
    given = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    names = POSITIONS.get(scope, ())
    if given is None and name in names and len(call.args) > names.index(name):
        given = call.args[names.index(name)]
    if given is None:
        return _added(call, lines, f"{name}={python_value(value)}", where)
    start, end = lines.span(_named(tree, given))
    return start, end, python_value(value)


def _named(tree: ast.Module, given: ast.expr) -> ast.expr:
    """The constant behind a name that means this argument alone, else the argument itself."""
    if not isinstance(given, ast.Name):
        return given
    every = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == given.id]
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and node.targets[0] in every
    ]
    alone = len(every) == 2 and len(values) == 1 and isinstance(values[0], ast.Constant)
    return values[0] if alone else given


def _added(call: ast.Call, lines: _LineStarts, argument: str, where: str) -> Edit:
    if any(keyword.arg is None for keyword in call.keywords):
        raise RecipeError(f"{where}, line {call.lineno}: its arguments come from a dictionary: add {argument} there")
    inner = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not inner:
        end = lines.span(call)[1] - 1
        return end, end, argument
    last = max(inner, key=lambda node: lines.span(node)[1])
    end = lines.span(last)[1]
    first = call.args[0] if call.args else call.keywords[0]
    own_lines = first.lineno > call.lineno
    return end, end, f",\n{' ' * first.col_offset}{argument}" if own_lines else f", {argument}"
