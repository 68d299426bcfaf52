"""What a report says, before anyone decides how it looks: sections of paragraphs, tables, charts and code.

HTML, terminal text, Markdown and JSON are drawn from this one tree, so they cannot disagree. Strings in it are
already safe to read (:func:`tunewright.reporter.words.safe`) but not escaped: each face escapes for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tunewright.reporter.figure import Figure

Tone = Literal["", "good", "warn", "bad", "quiet"]


@dataclass(frozen=True)
class Bar:
    """A share of 1 with its 95 % interval, drawn beside the number."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One table cell. ``note``: a second, quieter line. A ``tone`` makes the text a badge."""

    text: str
    note: str = ""
    tone: Tone = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class Column:
    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """``caption`` names the table for those who cannot see it; ``rows`` have one cell per column."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    strong_row: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Paragraph:
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Heading:
    """The head of a part of a section."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values. ``big``: the few that are read first."""

    items: tuple[tuple[str, str], ...]
    big: bool = False


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]
    ordered: bool = False


@dataclass(frozen=True)
class Code:
    """Text to be copied as it stands."""

    text: str
    language: str
    label: str


@dataclass(frozen=True)
class Example:
    """One exam question with what was expected and what both models said."""

    question: str
    expected: str
    base: str
    tuned: str
    base_passed: bool
    tuned_passed: bool


@dataclass(frozen=True)
class Chart:
    """A figure and, for those who cannot see it, the numbers behind it."""

    figure: Figure
    table: Table


@dataclass(frozen=True)
class Fold:
    """Blocks that start closed where the face can do that."""

    summary: str
    blocks: tuple[Block, ...]


Block = Paragraph | Heading | Facts | Table | Bullets | Code | Example | Chart | Fold


@dataclass(frozen=True)
class Section:
    """``key``: its anchor, unique in the document. ``brief``: also shown where space is short."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    brief: bool = False


@dataclass(frozen=True)
class Document:
    """``verdict``: the one sentence to read when there is time for one."""

    title: str
    kind: str
    verdict: str
    tone: Tone
    facts: Facts
    sections: tuple[Section, ...] = field(default=())


def table(caption: str, columns: str, rows: list[tuple[Cell | str, ...]], **more: Any) -> Table:
    """A table from a short description: column names split by ``|``, numeric ones end with ``#``.

    >>> table("Losses", "run|loss #", [("run-1", "0.3")]).columns[1]
    Column(name='loss', numeric=True)
    """
    heads = tuple(Column(name.rstrip("# "), name.endswith("#")) for name in columns.split("|"))
    cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
    return Table(caption, heads, cells, **more)
