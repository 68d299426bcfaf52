"""Text in lines of a given width. Light on purpose: reading a log prints with it and loads nothing else."""

from __future__ import annotations

import textwrap

from tunewright.reporter.words import columns_of


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns; words longer than a line are cut. At least one line."""
    if columns_of(text) == len(text):
        return textwrap.wrap(text, width) or [""]
    lines = [""]
    for letter in text:  # wide letters: cut by columns
        if columns_of(lines[-1]) + columns_of(letter) > width:
            lines.append("")
        lines[-1] += letter
    return [line.strip() for line in lines]


def hanging(head: str, text: str, width: int) -> list[str]:
    """``head`` and ``text`` beside it, wrapped; where there is no room beside, below it."""
    indent = columns_of(head)
    if width - indent < 16:
        return [head.rstrip(), *(f"  {line}" for part in text.split("\n") for line in wrap(part, width - 2))]
    lines = [line for part in text.split("\n") for line in wrap(part, width - indent)]
    return [f"{head if not index else ' ' * indent}{line}".rstrip() for index, line in enumerate(lines)]
