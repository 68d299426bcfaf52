"""The committed logs hold numbers only, belong to known bases, and every part of the table can be made from them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "fault_sft" / "peers"))

import adapter
from bench.fault_sft.dataset import bases_of, load
from bench.fault_sft.families import FAMILIES, NEUTRAL, OF_SYMPTOM
from bench.fault_sft.injections import INJECTIONS
from bench.fault_sft.latency import Latency, summary
from bench.fault_sft.ours import claims_of, first_alarm, read
from bench.fault_sft.paths import DESCRIPTORS, LOGS_DIR, REFERENCES
from bench.fault_sft.record import read_lines
from bench.fault_sft.relog import VIEWS, View
from bench.fault_sft.tables import cases, counts_text, families_table, readers_table, severity_table, views_table

from tunewright.doctor.codes import CODES

NOT_FINITE = {"nan", "inf", "-inf"}


def test_the_halves_share_no_base_and_are_all_there_is() -> None:
    described = {entry["base"] for entry in json.loads(DESCRIPTORS.read_text())}

    assert not set(bases_of("dev")) & set(bases_of("heldout"))
    assert set(bases_of("all")) == described == {path.name.removesuffix(".jsonl.gz") for path in LOGS_DIR.iterdir()}
    assert set(json.loads(REFERENCES.read_text())) == {
        f"{base}/{way}" for base in described for way in ("lora", "full")
    }


@pytest.mark.parametrize("base", bases_of("all"))
def test_logs_hold_numbers_and_every_step(base: str) -> None:
    lines = read_lines(LOGS_DIR / f"{base}.jsonl.gz")

    assert len({line["id"] for line in lines}) == len(lines) > 0
    for line in lines:
        columns = [line["log"][name] for name in ("raw", "rate", "grad")]
        values = [value for column in columns for value in column] + [loss for _, loss in line["log"]["evals"]]
        assert all(isinstance(value, float | int) or value in NOT_FINITE for value in values)
        assert {len(column) for column in columns} == {line["max_steps"]}
        assert [line["log"]["evals"][end][0] for end in (0, -1)] == [0, line["max_steps"]]
        assert set(line["spec"]["faults"]) <= set(INJECTIONS)
        assert line["spec"]["base"] == base


def test_every_symptom_of_the_doctor_is_counted_or_named_as_neutral() -> None:
    assert set(OF_SYMPTOM) | set(NEUTRAL) == set(CODES)
    assert set(OF_SYMPTOM.values()) <= set(FAMILIES)


def test_a_run_is_read_and_printed() -> None:
    from bench.fault_sft.score import score

    runs = load("dev")[:6]
    result = score(runs, [read(run.record, View()) for run in runs])

    assert result.refused.of == len(runs)
    assert "tunewright" in readers_table({"tunewright": result})
    assert all(view.name in views_table({view.name: result for view in VIEWS}) for view in VIEWS)
    assert counts_text(runs).startswith(f"{len(runs)} runs")
    assert len(cases(result)) == len(result.cases)
    for text in (families_table(result), severity_table(runs, result)):
        assert "|" in text


def test_the_first_alarm_is_not_before_the_first_sign() -> None:
    run = next(run for run in load("dev") if run.record.spec.faults == ("nan_unfiltered",))
    step = first_alarm(run.record, frozenset({"numeric"}))

    assert step is not None
    assert step / run.record.max_steps >= INJECTIONS["nan_unfiltered"].onset


def test_latency_is_counted_from_the_onset() -> None:
    told = summary([Latency("numeric", 0.5, 0.75), Latency("numeric", 0.5, 0.25), Latency("numeric", 0.5, None)])

    assert told == {"runs": 3, "named": 2, "median_share_after_onset": 0.0, "before_onset": 1}


def test_a_rise_over_the_start_by_overfitting_is_overfitting() -> None:
    from tunewright.doctor.detectors.base import found
    from tunewright.schema.finding import Diagnosis, GuideReading, Source

    def family(train_fell: bool) -> str:
        finding = found("worse_than_start", (0, 9), "why", {"train_fell": train_fell})
        reading = GuideReading(None, "", "", "")
        diagnosis = Diagnosis(Source("csv", "", 9, 1, 2), "sick", reading, (), (finding,))
        return claims_of(diagnosis)[0].family

    assert (family(True), family(False)) == ("overfit", "instability")


# --- what peers are given ----------------------------------------------------------------------------------------


def test_epoch_wise_peers_get_the_mean_since_the_last_evaluation(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": float(step)} for step in range(1, 7)]
    rows += [{"step": 0, "eval_loss": 9.0}, {"step": 2, "eval_loss": 8.0}, {"step": 6, "eval_loss": 7.0}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": rows}))

    assert adapter.matched(tmp_path) == ([1.5, 4.5], [8.0, 7.0])


def test_a_knob_pulled_both_ways_is_told_as_such() -> None:
    assert adapter.pulls_of([("learning_rate", 1), ("learning_rate", -1), ("epochs", 1)]) == {
        "learning_rate": 0,
        "epochs": 1,
    }
