"""A tuning in packs, stopped and killed anywhere, goes on to the same decisions and the same adapter."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.record.run import Run
from tunewright.schema.errors import Interrupted

ROWS = [(f"What is item {n}?", f"It is {('blue', 'red', 'green')[n % 3]}.") for n in range(120)]
BUDGET = "30epochs"
# dropout: whatever is not restored exactly shows in the losses
SETTINGS = {"per_device_train_batch_size": 4, "num_train_epochs": 4, "lora_dropout": 0.1, "learning_rate": 4e-3}
KILLS = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune")
    random_model(folder / "model", "llama")
    rows = [{"instruction": question, "completion": answer} for question, answer in ROWS]
    for name, part in (("rows", rows[:100]), ("test", rows[100:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder


class StopAfter:
    """Asks for a clean end after so many steps and evaluations; counts how often it was asked."""

    def __init__(self, asked: int | None = None) -> None:
        self.left, self.asked = asked, 0

    def say(self, text: str) -> None: ...

    def working(self, what: str, done: int, total: int) -> None: ...

    def event(self, run: str, event: object, total_steps: int, finding: str = "") -> None: ...

    def should_stop(self) -> bool:
        self.asked += 1
        return self.left is not None and self.asked > self.left


def tune(place: Path, runs: str, **given: Any) -> dict[str, Any]:
    options = {"goal": "eval", "budget": BUDGET, "runs_dir": place / runs, "name": "t", **SETTINGS, **given}
    options["test"] = str(place / "test.jsonl")
    return tw.tune(str(place / "rows.jsonl"), model=str(place / "model"), **options)


def decisions(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "decisions.jsonl").read_text().splitlines()]


def learnt(folder: Path) -> dict[str, bytes]:
    """Every adapter, of means too, by its place."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("*/b*/adapter_model.safetensors")}


@pytest.fixture(scope="module")
def whole(place: Path) -> tuple[dict[str, Any], int]:
    watch = StopAfter()
    return tune(place, "whole", watch=watch), watch.asked


def same_story(place: Path, runs: str, answer: dict[str, Any], whole: dict[str, Any]) -> None:
    one, other = place / runs / "t", place / "whole" / "t"
    assert decisions(one) == decisions(other)
    assert [run["eval_loss"] for run in answer["runs"]] == [run["eval_loss"] for run in whole["runs"]]
    assert Path(answer["best"]["run"]).name == Path(whole["best"]["run"]).name
    assert answer["tokens"] == whole["tokens"]
    assert answer["test"] == whole["test"]
    assert learnt(one) == learnt(other)


def test_a_tuning_in_packs_tells_what_it_did(place: Path, whole: tuple[dict[str, Any], int]) -> None:
    answer, _ = whole
    phases = [run["phase"] for run in answer["runs"]]
    assert phases[:3] == ["probe"] * 3
    assert {"race", "sibling"} <= set(phases)
    lowest = min(run["eval_loss"] for run in answer["runs"])
    siblings = {run["name"] for run in answer["runs"] if run["phase"] == "sibling"}
    assert siblings <= {Path(answer["best"]["run"]).name, *answer["best"]["blend"]["names"]}
    assert answer["best"]["eval_loss"] <= 1.005 * lowest  # what a mean of siblings may be above the luckiest of them
    assert (Path(answer["best"]["run"]) / "blend" / "adapter_model.safetensors").is_file()
    assert answer["best"]["eval_loss"] < answer["base_eval_loss"]
    said = decisions(place / "whole" / "t")
    assert said[0].startswith("plan: ")
    assert any(line.startswith("probing learning rates") for line in said)
    assert said[-1].startswith("stopped: ")
    assert answer["test"]["rows"] == 20
    assert "on 20 sealed test rows, looked at once" in said[-2]


@pytest.mark.parametrize("phase", ["race", "sibling"])
def test_a_run_that_begins_where_another_stood_is_the_run_its_recipe_makes(
    phase: str, place: Path, whole: tuple[dict[str, Any], int]
) -> None:
    folder = place / "whole" / "t"
    forked = next(run for run in whole[0]["runs"] if run["phase"] == phase)
    run = Run(folder / forked["name"])
    assert run.read()["begins_at"]["step"] > 0
    alone = tw.train(str(run.path / "recipe.yaml"), runs_dir=place / "alone")
    assert alone["eval_loss"] == pytest.approx(forked["eval_loss"], rel=1e-5)
    assert alone["tokens"]["train"] == run.read()["result"]["tokens"]["train"]


def test_tokens_are_counted_once(place: Path, whole: tuple[dict[str, Any], int]) -> None:
    results = [Run(Path(run["run"])).read()["result"] for run in whole[0]["runs"]]
    own = sum(one["tokens"]["train"] - one.get("tokens_inherited", {}).get("train", 0) for one in results)
    assert whole[0]["tokens"]["train"] == own


def test_stopped_in_every_part_it_goes_on_to_the_same_end(place: Path, whole: tuple[dict[str, Any], int]) -> None:
    answer, asked = whole
    stops, resume = 0, False
    every = asked // 6
    while True:
        try:
            resumed = tune(place, "stopped", resume=resume, watch=StopAfter(every))
            break
        except Interrupted:
            stops, resume = stops + 1, True
            assert stops < 20
    assert stops >= 5
    same_story(place, "stopped", resumed, answer)


LIVES = """
import json, os, sys
import torch, transformers
import tunewright as tw
from tunewright.app import tune
torch.set_num_threads(1)
for line in sys.stdin:
    child = os.fork()  # everything is imported already: a life costs only its work
    if not child:
        tw.tune(**json.loads(line))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_ten_random_moments_changes_nothing(place: Path, whole: tuple[dict[str, Any], int]) -> None:
    drawn, folder = random.Random(0), place / "killed" / "t"
    asked = {"data": str(place / "rows.jsonl"), "model": str(place / "model"), "goal": "eval", "budget": BUDGET}
    asked |= {
        "test": str(place / "test.jsonl"),
        "runs_dir": str(place / "killed"),
        "name": "t",
        "resume": False,
        **SETTINGS,
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", LIVES], env=environment, **pipes) as lives:
        assert lives.stdin is not None
        assert lives.stdout is not None
        for life in range(KILLS + 1):
            lives.stdin.write(json.dumps({**asked, "resume": life > 0}) + "\n")
            lives.stdin.flush()
            child = int(lives.stdout.readline())
            if life < KILLS:
                _wait_for_lines(folder, _lines(folder) + drawn.randrange(1, 40))
                time.sleep(drawn.random() * 0.1)
                os.kill(child, signal.SIGKILL)
            assert int(lives.stdout.readline()) == (signal.SIGKILL if life < KILLS else 0)
        lives.stdin.close()
    same_story(place, "killed", json.loads((folder / "tuning.json").read_text()), whole[0])


def _lines(folder: Path) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in folder.glob("*/metrics.jsonl"))


def _wait_for_lines(folder: Path, lines: int) -> None:
    deadline = time.monotonic() + 600
    while _lines(folder) < lines:
        assert time.monotonic() < deadline, "the tuning makes no progress"
        time.sleep(0.01)
