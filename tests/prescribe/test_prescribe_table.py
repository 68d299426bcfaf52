"""Grown data and typed tables, with the guide's own numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.prescribe.grown import grown_data, grown_prescription
from tunewright.prescribe.steps_check import check_steps
from tunewright.prescribe.table import TypedRun, judge, read_table
from tunewright.prescribe.table_next import GUIDE_SETTINGS, next_from_table
from tunewright.schema.errors import DataError, UsageError
from tunewright.schema.recipe import Recipe

BEFORE = {"num_train_epochs": 8.0, "learning_rate": 5e-5}
GUIDE_CSV = """rows,epochs,learning_rate,steps,final_loss,note
625,5,1e-4,395,0.4-0.6,okay
625,8,5e-5,632,0.02\u20130.1,too perfect
825,5,8e-5,515,0.6-0.9,not enough
"""


@pytest.fixture
def guide_runs(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(GUIDE_CSV, encoding="utf-8")
    return read_table(path)


def test_a_spreadsheets_semicolons_and_decimal_commas(tmp_path, guide_runs):
    path = tmp_path / "german.csv"
    path.write_text(GUIDE_CSV.replace(",", ";").replace(".", ","), encoding="utf-8")
    assert read_table(path) == guide_runs


def after(changes):
    return {change.key: (change.before, change.after) for change in changes}


def test_the_guides_three_options():
    a, b, c = grown_data(625, 825, BEFORE, "guide")
    assert after(a.changes) == {"num_train_epochs": (8.0, 7.0)}
    assert after(b.changes) == {"learning_rate": (5e-5, 6.6e-5)}
    assert after(c.changes) == {"num_train_epochs": (8.0, 7.0), "learning_rate": (5e-5, 1e-4)}
    assert "5,000 / 825 = 6.06, rounded up to 7" in a.arithmetic
    assert "5e-5 x 1.32" in b.arithmetic
    assert "which the guide rounds to 8e-5" in b.arithmetic
    assert [option.recommended for option in (a, b, c)] == [False, False, True]


def test_evidence_prefers_epochs_and_says_why_they_differ():
    options = grown_data(625, 825, BEFORE)
    assert [option.recommended for option in options] == [True, False, False]
    prescription = grown_prescription(625, 825, BEFORE)
    assert after(prescription.changes) == {"num_train_epochs": (8.0, 7.0)}
    assert "recommends C (num_train_epochs 8 -> 7, learning_rate 5e-5 -> 1e-4)" in prescription.disagreements[0]
    assert after(grown_prescription(625, 825, BEFORE, "guide").changes)["learning_rate"] == (5e-5, 1e-4)


def test_the_guides_own_measure_of_each_option_is_told():
    a, b, c = grown_data(625, 825, BEFORE)
    assert "x0.66 of before" in a.arithmetic
    assert "x1.00 of before" in b.arithmetic
    assert "x1.33 of before" in c.arithmetic


def test_unchanged_rows_change_nothing_and_unknown_recipes_get_factors():
    assert all(not option.changes for option in grown_data(625, 625, BEFORE))
    assert grown_prescription(625, 625, BEFORE).keep
    a, b, c = grown_data(500, 1000, {})
    assert (a.changes[0].factor, a.changes[0].after) == (0.5, None)
    assert b.changes[0].factor == 2.0
    assert c.changes[1].factor == 2.0


def test_rows_must_be_positive():
    with pytest.raises(UsageError, match="above 0"):
        grown_data(0, 825, BEFORE)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 60), st.floats(1e-6, 1e-2))
def test_options_for_any_growth_see_enough_rows_and_make_recipes(old, new, epochs, rate):
    config = {"num_train_epochs": float(epochs), "learning_rate": rate}
    a, _, c = grown_data(old, new, config)
    for change in a.changes:
        assert change.after * new >= old * epochs * (1 - 1e-9)  # never fewer views than before
        assert change.after == 1 or (change.after - 1) * new < old * epochs * (1 + 1e-9)  # nor a whole epoch too many
    ratio = next((change.after / rate for change in c.changes if change.key == "learning_rate"), 1.0)
    assert 0.499 <= ratio <= 2.001
    assert (ratio >= 0.999) if new >= old else (ratio <= 1.001)
    for option in (a, c):
        Recipe(model="tiny", data="rows.jsonl", **{change.key: change.after for change in option.changes})


def test_the_guides_three_verdicts(guide_runs):
    okay, overfit, underfit = (judge(run) for run in guide_runs)
    assert (okay.word, okay.straddles) == ("okay", True)
    assert "straddles sweet spot and underfit" in okay.text
    assert (overfit.word, overfit.straddles) == ("overfit", False)
    assert (underfit.word, underfit.straddles) == ("underfit", False)


def test_steps_tell_the_batch_and_the_rounding(guide_runs):
    checks = [judge(run).steps for run in guide_runs]
    assert [(check.effective_batch, check.rounding) for check in checks] == [(8, "up"), (8, "up"), (8, "down")]
    assert "103 x 5" in checks[2].text
    assert "104 x 5 = 520" in checks[2].text
    exact = check_steps(625, 8, 625)  # the guide's own slip: 625 / 8 x 8
    assert (exact.effective_batch, exact.rounding) == (8, "none")
    assert check_steps(625, 5, 3).effective_batch is not None
    assert check_steps(10, 1, 900).effective_batch is None


def test_the_guides_table_gives_the_guides_correction(guide_runs):
    answer = next_from_table(guide_runs, "guide")
    assert answer.rows == 825
    assert answer.base == guide_runs[1]
    assert after(answer.prescription.changes) == {"num_train_epochs": (5.0, 7.0), "learning_rate": (8e-5, 1e-4)}
    assert answer.settings == GUIDE_SETTINGS
    assert "0.2-0.4" in answer.expects
    Recipe(model="tiny", data="rows.jsonl", **GUIDE_SETTINGS)


def test_evidence_moves_only_the_epochs_of_the_guides_table(guide_runs):
    answer = next_from_table(guide_runs)
    assert after(answer.prescription.changes) == {"num_train_epochs": (5.0, 7.0)}
    assert "Weak evidence" in answer.prescription.why
    assert "recommends C" in answer.prescription.disagreements[0]
    assert answer.settings == {}


def test_without_growth_the_tree_speaks(guide_runs):
    answer = next_from_table(guide_runs[:2], "guide")
    assert answer.base is None
    assert after(answer.prescription.changes) == {"num_train_epochs": (8.0, 6.4)}
    assert [option.name for option in answer.options] == ["epochs", "LR"]


def test_a_straddling_or_good_last_run_is_kept(guide_runs):
    assert next_from_table(guide_runs[:1]).prescription.keep
    good = TypedRun(5, 825, 7, 1e-4, 721, 0.3, 0.3)
    assert next_from_table((*guide_runs, good), "guide").prescription.keep


def test_a_correction_against_the_verdict_is_not_made(guide_runs):
    # trained too much on the grown data: carrying more training over would be the wrong way
    too_much = TypedRun(4, 825, 5, 8e-5, 515, 0.05, 0.1)
    answer = next_from_table((guide_runs[1], too_much), "guide")
    assert answer.base is None
    assert after(answer.prescription.changes) == {"num_train_epochs": (5.0, 4.0)}


def test_new_rows_carry_the_last_run_over(guide_runs):
    answer = next_from_table(guide_runs[:2], "guide", new_rows=825)
    assert after(answer.prescription.changes) == {"num_train_epochs": (8.0, 7.0), "learning_rate": (5e-5, 1e-4)}


def test_no_runs_is_a_usage_error():
    with pytest.raises(UsageError):
        next_from_table(())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["empty"]),
        ("rows,epochs,learning_rate,steps,final_loss\n", ["no runs"]),
        ("rows,epochs,steps,final_loss\n1,1,1,1\n", ["line 1", "learning_rate"]),
        ("rows,rows,epochs,learning_rate,steps,final_loss\n", ["line 1", "rows", "twice"]),
        ("rows,epochs,learning_rate,steps,final_loss\n625,5,1e-4,395,low\n", ["line 2", "final_loss", "'low'"]),
        ("rows,epochs,learning_rate,steps,final_loss\n625,5,1e-4,395,0.6-0.4\n", ["line 2", "lower end"]),
        ("rows,epochs,learning_rate,steps,final_loss\n\n625,five,1e-4,395,0.4\n", ["line 3", "epochs", "'five'"]),
        ("rows,epochs,learning_rate,steps,final_loss\n6.5,5,1e-4,395,0.4\n", ["line 2", "rows", "whole"]),
        ("rows,epochs,learning_rate,steps,final_loss\n625,5,nan,395,0.4\n", ["learning_rate", "'nan'"]),
        ("rows,epochs,learning_rate,steps,final_loss\n625,5,1e-4,395\n", ["line 2", "4 values", "5 columns"]),
        ("rows,epochs,learning_rate,steps,final_loss\n625,5,1e-4,395,1e999\n", ["line 2", "final_loss"]),
    ],
)
def test_table_errors_name_line_and_column(tmp_path, text, parts):
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert caught.value.hint


def test_unreadable_tables_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    binary = tmp_path / "runs.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_table(binary)


def test_order_case_spaces_and_extra_columns_are_fine(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("\ufefffinal_loss, Steps ,rows,epochs,learning_rate,who\n0.4 to 0.6, 395,625,5,1e-4,me\n", "utf-8")
    (run,) = read_table(path)
    assert (run.loss_low, run.loss_high, run.steps, run.extra) == (0.4, 0.6, 395, {"who": "me"})
    path.write_text("rows,epochs,learning_rate,steps,final_loss\n1,1,1,1,1e-2-2e-1\n", "utf-8")
    assert (read_table(path)[0].loss_low, read_table(path)[0].loss_high) == (0.01, 0.2)


def test_an_empty_steps_cell_means_that_nobody_knows(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("rows,epochs,learning_rate,steps,final_loss\n625,5,1e-4,,0.7\n", "utf-8")
    (run,) = read_table(path)
    verdict = judge(run)
    assert run.steps is None
    assert (verdict.word, verdict.steps.effective_batch) == ("underfit", None)
    assert "not known" in verdict.steps.text
    assert not next_from_table([run]).prescription.keep
