"""What probes wrote into a run's folder is part of every later reading of it, and damage to it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.curve.read import read_curves
from tunewright.doctor.diagnose import diagnose

FOUND = {
    "code": "TW402",
    "symptom": "labels_unrelated",
    "severity": "error",
    "steps": [0, 40],
    "evidence": {"gain": 0.01},
    "why": "the answers are as likely behind other prompts",
    "causes": ["a column was shuffled"],
    "rows": [3, 9],
}


def run_with(folder: Path, probes: Any) -> Path:
    (folder / "run.json").write_text("{}")
    events = [{"step": step, "loss": 2.0 - step / 40} for step in range(1, 41)]
    events += [{"step": step, "eval_loss": 2.0 - step / 45} for step in (0, 10, 20, 30, 40)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (folder / "probes.json").write_text(probes if isinstance(probes, str) else json.dumps(probes))
    return folder


def test_a_probe_speaks_in_the_diagnosis(tmp_path: Path) -> None:
    (curve,) = read_curves(run_with(tmp_path, {"findings": [FOUND]}))
    diagnosis = diagnose(curve)
    assert diagnosis.health == "sick"
    finding = diagnosis.finding("labels_unrelated")
    assert finding is not None
    assert (finding.steps, finding.rows, finding.evidence["gain"]) == ((0, 40), (3, 9), 0.01)


@pytest.mark.parametrize(
    "probes",
    [
        {},
        {"findings": "none"},
        {"findings": [7, None, {}, {**FOUND, "severity": "terrible"}, {**FOUND, "why": ""}, {**FOUND, "code": 402}]},
        {"start": {}, "end": {}},
    ],
)
def test_what_is_no_finding_is_passed_over(tmp_path: Path, probes: Any) -> None:
    (curve,) = read_curves(run_with(tmp_path, probes))
    assert curve.probed == ()


@pytest.mark.parametrize("odd", [{"steps": None}, {"steps": [1]}, {"steps": ["x", {}]}, {"rows": ["a", 4]}, {"rows": 7},
                                 {"causes": None}, {"evidence": []}, {"evidence": 3}])  # fmt: skip
def test_a_finding_with_odd_parts_still_speaks(tmp_path: Path, odd: dict[str, Any]) -> None:
    (curve,) = read_curves(run_with(tmp_path, {"findings": [{**FOUND, **odd}]}))
    assert [finding.symptom for finding in curve.probed] == ["labels_unrelated"]
    assert diagnose(curve).health == "sick"
