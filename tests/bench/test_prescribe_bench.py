"""The parts of the prescription bench that compute: who does what a prescription says, and how it is counted."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.fault_sft.record import Log, Record  # noqa: E402
from bench.fault_sft.spec import LONGEST_RUN, Recipe, Spec  # noqa: E402
from bench.prescribe.cases import Reference, choose, final_loss, group  # noqa: E402
from bench.prescribe.follow import Followed, Outcome, judge  # noqa: E402
from bench.prescribe.knobs import config_of, followed, same_run, usual_of  # noqa: E402
from bench.prescribe.policies import best_of, random_search, third  # noqa: E402
from bench.prescribe.space import CHOICES, chosen_by, recipe_of  # noqa: E402
from bench.prescribe.tables import closed, counts  # noqa: E402
from bench.prescribe.tpe import as_trial  # noqa: E402
from bench.prescribe.twins import twin_of  # noqa: E402

from tunewright.schema.prescription import Change, Prescription  # noqa: E402
from tunewright.schema.recipe_io import KEYS  # noqa: E402

BASE = "code-qwen3"


def change(key: str, after: object = None) -> Change:
    return Change(key, None, after, None, "why", "evidence.rule", "source")


def told(*changes: Change, keep: bool = False) -> Prescription:
    return Prescription(keep, changes)


def record(spec: Spec, *losses: float, rise: float = 0.0) -> Record:
    log = Log([2.0] * 10, [1e-3] * 10, [1.0] * 10, [(step, loss) for step, loss in enumerate(losses)])
    return Record(spec, log, spec.recipe.steps, 40.0, (1.0, 1.0 + rise))


def test_values_are_changed_and_a_look_at_the_right_place_puts_a_fault_right() -> None:
    spec = Spec(BASE, Recipe(), ops={"mask_rows": 0.5})
    turned = followed(spec, told(change("learning_rate", 5e-3), change("num_train_epochs", 2.0)))
    assert turned is not None
    assert (turned.recipe.learning_rate, turned.recipe.epochs, dict(turned.ops)) == (5e-3, 2.0, {"mask_rows": 0.5})
    looked = followed(spec, told(change("data"), change("learning_rate", 5e-3)))
    assert looked is not None
    assert (looked.recipe, dict(looked.ops)) == (spec.recipe, {})
    elsewhere = followed(spec, told(change("val")))
    assert elsewhere is not None
    assert same_run(elsewhere, spec)


def test_a_schedule_put_right_and_a_log_on_another_scale_leave_the_knobs_to_be_turned() -> None:
    spec = Spec(BASE, Recipe(), ops={"schedule_share": 0.5, "scaled_log": 8})
    looks = change("lr_scheduler_type"), change("gradient_accumulation_steps")
    done = followed(spec, told(*looks, change("num_train_epochs", 1.0)))
    assert done is not None
    assert (done.recipe.epochs, dict(done.ops)) == (1.0, {})


@pytest.mark.parametrize(
    ("faults", "sizes", "made", "was"),
    [
        (("lr_high",), "30", {"learning_rate": 0.15}, {"learning_rate": 5e-3}),
        (("lr_low", "warmup_all"), "100+1", {"learning_rate": 5e-5, "warmup": 1.0}, {"learning_rate": 5e-3}),
        (("few_steps",), "0.3", {"epochs": 0.9}, {}),
        (("batch_one",), "5", {"learning_rate": 0.025, "batch": 1, "epochs": 0.5}, {"learning_rate": 5e-3}),
        (("garbage_batch",), "0.5", {}, {}),
    ],
)
def test_a_twin_is_the_recipe_before_the_fault(
    faults: tuple[str, ...], sizes: str, made: dict[str, float], was: dict[str, float]
) -> None:
    spec = Spec(BASE, Recipe().changed(**made), 7, faults=faults, severity=sizes, ops={"garbage_at": 0.5})
    twin = twin_of(spec, Recipe())
    assert twin is not None
    assert twin.recipe == Recipe().changed(**was)
    assert (twin.seed, dict(twin.ops), twin.faults) == (7, {}, ())


def test_few_rows_and_another_method_have_no_twin() -> None:
    few = Spec(BASE, Recipe(rows=48), faults=("tiny_epochs",), severity="48")
    other = Spec(BASE, Recipe(rank=1), faults=("rank_one",), severity="1")
    assert twin_of(few, Recipe()) is None
    assert twin_of(other, Recipe()) is None


def test_keeping_leads_to_no_run() -> None:
    assert followed(Spec(BASE, Recipe()), told(keep=True)) is None
    assert followed(Spec(BASE, Recipe()), told()) is None


def test_nan_by_chance_is_gone_and_an_overflow_stays_until_the_precision_changes() -> None:
    spec = Spec(BASE, Recipe(), ops={"nan_at": 0.5, "overflow_at": 0.4, "overflow_at_for": 2})
    clipped = followed(spec, told(change("max_grad_norm", 0.3)))
    wider = followed(spec, told(change("precision", "bf16")))
    assert clipped is not None
    assert wider is not None
    assert dict(clipped.ops) == {"overflow_at": 0.4, "overflow_at_for": 2}
    assert dict(wider.ops) == {}


def test_copies_that_are_found_leave_the_rows_that_differ() -> None:
    cured = followed(Spec(BASE, Recipe(), ops={"duplicate": 16}), told(change("data")))
    assert cured is not None
    assert cured.recipe.rows == 16
    assert group(cured) == group(Spec(BASE, Recipe(), ops={"duplicate": 16}))


def test_a_longer_run_than_the_longest_is_the_longest() -> None:
    spec = Spec(BASE, Recipe(epochs=4.0))
    assert spec.recipe.steps == LONGEST_RUN
    longer = followed(spec, told(change("num_train_epochs", 16.0)))
    assert longer is not None
    assert same_run(longer, spec)


def test_settings_are_recipe_keys_and_the_planned_start_is_known() -> None:
    spec = Spec(BASE, Recipe(rows=48))
    assert set(config_of(spec)) <= set(KEYS)
    usual = usual_of(spec)
    assert 1e-3 < usual["learning_rate"] < 1e-2
    assert usual["num_train_epochs"] == 30.0


def test_the_best_run_is_asked_about_and_faults_put_right_stay_right() -> None:
    faulty = record(Spec(BASE, Recipe(), ops={"scaled_log": 8}), 3.0, 1.0)
    cured, worse = record(Spec(BASE, Recipe()), 3.0, 1.5), record(Spec(BASE, Recipe(rank=4)), 3.0, math.nan)
    assert best_of([faulty]) is faulty
    assert best_of([faulty, cured]) is cured
    assert best_of([faulty, cured, worse]) is cured
    assert final_loss(worse) == math.inf


def test_peers_draw_and_divide() -> None:
    spec = Spec(BASE, Recipe(learning_rate=3e-3), ops={"nan_at": 0.5})
    runs = [record(spec, 3.0, 2.0)]
    divided = third(runs, 0)
    assert divided is not None
    assert (divided.recipe.learning_rate, dict(divided.ops)) == (pytest.approx(1e-3), {})
    drawn = [random_search([*runs] * count, 0) for count in (1, 2, 3)]
    assert len({one.id for one in drawn if one is not None}) == 3
    assert drawn[0] == random_search(runs, 0)


def test_a_recipe_of_the_space_is_told_as_it_was_asked_for() -> None:
    first = Spec(BASE, Recipe(method="full", rows=48, schedule="wsd"))
    chosen = {name: values[-1] for name, values in CHOICES.items()}
    made = recipe_of(first, 2.5e-3, chosen)
    assert (made.method, made.rows, made.learning_rate, made.steps) == ("full", 48, 2.5e-3, chosen["steps"])
    assert chosen_by(made) == chosen


def test_a_run_outside_the_space_is_told_as_the_nearest_inside() -> None:
    recipe = Recipe(learning_rate=0.3, batch=32, accumulation=4, rank=1, schedule="wsd", weight_decay=30.0)
    trial = as_trial(record(Spec(BASE, recipe), 3.0, math.nan), 1e-3, 1e-1)
    assert trial["loss"] is None
    assert "schedule" not in trial["values"]
    assert [trial["values"][name] for name in ("learning_rate", "batch", "rank", "weight_decay")] == [0.1, 16, 8, 0.01]
    assert as_trial(record(Spec(BASE, recipe), 3.0, 1.5), 1e-3, 1e-1)["loss"] == 1.5


@pytest.mark.parametrize(
    ("loss", "rise", "fixed", "mended", "worse"),
    [
        (1.009, 0.5, True, True, False),
        (1.02, 0.5, False, True, False),
        (1.2, 0.5, False, False, False),
        (1.5, 0.5, False, False, True),
        (1.0, 0.6, False, False, False),
    ],
)
def test_a_run_is_judged_by_its_loss_and_by_what_it_forgot(
    loss: float, rise: float, fixed: bool, mended: bool, worse: bool
) -> None:
    faulty = record(Spec(BASE, Recipe()), 3.0, 1.4)
    reference = Reference(1.0, 0.0, 0.52)
    outcome = judge(record(Spec(BASE, Recipe(rank=4)), 3.0, loss, rise=rise), faulty, faulty, reference, 1.19)
    assert (outcome.fixed, outcome.mended, outcome.worse) == (fixed, mended, worse)
    assert outcome.as_twin is (loss <= 1.19 * 1.01)
    assert outcome.changed == {"rank": 4}


def outcome(loss: float, *, fixed: bool = False, worse: bool | None = False) -> Outcome:
    return Outcome("run", loss, fixed, fixed, fixed, True, True, worse, {})


def case(*outcomes: Outcome, start: float = 2.0) -> Followed:
    return Followed("case", "lr_high", 0, "tunewright", start, 1.0, 1.0, outcomes)


def test_counts_ask_the_first_run_and_any_of_three() -> None:
    cases = [
        case(outcome(1.0, fixed=True)),
        case(outcome(2.5, worse=True), outcome(1.0, fixed=True)),
        case(),
        case(outcome(1.5, worse=None)),
    ]
    found = counts(cases)
    assert (found["fixed first"].right, found["fixed first"].of) == (1, 4)
    assert found["fixed in three"].right == 2
    assert (found["twin first"].right, found["twin in three"].right) == (1, 2)
    assert (found["harm"].right, found["harm"].of) == (1, 3)


def test_regret_closed_is_of_the_best_run() -> None:
    assert closed(case(outcome(1.5), outcome(1.25))) == 0.75
    assert closed(case(outcome(9.0))) == -1.0
    assert closed(case()) == 0.0
    assert math.isnan(closed(case(outcome(1.5), start=math.inf)))


def test_cases_are_the_same_every_time_and_take_turns() -> None:
    first = choose("dev", 20)
    assert [one.record.spec.id for one in first] == [one.record.spec.id for one in choose("dev", 20)]
    assert len({one.fault for one in first}) == 20
