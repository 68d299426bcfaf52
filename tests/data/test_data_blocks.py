"""Stage pt: documents joined to full blocks, every token once, split by document before anything is joined."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.data.dataset import load_dataset
from tunewright.data.encode import encode_rows
from tunewright.data.read import read_rows
from tunewright.data.rows import Row
from tunewright.data.tokens import Encoded
from tunewright.schema.errors import DataError

Make = Callable[..., Any]
END = "</s>"
texts = st.text(st.sampled_from("abcde fgh. "), min_size=0, max_size=60)


def blocks(documents: Sequence[str], tokenizer: Any, max_length: int) -> Encoded:
    rows = [Row(number, text=text) for number, text in enumerate(documents, 1)]
    return encode_rows(rows, tokenizer, max_length=max_length, stage="pt")


def tokens_of(document: str, tokenizer: Any) -> int:
    return len(tokenizer(document, add_special_tokens=False)["input_ids"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(texts, max_size=8), max_length=st.integers(2, 40))
def test_every_token_of_every_document_is_in_one_block(
    make_tokenizer: Make, documents: list[str], max_length: int
) -> None:
    tokenizer = make_tokenizer(None)
    encoded = blocks(documents, tokenizer, max_length)
    whole = [document for document in documents if document.strip()]
    promised = sum(tokens_of(document, tokenizer) + 1 for document in whole)  # one end-of-text token each
    left_out = 1 if promised % max_length == 1 else 0  # a tail of one token cannot be trained on
    assert encoded.tokens == promised - left_out
    assert all(len(block) == max_length for block in encoded.rows[:-1])
    assert all(not block.supervised[0] and block.supervised[1:].all() for block in encoded.rows)
    assert encoded.supervised_tokens == encoded.tokens - len(encoded.rows)
    joined = tokenizer.decode(np.concatenate([block.ids for block in encoded.rows])) if encoded.rows else ""
    assert (END.join(whole) + END if whole else "").startswith(joined)


def test_a_document_longer_than_a_block_goes_on_in_the_next(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer(None)
    long = "The ferry leaves at seven. " * 30
    encoded = blocks(["Short.", long, "The last one."], tokenizer, 16)
    assert len(encoded.rows) > 5
    joined = tokenizer.decode(np.concatenate([block.ids for block in encoded.rows]))
    assert joined == f"Short.{END}{long}{END}The last one.{END}"
    assert not encoded.truncated


def test_a_short_file_is_one_short_block_and_an_empty_one_none(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer(None)
    (only,) = blocks(["x"], tokenizer, 512).rows
    assert tokenizer.decode(only.ids) == "x" + END
    assert blocks(["", "  \n"], tokenizer, 512).rows == ()


def test_empty_documents_leave_no_trace_but_are_named(make_tokenizer: Make, write: Callable[..., Path]) -> None:
    tokenizer = make_tokenizer(None)
    with_empty, without = (blocks(one, tokenizer, 16) for one in (["a b", "", "c d"], ["a b", "c d"]))
    assert [block.ids.tolist() for block in with_empty.rows] == [block.ids.tolist() for block in without.rows]
    file = read_rows(write([{"text": "a b"}, {"text": ""}, {"text": "c d"}]))
    (fault,) = file.faults
    assert (fault.fault, fault.rows, fault.severity) == ("empty_answer", (2,), "error")


def test_validation_holds_whole_documents(make_tokenizer: Make, write: Callable[..., Path]) -> None:
    """Each document says a word of its own many times; none of those words is on both sides."""
    path = write([{"text": f"{chr(97 + n % 26)}{n} " * 40} for n in range(30)])
    data = load_dataset({"data": str(path), "val_size": 0.2, "seed": 0})
    tokenizer = make_tokenizer(None)
    seen = []
    for rows in (data.train, data.val):
        encoded = encode_rows(rows, tokenizer, max_length=32, stage="pt")
        seen.append(set(tokenizer.decode(np.concatenate([one.ids for one in encoded.rows])).replace(END, "").split()))
    assert len(seen[1]) == 6
    assert not seen[0] & seen[1]


def test_paragraphs_of_a_plain_text_are_its_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("First line\nsecond line.\n\n\nNext.\n")
    assert [row.text for row in read_rows(tmp_path / "a.txt").rows] == ["First line\nsecond line.", "Next."]


def test_what_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"Good.\n\nBad \xff.\n")
    bad = read_rows(tmp_path / "a.txt").faults
    assert [(fault.fault, fault.rows) for fault in bad] == [("broken_row", (2,)), ("encoding", (2,))]
    assert "line 3" in bad[0].why
    (tmp_path / "a.txt").write_bytes(b"Bad\n\xff.\n")
    with pytest.raises(DataError, match=r"a\.txt, line 2: not UTF-8"):
        read_rows(tmp_path / "a.txt")
    lines = [json.dumps({"text": "Good."}).encode(), b'{"text": "bad \xff"}', b'{"text": "Good too."}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    file = read_rows(tmp_path / "a.jsonl")
    assert [row.number for row in file.rows] == [1, 3]
    assert [(fault.fault, fault.rows) for fault in file.faults] == [("broken_row", (2,)), ("encoding", (2,))]
