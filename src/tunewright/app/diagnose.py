"""diagnose: what curves mean, whoever logged them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.app.case import report_on
from tunewright.curve.read import search
from tunewright.prescribe.report import Report
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError, UsageError

__all__ = ["Report", "Survey", "columns_of", "diagnose", "report_on", "survey"]


@dataclass(frozen=True)
class Survey:
    """The reports on everything found, and the logs that could not be read beside them."""

    reports: tuple[Report, ...]
    unread: tuple[DataError, ...] = ()

    def __json__(self) -> dict[str, Any]:
        answer = self.reports[0].__json__() if len(self.reports) == 1 else {"reports": self.reports}
        unread = [{"message": error.message, "hint": error.hint} for error in self.unread]
        return {**answer, **({"unread": unread} if unread else {})}


def diagnose(sources: Sequence[str | Path] | str | Path, *, columns: Mapping[str, str] | None = None) -> list[Report]:
    """Read run folders, logs, or folders to search. Raises DataError when one holds no curve.

    ``columns`` says which column of a log is what, for logs of unknown names: ``{"loss": "train_nll"}``.

    ``tw.diagnose("outputs/trainer_state.json")[0].diagnosis.health``
    """
    several = [sources] if isinstance(sources, (str, Path)) else list(sources)
    return list(survey(several, columns).reports)


def survey(sources: Sequence[str | Path], columns: Mapping[str, str] | None = None) -> Survey:
    """The same, with what could not be read. Raises DataError when a source has no curve at all."""
    found: list[Curve] = []
    unread: list[DataError] = []
    for source in sources:
        curves, problems = search(Path(source), columns)
        if not curves:
            raise problems[0]
        found += curves
        unread += problems
    # of many runs each would look at all the others
    reports = tuple(with_row_texts(report_on(curve, past=len(found) == 1)) for curve in found)
    return Survey(reports, tuple(unread))


def with_row_texts(report: Report) -> Report:
    """The report with the text of the rows it names, where the run is ours and its data still there."""
    if not any(finding.rows for finding in report.diagnosis.findings):
        return report
    from tunewright.app.offending_rows import row_texts  # reads data: only when there is a row to show

    return replace(report, row_texts=row_texts(report.curve, report.diagnosis))


def columns_of(pairs: Sequence[str]) -> dict[str, str]:
    """``metric=column`` words as a mapping. Raises UsageError.

    >>> columns_of(["loss=train nll"])
    {'loss': 'train nll'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        metric, mark, column = pair.partition("=")
        if not (metric and mark and column):
            raise UsageError(f"--map {pair}: expected METRIC=COLUMN, e.g. loss=train_nll")
        found[metric] = column
    return found
