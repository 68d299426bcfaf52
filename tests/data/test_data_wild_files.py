"""Files of other tools, languages and programs: what is wrong is named with its rows, the rest is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wild_files import FAULTY, SOUND, Wild

from tunewright.data.check import CheckReport, check_rows, with_slow_part
from tunewright.data.dataset import load_dataset
from tunewright.data.encode import encode_rows
from tunewright.data.tokens import Encoded

Make = Callable[..., Any]
LEFT_ASIDE = {"few_variations", "no_refusals"}


def checked(wild: Wild, folder: Path, make_tokenizer: Make) -> tuple[CheckReport, Encoded]:
    path = folder / wild.name
    path.write_bytes(wild.content)
    data = load_dataset({"data": str(path), "val_size": 0})
    train = encode_rows(data.train, make_tokenizer(wild.template), max_length=wild.max_length)
    return with_slow_part(check_rows(data, train), data), train


def named(report: CheckReport) -> dict[str, tuple[int, ...]]:
    return {fault.fault: fault.rows for fault in report.faults if fault.fault not in LEFT_ASIDE}


@pytest.mark.parametrize("wild", SOUND, ids=lambda wild: wild.name)
def test_sound_files_are_left_alone(
    wild: Wild, tmp_path: Path, make_tokenizer: Make, trained_on: Callable[..., str]
) -> None:
    report, train = checked(wild, tmp_path, make_tokenizer)
    assert named(report) == {}
    assert report.rows == (wild.rows or report.rows) > 0
    tokenizer = make_tokenizer(wild.template)
    supervised = "\n".join(trained_on(row, tokenizer) for row in train.rows)
    whole = "\n".join(tokenizer.decode(row.ids) for row in train.rows)
    assert all(text in supervised for text in wild.trained)
    assert all(text in whole and text not in supervised for text in wild.read)


@pytest.mark.parametrize("wild", FAULTY, ids=lambda wild: wild.name)
def test_faults_are_named_with_their_rows(wild: Wild, tmp_path: Path, make_tokenizer: Make) -> None:
    report, _ = checked(wild, tmp_path, make_tokenizer)
    assert named(report) == dict(wild.expected)
