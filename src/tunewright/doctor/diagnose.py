"""One curve to one diagnosis: every detector asked, answers ranked, consequences of a found cause left out."""

from __future__ import annotations

from importlib import import_module

from tunewright.doctor.checklist import checklist
from tunewright.doctor.codes import RANK
from tunewright.doctor.detectors.base import Answer, Detector
from tunewright.doctor.guide_reading import read_as_guide
from tunewright.doctor.view import View
from tunewright.schema.curve import Curve
from tunewright.schema.finding import Abstention, Diagnosis, Finding, Source, health_of

ALWAYS = (
    *("not_an_nll", "non_finite", "all_masked", "rows_masked", "prefix_log", "lr_zero_tail", "warmup_too_long"),
    "lr_jump",
)
"""Asked of every log, whatever its loss means."""

OF_AN_NLL = (
    *("too_few_points", "worse_than_start", "divergence", "oscillation", "spike", "weights_not_updating"),
    *("no_learning", "overfit", "forgetting", "underfit", "plateau", "memorising", "gap", "scale_mismatch"),
    *("lr_constant", "val_shift", "noisy_labels"),
)

_SHAPES = ("oscillation", "spike", "no_learning", "plateau", "underfit", "gap", "memorising")
EXPLAINS: dict[str, tuple[str, ...]] = {
    "non_finite": (*_SHAPES, "too_few_points", "worse_than_start", "divergence", "lr_constant"),
    "all_masked": (*_SHAPES, "too_few_points", "weights_not_updating", "lr_constant"),
    "weights_not_updating": ("no_learning", "plateau", "underfit", "too_few_points"),
    "worse_than_start": ("no_learning", "plateau", "underfit", "scale_mismatch"),
    "divergence": ("oscillation", "spike", "no_learning", "plateau", "underfit", "scale_mismatch"),
    "oscillation": ("spike", "plateau", "underfit"),
    "no_learning": ("underfit", "plateau"),
    "overfit": ("gap", "plateau", "memorising", "underfit"),
    "underfit": ("plateau",),
    "lr_zero_tail": ("plateau",),
    "lr_jump": ("oscillation",),
    "scale_mismatch": ("noisy_labels",),
    "val_shift": ("gap",),
    "labels_unrelated": ("val_shift", "noisy_labels", "gap"),
}
"""What a finding explains away: its consequences would only ask for contradictory changes."""

SETTLES: dict[str, tuple[str, ...]] = {
    "underfit": ("no_learning",),
    "overfit": ("no_learning",),
    "memorising": ("no_learning",),
}
"""Questions that a finding answers too: what is still falling, or fell and came back, was learning."""


def diagnose(curve: Curve) -> Diagnosis:
    """Everything that can be said about ``curve``. Never raises on any series; an empty curve is "unknown".

    Cheap enough to be asked after every few logs of a living run (a few ms for 5,000 points).
    """
    view = View(curve)
    answers = _ask(view)
    findings = _ranked(_with_probed([answer for answer in answers if isinstance(answer, Finding)], curve.probed))
    abstained = tuple(a for a in answers if isinstance(a, Abstention) and a.symptom not in _settled(findings))
    source = Source(curve.kind, curve.path, curve.last_step, curve.logged_every, len(curve.eval_loss))
    scale = _scale(findings)
    guide, marks = read_as_guide(view, scale=scale), checklist(view, scale=scale)
    return Diagnosis(source, health_of(findings), guide, marks, findings, abstained)


def _scale(findings: tuple[Finding, ...]) -> float:
    """Times that the training loss was logged too high."""
    factors = (finding.evidence["factor"] for finding in findings if finding.symptom == "scale_mismatch")
    return float(next(factors, 1.0))


def _settled(findings: tuple[Finding, ...]) -> set[str]:
    """Symptoms that need no answer of their own any more: found, explained away, or settled by what was found."""
    told = (EXPLAINS, SETTLES)
    said = {finding.symptom for finding in findings}
    return said | {symptom for found in said for table in told for symptom in table.get(found, ())}


def _with_probed(findings: list[Finding], probed: tuple[Finding, ...]) -> list[Finding]:
    """What probes found beside what the series show; a probe knows the rows, so it speaks for a symptom of both."""
    known = {finding.symptom for finding in probed}
    return [*(finding for finding in findings if finding.symptom not in known), *probed]


def _ask(view: View) -> list[Answer]:
    answers = [_detector(name)(view) for name in ALWAYS]
    if any(isinstance(answer, Finding) and answer.symptom == "not_an_nll" for answer in answers):
        return answers
    return answers + [_detector(name)(view) for name in OF_AN_NLL]


def _detector(name: str) -> Detector:
    detect: Detector = import_module(f"tunewright.doctor.detectors.{name}").detect
    return detect


def _ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    explained = {symptom for finding in findings for symptom in EXPLAINS.get(finding.symptom, ())}
    kept = [finding for finding in findings if finding.symptom not in explained]
    return tuple(sorted(kept, key=lambda finding: _place(finding, kept)))


def _place(finding: Finding, others: list[Finding]) -> tuple[float, int]:
    """Causes first. Worse than the start with a falling training loss is a consequence of overfitting."""
    overfit = any(other.symptom == "overfit" for other in others)
    late = finding.symptom == "worse_than_start" and overfit and bool(finding.evidence.get("train_fell"))
    return (RANK["overfit"] + 0.5 if late else RANK[finding.symptom]), finding.steps[0]
