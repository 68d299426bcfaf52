"""One curve's reading with the change it asks for: what ``findings.json`` and ``diagnose --json`` hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import prescribe
from tunewright.schema.curve import Curve
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Prescription


@dataclass(frozen=True)
class Report:
    """One curve's reading with the change it asks for; ``row_texts``: the data rows it names, where at hand."""

    curve: Curve
    diagnosis: Diagnosis
    prescription: Prescription
    row_texts: Mapping[int, str] = field(default_factory=dict)

    def __json__(self) -> dict[str, Any]:
        said = {key: getattr(self.diagnosis, key) for key in self.diagnosis.__dataclass_fields__}
        said["leaves_open"] = self.diagnosis.leaves_open
        rows = {"row_texts": self.row_texts} if self.row_texts else {}
        return {**said, "prescription": self.prescription, "notes": self.curve.notes, **rows}


def report_on(curve: Curve) -> Report:
    """One curve read: findings and what they ask for."""
    diagnosis = diagnose(curve)
    case = Case(diagnosis=diagnosis, curve=curve, config=curve.config)
    return Report(curve, diagnosis, prescribe(case, "evidence"))
