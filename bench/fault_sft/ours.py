"""Tunewright read as one of the readers: its findings as claims, its prescription as pulled knobs.

It is given what a person has who points it at a Trainer's folder: the log, and nothing else.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.fault_sft.families import DOWN, OF_SYMPTOM, UP, Claim, Reading
from bench.fault_sft.record import Record
from bench.fault_sft.relog import View, trainer_state
from tunewright.curve.read import read_curves
from tunewright.doctor.diagnose import diagnose
from tunewright.prescribe.case import Case
from tunewright.prescribe.prescribe import prescribe
from tunewright.schema.curve import Curve
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Prescription

# Recipe key -> knob of the benchmark; "duration" is epochs or steps.
KNOBS = {
    "learning_rate": "learning_rate",
    "num_train_epochs": "epochs",
    "max_steps": "epochs",
    "lora_r": "rank",
}


def curve_of(record: Record, view: View, until: int | None = None) -> Curve:
    """The curve as the product's own reader makes it from a trainer_state.json."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trainer_state.json"
        path.write_text(json.dumps(trainer_state(record, view, until)))
        return read_curves(path)[0]


def read(record: Record, view: View) -> Reading:
    """The whole reading of a finished run."""
    curve = curve_of(record, view)
    diagnosis = diagnose(curve)
    prescription = prescribe(Case(diagnosis=diagnosis, curve=curve, config=curve.config))
    abstained = [abstention.symptom for abstention in diagnosis.abstained]
    abstained += ["too_few_points"] if diagnosis.has("too_few_points") else []
    return Reading(claims_of(diagnosis), pulls_of(prescription), abstained=tuple(abstained))


def claims_of(diagnosis: Diagnosis) -> tuple[Claim, ...]:
    """One claim per finding that says something is wrong; a rise over the start by overfitting is overfitting."""
    claims = []
    for finding in diagnosis.findings:
        family = OF_SYMPTOM.get(finding.symptom)
        if family is None:
            continue
        if finding.symptom == "worse_than_start" and finding.evidence.get("train_fell"):
            family = "overfit"
        claims.append(Claim(family, finding.symptom, finding.severity != "info"))
    return tuple(claims)


def pulls_of(prescription: Prescription) -> dict[str, int]:
    """Knob -> direction of every change with a size."""
    pulls: dict[str, int] = {}
    for change in () if prescription.keep else prescription.changes:
        if change.key in KNOBS and change.factor is not None and change.factor != 1:
            pulls[KNOBS[change.key]] = UP if change.factor > 1 else DOWN
    return pulls


def first_alarm(record: Record, families: frozenset[str], points: int = 24) -> int | None:
    """The first step at which a warning of one of ``families`` appears, the log read as it grows; None if never.

    Asked after every 1/``points`` of the run, as a callback would ask.
    """
    view = View()
    steps = record.max_steps
    for part in range(1, points + 1):
        until = max(1, round(steps * part / points))
        claims = claims_of(diagnose(curve_of(record, view, until)))
        if any(claim.family in families for claim in claims):
            return until
    return None
