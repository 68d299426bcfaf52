"""What holds for every curve: no exception, JSON-ready answers, no dependence on units, and a light import."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_curves import FAULTY, HEALTHY, at_evals, fall, make

import tunewright.curve
import tunewright.doctor
from tunewright.doctor import thresholds
from tunewright.doctor.codes import CODES, RANK, symptom_of
from tunewright.doctor.diagnose import ALWAYS, EXPLAINS, OF_AN_NLL, diagnose
from tunewright.doctor.explain import explain, page
from tunewright.schema import jsonio
from tunewright.schema.curve import Curve, Series
from tunewright.schema.errors import UsageError

ANY = st.floats() | st.sampled_from([0.0, 1.0, float("nan"), float("inf"), 1e-320, 1e308])
POINTS = st.lists(st.tuples(st.integers(0, 400) | st.integers(0, 2**52), ANY), max_size=60)


@settings(max_examples=300, deadline=None)
@given(
    series=st.fixed_dictionaries(
        dict.fromkeys(("loss", "eval_loss", "general_loss", "learning_rate", "grad_norm"), POINTS)
    ),
    total=st.none() | st.integers(1, 500),
    per_epoch=st.none() | st.floats(0.01, 1e6),
)
def test_no_series_raises(series, total, per_epoch):
    with np.errstate(all="ignore"):  # overflow at 1e308 is none of our business
        curve = Curve(
            "any", "", **{k: Series.of(v) for k, v in series.items()}, total_steps=total, steps_per_epoch=per_epoch
        )
        diagnosis = diagnose(curve)
    jsonio.dumps(diagnosis)
    assert all(finding.evidence for finding in diagnosis.findings)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.floats(0.06, 20), min_size=10, max_size=120), evals=st.lists(st.floats(0.06, 20), max_size=12)
)
def test_no_warning_of_numpy_on_ordinary_losses(values, evals):
    curve = Curve(
        "any", "", Series.of(enumerate(values, 1)), eval_loss=Series.of((i * 10, v) for i, v in enumerate(evals))
    )
    diagnosis = diagnose(curve)
    assert diagnosis.source.evals == len(evals)
    assert not diagnosis.has("non_finite")


@pytest.mark.parametrize("factor", [0.5, 3.0])
@pytest.mark.parametrize("kind", ["one_epoch", "benign_overfit", "small_gain", "three_epoch_steps"])
def test_verdicts_do_not_depend_on_the_unit_of_the_loss(kind, factor):
    for seed in range(5):
        curve = HEALTHY[kind](seed, 1)
        assert symptoms(scaled(curve, factor)) == symptoms(curve)


@pytest.mark.parametrize("kind", ["diverged", "blown_up", "overfitted", "swinging", "starved", "lone_spike", "frozen"])
def test_faults_do_not_depend_on_the_unit_of_the_loss(kind):
    for seed in range(5):
        curve = FAULTY[kind][0](seed, 1)
        assert FAULTY[kind][1] in symptoms(scaled(curve, 3.0))


def scaled(curve: Curve, factor: float) -> Curve:
    loss, evals = curve.loss, curve.eval_loss
    return replace(
        curve, loss=Series(loss.steps, loss.values * factor), eval_loss=Series(evals.steps, evals.values * factor)
    )


def symptoms(curve: Curve) -> list[str]:
    return [finding.symptom for finding in diagnose(curve).findings]


@pytest.mark.parametrize("kind", HEALTHY)
def test_going_on_in_health_never_makes_sick(kind):
    """Points like the last ones, appended at the end."""
    curve = HEALTHY[kind](3, 1)
    draw = np.random.default_rng(0)
    tail = curve.loss.values[-40:]
    more = Series(np.arange(1, 41) + curve.last_step, draw.permutation(tail))
    longer = Series(np.append(curve.loss.steps, more.steps), np.append(curve.loss.values, more.values))
    assert diagnose(replace(curve, loss=longer, total_steps=None)).health == "healthy"


def test_a_curve_of_5000_points_is_healthy_too():
    line = fall(1.6, 1.1, 500, 5000)
    curve = make(line[1:], at_evals(line, 50), 1, noise=0.3, per_epoch=1000, rate=np.full(5000, 1e-4))
    assert diagnose(curve).health == "healthy"


def test_importing_takes_nothing_heavy_along():
    code = (
        "import sys, tunewright.doctor.diagnose, tunewright.curve.read, tunewright.doctor.explain\n"
        "heavy = {'pydantic', 'rich', 'torch', 'transformers', 'scipy', 'ruamel', 'csv', 'difflib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


# --- codes, pages, thresholds ------------------------------------------------------------------------------------

PUBLISHED = [
    "worse_than_start",
    "divergence",
    "non_finite",
    "spike",
    "oscillation",
    "weights_not_updating",
    "no_learning",
    "plateau",
    "underfit",
    "overfit",
    "memorising",
    "gap",
    "all_masked",
    "rows_masked",
    "truncated",
    "template_mismatch",
    "labels_unrelated",
    "noisy_labels",
    "duplicates",
    "leak",
    "val_shift",
    "no_stop_token",
    "lr_zero_tail",
    "warmup_too_long",
    "lr_constant",
    "lr_jump",
    "scale_mismatch",
    "not_an_nll",
    "prefix_log",
    "too_few_points",
    "forgetting",
]
ERRORS = [
    "non_finite",
    "all_masked",
    "weights_not_updating",
    "divergence",
    "worse_than_start",
    "leak",
    "template_mismatch",
    "labels_unrelated",
]
INFOS = ["plateau", "gap", "memorising", "lr_constant", "underfit", "too_few_points", "prefix_log", "not_an_nll"]


def test_every_published_symptom_has_a_code_and_its_severity():
    assert sorted(CODES) == sorted(PUBLISHED)
    assert len({entry.code for entry in CODES.values()}) == len(CODES)
    for symptom, entry in CODES.items():
        expected = "error" if symptom in ERRORS else "info" if symptom in INFOS else "warning"
        assert entry.severity == expected, symptom


def test_codes_are_frozen():
    stable = {"non_finite": "TW101", "worse_than_start": "TW103", "overfit": "TW302", "forgetting": "TW701"}
    assert {symptom: CODES[symptom].code for symptom in stable} == stable


def test_causes_rank_before_consequences():
    order = [
        "non_finite",
        "weights_not_updating",
        "worse_than_start",
        "divergence",
        "oscillation",
        "overfit",
        "underfit",
    ]
    assert sorted(order, key=RANK.__getitem__) == order
    assert all(name in CODES for name in EXPLAINS)
    assert set(ALWAYS + OF_AN_NLL) <= set(CODES)


@pytest.mark.parametrize("symptom", PUBLISHED)
def test_every_symptom_is_explained(symptom):
    text = explain(symptom)
    assert explain(CODES[symptom].code.lower()) == text
    for heading in ("How it is computed", "Looks alike", "What to do", "Sources"):
        assert heading in text
    assert page(symptom).sources


def test_an_unknown_code_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'overfit'"):
        explain("overfitt")
    assert symptom_of("TW999") is None


def test_every_threshold_has_a_source():
    table = [value for value in vars(thresholds).values() if isinstance(value, thresholds.Threshold)]
    assert len(table) > 40
    for entry in table:
        assert entry.source
        assert entry.unit
        assert entry.false_alarm is None or 0 <= entry.false_alarm <= 0.05
    assert [f.name for f in fields(thresholds.Threshold)] == ["value", "unit", "source", "false_alarm"]


def modules() -> list[str]:
    packages = (tunewright.curve, tunewright.doctor)
    return [m.name for p in packages for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def limits_used_by(symptom: str) -> set[str]:
    """The thresholds named in a detector's source."""
    source = Path(tunewright.doctor.__path__[0]) / "detectors" / f"{symptom}.py"
    tree = ast.parse(source.read_text()) if source.exists() else ast.Module([], [])
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "th"
    }


@pytest.mark.parametrize("symptom", PUBLISHED)
def test_a_page_names_every_threshold_its_detector_goes_by(symptom):
    assert limits_used_by(symptom) <= set(page(symptom).thresholds)
    for name in page(symptom).thresholds:
        entry = getattr(thresholds, name)
        assert f"{name.lower()} = {entry.value:g} {entry.unit}" in " ".join(explain(symptom).split())


def test_every_detector_is_asked_once():
    files = {path.stem for path in (Path(tunewright.doctor.__path__[0]) / "detectors").glob("*.py")}
    asked = [*ALWAYS, *OF_AN_NLL]
    assert sorted(asked) == sorted(files - {"__init__", "base"})


def test_healthy_says_what_a_log_without_validation_leaves_open():
    alone = diagnose(make(fall(2.0, 0.9), {}, 0))
    assert alone.health == "healthy"
    assert alone.leaves_open == "without a validation loss over-fitting cannot be told"
    assert diagnose(Curve("any", "", Series.of([(1, 2.0)]))).leaves_open == ""
    flat = np.full(600, 2.3)
    stuck = diagnose(make(flat, dict.fromkeys(range(50, 601, 50), 2.3), 0, every=10))
    assert stuck.leaves_open == "whether it learned anything cannot be told"


def test_what_was_seen_to_fall_is_not_asked_whether_it_learned():
    rng = np.random.default_rng(0)
    slow = 1.62 - 0.24 * np.arange(601) / 600
    curve = Curve(
        "any",
        "",
        Series.of([(step, slow[step] * float(np.exp(rng.normal(0, 0.06)))) for step in range(10, 601, 10)]),
        eval_loss=Series.of([(step, slow[step]) for step in range(50, 601, 50)]),
        steps_per_epoch=200,
    )
    read = diagnose(curve)
    assert read.has("underfit")
    assert "no_learning" not in {one.symptom for one in read.abstained}
