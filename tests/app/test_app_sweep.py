"""A sweep for real: cells packed on the bundled model, ranked with their noise, stopped and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.data.sources import demo_files
from tunewright.record.run import Run, find_runs, open_run
from tunewright.schema.errors import Interrupted, RunFailed, TunewrightError, UsageError
from tunewright.schema.recipe_io import read_settings

STEPS = 12
GRID = {"learning_rate": [5e-4, 5e-3], "lora_rank": [4, 8, 16]}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A few of the demo's rows, and others of them to measure on."""
    folder, demo = tmp_path_factory.mktemp("rows"), demo_files()
    for name, key, count in (("data", "train", 64), ("val", "validation", 24)):
        lines = Path(demo[key]).read_text().splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_text("".join(lines[:count]))
    return {name: str(folder / f"{name}.jsonl") for name in ("data", "val")}


@pytest.fixture
def sweep(rows: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(grid: dict[str, Any], **given: Any) -> dict[str, Any]:
        options = {"max_steps": STEPS, "eval_steps": 6, "per_device_train_batch_size": 4, **given}
        options = {key: value for key, value in options.items() if key not in grid}
        return tw.sweep(rows["data"], grid=grid, model="tiny", val=rows["val"], runs_dir=tmp_path / "runs", **options)

    return run


def losses(run: Path) -> dict[tuple[int, str], float]:
    events = Run(run).events()
    return {(event["step"], key): event[key] for event in events for key in ("loss", "eval_loss") if key in event}


@pytest.fixture(scope="module")
def whole(rows: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One sweep of six cells that several tests look at."""
    return tw.sweep(
        rows["data"], grid=GRID, model="tiny", val=rows["val"], runs_dir=tmp_path_factory.mktemp("whole"),
        max_steps=STEPS, eval_steps=6, per_device_train_batch_size=4,
    )  # fmt: skip


def test_cells_are_ranked_by_validation_loss_with_the_noise_of_their_difference(whole: dict[str, Any]) -> None:
    cells = whole["cells"]
    assert len(cells) == 6
    assert {cell["status"] for cell in cells} == {"finished"}
    assert [cell["eval_loss"] for cell in cells] == sorted(cell["eval_loss"] for cell in cells)
    best = cells[0]
    assert whole["best"] == {
        "run": best["run"],
        "eval_loss": best["eval_loss"],
        "adapter": str(Path(best["run"]) / "best"),
    }
    for cell in cells[1:]:
        assert cell["difference"] == pytest.approx(cell["eval_loss"] - best["eval_loss"])
        assert 0 < cell["standard_error"] < 1
        assert cell["within_noise"] == (cell["difference"] <= 2 * cell["standard_error"])
    assert {cell["set"]["learning_rate"] for cell in cells if cell["within_noise"] is False} >= {5e-4}
    assert whole["tokens"]["train"] == sum(cell["tokens"]["train"] for cell in cells)
    assert whole["stopped_because"] == "all 6 cells were run"


def test_all_cells_train_together_and_each_as_it_would_alone(whole: dict[str, Any], tmp_path: Path) -> None:
    (pack,) = whole["packs"]
    assert (len(pack["cells"]), pack["slots"], pack["steps"]) == (6, 6, STEPS)
    cell = whole["cells"][2]
    alone = tw.train(str(Path(cell["run"]) / "recipe.yaml"), runs_dir=tmp_path)
    packed = losses(Path(cell["run"]))
    assert losses(Path(alone["run"])) == {key: pytest.approx(value, rel=1e-4) for key, value in packed.items()}
    assert alone["eval_loss"] == pytest.approx(cell["eval_loss"], rel=1e-5)


def test_every_cell_is_an_ordinary_run(whole: dict[str, Any]) -> None:
    for cell in whole["cells"]:
        run = open_run(Path(cell["run"]))
        assert run.status() == "finished"
        recipe = read_settings(run.path / "recipe.yaml")
        assert {key: recipe[key] for key in cell["set"]} == cell["set"]
        reasons = {value["key"]: value["why"] for value in run.read("plan.json")["values"]}
        assert reasons["learning_rate"] == "Swept: one of 5e-4, 5e-3."
        assert "Swept" not in reasons["lora_alpha"]
        assert {"health", "findings"} <= set(run.read("findings.json"))
        assert run.read("prediction.json")["came"]["steps"] == STEPS
        assert len(run.read("val_rows.json")["nats"]) == 24
        assert (run.best / "adapter_model.safetensors").is_file()
    folder = Path(whole["cells"][0]["run"]).parent
    assert len(find_runs(folder.parent)) == 6


def test_the_sweep_documents_itself(whole: dict[str, Any]) -> None:
    folder = Path(whole["report"]).parent
    about = json.loads((folder / "tuning.json").read_text())
    assert about["kind"] == "sweep"
    assert about["grid"] == GRID
    assert about["cells"] == whole["cells"]
    decisions = [json.loads(line)["text"] for line in (folder / "decisions.jsonl").read_text().splitlines()]
    assert decisions[0].startswith("plan: 6 cells of learning_rate x lora_rank in 1 pack, ")
    assert any(text.startswith("best: cell-") for text in decisions)
    page = (folder / "report.html").read_text()
    assert "cell-6" in page
    assert "learning_rate" in page


def test_batch_sizes_and_methods_are_packed_apart(sweep: Callable[..., dict[str, Any]]) -> None:
    answer = sweep({"per_device_train_batch_size": [2, 4], "method": ["lora", "full"]}, max_steps=3)
    assert {cell["status"] for cell in answer["cells"]} == {"finished"}
    whys = [pack["why"] for pack in answer["packs"]]
    assert len(whys) == 4
    assert sum(why.startswith("alone: full fine-tuning") for why in whys) == 2
    assert sum("per_device_train_batch_size is" in why for why in whys) == 2
    rates = {
        cell["set"]["method"]: read_settings(Path(cell["run"]) / "recipe.yaml")["learning_rate"]
        for cell in answer["cells"]
    }
    assert rates["full"] < rates["lora"], "each method is planned with a rate of its own"


def test_a_cell_whose_numbers_break_is_stopped_alone(sweep: Callable[..., dict[str, Any]]) -> None:
    answer = sweep({"learning_rate": [5e-3, 1e30]}, max_steps=16)
    fine, broken = answer["cells"]
    assert (fine["set"], fine["status"], fine["steps"]) == ({"learning_rate": 5e-3}, "finished", 16)
    assert broken["status"] == "stopped"
    assert broken["stopped_because"].startswith("non-finite")
    assert broken["health"] == "sick"
    assert answer["best"]["run"] == fine["run"]


def test_a_cell_that_cannot_be_trained_does_not_stop_the_others(sweep: Callable[..., dict[str, Any]]) -> None:
    answer = sweep({"init_adapter": [None, "nowhere"]}, max_steps=2)
    fine, failed = answer["cells"]
    assert (fine["status"], failed["status"]) == ("finished", "failed")
    assert "nowhere" in failed["stopped_because"]
    assert failed["eval_loss"] is None


def test_when_every_cell_fails_the_first_reason_is_given(sweep: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(RunFailed, match=r"every cell failed.*nowhere"):
        sweep({"init_adapter": ["nowhere", "elsewhere"]}, max_steps=2)


def test_seeds_show_their_spread(sweep: Callable[..., dict[str, Any]]) -> None:
    answer = sweep({"learning_rate": [5e-4, 5e-3], "seed": [0, 1]}, max_steps=4)
    assert len(answer["packs"]) == 1
    best, other = answer["seeds"]
    assert best["set"] == {"learning_rate": 5e-3}
    assert best["mean"] < other["mean"]
    assert (best["runs"], best["sd"] > 0) == (2, True)


def test_only_cells_at_work_are_running_and_their_hearts_beat(
    sweep: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.record.heart.HEARTBEAT_EVERY_S", 0.0)
    seen: list[tuple[str, ...]] = []
    beats: list[float] = []

    class Peek(StopAfter):
        def working(self, what: str, done: int, total: int) -> None:
            cells = [Run(tmp_path / "runs" / "sweep-1" / f"cell-{number}") for number in (1, 2, 3)]
            seen.append(tuple(cell.read()["status"] for cell in cells))
            beats.append(cells[0].read()["heartbeat"])

    sweep({"lora_rank": [4, 8, 16]}, slots=2, watch=Peek(10_000))
    assert seen[0] == ("running", "running", "planned")
    assert ("finished", "finished", "running") in seen
    assert len(set(beats)) > STEPS


class StopAfter:
    """A watch that asks for a clean end after so many questions."""

    def __init__(self, questions: int) -> None:
        self.left = questions
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def working(self, what: str, done: int, total: int) -> None: ...

    def event(self, run: str, event: object, total_steps: int, finding: str = "") -> None: ...

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("questions", [1, 17, 40])
def test_an_interrupted_sweep_goes_on_to_the_same_losses(
    questions: int, sweep: Callable[..., dict[str, Any]], whole: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(Interrupted) as stopped:
        sweep(GRID, slots=2, watch=StopAfter(questions))
    folder = tmp_path / "runs" / "sweep-1"
    assert stopped.value.hint == f"tunewright sweep --runs-dir {tmp_path / 'runs'} --name sweep-1 --resume"
    done = {path.name for path in folder.glob("cell-*") if Run(path).status() == "finished"}
    assert len(done) < 6
    assert "not run yet" in tw.report(folder).read_text()
    before = {name: (folder / name / "metrics.jsonl").read_bytes() for name in done}
    rest = tw.sweep(resume=True, runs_dir=tmp_path / "runs", slots=2)
    came, expected = ({cell["name"]: cell["eval_loss"] for cell in one["cells"]} for one in (rest, whole))
    assert came == {name: pytest.approx(loss, rel=1e-5) for name, loss in expected.items()}
    for name, content in before.items():
        assert (folder / name / "metrics.jsonl").read_bytes() == content, "a finished cell was run again"
    assert rest["tokens"]["train"] == whole["tokens"]["train"]
    with pytest.raises(UsageError, match="no unfinished sweep"):
        tw.sweep(resume=True, runs_dir=tmp_path / "runs")


def test_resume_refuses_to_become_another_sweep(
    rows: dict[str, str], sweep: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        sweep({"lora_rank": [4, 8]}, watch=StopAfter(1))
    again = {"resume": True, "runs_dir": tmp_path / "runs"}
    with pytest.raises(UsageError, match="another --grid"):
        tw.sweep(grid={"lora_rank": [4, 16]}, **again)
    with pytest.raises(UsageError, match=r"not other.jsonl"):
        tw.sweep("other.jsonl", **again)
    with pytest.raises(UsageError, match="lora_alpha none, not 8"):
        tw.sweep(lora_alpha=8, **again)
    with pytest.raises(UsageError, match="no unfinished tuning"):
        tw.tune(rows["data"], model="tiny", **again)
    answer = tw.sweep(rows["data"], grid={"lora_rank": [4, 8]}, model="tiny", **again)
    assert len(answer["cells"]) == 2


REFUSED = {
    "no grid": ({}, {}, "values to try"),
    "unknown key": ({"lerning_rate": [1]}, {}, "learning_rate"),
    "no validation rows": ({"lora_rank": [4, 8]}, {"val": None, "val_size": 0.0}, "validation"),
    "a value that is none": ({"learning_rate": [1e-3, -1]}, {}, r"cell-2 \(learning_rate=-1\)"),
    "a rank above the layer": ({"lora_rank": [8, 1000]}, {}, r"down_proj \(256 x 128\) can have: at most 128"),
    "a layer there is not": ({"lora_target": ["all", ["q_prj"]]}, {}, "q_proj"),
    "epochs under max_steps": ({"num_train_epochs": [1, 2]}, {}, "max_steps is 12"),
    "more slots than fit": ({"lora_rank": [4, 8]}, {"slots": 0}, "--slots 0"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_sweep_that_cannot_be_meant_is_refused_before_anything_is_written(
    case: str, rows: dict[str, str], tmp_path: Path
) -> None:
    grid, given, names = REFUSED[case]
    options = {"model": "tiny", "val": rows["val"], "max_steps": STEPS, "runs_dir": tmp_path / "runs", **given}
    with pytest.raises(TunewrightError, match=names) as refused:
        tw.sweep(rows["data"], grid=grid, **{key: value for key, value in options.items() if value is not None})
    assert refused.value.exit_code == 2
    assert not (tmp_path / "runs").exists()
