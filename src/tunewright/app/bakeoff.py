"""bakeoff: several bases on the user's own answers and questions, before any of them is tuned, or after a short tuning.

Every candidate sees the same rows and questions through its own chat template. With ``tune`` each is tuned on the same
number of tokens at three learning rates side by side, and the best of the three counts: a base is not to lose because
one rate suits it less.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewright.app.bakeoff_at_work import BakeoffAtWork, Contender, ToTune
from tunewright.app.request import Request, given_settings
from tunewright.app.watch import Silent, Watch
from tunewright.data.dataset import Dataset, load_dataset
from tunewright.data.model_folder import load_tokenizer, model_facts, resolve_model
from tunewright.data.rows import Row, by_number
from tunewright.data.sources import demo_files
from tunewright.examiner.question import Question
from tunewright.examiner.suite import draft_suite, read_suite
from tunewright.schema.errors import DataError, UsageError

MOST_ROWS = 400
"""Rows that are scored: the margin of error of bits per byte is then a few per cent of it on the data measured."""
QUESTIONS_PER_PART = 60


def bakeoff(
    data: str = "",
    *,
    models: Sequence[str],
    suite: str = "",
    tune: bool = False,
    request: Request | None = None,
    runs_dir: str | Path = "runs",
    watch: Watch | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Compare bases on the user's data and questions. Returns the ``bakeoff`` JSON.

    models: two or more names or folders; suite: questions as JSONL, else drafted from the rows; tune: a short tuning
    of each on equal tokens first, kept below ``runs_dir``; without it nothing is written.
    bits_per_byte: see :mod:`tunewright.examiner.bits`; recommended, margin: :mod:`tunewright.examiner.choice`.

    Raises UsageError for fewer than two models, DataError and ModelError for what cannot be used, before any model
    is loaded.

    ``tw.bakeoff("rows.jsonl", models=["Qwen/Qwen3-0.6B", "HuggingFaceTB/SmolLM2-360M"])``
    """
    watch = watch or Silent()
    request = request or Request(data=data, settings=settings)
    names = _distinct(models)
    contenders = [_contender(name) for name in names]
    request = replace(request, model=names[0])
    given = given_settings(request)
    dataset = load_dataset(given)
    seed = int(given.get("seed", 0))
    rows = _rows(dataset.val if tune else (*dataset.train, *dataset.val), seed)
    if not rows:
        look = f"tunewright check {shlex.quote(str(given['data']))} --model {shlex.quote(names[0])}"
        raise DataError(f"{given['data']}: no row with an answer to compare models on", hint=look)
    return BakeoffAtWork(contenders, rows, _questions(given, dataset, suite, seed), seed, watch).go(
        ToTune(request, dataset, Path(runs_dir)) if tune else None
    )


def _distinct(models: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in models if name.strip()))
    if len(names) < 2:
        raise UsageError(
            f"a bake-off needs two or more different models, given: {', '.join(names) or 'none'}",
            hint="tunewright bakeoff rows.jsonl --models Qwen/Qwen3-0.6B,HuggingFaceTB/SmolLM2-360M",
        )
    return names


def _contender(name: str) -> Contender:
    folder = resolve_model(name)
    return Contender(name, folder, model_facts(folder), load_tokenizer(folder))


def _rows(rows: Sequence[Row], seed: int) -> list[Row]:
    """At most ``MOST_ROWS`` different rows that have an answer, in the data's order."""
    usable = [row for row in by_number(tuple(rows)).values() if row.answer.strip()]
    drawn = random.Random(f"bakeoff {seed}").sample(range(len(usable)), min(MOST_ROWS, len(usable)))
    return [usable[at] for at in sorted(drawn)]


def _questions(given: Mapping[str, Any], dataset: Dataset, suite: str, seed: int) -> list[Question]:
    """The user's questions; old skills are asked only where the user's own suite has them."""
    demo = demo_files()
    file = suite or (str(demo["suite"]) if given["data"] == str(demo["train"]) else "")
    if file:
        return list(read_suite(Path(file)))
    drafted = draft_suite(dataset.train, dataset.val, limit=QUESTIONS_PER_PART, seed=seed)
    return [question for question in drafted if question.part != "general"]
