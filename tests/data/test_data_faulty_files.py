"""Files with one known fault each, in every format, and sound ones: the right fault at the right rows, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from faulty_files import DEVELOPED, HELD, Content, File, faulty_files, sound_files

from tunewright.data.check import check_rows, with_slow_part
from tunewright.data.dataset import load_dataset
from tunewright.data.encode import encode_rows

Make = Callable[..., Any]
Found = dict[str, tuple[int, ...]]


def found_in(file: File, make_tokenizer: Make) -> Found:
    """fault -> rows, of the data file and of its validation file."""
    data = load_dataset({"data": str(file.path), "val": str(file.val) if file.val else None, "val_size": 0})
    tokenizer = make_tokenizer(file.template or None)
    train, val, test = (
        encode_rows(rows, tokenizer, loss_on=file.loss_on, max_length=file.max_length)
        for rows in (data.train, data.val, data.test)
    )
    report = with_slow_part(check_rows(data, train, val, test), data)
    return {
        fault.fault if fault.part == "train" else f"{fault.fault}/{fault.part}": fault.rows for fault in report.faults
    }


def wrong(files: Iterable[File], make_tokenizer: Make) -> list[tuple[str, Any, Found]]:
    return [
        (file.name, file.expected, found)
        for file in files
        if (found := found_in(file, make_tokenizer)) != dict(file.expected)
    ]


@pytest.mark.parametrize("content", [DEVELOPED, HELD], ids=["developed", "held"])
def test_every_fault_is_named_with_its_rows_and_nothing_else_is(
    tmp_path: Path, make_tokenizer: Make, content: Content
) -> None:
    files = list(faulty_files(tmp_path, content))
    assert len(files) >= 90
    assert wrong(files, make_tokenizer) == []


@pytest.mark.parametrize("content", [DEVELOPED, HELD], ids=["developed", "held"])
def test_sound_files_have_no_fault(tmp_path: Path, make_tokenizer: Make, content: Content) -> None:
    files = list(sound_files(tmp_path, content))
    assert len(files) == 20
    assert wrong(files, make_tokenizer) == []
