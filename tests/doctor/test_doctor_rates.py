"""False alarms on healthy curves and recall on faulty ones, over seeds and logging intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic_curves import FAULTY, HEALTHY

from tunewright.doctor.diagnose import diagnose
from tunewright.schema.curve import Curve, Series

SEEDS = 24


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("kind", HEALTHY)
def test_healthy_runs_come_out_healthy(kind, every):
    alarms = []
    for seed in range(SEEDS):
        diagnosis = diagnose(HEALTHY[kind](seed, every))
        if diagnosis.health != "healthy":
            alarms.append((seed, diagnosis.health, [f.why for f in diagnosis.findings]))
    assert alarms == []


# what one may ask at each logging interval; 0: unobservable there, and said to be so
RECALL = {
    "never_learns": {1: 0.85, 10: 0.85},
    "lone_spike": {1: 1.0, 10: 0.0},
}


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("kind", FAULTY)
def test_faulty_runs_are_named(kind, every):
    make, symptom = FAULTY[kind]
    diagnoses = [diagnose(make(seed, every)) for seed in range(SEEDS)]
    hits = sum(d.has(symptom) for d in diagnoses)
    assert hits >= RECALL.get(kind, {}).get(every, 1.0) * SEEDS


@pytest.mark.parametrize("kind", FAULTY)
def test_no_faulty_run_gets_the_opposite_advice(kind):
    opposite = {"blown_up": "underfit", "diverged": "no_learning", "starved": "overfit", "frozen": "overfit"}
    opposite |= {"overfitted": "underfit", "swinging": "underfit", "never_learns": "divergence"}
    make, _ = FAULTY[kind]
    if kind in opposite:
        assert not any(diagnose(make(seed, 1)).has(opposite[kind]) for seed in range(SEEDS))


def test_an_unobservable_spike_is_abstained_from():
    diagnosis = diagnose(FAULTY["lone_spike"][0](0, 10))
    spike = next(a for a in diagnosis.abstained if a.symptom == "spike")
    assert "mean of 10 steps" in spike.because
    assert spike.minimal_detectable_change > 1.0


def prefix(curve: Curve, last: int) -> Curve:
    """What a living run has logged by step ``last``."""

    def cut(series: Series) -> Series:
        keep = series.steps <= last
        return Series(series.steps[keep], series.values[keep])

    names = ("loss", "eval_loss", "learning_rate", "grad_norm")
    return replace(curve, **{name: cut(getattr(curve, name)) for name in names})


@pytest.mark.parametrize("kind", HEALTHY)
def test_a_living_healthy_run_never_alarms(kind):
    for seed in range(4):
        curve = HEALTHY[kind](seed, 1)
        for share in range(10, 100, 10):
            findings = diagnose(prefix(curve, curve.last_step * share // 100)).findings
            assert [f.why for f in findings if f.severity != "info"] == []


def test_a_blow_up_is_seen_within_the_first_twentieth():
    curve = FAULTY["blown_up"][0](0, 1)
    assert not diagnose(prefix(curve, 4)).has("worse_than_start")
    assert diagnose(prefix(curve, 15)).has("worse_than_start")


def test_the_first_finding_is_the_cause():
    for kind, (make, symptom) in FAULTY.items():
        firsts = [d.findings[0].symptom for d in (diagnose(make(seed, 1)) for seed in range(6)) if d.findings]
        # a late divergence also ends above its start
        assert set(firsts) == {"worse_than_start" if kind == "diverged" else symptom}
