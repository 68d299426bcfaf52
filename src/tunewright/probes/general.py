"""General rows: what a model could do before it was tuned, to measure forgetting by and to replay against it.

They are the base's own greedy answers to bundled prompts, so they fit any model: nothing has to be downloaded, and
a tuned model that still answers like its base has lost nothing. A bundled plain text is beside them.

Rows made here have numbers below zero, so no report can mistake them for rows of the user's data: -n came from line n
of the prompts (or of the user's own replay file), and ``TEXT_NUMBER`` is the plain text.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from tunewright.data.normalise import normalised
from tunewright.data.read import read_rows
from tunewright.data.rows import Message, Row
from tunewright.schema.errors import DataError

TEXT_NUMBER = -1_000_000_000
"""The row number of the bundled plain text."""
SPARE = 0.1
"""Share of prompts asked beyond the number wanted, because some answers will be dropped."""

AnswerAll = Callable[[Sequence[str]], Sequence[str | None]]
"""The base: one answer for each prompt, None (or nothing) for an answer that never ended."""


@dataclass(frozen=True)
class Prompt:
    """A bundled prompt; ``line``: its 1-based line in the file; ``kind``: what sort of task it is."""

    line: int
    text: str
    kind: str


@dataclass(frozen=True)
class GeneralRows:
    """``probe``: chat rows and the plain text as a raw-text row, never trained on; ``replay``: chat rows to mix into
    training, of other prompts; ``text``: the plain text."""

    probe: tuple[Row, ...]
    replay: tuple[Row, ...]
    text: str


def general_material(answer: AnswerAll, *, probe_count: int, replay_count: int, seed: int) -> GeneralRows:
    """Chat rows of the base's own answers: ``probe_count`` to measure by (and the plain text), ``replay_count`` others.

    Every kind of prompt is in both in the shares of the bundled file. Answers that are empty or never ended are
    dropped and further prompts are asked in their place; when the prompts are used up there are fewer rows, the
    probe being served first. The probe does not depend on ``replay_count``. Deterministic for a deterministic model.
    """
    prompts = _shuffled(bundled_prompts(), seed)
    rows = _answered(answer, prompts, probe_count + replay_count)
    text = bundled_text()
    probe, rest = rows[:probe_count], rows[probe_count:]
    text_row = (Row(TEXT_NUMBER, text=text),) if text else ()
    return GeneralRows(probe=(*probe, *text_row), replay=tuple(rest[:replay_count]), text=text)


def _answered(answer: AnswerAll, prompts: Sequence[Prompt], wanted: int) -> list[Row]:
    """Rows for the first prompts that the base answers, in the prompts' order."""
    rows: list[Row] = []
    asked = 0
    while len(rows) < wanted and asked < len(prompts):
        missing = wanted - len(rows)
        batch = prompts[asked : asked + missing + int(SPARE * missing) + 1]
        asked += len(batch)
        said = answer([prompt.text for prompt in batch])
        rows += [_row(prompt, text) for prompt, text in zip(batch, said, strict=True) if text and text.strip()]
    return rows[:wanted]


def _row(prompt: Prompt, text: str) -> Row:
    return Row(
        -prompt.line, messages=(Message("user", prompt.text), Message("assistant", text.strip())), topic=prompt.kind
    )


def bundled_prompts() -> tuple[Prompt, ...]:
    """The bundled prompts, the first of those that are the same when normalised."""
    lines = _bundled("prompts.jsonl").splitlines()
    found: dict[str, Prompt] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            value = json.loads(line)
            found.setdefault(normalised(value["prompt"]), Prompt(number, value["prompt"], value.get("kind", "")))
    return tuple(found.values())


def bundled_text() -> str:
    """The bundled plain text."""
    return _bundled("text.txt").strip()


def _bundled(name: str) -> str:
    return (resources.files("tunewright") / "bundled" / "general" / name).read_text(encoding="utf-8")


def _shuffled(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """Shuffled within each kind and dealt out evenly: every stretch holds the kinds in about their overall shares."""
    drawn = random.Random(f"general {seed}")
    kinds: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        kinds.setdefault(prompt.kind, []).append(prompt)
    placed = []
    for kind in sorted(kinds):
        group = drawn.sample(kinds[kind], len(kinds[kind]))
        placed += [((n + 0.5) / len(group), kind, prompt) for n, prompt in enumerate(group)]
    return [prompt for _, _, prompt in sorted(placed, key=lambda item: item[:2])]


def replay_rows_from_file(path: Path) -> tuple[Row, ...]:
    """A user's own rows to replay, numbered below zero. Broken ones are left out.

    Raises DataError when the file cannot be read as rows, or no row of it can be replayed.
    """
    rows = tuple(replace(row, number=-row.number) for row in read_rows(path).rows if row.answer.strip())
    if not rows:
        raise DataError(f"{path}: no row that could be replayed", hint=f"tunewright check {path}")
    return rows
