"""Labels come from outcomes, and the scorer counts what it says it counts: on hand-made runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.fault_sft.dataset import Labelled
from bench.fault_sft.families import DOWN, UP, Claim, Reading
from bench.fault_sft.injections import COMPOUNDS, CONTROLS, INJECTIONS, inject
from bench.fault_sft.labels import Truth, best_losses, truth_of
from bench.fault_sft.peers import rules
from bench.fault_sft.plan import plan
from bench.fault_sft.record import Log, Record
from bench.fault_sft.relog import View
from bench.fault_sft.score import clopper_pearson, score
from bench.fault_sft.spec import LONGEST_RUN, Recipe, Spec

STEPS = 100


def falling(start: float, end: float, steps: int = STEPS) -> list[float]:
    """A curve that falls fast, then slowly, with a small fixed wiggle."""
    shape = [math.exp(-6 * step / steps) for step in range(steps)]
    return [end + (start - end) * part + 0.01 * math.sin(1.7 * step) for step, part in enumerate(shape)]


def run(train: list[float], evals: list[float], *faults: str, **ops: float) -> Record:
    places = [round(STEPS * n / (len(evals) - 1)) for n in range(len(evals))]
    log = Log(train, [1e-3] * len(train), [1.0] * len(train), list(zip(places, evals, strict=True)))
    spec = Spec("b", Recipe(), kind="fault" if faults else "control", faults=faults, ops=ops)
    return Record(spec, log, len(train), 40.0)


SPIKED = [*falling(3.0, 1.0)[:60], 9.0, *falling(3.0, 1.0)[61:]]
SOUND = run(falling(3.0, 1.0), falling(3.0, 1.0, 9))


def test_a_run_near_the_reference_is_healthy() -> None:
    assert truth_of(SOUND, 1.0).status == "healthy"
    assert truth_of(SOUND, 0.8).status == "control"


@pytest.mark.parametrize(
    ("record", "required"),
    [
        (run(falling(3.0, 2.6), [3.0, 2.95, 2.9, 2.8, 2.7, 2.6], "lr_low"), {"not_learning"}),
        (run(falling(3.0, 0.1), [3.0, 1.5, 1.2, 1.3, 1.6, 2.0], "tiny_epochs"), {"overfit"}),
        (run([3.0, 6.0, 9.0] + [5.0] * 97, [3.0, 5.1, 5.0, 5.0, 5.0], "lr_high"), {"instability"}),
        (run(falling(3.0, 1.0)[:50] + [math.nan] * 50, [3.0, 1.0, math.nan], "nan_weights"), {"numeric"}),
        (run(SPIKED, falling(3.0, 1.0, 9), "garbage_batch"), {"data", "instability"}),
        (run(falling(3.0, 1.0), falling(3.0, 1.0, 9), "schedule_short"), {"schedule"}),
        (run(falling(5.0, 3.0), falling(3.0, 1.0, 9), "label_noise"), {"data"}),
    ],
)
def test_what_the_outcome_shows_is_asked_for(record: Record, required: set[str]) -> None:
    truth = truth_of(record, 1.0)

    assert truth.required == required
    assert truth.status == "fault"
    assert truth.required <= truth.allowed


def test_a_fault_without_harm_is_harmless_and_one_that_cannot_be_seen_is_hidden() -> None:
    unharmed = run(falling(3.0, 1.0), falling(3.0, 1.0, 9), "lr_high")
    flat_but_worse = run(falling(3.0, 1.3), falling(3.0, 1.3, 9), "lr_high")

    assert truth_of(unharmed, 1.0).status == "harmless"
    assert truth_of(flat_but_worse, 1.0).status == "hidden"
    assert not truth_of(flat_but_worse, 1.0).visible


def test_isolated_lost_losses_are_masked_rows_not_a_broken_run() -> None:
    train = falling(3.0, 1.0)
    for step in range(5, 95, 9):
        train[step] = math.nan

    assert truth_of(run(train, falling(3.0, 1.0, 9), "rows_masked"), 1.0).required == {"data"}


def test_directions_that_do_harm() -> None:
    overfit = truth_of(run(falling(3.0, 0.1), [3.0, 1.5, 1.2, 1.3, 1.6, 2.0], "tiny_epochs"), 1.0)
    starved = truth_of(run(falling(3.0, 2.6), [3.0, 2.95, 2.9, 2.8, 2.7, 2.6], "lr_low"), 1.0)

    assert ("epochs", UP) in overfit.harmful
    assert ("learning_rate", DOWN) in starved.harmful


def test_a_better_control_becomes_the_reference() -> None:
    references = {"b/lora": {"eval_loss": 1.5}, "b/full": {"eval_loss": 1.4}}

    assert best_losses([SOUND], references) == {"b/lora": SOUND.log.evals[-1][1], "b/full": 1.4}


# --- the scorer --------------------------------------------------------------------------------------------------


def labelled(
    status: str,
    required: Collection[str] = (),
    harmful: Collection[tuple[str, int]] = (),
    *faults: str,
) -> Labelled:
    record = run(falling(3.0, 1.0), falling(3.0, 1.0, 9), *faults)
    return Labelled(record, Truth(status, frozenset(required), frozenset(required), frozenset(harmful), {}))


def said(*claims: tuple[str, bool], **pulls: int) -> Reading:
    return Reading(tuple(Claim(family, family, firm) for family, firm in claims), pulls)


def test_recall_counts_any_severity_and_precision_only_warnings() -> None:
    runs = [labelled("fault", {"overfit"}, set(), "tiny_epochs") for _ in range(3)]
    result = score(runs, [said(("overfit", False)), said(("overfit", True), ("schedule", True)), said()])

    assert (result.recall["overfit"].right, result.recall["overfit"].of) == (2, 3)
    assert (result.recall_firm.right, result.recall_firm.of) == (1, 3)
    assert (result.warnings.right, result.warnings.of) == (1, 2)
    assert [case["what"] for case in result.cases] == ["false schedule", "missed"]


def test_macro_recall_weighs_families_alike() -> None:
    runs = [labelled("fault", {"overfit"}, set(), "tiny_epochs")] * 3 + [
        labelled("fault", {"numeric"}, set(), "overflow")
    ]
    result = score(runs, [said(("overfit", True))] * 3 + [said()])

    assert result.macro_recall == 0.5


def test_alarms_are_counted_on_healthy_runs_only_when_firm() -> None:
    runs = [labelled("healthy")] * 3
    result = score(runs, [said(), said(("overfit", False)), said(("overfit", True), learning_rate=DOWN)])

    assert (result.alarms.right, result.alarms.of) == (1, 3)
    assert result.needless.right == 1


def test_advice_the_wrong_way_or_both_ways_is_wrong() -> None:
    runs = [labelled("fault", {"not_learning"}, {("learning_rate", DOWN)}, "lr_low")] * 3
    hit = ("not_learning", True)
    readings = [said(hit, learning_rate=UP), said(hit, learning_rate=DOWN), said(hit, learning_rate=0)]

    assert score(runs, readings).wrong_advice.right == 2


def test_a_hidden_fault_asks_for_nothing() -> None:
    result = score([labelled("hidden", set(), set(), "permuted")], [said()])

    assert not result.recall
    assert math.isnan(result.macro_recall)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"), [(0, 149, 0.0, 0.0245), (10, 10, 0.6915, 1.0), (3, 20, 0.0321, 0.3789)]
)
def test_intervals_are_exact(right: int, of: int, low: float, high: float) -> None:
    assert clopper_pearson(right, of) == pytest.approx((low, high), abs=5e-4)


# --- what is planned ---------------------------------------------------------------------------------------------


def test_every_injection_changes_the_run_and_every_plan_has_each_once() -> None:
    recipe = {"learning_rate": 1e-3, "epochs": 3.0}
    references: dict[str, Any] = {f"docs-llama/{method}": {"recipe": recipe} for method in ("lora", "full")}
    specs = plan("docs-llama", references)

    assert len({spec.id for spec in specs}) == len(specs)
    assert {fault for spec in specs for fault in spec.faults} >= set(INJECTIONS)
    assert {spec.severity for spec in specs if not spec.faults} == set(CONTROLS) - {"plain"} | {""}
    assert all(1 < spec.recipe.steps <= LONGEST_RUN for spec in specs)


@pytest.mark.parametrize("name", sorted(INJECTIONS))
def test_an_injection_is_a_change(name: str) -> None:
    sound = Spec("docs-llama", Recipe(method="lora", schedule="linear", rank=8))
    for severity in INJECTIONS[name].severities:
        spec = inject(sound, (name, severity))
        assert (spec.recipe, dict(spec.ops)) != (sound.recipe, dict(sound.ops))
        assert Spec.from_json(spec.to_json()) == spec


def test_compounds_name_known_faults() -> None:
    assert {name for pair in COMPOUNDS for name, _ in pair} <= set(INJECTIONS)


# --- the rules written here --------------------------------------------------------------------------------------


def names(reading: Reading) -> set[str]:
    return {claim.name for claim in reading.claims}


def test_sagemaker_rules_at_their_defaults() -> None:
    assert names(rules.sagemaker(run([3.0 - 0.02 * n for n in range(STEPS)], [3.0, 2.0, 1.0]), View())) == set()
    assert "LossNotDecreasing" in names(rules.sagemaker(run([1.0] * STEPS, [1.0, 0.9, 0.8]), View()))
    assert "Overfit" in names(rules.sagemaker(run([3.0 - 0.02 * n for n in range(STEPS)], [3.0, 3.0, 3.0]), View()))
    assert "Overtraining" in names(rules.sagemaker(run([1.0] * STEPS, [1.0] * 12), View()))
    assert "ExplodingTensor" in names(rules.sagemaker(run([1.0] * STEPS, [1.0, math.inf]), View()))


def test_the_zscore_alert_needs_a_full_window() -> None:
    quiet = [1.0 + 0.01 * (n % 2) for n in range(STEPS)]

    assert names(rules.wandb_zscore(run(quiet, [1.0, 1.0]), View())) == set()
    assert names(rules.wandb_zscore(run([*quiet[:50], 5.0, *quiet[51:]], [1.0, 1.0]), View())) == {"z-score"}
    assert names(rules.wandb_zscore(run([*quiet[:20], 5.0, *quiet[21:25]], [1.0, 1.0]), View())) == set()
