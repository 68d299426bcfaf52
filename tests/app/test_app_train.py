"""A run from a data file to an adapter, for every format and for several architectures: real, small, on the CPU."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.record.run import Run, open_run
from tunewright.schema.errors import DataError, Interrupted, UsageError

ROWS = [(f"What is item {n}?", f"It is {'blue' if n % 2 else 'red'}.") for n in range(24)]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(random_model(tmp_path_factory.mktemp("models") / "llama", "llama"))


def lines(make: Callable[[str, str], dict[str, object]]) -> str:
    return "".join(json.dumps(make(*row)) + "\n" for row in ROWS)


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def as_csv(path: Path) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("instruction", "completion"), *ROWS])


def as_parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {"prompt": [q for q, _ in ROWS], "completion": [a for _, a in ROWS]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


FORMATS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "messages": ("a.jsonl", lambda path: path.write_text(lines(lambda q, a: {"messages": chat(q, a)}))),
    "prompt/completion": ("a.jsonl", lambda path: path.write_text(lines(lambda q, a: {"prompt": q, "completion": a}))),
    "instruction/completion": (
        "a.jsonl",
        lambda path: path.write_text(lines(lambda q, a: {"instruction": q, "completion": a})),
    ),
    "alpaca": (
        "a.json",
        lambda path: path.write_text(json.dumps([{"instruction": q, "input": "", "output": a} for q, a in ROWS])),
    ),
    "sharegpt": (
        "a.jsonl",
        lambda path: path.write_text(
            lines(lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]})
        ),
    ),
    "csv": ("a.csv", as_csv),
    "parquet": ("a.parquet", as_parquet),
    "text": ("a.txt", lambda path: path.write_text("\n\n".join(f"{q} {a}" for q, a in ROWS))),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_trains(name: str, llama: str, tmp_path: Path) -> None:
    file, make = FORMATS[name]
    make(tmp_path / file)
    answer = tw.train(str(tmp_path / file), model=llama, max_steps=4, runs_dir=tmp_path / "runs")
    assert answer["steps"] == 4
    assert answer["eval_loss"] <= answer["base_eval_loss"]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_family_learns_and_saves_something_that_loads(family: str, method: str, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = str(random_model(tmp_path / "model", family))
    (tmp_path / "a.jsonl").write_text(lines(lambda q, a: {"messages": chat(q, a)}))
    rate = 2e-2 if method == "lora" else 1e-3
    data = str(tmp_path / "a.jsonl")
    answer = tw.train(data, model=model, method=method, max_steps=20, learning_rate=rate, runs_dir=tmp_path / "runs")
    assert answer["eval_loss"] < 0.9 * answer["base_eval_loss"]
    if method == "full":
        tuned = AutoModelForCausalLM.from_pretrained(answer["adapter"])
    else:
        tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), answer["adapter"])
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(model)(ids).logits
        assert not torch.allclose(base, tuned(ids).logits)


def test_the_folder_describes_the_run(llama: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(lambda q, a: {"messages": chat(q, a)}))
    answer = tw.train(str(tmp_path / "a.jsonl"), model=llama, max_steps=6, runs_dir=tmp_path / "runs", name="mine")
    run = open_run(Path(answer["run"]))
    assert run.status() == "finished"
    about = run.read()
    assert about["result"]["eval_loss"] == answer["eval_loss"]
    assert about["versions"]["torch"]
    assert {"values", "predicted"} <= set(run.read("plan.json"))
    assert run.read("prediction.json")["came"]["steps"] == 6
    assert run.read("findings.json")["health"] in ("healthy", "warning", "unknown")
    steps = [event["step"] for event in run.events() if "loss" in event]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert next(event["step"] for event in run.events() if "eval_loss" in event) == 0
    assert list(run.path.glob("**/events.out.tfevents*"))


def test_the_written_recipe_gives_the_same_run_again(llama: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(lambda q, a: {"messages": chat(q, a)}))
    first = tw.train(str(tmp_path / "a.jsonl"), model=llama, max_steps=5, runs_dir=tmp_path / "runs")
    recipe = Path(first["run"]) / "recipe.yaml"
    second = tw.train(str(recipe), runs_dir=tmp_path / "runs")
    assert Path(second["run"], "recipe.yaml").read_text().count("You set it.") >= 1
    assert losses(first) == losses(second)


def losses(answer: dict[str, object]) -> list[tuple[int, float]]:
    events = Run(Path(str(answer["run"]))).events()
    return [(event["step"], event[key]) for event in events for key in ("loss", "eval_loss") if key in event]


class StopAfter:
    """A reader that asks for a clean end after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def say(self, text: str) -> None: ...

    def working(self, what: str, done: int, total: int) -> None: ...

    def event(self, run: str, event: object, total_steps: int, finding: str = "") -> None: ...

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_an_interrupted_run_goes_on_to_the_same_losses(llama: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(lambda q, a: {"messages": chat(q, a)}))
    given = {"model": llama, "max_steps": 12, "eval_steps": 4, "runs_dir": tmp_path / "runs"}
    data = str(tmp_path / "a.jsonl")
    whole = tw.train(data, name="whole", **given)
    with pytest.raises(Interrupted, match="interrupted after step"):
        tw.train(data, name="cut", watch=StopAfter(7), **given)
    from tunewright.app.train import resume

    assert open_run(tmp_path / "runs" / "cut").status() == "interrupted"
    rest = resume(tmp_path / "runs" / "cut")
    assert dict(losses(rest)) == dict(losses(whole))
    assert rest["eval_loss"] == whole["eval_loss"]
    with pytest.raises(UsageError, match="finished"):
        resume(tmp_path / "runs" / "cut")


def test_resume_refuses_changed_data(llama: str, tmp_path: Path) -> None:
    from tunewright.app.train import resume

    data = tmp_path / "a.jsonl"
    data.write_text(lines(lambda q, a: {"messages": chat(q, a)}))
    with pytest.raises(Interrupted):
        tw.train(str(data), model=llama, max_steps=8, runs_dir=tmp_path, name="cut", watch=StopAfter(3))
    data.write_text(lines(lambda q, a: {"messages": chat(q, a + " Really.")}))
    with pytest.raises(UsageError, match="data has changed"):
        resume(tmp_path / "cut")


def test_raw_text_is_packed_for_stage_pt(llama: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(f"{q} {a}" for q, a in ROWS * 8))
    answer = tw.train(str(tmp_path / "a.txt"), model=llama, stage="pt", max_length=64, max_steps=3, runs_dir=tmp_path)
    assert answer["steps"] == 3


def test_replay_rows_that_are_not_there_are_said_before_a_run_folder_is_made(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(lines(lambda q, a: {"prompt": q, "completion": a}))
    replay = {"data": str(tmp_path / "none.jsonl"), "share": 0.25}
    with pytest.raises(DataError, match="no such file"):
        tw.train(str(data), model="tiny", replay=replay, runs_dir=tmp_path / "runs")
    assert not list(tmp_path.glob("runs/*"))


def test_the_hint_at_faulty_rows_is_a_whole_command(tmp_path: Path) -> None:
    """A command without the model would be refused in turn."""
    data = tmp_path / "my rows.jsonl"
    data.write_text(lines(lambda q, a: {"prompt": q, "completion": a}) + "{\n")
    with pytest.raises(DataError) as refused:
        tw.train(str(data), model="tiny", runs_dir=tmp_path / "runs")
    words = shlex.split(refused.value.hint)
    assert words[:3] == ["tunewright", "check", str(data)]
    assert words[3] == "--model"
    assert words[5:] == ["--fix", "clean.jsonl"]


def test_a_plan_says_what_training_will_be_refused_for(tmp_path: Path, llama: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(lines(lambda question, answer: {"prompt": question, "completion": answer}))
    assert not any("refused" in warning for warning in tw.plan(str(data), model=llama).warnings)
    data.write_text(data.read_text() + '{"prompt": "Why?", "completion": ""}\n')
    said = [warning for warning in tw.plan(str(data), model=llama).warnings if "refused" in warning]
    assert said == [f"training will be refused, empty_answer: an answer without text (row {len(ROWS) + 1})"]
