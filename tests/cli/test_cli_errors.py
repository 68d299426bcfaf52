"""Every mistake a user can make: one clear line, the published exit code, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.cli.main import one_line, run

GOOD = [{"instruction": f"What is item {n}?", "completion": f"Item {n} is blue."} for n in range(40)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(rows: list[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(content: str | bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / "data.jsonl").write_bytes(data)

    return make


def without_chat_template(folder: Path) -> None:
    write(lines(GOOD))(folder)
    from tests_support import random_llama

    model = random_llama(folder / "model", chat_template=False)
    assert model.is_dir()


def existing_run(folder: Path) -> None:
    write(lines(GOOD))(folder)
    (folder / "runs" / "taken").mkdir(parents=True)
    (folder / "runs" / "taken" / "run.json").write_text("{}")


def existing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).touch()


def file_as_runs_dir(folder: Path) -> None:
    write(lines(GOOD))(folder)
    (folder / "runs").write_text("a file")


SECOND_WORLD = Path(__file__).parents[1] / "assets" / "second_world" / "model"
TRAIN = ["train", "data.jsonl", "--model", "tiny"]
BROKEN_LINE_3 = lines(GOOD[:2]) + '{"instruction": "x", \n' + lines(GOOD[2:])
WRONG_ROLES = lines([{"messages": [{"role": "assistant", "content": "hi"}, {"role": "robot", "content": "x"}]}, *GOOD])
NO_ASSISTANT = lines([*GOOD[:4], {"instruction": "What?", "completion": ""}, *GOOD[4:]])

CASES = {
    "missing file": (None, TRAIN, 2, "data.jsonl"),
    "empty file": (write(""), TRAIN, 2, "empty"),
    "broken JSON names its line": (write(BROKEN_LINE_3), TRAIN, 2, "3"),
    "unknown columns": (write(lines([{"foo": 1, "bar": 2}])), TRAIN, 2, "foo"),
    "not text at all": (write(b"\xff\xfe\x00\x01" * 10), TRAIN, 2, "data.jsonl"),
    "wrong roles": (write(WRONG_ROLES), TRAIN, 2, "1"),
    "all rows too long": (write(lines(GOOD)), [*TRAIN, "--set", "max_length=4"], 2, "max_length"),
    "a row without assistant text": (write(NO_ASSISTANT), TRAIN, 2, "5"),
    "unknown model folder": (write(lines(GOOD)), ["train", "data.jsonl", "--model", "./nowhere"], 2, "nowhere"),
    "no model": (write(lines(GOOD)), ["train", "data.jsonl"], 2, "--model"),
    "no chat template": (without_chat_template, ["train", "data.jsonl", "--model", "model"], 2, "template"),
    "misspelt key": (write(lines(GOOD)), [*TRAIN, "--set", "lerning_rate=1"], 2, "learning_rate"),
    "negative LR": (write(lines(GOOD)), [*TRAIN, "--set", "learning_rate=-1"], 2, "learning_rate"),
    "two warm-ups": (
        write(lines(GOOD)),
        [*TRAIN, "--set", "warmup_steps=3", "--set", "warmup_ratio=0.1"],
        2,
        "choose one",
    ),
    "setting without a value": (write(lines(GOOD)), [*TRAIN, "--set", "learning_rate"], 2, "key=value"),
    "existing run name": (existing_run, [*TRAIN, "--name", "taken"], 2, "taken"),
    "runs dir is a file": (file_as_runs_dir, TRAIN, 2, "runs"),
    "run name with a slash": (write(lines(GOOD)), [*TRAIN, "--name", "../up"], 2, "run name"),
    "unknown preset": (write(lines(GOOD)), [*TRAIN, "--preset", "guide-stf"], 2, "guide-sft"),
    "unknown task": (write(lines(GOOD)), [*TRAIN, "--task", "hard"], 2, "complex"),
    "unknown tracker": (write(lines(GOOD)), [*TRAIN, "--report-to", "abacus"], 2, "report_to"),
    "unknown goal": (write(lines(GOOD)), ["tune", "data.jsonl", "--model", "tiny", "--goal", "x"], 2, "balanced"),
    "unknown budget": (write(lines(GOOD)), ["tune", "data.jsonl", "--model", "tiny", "--budget", "x"], 2, "5epochs"),
    "nothing to resume": (write(lines(GOOD)), ["train", "--resume", "runs/none"], 2, "not a run folder"),
    "diagnose nothing": (None, ["diagnose", "nowhere.json"], 2, "nowhere.json"),
    "next without anything": (None, ["next"], 2, "--table"),
    "unknown policy": (None, ["next", "x", "--policy", "mood"], 2, "evidence"),
    "report of nothing": (None, ["report", "nowhere"], 2, "nowhere"),
    "explain nonsense": (None, ["explain", "overfitt"], 2, "overfit"),
    "no answer to compare models on": (
        write(lines([{"messages": [{"role": "user", "content": "Who?"}]}])),
        ["bakeoff", "data.jsonl", "--models", f"tiny,{SECOND_WORLD}"],
        2,
        "tunewright check data.jsonl",
    ),
    "explain a mistyped rule": (None, ["explain", "guide.decison_tree"], 2, "explain guide.decision_tree"),
    "no folder to write the recipe to": (None, ["plan", "demo", "--out", "nowhere/x.yaml"], 2, "nowhere"),
    "a recipe is never written over": (existing("r.yaml"), ["plan", "demo", "--out", "r.yaml"], 2, "exists already"),
    "nor a suite": (existing("s.jsonl"), ["exam", "demo", "--draft", "s.jsonl"], 2, "exists already"),
    "nor the next recipe": (existing("n.yaml"), ["next", "x", "--out", "n.yaml"], 2, "exists already"),
    "nor a page of masks": (
        existing("m.html"),
        ["check", "x", "--show-mask", "1", "--html", "m.html"],
        2,
        "exists already",
    ),
    "a run and a table": (None, ["next", "x", "--table", "y.csv"], 2, "choose one"),
    "columns of a table": (None, ["next", "--table", "y.csv", "--map", "loss=x"], 2, "leave it out"),
    "columns of a run of ours": (existing_run, ["report", "runs/taken", "--map", "loss=x"], 2, "leave it out"),
    "a rate above 1": (None, ["exam", "x", "--fail-under", "90"], 2, "--fail-under"),
    "fewer than no masks": (None, ["check", "demo", "--show-mask", "-1"], 2, "--show-mask"),
    "unknown verb": (None, ["trian"], 2, "train"),
    "unknown option": (None, [*TRAIN, "--lr", "1"], 2, "--lr"),
    "recipe that is no mapping": (write("- 1\n- 2\n"), ["train", "--recipe", "data.jsonl"], 2, "mapping"),
}


def folder_content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_line_the_right_code_and_nothing_written(case: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, arguments, code, names = CASES[case]
    if make:
        make(here)
    before = folder_content(here)
    assert run(arguments) == code
    said = capfd.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said.err
    assert names in errors[0] + said.err.split("hint: ")[-1]
    assert said.err.splitlines()[-1].startswith("hint: "), "every mistake ends with what to do next"
    assert "Traceback" not in said.err
    assert said.out == ""
    assert folder_content(here) == before


def test_under_json_the_error_is_the_one_document(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*TRAIN, "--json"]) == 2
    answer = json.loads(capfd.readouterr().out)
    assert answer["schema_version"] == 1
    assert set(answer["error"]) == {"code", "message", "hint"}
    assert "data.jsonl" in answer["error"]["message"]


def test_all_faults_of_a_recipe_are_said_at_once(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(lines(GOOD))(here)
    (here / "bad.yaml").write_text("lerning_rate: 1\nnum_train_epoch: 2\n")
    assert run(["train", "data.jsonl", "--model", "tiny", "--recipe", "bad.yaml"]) == 2
    said = capfd.readouterr().err
    assert "learning_rate" in said
    assert "num_train_epochs" in said


def test_what_a_file_contains_cannot_steer_the_terminal() -> None:
    assert one_line("a\x1b[2Jb\r\nc") == "a?[2Jb  c"


def test_without_torch_a_training_verb_says_what_to_install(tmp_path: Path) -> None:
    """In a process of its own: a None in sys.modules makes an import fail as if the package were not there."""
    blocked = (
        "import sys; sys.modules.update({name: None for name in ('torch', 'transformers')});"
        "from tunewright.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", blocked, "train", "demo", "--runs-dir", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert 'pip install "tunewright[train]"' in done.stderr
    assert not (tmp_path / "runs").exists()
