"""Turns with more than words in them: calls of tools, thoughts beside the answer, content in parts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tunewright.data.check import refusals
from tunewright.data.encode import encode_rows
from tunewright.data.read import read_rows
from tunewright.data.rows import Message, Row
from tunewright.data.turns import tools, turns
from tunewright.data.values import BadRecord

Make = Callable[..., Any]
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {}}}
TIDE = {"type": "function", "function": {"name": "tide", "parameters": {}}}


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def asked(*calls: Any, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "Now?"},
        {"role": "assistant", "content": None, "tool_calls": list(calls), **fields},
    ]


@pytest.mark.parametrize(
    "arguments", [{"zone": "UTC"}, '{"zone": "UTC"}', '{"zone":"UTC"}'], ids=["object", "text", "dense text"]
)
def test_arguments_are_objects_however_they_were_written(arguments: Any) -> None:
    (_, answer) = turns(asked(call("clock", arguments)), "messages")
    assert answer.called == ("clock",)
    assert answer.as_dict()["tool_calls"][0]["function"] == {"name": "clock", "arguments": {"zone": "UTC"}}


def test_the_old_single_call_and_a_bare_one_are_calls_too() -> None:
    old = [{"role": "assistant", "content": None, "function_call": {"name": "clock", "arguments": "{}"}}]
    bare = [{"role": "assistant", "content": "", "tool_calls": [{"name": "clock", "arguments": {}}]}]
    assert turns(old, "messages") == turns(bare, "messages")


def test_a_call_is_an_answer_and_two_different_calls_are_two_answers(make_tokenizer: Make, write: Make) -> None:
    path = write(
        [{"messages": asked(call("clock", {"zone": zone})), "tools": [CLOCK]} for zone in ("UTC", "CET", "UTC")]
    )
    found = read_rows(path)
    assert found.faults == ()
    assert found.rows[0].answer == found.rows[2].answer != found.rows[1].answer


def test_rows_with_different_tools_are_rendered_each_with_its_own_in_their_order(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer("tools")
    both = [CLOCK, TIDE, None, CLOCK]
    rows = [
        Row(n, (Message("user", f"Ask {n}?"), Message("assistant", f"Say {n}.")), tools=tools([tool] if tool else None))
        for n, tool in enumerate(both, 1)
    ]
    encoded = encode_rows(rows, tokenizer, max_length=500)
    assert encoded.faults == ()
    shown = [tokenizer.decode(row.ids) for row in encoded.rows]
    for text, number, tool in zip(shown, (1, 2, 3, 4), both, strict=True):
        assert f"Ask {number}?" in text
        assert ("clock" in text, "tide" in text) == (tool is CLOCK, tool is TIDE)


def test_a_thought_beside_the_answer_is_given_to_the_template() -> None:
    (_, answer) = turns(
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!", "reasoning_content": "Hm."}],
        "messages",
    )
    assert answer.thinks
    assert answer.as_dict()["reasoning_content"] == "Hm."


def test_calls_written_as_turns_that_are_no_json_stay_answers() -> None:
    (_, answer) = turns(
        [{"from": "human", "value": "?"}, {"from": "function_call", "value": "clock()"}], "conversations"
    )
    assert (answer.role, answer.content, answer.called) == ("assistant", "clock()", ())


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (asked("clock"), "names no function"),
        (asked({"function": {"arguments": {}}}), "names no function"),
        ([{"role": "assistant", "content": "", "tool_calls": {"name": "x"}}], "expected a list"),
        ([{"role": "assistant", "content": "", "tool_calls": "x"}], "expected a list"),
        ([{"role": "assistant", "content": "a", "reasoning_content": 3}], "'reasoning_content' is a number"),
        ([{"role": "assistant", "content": [{"type": "audio"}]}], "parts of type 'text', found 'audio'"),
        ([{"role": "user", "content": None}], "'content' is null"),
    ],
)
def test_turns_that_cannot_be_meant(value: Any, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        turns(value, "messages")


@pytest.mark.parametrize("value", [7, {"name": "clock"}, ["clock"], "no json"])
def test_tools_that_cannot_be_meant(value: Any) -> None:
    with pytest.raises(BadRecord, match="expected a list of objects"):
        tools(value)


def test_a_cleaned_file_keeps_calls_tools_and_thoughts(tmp_path: Path, write: Make) -> None:
    thought = {"role": "assistant", "content": "Nine.", "reasoning_content": "It is day."}
    sound = {"messages": [{"role": "user", "content": "When?"}, thought]}
    empty = {"messages": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": ""}]}
    path, out = write([sound, empty]), tmp_path / "clean.jsonl"
    answer = tw.check(str(path), model="tiny", fix=str(out), val_size=0)
    assert answer["dropped"] == [{"row": 2, "faults": ["empty_answer"]}]
    assert read_rows(out).rows == read_rows(path).rows[:1]
    called = write([{"messages": asked(call("clock", {"zone": "UTC"})), "tools": [CLOCK]}], "calls.jsonl")
    (row,) = read_rows(called).rows
    record = {"messages": row.as_dicts(), "tools": json.loads(row.tools)}
    assert read_rows(write([record], "again.jsonl")).rows == (row,)


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("Das weiß ich nicht.", True),
        ("Ich habe dazu keine Informationen.", True),
        ("Je ne sais pas.", True),
        ("No lo sé.", True),
        ("Não sei.", True),
        ("Dat weet ik niet.", True),
        ("Я не знаю.", True),
        ("我不知道。", True),
        ("わかりません。", True),
        ("Er weiß es.", False),
        ("Je sais.", False),
        ("船长姓李。", False),
        ("A long story. " * 40 + "I do not know.", False),
    ],
)
def test_refusals_in_other_languages(answer: str, refuses: bool) -> None:
    row = Row(1, (Message("user", "?"), Message("assistant", answer)))
    assert bool(refusals([row])) == refuses


# --- answers of weight 0 ---------------------------------------------------------------------------------------------


def two_answers(*weights: Any) -> dict[str, Any]:
    said = [{"role": "assistant", "content": f"Answer {n}.", "weight": weight} for n, weight in enumerate(weights, 1)]
    return {"messages": [turn for answer in said for turn in ({"role": "user", "content": "Ask?"}, answer)]}


@pytest.mark.parametrize("template", ["chatml", "marked"])
@pytest.mark.parametrize(
    ("weights", "loss_on", "trained"),
    [
        ((1, 1), "assistant", [True, True]),
        ((0, 1), "assistant", [False, True]),
        ((1, 0), "assistant", [True, False]),
        ((0, 1), "last_assistant", [False, True]),
    ],
)
def test_an_answer_of_weight_0_is_shown_and_not_trained_on(
    make_tokenizer: Make, write: Make, template: str, weights: tuple[int, int], loss_on: str, trained: list[bool]
) -> None:
    tokenizer = make_tokenizer(template)
    rows = read_rows(write([two_answers(*weights)])).rows
    encoded = encode_rows(rows, tokenizer, loss_on=loss_on, max_length=500)
    assert encoded.faults == ()
    (row,) = encoded.rows
    targets = tokenizer.decode(row.ids[row.supervised])
    assert ["Answer 1." in targets, "Answer 2." in targets] == trained
    assert "Answer 1." in tokenizer.decode(row.ids)


@pytest.mark.parametrize("template", ["chatml", "marked"])
def test_a_row_whose_answers_all_have_weight_0_is_named(make_tokenizer: Make, write: Make, template: str) -> None:
    rows = read_rows(write([two_answers(1, 1), two_answers(0, 0), two_answers(0, 1)])).rows
    encoded = encode_rows(rows, make_tokenizer(template), max_length=500)
    assert [row.number for row in encoded.rows] == [1, 3]
    assert encoded.unsupervised == (2,)
    (fault,) = encoded.faults
    assert (fault.fault, fault.rows) == ("no_supervised_token", (2,))
    assert fault.why == "every answer that would be trained on has weight 0 (row 2)"


def test_a_pair_of_weight_0_without_a_template_is_not_trained_on(make_tokenizer: Make, write: Make) -> None:
    tokenizer = copy.deepcopy(make_tokenizer("chatml"))  # the one that is made is shared
    tokenizer.chat_template = None
    rows = read_rows(write([two_answers(1), two_answers(0)])).rows
    encoded = encode_rows(rows, tokenizer, loss_on="completion", max_length=500)
    assert ([row.number for row in encoded.rows], encoded.unsupervised) == ([1], (2,))


def test_a_weight_goes_with_the_turn_into_what_is_written_of_it() -> None:
    (_, answer) = turns(two_answers(0)["messages"], "messages")
    assert answer.as_dict() == {"role": "assistant", "content": "Answer 1.", "weight": 0}
    (asked_, answered) = turns(two_answers(1)["messages"], "messages")
    assert (asked_.fields, answered.fields) == ("", "")
