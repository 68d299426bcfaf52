"""General rows from a base that is a function, and their mixing into training rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunewright.probes.general import (
    TEXT_NUMBER,
    bundled_prompts,
    bundled_text,
    general_material,
    replay_rows_from_file,
)
from tunewright.schema.errors import DataError


def echo(prompts: Sequence[str]) -> list[str]:
    return [f" On {prompt} " for prompt in prompts]


def test_probe_and_replay_are_the_bases_answers_to_different_prompts() -> None:
    made = general_material(echo, probe_count=40, replay_count=120, seed=3)
    *probe, text = made.probe
    assert (len(probe), len(made.replay)) == (40, 120)
    assert {row.key for row in probe}.isdisjoint(row.key for row in made.replay)
    assert len({row.key for row in (*probe, *made.replay)}) == 160
    assert all(row.answer == f"On {row.prompt}".strip() for row in (*probe, *made.replay))
    assert (text.number, text.text, text.messages) == (TEXT_NUMBER, bundled_text(), ())
    assert made.text == bundled_text() != ""


def test_rows_are_numbered_below_zero_by_the_line_of_their_prompt() -> None:
    made = general_material(echo, probe_count=10, replay_count=10, seed=0)
    line = {prompt.text: prompt.line for prompt in bundled_prompts()}
    rows = [*made.probe[:-1], *made.replay]
    assert [row.number for row in rows] == [-line[row.prompt] for row in rows]
    assert all(row.number < 0 for row in (*rows, made.probe[-1]))


def test_both_parts_hold_every_kind_in_its_share() -> None:
    whole = Counter(prompt.kind for prompt in bundled_prompts())
    made = general_material(echo, probe_count=60, replay_count=200, seed=1)
    for rows, n in ((made.probe, 60), (made.replay, 200)):
        found = Counter(row.topic for row in rows if row.messages)
        for kind, count in whole.items():
            assert abs(found[kind] - n * count / whole.total()) <= 3


def test_the_probe_is_the_same_whatever_is_replayed_and_differs_by_seed() -> None:
    alone, beside, other = (
        general_material(echo, probe_count=20, replay_count=replay, seed=seed)
        for replay, seed in ((0, 3), (90, 3), (0, 4))
    )
    assert alone.probe == beside.probe
    assert alone.replay == ()
    assert alone.probe != other.probe


def test_empty_and_endless_answers_are_dropped_and_others_asked() -> None:
    asked: list[str] = []

    def moody(prompts: Sequence[str]) -> list[str | None]:
        asked.extend(prompts)
        return [None if len(prompt) % 3 == 0 else "  " if len(prompt) % 3 == 1 else "Yes." for prompt in prompts]

    made = general_material(moody, probe_count=20, replay_count=20, seed=0)
    assert len(made.probe) == 21
    assert len(made.replay) == 20
    assert all(len(row.prompt) % 3 == 2 for row in (*made.probe[:-1], *made.replay))
    assert len(asked) == len(set(asked))


def test_a_base_that_answers_nothing_leaves_the_text() -> None:
    made = general_material(lambda prompts: [None] * len(prompts), probe_count=5, replay_count=5, seed=0)
    assert [row.number for row in made.probe] == [TEXT_NUMBER]
    assert made.replay == ()


def test_more_rows_than_prompts_serve_the_probe_first() -> None:
    prompts = len(bundled_prompts())
    made = general_material(echo, probe_count=prompts - 5, replay_count=100, seed=0)
    assert (len(made.probe) - 1, len(made.replay)) == (prompts - 5, 5)


def test_own_replay_rows_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    lines = [{"prompt": "Who?", "completion": "Tom."}, {"prompt": "Where?", "completion": "Here."}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = replay_rows_from_file(path)
    assert [(row.number, row.prompt, row.answer) for row in rows] == [(-1, "Who?", "Tom."), (-2, "Where?", "Here.")]
    with pytest.raises(DataError, match="no such file"):
        replay_rows_from_file(tmp_path / "none.jsonl")
    path.write_text('{"prompt": "Who?", "completion": ""}\n')
    with pytest.raises(DataError, match="no row that could be replayed"):
        replay_rows_from_file(path)
