"""The translation tables as Markdown, for the documentation: made from the entries that do the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunewright.schema.recipe_io import KEYS
from tunewright.trainers.tool import Tool
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.translation import ROW_KEYS

IN_ROWS = "in the rows"
NONE = "-"


def translation_table() -> str:
    """One line for each recipe key: what it is called by every tool."""
    tools = list(TOOLS.values())
    rows = [[f"`{key}`", *(_names(tool, key) for tool in tools)] for key in KEYS]
    return markdown(["recipe", *(f"{tool.title} ({tool.version})" for tool in tools)], rows)


def notes_table() -> str:
    """What differs in meaning, tool by tool; settings that an export always makes included."""
    rows = [
        [tool.title, ", ".join(f"`{key}`" for key in entry.ours or entry.theirs), entry.about]
        for tool in TOOLS.values()
        for entry in tool.table
        if entry.about
    ]
    return markdown(["tool", "key", "what differs"], rows)


def defaults_table() -> str:
    """What each tool does where its config says nothing, as far as a recipe has a word for it."""
    rows = []
    for tool in TOOLS.values():
        told = [f"`{key}` {value}" for key, value in tool.defaults.items() if value is not None]
        rows.append([tool.title, ", ".join(told)])
    return markdown(["tool", "by itself"], rows)


def _names(tool: Tool, key: str) -> str:
    theirs = [name for entry in tool.table if key in entry.ours for name in entry.theirs]
    if not theirs:
        return IN_ROWS if key in ROW_KEYS and key not in ("test", "replay") else NONE
    return ", ".join(f"`{name}`" for name in theirs)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    drawn = ["| " + " | ".join(line) + " |" for line in lines]
    drawn[1] = "|" + "---|" * len(head)
    return "\n".join(drawn)


SECTIONS = {"translation": translation_table, "notes": notes_table, "defaults": defaults_table}


def filled(page: str) -> str:
    """A page with the tables between its markers (``<!-- table: NAME -->`` and ``<!-- end -->``) made anew."""
    for name, make in SECTIONS.items():
        before, marker, rest = page.partition(f"<!-- table: {name} -->")
        _, end, after = rest.partition("<!-- end -->")
        page = f"{before}{marker}\n{make()}\n{end}{after}" if marker and end else page
    return page
