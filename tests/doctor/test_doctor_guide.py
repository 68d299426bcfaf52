"""The guides' own readings: two tables with gaps, a tree without, and the marks of an ideal curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_curves import FAULTY, at_evals, fall, make, one_epoch

from tunewright.doctor import guide_reading as guide
from tunewright.doctor.checklist import checklist
from tunewright.doctor.diagnose import diagnose
from tunewright.doctor.view import View
from tunewright.schema.curve import EMPTY, Curve, Series


def reading(loss: float):
    return diagnose(Curve("test", "", Series.of((step, loss) for step in range(1, 40)))).guide_reading


@pytest.mark.parametrize(
    ("loss", "interpretation", "target", "tree"),
    [
        (0.005, "overfit", None, "overfit"),
        (0.03, "overfit", "overfit", "overfit"),
        (0.1, "very_good", "overfit", "overfit"),
        (0.17, "very_good", None, "overfit"),
        (0.2, "target", "sweet_spot", "perfect"),
        (0.35, "target", "sweet_spot", "perfect"),
        (0.5, "target", "sweet_spot", "perfect"),
        (0.55, "getting_good", None, "underfit"),
        (0.7, "getting_good", "underfit", "underfit"),
        (0.9, None, "underfit", "underfit"),
        (1.0, "learning", "underfit", "underfit"),
        (1.2, "learning", None, "barely_learned"),
        (1.5, "learning", "barely_learning", "barely_learned"),
        (2.5, None, "barely_learning", "barely_learned"),
        (7.0, "no_idea", "barely_learning", "barely_learned"),
    ],
)
def test_bands(loss, interpretation, target, tree):
    def name(band):
        return band and band.name

    found = (name(guide.interpretation(loss)), name(guide.target(loss)), guide.tree(loss))
    assert found == (interpretation, target, tree)


def test_gaps_are_said():
    assert "between the bands 'Model is getting good' and 'Model is learning'" in reading(0.9).interpretation
    assert "silent" in reading(0.17).target
    assert "below the table's lowest band" in reading(0.005).target


def test_disagreement_of_the_two_tables_is_said():
    assert "disagree" in reading(0.1).target
    assert "disagree" not in reading(0.3).target


def test_the_tree_speaks_with_the_final_loss():
    found = reading(0.7)
    assert found.final_loss == 0.7
    assert "increase epochs by 50 %" in found.tree_advice
    assert "last tenth" in found.tree_advice


def test_a_good_low_loss_is_not_sick_for_the_guide():
    line = fall(0.5, 0.12)
    assert diagnose(make(line[1:], at_evals(line), 0)).health == "healthy"


def test_no_reading_of_a_broken_end():
    found = diagnose(FAULTY["nan_at_150"][0](0, 1))
    assert found.guide_reading.final_loss is None
    assert "not a number" in found.guide_reading.tree_advice
    assert [mark.ok for mark in found.checklist][:4] == [False] * 4


def marks(curve: Curve):
    return {mark.mark.split(" (")[0]: mark for mark in checklist(View(curve))}


def test_marks_of_a_healthy_run_carry_numbers():
    found = marks(one_epoch(0, 1))
    assert len(found) == 7
    assert all(mark.value is not None for mark in found.values())
    assert found["overall descent"].value == pytest.approx(0.22, abs=0.05)
    assert found["overall descent"].ok
    assert found["fast decline, then flattening"].ok
    assert found["smooth, without large spikes"].ok
    assert found["validation tracks training"].ok


def test_marks_fail_where_they_should():
    assert not marks(FAULTY["lone_spike"][0](0, 1))["smooth, without large spikes"].ok
    assert not marks(FAULTY["overfitted"][0](0, 1))["validation tracks training"].ok
    assert not marks(FAULTY["starved"][0](0, 1))["fast decline, then flattening"].ok
    assert not marks(FAULTY["frozen"][0](0, 1))["overall descent"].ok
    steep = make(2.0 - 1.2 * np.arange(300) / 300, {}, 0, noise=0.01)
    assert not marks(steep)["reaches a stable plateau"].ok


def test_a_gap_fails_the_guides_mark_and_never_warns():
    train, evals = fall(2.0, 0.5), fall(2.0, 1.3)
    curve = make(train[1:], at_evals(evals), 0)
    found = marks(curve)
    assert found["gap at most 0.5 nats"].ok is False
    assert found["validation not above training"].ok is False
    assert diagnose(curve).health == "healthy"


def test_marks_that_cannot_be_measured():
    found = marks(replace(one_epoch(0, 1), eval_loss=EMPTY))
    assert found["validation tracks training"].ok is None
    assert found["gap at most 0.5 nats"].value is None
    assert {mark.ok for mark in marks(Curve("test", "", EMPTY)).values()} == {None}


def test_a_loss_logged_on_another_scale_is_read_on_its_own():
    line = fall(1.6, 0.4)
    diagnosis = diagnose(make(8 * line[1:], at_evals(line), 0))
    reading, gap = diagnosis.guide_reading, next(mark for mark in diagnosis.checklist if mark.mark.startswith("gap"))
    assert (gap.ok, gap.value) == (True, pytest.approx(0.0, abs=0.05))
    assert reading.final_loss == pytest.approx(0.4, rel=0.1)
    assert reading.target.startswith("0.2-0.5")
    assert "8.0 times that" in reading.tree_advice
