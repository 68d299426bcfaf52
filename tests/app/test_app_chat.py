"""Base and tuned model in one conversation: the exam's answers, a history each, nothing that steers a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_support import random_model

import tunewright as tw
from tunewright.cli.conversation import Columns, side_by_side
from tunewright.cli.main import run as command
from tunewright.data.sources import demo_files
from tunewright.engine.base import load_base
from tunewright.engine.export import load_tuned
from tunewright.examiner.ask import answer_all
from tunewright.reporter.words import columns_of
from tunewright.schema.errors import ModelError, UsageError

QUESTIONS = ["What is 3 + 4?", "Who is the captain of the Sihi?"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    demo = demo_files()
    folder = tmp_path_factory.mktemp("runs")
    return tw.train(
        str(demo["train"]), model=str(demo["model"]), runs_dir=folder, name="short", max_steps=12, report_to=()
    )


def whole(answers: Any) -> dict[str, str]:
    return {who: said.text for who, said in list(answers)[-1].items()}


def test_both_answer_as_in_the_exam_and_remember_their_own_words(trained: dict[str, Any]) -> None:
    chat = tw.chat(trained["run"])
    said = [whole(chat.ask(question)) for question in QUESTIONS]
    base = load_base("tiny")
    pack = load_tuned(base, Path(trained["adapter"]))
    for who in ("base", "tuned"):
        first = [{"role": "user", "content": QUESTIONS[0]}, {"role": "assistant", "content": said[0][who]}]
        prompts = [first[:1], [*first, {"role": "user", "content": QUESTIONS[1]}]]
        if who == "base":
            with pack.adapters_off():
                expected = answer_all(base.model, base.tokenizer, prompts).texts
        else:
            expected = answer_all(base.model, base.tokenizer, prompts).texts
        assert [one[who] for one in said] == list(expected)
    assert said[1]["base"] != said[1]["tuned"]
    chat.start_again()
    assert whole(chat.ask(QUESTIONS[0])) == said[0]
    assert [exchange.question for exchange in chat.exchanges] == [*QUESTIONS, QUESTIONS[0]]


def test_an_answer_that_is_broken_off_is_kept_as_far_as_it_came(trained: dict[str, Any]) -> None:
    chat = tw.chat(trained["run"], only="tuned")
    answering = chat.ask(QUESTIONS[1])
    first = next(answering)
    answering.close()
    assert chat.exchanges[0].answers == first
    assert not first["tuned"].ended


def test_an_adapter_of_another_trainer_and_its_base(tmp_path: Path) -> None:
    import warnings

    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = random_model(tmp_path / "base", "qwen3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            LoraConfig(r=2, use_dora=True, target_modules="all-linear", init_lora_weights=False),
        )
        model.save_pretrained(tmp_path / "adapter")
    chat = tw.chat(tmp_path / "adapter", longest=8)
    said = whole(chat.ask("What is the colour?"))
    plain = tw.chat(base, longest=8)
    assert whole(plain.ask("What is the colour?")) == {"model": said["base"]}
    assert said["base"] != said["tuned"]


def test_a_fully_tuned_run_is_asked_beside_its_base(tmp_path: Path) -> None:
    demo = demo_files()
    run = tw.train(
        str(demo["train"]), model=str(demo["model"]), method="full", runs_dir=tmp_path, name="f", max_steps=8,
        learning_rate=1e-3, report_to=(),
    )  # fmt: skip
    said = whole(tw.chat(run["run"]).ask(QUESTIONS[1]))
    base = load_base("tiny")
    assert said["base"] == answer_all(base.model, base.tokenizer, QUESTIONS[1:]).texts[0]
    assert said["tuned"] != said["base"]


def pipe(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    class Pipe(io.TextIOWrapper):
        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Pipe(io.BytesIO(text)))


def test_a_pipe_of_questions_gives_one_document(
    trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsysbinary: Any
) -> None:
    pipe(
        monkeypatch,
        "\n".join([QUESTIONS[0], "", "/new", "caf\xe9 \N{SNOWMAN}", "/quit", "never"]).encode("latin-1", "replace"),
    )
    assert command(["chat", trained["run"], "--json", "--max-tokens", "9"]) == 0
    answer = json.loads(capsysbinary.readouterr().out)
    assert answer["schema_version"] == 1
    assert [one["question"] for one in answer["exchanges"]] == [QUESTIONS[0], "caf\N{REPLACEMENT CHARACTER} ?"]
    for one in answer["exchanges"]:
        assert [said["who"] for said in one["answers"]] == ["base", "tuned"]
        assert all(0 < said["tokens"] <= 9 for said in one["answers"])


def test_a_pipe_as_text_cannot_steer_the_terminal(
    trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pipe(monkeypatch, b"clear \x1b[2J this\n")
    assert command(["chat", trained["run"], "--tuned-only", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("you: clear \N{SYMBOL FOR ESCAPE}[2J this\ntuned: ")
    assert "\x1b" not in shown.out + shown.err


def test_no_question_is_no_fault(trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> None:
    pipe(monkeypatch, b"")
    assert command(["chat", trained["run"], "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["exchanges"] == []


@pytest.mark.parametrize("width", [20, 44, 80, 200])
@pytest.mark.parametrize("text", ["word " * 60, "\u6c34" * 90, "a\nb\x07\n\nc", "", "x" * 300])
def test_columns_never_exceed_the_terminal(width: int, text: str) -> None:
    lines = side_by_side({"base": text, "tuned": "It is seven."}, width)
    assert all(columns_of(line) <= width for line in lines)
    assert "It is seven." in "\n".join(lines)
    assert "\x07" not in "".join(lines)


def test_growing_columns_are_drawn_over_themselves_and_whole_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "61")
    monkeypatch.setenv("LINES", "6")
    out = io.StringIO()
    columns = Columns(out)
    columns.draw({"base": "one", "tuned": "two"}, last=False)
    columns.draw({"base": "word " * 40, "tuned": "two"}, last=False)
    drawn = out.getvalue().split("\x1b[2F\x1b[J")[1]
    assert drawn.count("\n") == 4  # the screen is six lines high
    columns.draw({"base": "word " * 40, "tuned": "two"}, last=True)
    assert "tuned" in out.getvalue().split("\x1b[4F\x1b[J")[1].split("\n")[0]


def without_best(folder: Path) -> str:
    (folder / "run.json").write_text("{}")
    (folder / "recipe.yaml").write_text("model: tiny\ndata: demo\n")
    return str(folder)


@pytest.mark.parametrize(
    ("make", "flags", "said"),
    [
        (without_best, [], "no best/"),
        (lambda folder: str(folder), [], "not a run folder"),
        (lambda folder: "./nowhere", [], "no such model folder"),
        (lambda folder: "tiny", ["--base-only"], "no tuned side"),
        (lambda folder: "tiny", ["--base-only", "--tuned-only"], "no model to ask"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: Any, make: Callable[[Path], str], flags: list[str], said: str
) -> None:
    source = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert command(["chat", source, *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line for line in shown.err.splitlines() if line.startswith("error:") and said in line]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_in_python(trained: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        tw.chat(trained["run"], longest=0)
    with pytest.raises(ModelError, match="its base model"):
        tw.chat(trained["run"], model="./gone")
