"""diagnose: what curves mean, whoever logged them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.curve.read import read_curves
from tunewright.doctor.diagnose import diagnose as read_curve
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import prescribe
from tunewright.schema.curve import Curve
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Prescription


@dataclass(frozen=True)
class Report:
    """One curve's reading with the change it asks for."""

    curve: Curve
    diagnosis: Diagnosis
    prescription: Prescription

    def __json__(self) -> dict[str, Any]:
        said = {key: getattr(self.diagnosis, key) for key in self.diagnosis.__dataclass_fields__}
        return {**said, "prescription": self.prescription}


def diagnose(sources: Sequence[str | Path] | str | Path) -> list[Report]:
    """Read run folders, logs, or folders to search. Raises DataError when one holds no curve.

    ``tw.diagnose("outputs/trainer_state.json")[0].diagnosis.health``
    """
    several = [sources] if isinstance(sources, (str, Path)) else list(sources)
    return [report_on(curve) for source in several for curve in read_curves(Path(source))]


def report_on(curve: Curve) -> Report:
    """One curve read: findings and what they ask for."""
    diagnosis = read_curve(curve)
    case = Case(diagnosis=diagnosis, curve=curve, config=curve.config)
    return Report(curve, diagnosis, prescribe(case, "evidence"))
