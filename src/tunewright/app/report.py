"""report: one page, one card, one picture or one JSON from a run, a tuning, or the log of another tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunewright.app.model_card import card_path, render_card
from tunewright.curve.read import RUN_MARK, named_by, several_runs
from tunewright.record.files import new_file, own_or_new_file, write_whole
from tunewright.record.find import MARKS, SERIES_MARK
from tunewright.reporter.card import PERSONAL_HEAD
from tunewright.reporter.curve_section import run_figure
from tunewright.reporter.document import series_figure
from tunewright.reporter.figure import Figure
from tunewright.reporter.html import GENERATOR, render_html
from tunewright.reporter.picture import MAKER, render_png
from tunewright.reporter.run_view import RunView, View, view_of_curve
from tunewright.reporter.svg import METADATA, render_svg
from tunewright.reporter.view import read_view
from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError

FORMATS = ("html", "md", "json", "png", "svg")
_BY_ENDING = {".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".png": "png", ".svg": "svg"}
_MARKS = {"html": GENERATOR, "md": PERSONAL_HEAD, "png": "\0".join(MAKER), "svg": METADATA}
"""What tells a report of ours from another file, by format; JSON has no such mark."""


@dataclass(frozen=True)
class Written:
    """Where the report is, and what was missing or damaged in the folder it was made from."""

    path: Path
    problems: tuple[str, ...]


def report(source: str | Path, *, out: str | Path = "", format: str = "") -> Path:
    """Write the report of a run, a tuning or a foreign log, and return where.

    ``format``: html, md (the model card), json, png or svg (the curve); by default the ending of ``out``, else html.
    At ``out`` only an older page, card or picture of ours is replaced. Raises UsageError for any other file that is
    there, an unknown format, or a source that is neither; DataError for a log that cannot be read.

    ``tw.report("runs/train-1", out="curve.png")``
    """
    return write_report(source, out=out, format=format).path


def write_report(
    source: str | Path, *, out: str | Path = "", format: str = "", columns: Mapping[str, str] | None = None
) -> Written:
    """:func:`report`, with what is wrong with the folder; ``columns`` as for ``diagnose``."""
    kind = _format(format, out)
    folder = Path(source)
    view = view_of(folder, columns)
    of_log = isinstance(view, RunView) and view.is_log
    path = Path(out) if out else default_path(view, folder, kind)
    if out or of_log:
        _refuse_others(path, kind)
    makers: dict[str, Callable[[], str | bytes]] = {
        "html": lambda: render_html(view),
        "md": lambda: render_card(view, path),
        "json": lambda: jsonio.document(view),
        "png": lambda: _png(view),
        "svg": lambda: _svg(view),
    }
    write_whole(path, makers[kind]())
    return Written(path.absolute(), () if of_log else view.problems)


def _format(asked: str, out: str | Path) -> str:
    if asked and asked not in FORMATS:
        raise UsageError(f"--format {asked}: expected one of {', '.join(FORMATS)}")
    ending = Path(out).suffix.lower() if out else ""
    if not asked and ending and ending not in _BY_ENDING:
        raise UsageError(
            f"-o {out}: no report ends in {ending}; expected {', '.join(_BY_ENDING)}",
            hint=f"or say which it is: --format html -o {out}",
        )
    return asked or _BY_ENDING.get(ending, "html")


def _refuse_others(path: Path, kind: str) -> None:
    """Raises UsageError for a file that is there already, unless it is a report of ours in this format."""
    if kind in _MARKS:
        own_or_new_file(path, "-o", _MARKS[kind])
    else:
        new_file(path, "-o")


def view_of(source: Path, columns: Mapping[str, str] | None = None) -> View:
    """The view of a run or tuning folder, or of the one log that is at ``source``; ``columns`` as for ``diagnose``."""
    if any((source / mark).is_file() for mark in (SERIES_MARK, *MARKS)):
        if columns:
            raise UsageError(
                f"{source}: --map names the columns of another tool's log, this is a run of ours: leave it out",
                hint=f"tunewright report {source}",
            )
        return read_view(source)
    if not source.exists() and RUN_MARK not in source.name:
        return read_view(source)
    from tunewright.app.diagnose import survey

    found = survey([source], columns).reports
    if len(found) > 1:
        raise several_runs(source, [report.curve for report in found])
    return view_of_curve(found[0].curve, found[0].diagnosis, found[0].prescription)


def default_path(view: View, source: Path, kind: str) -> Path:
    """Where a report goes unless told: into the run's folder, the card beside the adapter; of a log, here, under its
    name. Trainers give theirs the same name in every run, so those go by the folder's."""
    if isinstance(view, RunView) and view.is_log:
        return Path(f"{named_by(Path(view.path) if source.is_file() else source).stem or 'log'}-report.{kind}")
    if kind == "md":
        return card_path(source)
    return source / ("report." + kind if kind in ("html", "json") else f"curve.{kind}")


def curve_figure_of(view: View) -> Figure:
    """The chart a picture shows: a run's curve, or the validation losses of a tuning's runs. Raises UsageError."""
    if isinstance(view, RunView):
        figure = run_figure(view, view.curve) if view.curve is not None else None
    else:
        figure = series_figure(view)
    if figure is None:
        raise UsageError(f"{view.path}: no curve to draw, nothing was logged", hint=f"tunewright report {view.path}")
    return figure


def _png(view: View) -> bytes:
    return render_png(curve_figure_of(view))


def _svg(view: View) -> str:
    return render_svg(curve_figure_of(view), standalone=True)
