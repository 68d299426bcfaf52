"""Every format with every shape, and every way a file can be broken."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data import formats
from tunewright.data.faults import Fault
from tunewright.data.formats import parse
from tunewright.data.read import RowFile, read_rows
from tunewright.schema.errors import DataError, EnvironmentMissing

PAIRS = [('Who is\nOlaf, the "old"?', "The ferryman."), ("Wann? ☃", "Um sieben.")]
SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "instruction/completion": lambda q, a: {"instruction": q, "completion": a},
    "prompt/completion": lambda q, a: {"prompt": q, "completion": a},
    "question/answer": lambda q, a: {"question": q, "answer": a},
    "text": lambda q, a: {"text": f"{q} {a}"},
}
CHAT = SHAPES["messages"]("Who?", "Olaf.")


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def write_json(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")


def write_csv(path: Path, records: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]))
        writer.writeheader()
        cells = [{k: v if isinstance(v, str) else json.dumps(v) for k, v in record.items()} for record in records]
        writer.writerows(cells)


def write_parquet(path: Path, records: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(records), path)


FORMATS = {"jsonl": write_jsonl, "json": write_json, "csv": write_csv, "parquet": write_parquet}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_holds_every_shape(tmp_path: Path, kind: str, shape: str) -> None:
    path = tmp_path / f"rows.{kind}"
    FORMATS[kind](path, [SHAPES[shape](question, answer) for question, answer in PAIRS])
    file = read_rows(path)
    assert (file.format, file.shape, file.faults) == (kind, shape, ())
    assert [row.number for row in file.rows] == [1, 2]
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    if shape == "text":
        assert [row.text for row in file.rows] == [" ".join(pair) for pair in PAIRS]
    else:
        assert [(row.prompt, row.answer) for row in file.rows] == PAIRS
        assert [message.role for message in file.rows[0].messages] == ["user", "assistant"]


def faults(file: RowFile) -> dict[str, Fault]:
    return {fault.fault: fault for fault in file.faults}


def jsonl(tmp_path: Path, *lines: Any) -> RowFile:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return read_rows(path)


def test_numbers_are_line_numbers_with_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = jsonl(tmp_path, b"\xef\xbb\xbf" + json.dumps(CHAT).encode(), b"", b"  \r", CHAT)
    assert [row.number for row in file.rows] == [1, 4]
    assert not file.faults


def test_a_line_separator_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    line = json.dumps(SHAPES["messages"]("a\u2028b\x85c", "d"), ensure_ascii=False).encode()
    assert jsonl(tmp_path, line).rows[0].prompt == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"messages": [', "not JSON"),
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (b'{"messages": ' + b'{"a":' * 5000, "not JSON"),
        (b"\x00\x00\x00", "not JSON"),
        (b'{"messages": "\xff"}', "not JSON"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "not JSON"),
        (b"[1, 2]", "found a list"),
        (b"null", "found null"),
        (b'"text"', "found a text"),
        (b"{}", "no 'messages'"),
        (b'{"messages": null}', "'messages' is null, expected a list of turns"),
        (b'{"messages": 3}', "'messages' is a number"),
        (b'{"messages": "words"}', "'messages' is text"),
        (b'{"messages": []}', "'messages' is empty"),
        (b'{"messages": ["hello"]}', "a turn of 'messages' is a text, expected an object"),
        (b'{"messages": [{"role": "user"}]}', "no 'content'"),
        (b'{"messages": [{"role": 3, "content": "x"}]}', "'role' is a number"),
        (b'{"messages": [{"role": "user", "content": null}]}', "'content' is null, expected text"),
        (b'{"messages": [{"role": "user", "content": ["x"]}]}', "'content' is a list, expected text"),
        (b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}', "contains a NUL character"),
        (b'{"prompt": "other", "completion": "shape"}', "no 'messages'"),
    ],
)
def test_a_broken_line_is_named_and_the_rest_is_kept(tmp_path: Path, line: bytes, why: str) -> None:
    file = jsonl(tmp_path, CHAT, line, CHAT)
    assert [row.number for row in file.rows] == [1, 3]
    fault = faults(file)["broken_row"]
    assert (fault.rows, fault.severity, fault.count) == ((2,), "error", 1)
    assert why in fault.why
    assert "(row 2)" in fault.why
    assert fault.fix


def test_an_enormous_line_is_read(tmp_path: Path) -> None:
    file = jsonl(tmp_path, SHAPES["messages"]("q" * 5_000_000, "a"), CHAT)
    assert len(file.rows[0].prompt) == 5_000_000


def test_a_file_of_broken_lines_only_lists_them_all(tmp_path: Path) -> None:
    file = jsonl(tmp_path, *[b"oops"] * 30)
    assert file.rows == ()
    assert faults(file)["broken_row"].rows == tuple(range(1, 31))


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        (["user", "robot"], "unknown role 'robot'"),
        (["assistant", "user"], "the first turn is 'assistant'"),
        (["system", "assistant"], "the first turn is 'assistant'"),
        (["user"], "no assistant turn"),
        (["system"], "no assistant turn"),
        (["user", "user", "assistant"], "two 'user' turns in a row"),
        (["user", "assistant", "assistant"], "two 'assistant' turns in a row"),
        (["user", "system", "assistant"], "a system turn after the first turn"),
    ],
)
def test_wrong_roles(tmp_path: Path, roles: list[str], why: str) -> None:
    file = jsonl(tmp_path, CHAT, {"messages": [{"role": role, "content": "x"} for role in roles]})
    assert faults(file)["wrong_roles"].rows == (2,)
    assert why in faults(file)["wrong_roles"].why
    assert "[" not in faults(file)["wrong_roles"].why


def test_roles_that_are_fine(tmp_path: Path) -> None:
    turns = ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert not jsonl(tmp_path, {"messages": [{"role": role, "content": "x"} for role in turns]}).faults


def test_empty_answers_anywhere_in_the_chat(tmp_path: Path) -> None:
    blank = {"messages": [*SHAPES["messages"]("a", " \n")["messages"], *CHAT["messages"]]}
    file = jsonl(tmp_path, CHAT, blank, SHAPES["messages"]("a", ""))
    assert faults(file)["empty_answer"].rows == (2, 3)


def test_alpaca_input_and_system_and_topic(tmp_path: Path) -> None:
    record = {"instruction": "Add.", "input": "1 and 2", "output": "3", "system": "Be terse.", "topic": "sums"}
    row = jsonl(tmp_path, record).rows[0]
    assert [(m.role, m.content) for m in row.messages] == [
        ("system", "Be terse."),
        ("user", "Add.\n\n1 and 2"),
        ("assistant", "3"),
    ]
    assert row.topic == "sums"


def test_prompt_and_completion_as_lists_of_turns(tmp_path: Path) -> None:
    prompt, answer = CHAT["messages"]
    row = jsonl(tmp_path, {"prompt": [prompt], "completion": [answer]}).rows[0]
    assert (row.prompt, row.answer) == ("Who?", "Olaf.")


def test_json_with_its_rows_under_data_and_with_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"data": [CHAT, "no object", CHAT]}))
    assert [row.number for row in read_rows(path).rows] == [1, 3]
    write_jsonl(path, [CHAT, CHAT])
    assert read_rows(path).format == "jsonl"


def test_csv_with_semicolons_and_with_broken_records(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt;completion\na;b\nonly one\n"x"y;z\nq;"two\nlines"\na;b;c\n', newline="")
    file = read_rows(path)
    assert [row.number for row in file.rows] == [1, 4]
    assert file.rows[1].answer == "two\nlines"
    why = faults(file)["broken_row"].why
    assert "fewer fields than the header has (row 2)" in why
    assert "not CSV" in why
    assert "(row 3)" in why
    assert "more fields than the header has" in why


def test_a_quote_never_closed_loses_no_row_silently(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion\na,b\n"open,c\nd,e\n', newline="")
    file = read_rows(path)
    assert [row.number for row in file.rows] == [1]
    assert faults(file)["broken_row"].rows == (2,)


def test_csv_fields_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "x" * 1_000_000 + "\n")
    assert len(read_rows(path).rows[0].text or "") == 1_000_000


def test_text_is_read_by_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("\n\nOne\nstill one.\r\n\r\n  \nTwo.\n\n\n", newline="")
    file = read_rows(path)
    assert [(row.number, row.text) for row in file.rows] == [(1, "One\nstill one."), (2, "Two.")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b"", "the file is empty"),
        ("rows.jsonl", b" \n\n", "the file is empty"),
        ("rows.csv", b"prompt,completion\n", "no rows in it"),
        ("rows.json", b"[]", "no rows in it"),
        ("rows.json", b"[1, 2", "not JSON"),
        ("rows.json", b"3", "expected a list of objects"),
        ("rows.json", b"[" * 100_000, "not JSON"),
        ("rows.jsonl", '{"text": "a"}'.encode("utf-16"), "UTF-16 text, expected UTF-8"),
        ("rows.csv", "text\nna\u00efve\n".encode("latin-1"), r"line 2: not UTF-8 text \(byte 0xef at 7\)"),
        ("rows.txt", b"\xff\xff\xfa", "not UTF-8 text"),
        ("rows.parquet", b"PAR1 nothing", "not a Parquet file"),
        ("rows.xlsx", b"PK", "unknown kind of file '.xlsx'; known are .jsonl"),
        ("rows", b"x", "unknown kind of file"),
        ("rows.jsonl", b'{"a": 1, "b": 2}', "found columns a, b; expected one of: messages"),
        ("rows.jsonl", b"{}", "found columns none"),
        ("rows.csv", b"a,b\n1,2\n", "found columns a, b"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_preference_pairs_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        jsonl(tmp_path, {"prompt": "a", "chosen": "b", "rejected": "c"})
    assert "DPO" in caught.value.hint


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="a folder"):
        read_rows(tmp_path)
    with pytest.raises(DataError, match="not a regular file"):
        read_rows(Path("/dev/null"))


def test_parquet_without_pyarrow_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(path, [CHAT])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentMissing) as caught:
        read_rows(path)
    assert caught.value.hint == "pip install pyarrow"


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(path, [CHAT] * 100)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a Parquet file"):
        read_rows(path)


@given(st.binary(max_size=300), st.sampled_from(sorted(formats.READERS)))
def test_any_bytes_are_read_or_refused(content: bytes, suffix: str) -> None:
    with contextlib.suppress(DataError):  # anything else is a traceback at a user
        _, records = parse(Path("rows" + suffix), content)
        assert all((record.value is None) == bool(record.broken) for record in records)


leaf = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)
anything = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
turn = st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), anything | st.just("user"))


@given(st.lists(st.lists(turn | anything, max_size=3) | anything, min_size=1, max_size=4))
def test_any_values_under_messages_give_rows_or_faults(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("".join(json.dumps({"messages": value}) + "\n" for value in values))
    file = read_rows(path)
    broken = [number for fault in file.faults if fault.fault == "broken_row" for number in fault.rows]
    assert sorted([row.number for row in file.rows] + broken) == list(range(1, len(values) + 1))


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("between", ["", "\n"])
def test_objects_one_right_after_the_other_are_rows(
    tmp_path: Path, name: str, indent: int | None, between: str
) -> None:
    rows = [{"instruction": f"Q{n}", "output": f"A{n}"} for n in range(30)]
    path = tmp_path / name
    path.write_text(between.join(json.dumps(row, indent=indent) for row in rows))
    found = read_rows(path)
    assert found.faults == ()
    assert [(row.number, row.prompt, row.answer) for row in found.rows[::29]] == [(1, "Q0", "A0"), (30, "Q29", "A29")]


def test_json_that_breaks_off_names_its_line_and_a_command_that_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"instruction": "Q",\n"output": "A"},\n{"instruction": "Q"')
    with pytest.raises(DataError, match=r"rows\.json, line 3: not JSON") as caught:
        read_rows(path)
    assert caught.value.hint == f"python -m json.tool {path}"
