"""Rows as two trainers feed them: what is the same is paired off, what is not is named with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.data.tokens import TokenRow
from tunewright.trainers.exported import labels_of
from tunewright.trainers.inside.host import describe
from tunewright.trainers.matching import described, differences

SKIP = -100


def row(number: int, ids: list[int], trained: list[int]) -> TokenRow:
    return TokenRow(number, np.array(ids, np.int32), np.array(trained, np.bool_))


OURS = [row(1, [1, 2, 3, 4], [0, 0, 1, 1]), row(2, [5, 6, 7], [0, 1, 1]), row(3, [1, 2], [0, 0])]


def as_fed(rows: list[TokenRow]) -> list[dict[str, Any]]:
    return [describe(one.ids.tolist(), labels_of(one)) for one in rows]


def kinds(theirs: list[dict[str, Any]]) -> list[tuple[str, tuple[int, ...], bool]]:
    return [(one.what, one.rows, one.effect) for one in differences(described(OURS), theirs, "Tool")]


def test_the_same_rows_in_another_order_differ_in_nothing() -> None:
    assert kinds(as_fed([OURS[2], OURS[0], OURS[1]])) == []


def test_rows_without_a_trained_token_may_be_dropped() -> None:
    assert kinds(as_fed(OURS[:2])) == [("left out", (3,), False)]


def test_what_follows_the_last_trained_token_does_not_count() -> None:
    longer = describe([5, 6, 7, 99], [SKIP, 6, 7, SKIP])
    assert kinds([*as_fed([OURS[0]]), longer, *as_fed([OURS[2]])]) == []


def test_the_first_label_does_not_count() -> None:
    assert describe([5, 6], [5, 6]) == describe([5, 6], [SKIP, 6])
    assert describe([5, 6], [5, 6])["supervised"] == 1


def test_other_labels_on_the_same_tokens_are_told_from_other_tokens() -> None:
    relabelled = describe([1, 2, 3, 4], [SKIP, 2, 3, 4])
    assert kinds([relabelled, *as_fed(OURS[1:])]) == [("other labels", (1,), True)]
    retokenised = describe([1, 23, 4], [SKIP, SKIP, 4])
    assert kinds([retokenised, *as_fed(OURS[1:])]) == [("other tokens", (1,), True)]


def test_rows_left_out_and_rows_added_are_told_apart() -> None:
    assert kinds(as_fed(OURS[1:])) == [("left out", (1,), True)]
    assert kinds(as_fed([*OURS, row(4, [8, 9], [0, 1])])) == [("added", (4,), True)]


def test_equal_rows_are_paired_off_one_by_one() -> None:
    assert kinds(as_fed([OURS[0], OURS[0], OURS[1], OURS[2]])) == [("added", (2,), True)]


@pytest.mark.parametrize("theirs", [[], as_fed([row(1, [8, 8], [0, 1])])])
def test_nothing_in_common_is_no_error(theirs: list[dict[str, Any]]) -> None:
    assert any(effect for _, _, effect in kinds(theirs))
