"""report: one page, one card or one JSON from a run or tuning folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tunewright.record.files import write_whole
from tunewright.reporter.html import render_html
from tunewright.reporter.markdown import render_markdown
from tunewright.reporter.view import View, read_view
from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError

ENDINGS = {"html": "report.html", "md": "README.md", "json": "report.json"}


def report(source: str | Path, *, out: str | Path = "", format: str = "html") -> Path:
    """Write the report and return where. Raises UsageError for an unknown format or a folder that is no run."""
    if format not in ENDINGS:
        raise UsageError(f"--format {format}: expected one of {', '.join(ENDINGS)}")
    folder = Path(source)
    view = read_view(folder)
    writers: dict[str, Callable[[View], str | bytes]] = {
        "html": render_html,
        "md": render_markdown,
        "json": jsonio.document,
    }
    content = writers[format](view)
    path = Path(out) if out else folder / ENDINGS[format]
    write_whole(path, content)
    return path.absolute()
