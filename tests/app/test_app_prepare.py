"""What is said of data that nothing can be trained on, and the command that shows the same."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tunewright.app.prepare import check_command, prepare
from tunewright.app.request import Request, read_request
from tunewright.cli.main import run
from tunewright.schema.errors import DataError, UsageError


@pytest.fixture
def long_prompts(tmp_path: Path) -> Path:
    path = tmp_path / "two rows.jsonl"
    row = '{{"instruction": "How does the ferry number {0} cross the wide river?", "output": "By rope {0}."}}\n'
    path.write_text("".join(row.format(n) for n in range(20)))
    return path


def test_rows_that_hold_no_answer_name_the_cause_and_a_check_that_shows_it(
    long_prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Request(str(long_prompts), model="tiny", settings={"max_length": 8})
    with pytest.raises(DataError, match=r"no_supervised_token.*max_length = 8 tokens") as caught:
        prepare(asked, refuse_faults=False)
    command = shlex.split(caught.value.hint)
    assert command[:3] == ["tunewright", "check", str(long_prompts)]
    assert command[-2:] == ["--set", "max_length=8"]
    assert run(command[1:]) == 1
    assert "no_supervised_token" in capsys.readouterr().out


def test_the_check_names_what_was_given_and_not_what_is_usual() -> None:
    given = {"data": "a.jsonl", "model": "tiny", "val": "b c.jsonl", "test": "t.jsonl", "val_size": 0.1, "seed": 3}
    expected = "tunewright check a.jsonl --model tiny --val 'b c.jsonl' --set test=t.jsonl --set seed=3"
    assert check_command(given) == expected


def test_a_script_whose_rows_only_it_knows_asks_for_them(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("args = SFTConfig(learning_rate=2e-4)\ntrainer = SFTTrainer(args=args, train_dataset=rows)\n")
    with pytest.raises(UsageError, match="does not name its data") as caught:
        read_request(Request(recipe=str(script)))
    assert caught.value.hint == "add --set data=rows.jsonl"
    asked = read_request(Request(recipe=str(script), model="m", settings={"data": "rows.jsonl"}))
    assert (asked.values["data"], asked.values["learning_rate"]) == ("rows.jsonl", 2e-4)
