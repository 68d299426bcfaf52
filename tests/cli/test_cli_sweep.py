"""``sweep`` as typed: its plan, its mistakes in one line, and a small one from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.cli.main import run

ROWS = [{"instruction": f"What is item {n}?", "completion": f"Item {n} is blue."} for n in range(60)]
SWEEP = ["sweep", "data.jsonl", "--model", "tiny", "--set", "max_steps=3"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def grid(*texts: str) -> list[str]:
    return [part for text in texts for part in ("--grid", text)]


SEEDS = "seed=" + ",".join(map(str, range(300)))
MISTAKES = {
    "no grid": ([], "--grid learning_rate="),
    "no values": (grid("learning_rate"), "key=v1,v2"),
    "an empty list": (grid("learning_rate="), "values between the commas"),
    "an unknown key": (grid("lerning_rate=1e-3"), "learning_rate"),
    "the same key twice": (grid("seed=0", "seed=1"), "given twice"),
    "the same value twice": (grid("seed=0,0"), "twice"),
    "a value of the wrong kind": (grid("lora_rank=8,many"), "cell-2"),
    "a negative rate": (grid("learning_rate=1e-3,-1e-3"), "cell-2 (learning_rate=-1e-3)"),
    "swept and set": ([*grid("max_steps=3,4")], "choose one"),
    "swept and given by a flag": ([*grid("seed=0,1"), "--seed", "3"], "choose one"),
    "data swept and given": (grid("data=data.jsonl,other.jsonl"), "choose one"),
    "two warm-ups": (grid("warmup_steps=0,5", "warmup_ratio=0.1"), "choose one"),
    "a warm-up against another that is set": ([*grid("warmup_steps=0,5"), "--set", "warmup_ratio=0.1"], "choose one"),
    "a rank above the layer": (grid("lora_rank=8,500"), "at most 128"),
    "an unknown layer": (grid("lora_target=q_prjo,all"), "q_proj"),
    "slots below one": ([*grid("seed=0,1"), "--slots", "0"], "expected 1 or more"),
    "slots that do not fit": (
        [*grid(SEEDS), "--slots", "300", *("--set", "per_device_train_batch_size=54", "--set", "val=val.jsonl")],
        "fit (batch 54)",
    ),
    "more cells than anyone reads": (grid("seed=" + ",".join(map(str, range(5000)))), "4,096"),
    "epochs under max_steps": (grid("num_train_epochs=1,2"), "max_steps is 3"),
    "no validation rows": ([*grid("seed=0,1"), "--set", "val_size=0"], "validation"),
    "nothing to resume": (["--resume"], "no unfinished sweep"),
    "a plan of what is resumed": (["--resume", "--plan"], "choose one"),
}


@pytest.mark.parametrize("case", MISTAKES, ids=str)
def test_a_mistake_is_one_line_and_nothing_is_written(
    case: str, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, names = MISTAKES[case]
    (here / "val.jsonl").write_text(json.dumps({"instruction": "What is item 99?", "completion": "It is red."}) + "\n")
    small_machine(monkeypatch)
    before = {path.name for path in here.rglob("*")}
    assert run([*SWEEP, *arguments]) == 2
    said = capfd.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said.err
    assert names in errors[0] + said.err.split("hint: ")[-1]
    assert said.out == ""
    assert {path.name for path in here.rglob("*")} == before


def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same plan whatever machine the tests run on: two cores and 4 GiB."""
    from tunewright.schema.facts import MachineFacts

    for part in ("sweep_plan", "prepare"):
        monkeypatch.setattr(f"tunewright.app.{part}.this_machine", lambda: MachineFacts("cpu", 4.0, False, 2))


@pytest.mark.parametrize("flag", ["--plan", "--dry-run"])
def test_the_plan_says_how_cells_are_packed_and_writes_nothing(
    flag: str, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_machine(monkeypatch)
    texts = grid("learning_rate=1e-3,2e-3", "per_device_train_batch_size=2,4", "method=lora,full")
    assert run([*SWEEP, *texts, flag, "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert [cell["name"] for cell in made["cells"]] == [f"cell-{n}" for n in range(1, 9)]
    assert sorted(name for pack in made["packs"] for name in pack["cells"]) == [cell["name"] for cell in made["cells"]]
    assert made["tokens"] == sum(pack["tokens"] for pack in made["packs"])
    assert made["seconds"] == pytest.approx(sum(pack["seconds"] for pack in made["packs"]))
    assert made["peak_GiB"] < 4
    assert [len(pack["cells"]) for pack in made["packs"]] == [2, 1, 2, 1, 1, 1]
    assert run([*SWEEP, *texts, flag]) == 0
    said = capfd.readouterr().out
    assert "alone: full fine-tuning changes the base itself" in said
    assert "per_device_train_batch_size is 2" in said
    assert "cell-3 (learning_rate=1e-3, per_device_train_batch_size=4, method=lora), 3 steps" in said
    assert not (here / "runs").exists()


def test_a_recipe_file_is_swept_too(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "r.yaml").write_text("data: data.jsonl\nmodel: tiny\nlearning_rate: 0.5\nmax_steps: 3\nlora_rank: 4\n")
    assert run(["sweep", "r.yaml", *grid("learning_rate=1e-3,2e-3"), "--plan", "--json"]) == 0
    assert [cell["set"]["learning_rate"] for cell in json.loads(capfd.readouterr().out)["cells"]] == [1e-3, 2e-3]


def test_two_cells_from_end_to_end(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*SWEEP, *grid("lora_target=q_proj+v_proj,all"), "--name", "mine"]) == 0
    said = capfd.readouterr()
    table = [line for line in said.out.splitlines() if line.startswith("cell-")]
    assert len(table) >= 2
    assert "q_proj, v_proj" in said.out
    assert f"tunewright exam {here / 'runs' / 'mine'}" in said.out
    assert "plan: 2 cells of lora_target in 1 pack" in said.err
    assert run(["report", "runs/mine"]) == 0
    assert run(["runs", "ls", "--json"]) == 0
    answer = capfd.readouterr().out
    listed: list[dict[str, Any]] = json.loads(answer[answer.index("{") :])["runs"]
    assert [Path(one["run"]).relative_to(here / "runs").parts for one in listed] == [
        ("mine", "cell-1"),
        ("mine", "cell-2"),
    ]
