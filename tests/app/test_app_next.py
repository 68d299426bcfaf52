"""next: from the guide's own table, from a run, from grown data, from a log without a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.app.next_recipe import next_recipe
from tunewright.app.usual import usual_settings
from tunewright.app.watch import Silent
from tunewright.cli.main import run as cli
from tunewright.cli.show_diagnosis import next_text
from tunewright.planner.learning_rate import first_run
from tunewright.schema.errors import DataError, UsageError
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import to_yaml

TABLE = """rows,epochs,learning_rate,steps,final_loss,result
625,5,1e-4,395,0.4-0.6,"okay, some hallucination"
625,8,5e-5,632,0.02-0.1,too perfect
825,5,8e-5,515,0.6-0.9,did not learn enough
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "runs.csv"
    path.write_text(TABLE)
    return str(path)


def test_the_guides_three_runs_give_the_guides_corrected_run(table: str) -> None:
    answer = next_recipe(table=table, policy="guide")
    assert "0.2-0.4" in answer["expects"]
    assert [verdict["word"] for verdict in answer["verdicts"]] == ["okay", "overfit", "underfit"]
    assert answer["recipe"]["num_train_epochs"] == 7
    assert answer["recipe"]["learning_rate"] == pytest.approx(1e-4)
    assert answer["recipe"]["gradient_accumulation_steps"] == 8
    assert [option.name for option in answer["options"] if option.recommended] == ["C"]


def test_the_evidence_policy_takes_epochs_first_and_says_why_they_differ(table: str) -> None:
    answer = next_recipe(table=table)
    assert "expects" not in answer  # the guide's figure, and not this policy's
    assert answer["recipe"]["num_train_epochs"] == 7
    assert answer["recipe"]["learning_rate"] == pytest.approx(8e-5)
    assert any("recommends C" in voice for voice in answer["prescription"].disagreements)


def test_a_broken_table_names_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(TABLE.replace("8e-5", "fast"))
    with pytest.raises(DataError, match=r"line 4.*learning_rate"):
        next_recipe(table=str(tmp_path / "runs.csv"))


def made_run(folder: Path, **given: Any) -> Path:
    """A run folder whose validation loss turned at step 40 of 100."""
    folder.mkdir()
    recipe = Recipe(**{"model": "m", "data": "d.jsonl", "num_train_epochs": 10.0, **given})
    (folder / "recipe.yaml").write_text(to_yaml(recipe))
    (folder / "run.json").write_text(json.dumps({"status": "finished", "rows": {"train": 625, "val": 50}}))
    with open(folder / "metrics.jsonl", "w") as file:
        for step in range(101):
            event: dict[str, Any] = {"step": step, "epoch": step / 10, "learning_rate": recipe.learning_rate}
            if step:
                event["loss"] = 0.1 + 2.0 * 0.96**step
            if step % 10 == 0:
                event["eval_loss"] = 0.8 + 2.0 * 0.93**step + 0.01 * max(0, step - 40)
            file.write(json.dumps(event) + "\n")
    return folder


def test_an_overfit_run_is_told_to_stop_where_its_validation_turned(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    answer = next_recipe(run, out=str(tmp_path / "next.yaml"))
    change = answer["prescription"].changes[0]
    assert change.key == "num_train_epochs"
    assert 3 <= change.after <= 6
    assert answer["recipe"]["num_train_epochs"] == change.after
    assert (tmp_path / "next.yaml").read_text().count("num_train_epochs") == 1


def test_a_log_alone_changes_the_epochs_that_its_curve_tells(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    log = tmp_path / "metrics.jsonl"
    log.write_bytes((run / "metrics.jsonl").read_bytes())
    answer = next_recipe(log)
    assert answer["recipe"] is None
    change = answer["prescription"].changes[0]
    assert (change.key, change.before, change.after, change.factor) == ("num_train_epochs", 10.0, 4.0, 0.4)
    with pytest.raises(UsageError, match="cannot be written whole"):
        next_recipe(log, out=str(tmp_path / "next.yaml"))
    assert not (tmp_path / "next.yaml").exists()


def test_grown_data_gives_three_options(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    rows = [{"instruction": f"What is {n}?", "completion": f"It is {n}."} for n in range(825)]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = next_recipe(run, data=str(tmp_path / "new.jsonl"), policy="guide")
    assert [option.name for option in answer["options"]] == ["A", "B", "C"]
    assert answer["recipe"]["data"] == str(tmp_path / "new.jsonl")
    assert answer["recipe"]["num_train_epochs"] == 8  # 6,250 / 825 = 7.6


FIXTURES = Path(__file__).parents[1] / "curve" / "fixtures"
OF_SEVERAL = ("llamafactory", "one_run", "one_run_nan", "unsloth_studio", "unsloth_studio/studio.db")
"""Fixtures that hold more than one run."""

LOGS = sorted(
    path
    for path in FIXTURES.rglob("*")
    if path.is_dir() or path.suffix not in (".yaml", ".json") or path.name == "trainer_state.json"
    if path.relative_to(FIXTURES).as_posix() not in OF_SEVERAL
)


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_of_several_runs_one_must_be_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\d runs in it; expected one"):
        next_recipe(FIXTURES / name, runs_dir=tmp_path)


def test_a_run_of_a_file_of_several_is_named_as_the_reports_call_it(tmp_path: Path) -> None:
    file = FIXTURES / "unsloth_studio" / "studio.db"
    assert next_recipe(f"{file}#healthy", runs_dir=tmp_path)["prescription"].keep
    assert not next_recipe(f"{file}#nan_shown", runs_dir=tmp_path)["prescription"].keep
    with pytest.raises(DataError, match="no such run"):
        next_recipe(f"{file}#mine", runs_dir=tmp_path)


@pytest.mark.parametrize("policy", ["evidence", "guide"])
@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_every_tools_log_gets_a_prescription_or_keep(log: Path, policy: str, tmp_path: Path) -> None:
    answer = next_recipe(log, policy=policy, runs_dir=tmp_path)
    prescription = answer["prescription"]
    assert prescription.why
    assert not (prescription.keep and prescription.changes)
    for change in prescription.changes:
        if change.after is not None and answer["recipe"]:
            assert answer["recipe"][change.key] == change.after
    assert prescription.keep == next_text(answer).startswith("keep: ")


def test_settings_beside_a_foreign_log_turn_factors_into_values(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    beside = tmp_path / "theirs"
    beside.mkdir()
    (beside / "trainer_log.jsonl").write_bytes(
        (run / "metrics.jsonl").read_bytes().replace(b'"step"', b'"current_steps"')
    )
    (beside / "train.yaml").write_text("learning_rate: 2.0e-4\nnum_train_epochs: 10\nwarmup_steps: 5\n")
    answer = next_recipe(beside / "trainer_log.jsonl", runs_dir=tmp_path / "runs")
    change = answer["prescription"].changes[0]
    assert (change.key, change.before) == ("num_train_epochs", 10.0)
    assert answer["recipe"]["num_train_epochs"] == change.after
    assert answer["recipe"]["learning_rate"] == 2e-4
    with pytest.raises(UsageError, match="cannot be written whole"):
        next_recipe(beside / "trainer_log.jsonl", out=str(tmp_path / "next.yaml"))


def ended(folder: Path, eval_loss: float, *, sha256: str = "aaaa", model: str = "m", **given: Any) -> Path:
    """A finished run on the data of that hash."""
    run = made_run(folder, **given)
    about = {"status": "finished", "model": model, "data_sha256": sha256, "rows": {"train": 625, "val": 50}}
    (run / "run.json").write_text(json.dumps({**about, "result": {"eval_loss": eval_loss, "health": "healthy"}}))
    return run


@pytest.mark.parametrize("place", ["runs", "elsewhere"])
def test_what_failed_in_another_run_of_the_same_data_is_not_prescribed_again(tmp_path: Path, place: str) -> None:
    for folder in ("runs", "elsewhere"):
        (tmp_path / folder).mkdir()
    run = ended(tmp_path / "elsewhere" / "a", 0.9)
    first = next_recipe(run, runs_dir=tmp_path / "runs")["prescription"].changes[0]
    assert first.key == "num_train_epochs"
    ended(tmp_path / place / "b", 1.2, num_train_epochs=first.after)
    again = next_recipe(run, runs_dir=tmp_path / "runs")["prescription"]
    assert again.changes[0].key == "learning_rate"
    assert f"not repeated: b tried num_train_epochs {first.after:g}" in again.why


@pytest.mark.parametrize("unlike", [{"sha256": "bbbb"}, {"model": "n"}, {"val": "v.jsonl"}, {"lora_rank": 4}])
def test_a_run_of_other_data_model_or_settings_says_nothing_about_this_one(
    tmp_path: Path, unlike: dict[str, Any]
) -> None:
    (tmp_path / "runs").mkdir()
    run = ended(tmp_path / "runs" / "a", 0.9)
    first = next_recipe(run, runs_dir=tmp_path / "runs")["prescription"]
    ended(tmp_path / "runs" / "b", 1.2, num_train_epochs=first.changes[0].after, **unlike)
    assert next_recipe(run, runs_dir=tmp_path / "runs")["prescription"] == first


def test_a_damaged_run_beside_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    run = ended(tmp_path / "runs" / "a", 0.9)
    first = next_recipe(run, runs_dir=tmp_path / "runs")["prescription"]
    for name, damage in (("b", "{"), ("c", "[]"), ("d", '{"status": "finished", "model": "m", "data_sha256": 3}')):
        other = ended(tmp_path / "runs" / name, 1.2, num_train_epochs=first.changes[0].after)
        (other / "run.json").write_text(damage)
        (other / "prediction.json").write_text(damage)
    assert next_recipe(run, runs_dir=tmp_path / "runs")["prescription"] == first


@pytest.mark.parametrize("policy", ["evidence", "guide"])
def test_a_run_that_ran_out_of_memory_before_its_first_step_gets_a_smaller_batch(tmp_path: Path, policy: str) -> None:
    run = made_run(tmp_path / "run", per_device_train_batch_size=4, gradient_accumulation_steps=2)
    (run / "run.json").write_text(json.dumps({"status": "failed", "error_code": "out_of_memory"}))
    (run / "metrics.jsonl").unlink()
    recipe = next_recipe(run, policy=policy, runs_dir=tmp_path)["recipe"]
    assert recipe["per_device_train_batch_size"] == {"guide": 1, "evidence": 2}[policy]
    assert recipe["per_device_train_batch_size"] * recipe["gradient_accumulation_steps"] == 8


def test_the_run_remembers_what_was_prescribed_and_keep_promises_nothing(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    answer = next_recipe(run, out=str(tmp_path / "next.yaml"), runs_dir=tmp_path)
    (noted,) = json.loads((run / "next.json").read_text()).values()
    assert noted["promise"]["rule"] == answer["prescription"].changes[0].rule
    next_recipe(run, out=str(tmp_path / "again.yaml"), runs_dir=tmp_path)
    assert len(json.loads((run / "next.json").read_text())) == 1


def test_keep_promises_nothing(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    flat = [{"step": step, "loss": 0.5 + 1.5 * 0.9**step, "eval_loss": 0.55 + 1.5 * 0.9**step} for step in range(101)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in flat))
    answer = next_recipe(run, out=str(tmp_path / "next.yaml"), runs_dir=tmp_path)
    assert answer["prescription"].keep
    assert (tmp_path / "next.yaml").is_file()
    assert not (run / "next.json").exists()


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_model(tmp_path_factory.mktemp("models") / "llama", "llama"))


class Told(Silent):
    """Remembers what was said."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def say(self, text: str) -> None:
        self.lines.append(text)


def stuck_run(tmp_path: Path, llama: str) -> Path:
    """A short run that learns nothing, as its learning rate is far too low."""
    rows = [{"prompt": f"What is item {n}?", "completion": f"It is {'blue' if n % 2 else 'red'}."} for n in range(48)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    low: dict[str, Any] = {"learning_rate": 1e-8, "max_steps": 24, "eval_steps": 3, "report_to": ()}
    return Path(tw.train(str(data), model=llama, runs_dir=tmp_path / "runs", **low)["run"])


def test_a_probe_finds_a_rate_too_low_and_leaves_no_trace(tmp_path: Path, llama: str) -> None:
    run = stuck_run(tmp_path, llama)
    files = sorted(path.name for path in run.iterdir())
    told: list[str] = []
    answer = next_recipe(run, probe=True, watch=Told(told))
    verdicts = {one.probe: one.verdict for one in answer["probes"]}
    assert (verdicts["schedule"], verdicts["learning_rate"]) == ("fine", "fault")
    change = answer["prescription"].changes[0]
    assert (change.rule, change.key) == ("evidence.probed", "learning_rate")
    assert answer["recipe"]["learning_rate"] > 1e-5
    assert answer["explained_by"] == "learning_rate"
    assert "explained by: learning rate" in next_text(answer)
    assert sum("Is the learning rate too low?" in line for line in told) == 1
    assert "probe: Is the learning rate too low? Yes" in " ".join(next_text(answer).split())
    assert sorted(path.name for path in run.iterdir()) == files


def test_a_probe_finds_masks_that_are_wrong_before_it_loads_anything(tmp_path: Path, llama: str) -> None:
    run = stuck_run(tmp_path, llama)
    unanswered = [{"prompt": f"What is item {n}?", "completion": ""} for n in range(48)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in unanswered))
    answer = next_recipe(run, probe=True)
    assert [(one.probe, one.verdict, one.tokens) for one in answer["probes"]] == [("template", "fault", 0)]
    assert [change.key for change in answer["prescription"].changes] == ["template", "data"]


def test_a_probe_of_a_foreign_log_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(json.dumps({"log_history": [{"step": step, "loss": 2.0} for step in range(1, 40)]}))
    assert cli(["next", str(log), "--probe"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: ")
    assert "no recipe.yaml" in said[0]
    assert len(said) == 2


@pytest.mark.parametrize("given", [["--table", "runs.csv"], ["somewhere", "--data", "rows.jsonl"], []])
def test_a_probe_needs_a_run_and_nothing_else(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["next", *given, "--probe"]) == 2
    assert "--probe needs a run" in capsys.readouterr().err


def test_the_data_of_a_run_is_asked_about_whatever_its_curve_says(tmp_path: Path, llama: str) -> None:
    """A leak that a healthy curve hides is found before anything is loaded."""
    run = made_run(tmp_path / "run", model=llama, data=str(tmp_path / "rows.jsonl"), val=str(tmp_path / "val.jsonl"))
    rows = [{"prompt": f"What is item {n}?", "completion": f"It is {n}."} for n in range(60)]
    for name, part in (("rows.jsonl", rows[:40]), ("val.jsonl", rows[30:])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in part))
    told: list[str] = []
    answer = next_recipe(run, probe=True, watch=Told(told))
    (one,) = answer["probes"]
    assert (one.probe, one.verdict, answer["explained_by"]) == ("validation", "fault", "validation")
    assert one.evidence["leaked"] == list(range(1, 11))
    assert [change.key for change in answer["prescription"].changes] == ["data"]
    assert len(told) == 1


def test_a_rate_far_from_the_planned_one_goes_there(tmp_path: Path, llama: str) -> None:
    answer = next_recipe(stuck_run(tmp_path, llama))
    rate = next(change for change in answer["prescription"].changes if change.key == "learning_rate")
    assert rate.after == first_run("lora", 64)
    assert "planned with" in rate.why


def test_what_a_foreign_log_is_planned_with_is_known_only_where_its_model_is_a_folder(llama: str) -> None:
    config = {"method": "lora", "model": llama, "lora_alpha": 32.0}
    assert usual_settings(config, 48, ours=False)["learning_rate"] == first_run("lora", 64)
    assert usual_settings({**config, "model": "some/model"}, None, ours=False) == {}
    assert usual_settings({}, 625, ours=False) == {"num_train_epochs": 8.0, "rows_a_step": 16}


def test_diagnose_asks_for_what_next_asks_for(tmp_path: Path) -> None:
    """Both know what such a run is planned with, and what was tried beside it."""
    base = random_model(tmp_path / "base", "llama")
    run = made_run(tmp_path / "run", model=str(base), method="lora", learning_rate=1.0)
    (report,) = tw.diagnose(run)
    asked = next_recipe(run, runs_dir=tmp_path)["prescription"]
    assert report.prescription == asked
    assert asked.changes
    (run / "recipe.yaml").write_text("a_key_of_another_version: 1\n")  # no reason to be silent about the curve
    (again,) = tw.diagnose(run)
    assert again.diagnosis.has("overfit")


def test_what_the_exam_found_lost_is_answered_by_the_next_recipe(tmp_path: Path) -> None:
    """The curve cannot show it; a probe that ran beside the training would have."""
    run = made_run(tmp_path / "run")
    score = {"n": 60, "passed": 20, "rate": 0.33, "low": 0.2, "high": 0.5}
    exam = {"parts": {"general": score}, "reading": "forgot", "forgetting": {"nats_per_token": 0.5}}
    (run / "exam.json").write_text(json.dumps(exam))
    answer = next_recipe(run, runs_dir=tmp_path)
    assert [change.key for change in answer["prescription"].changes] == ["replay"]
    assert "0.50 nats per token" in tw.diagnose(run)[0].diagnosis.finding("forgetting").why
    (run / "exam.json").write_text(json.dumps({**exam, "reading": "learned", "forgetting": {"nats_per_token": 0.02}}))
    assert tw.diagnose(run)[0].diagnosis.finding("forgetting") is None
