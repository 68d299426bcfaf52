"""bakeoff: several bases on the user's own answers and questions, before any of them is tuned, or after a short tuning.

Every candidate sees the same rows and questions through its own chat template. With ``tune`` each is tuned on the same
number of tokens at three learning rates side by side, and the best of the three counts: a base is not to lose because
one rate suits it less.
"""

from __future__ import annotations

import gc
import random
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.app.licence import licence_of
from tunewright.app.request import Request, given_settings
from tunewright.app.watch import Silent, Watch
from tunewright.data.dataset import Dataset, load_dataset
from tunewright.data.model_folder import load_tokenizer, model_facts, resolve_model
from tunewright.data.rows import Message, Row, by_number
from tunewright.data.sources import demo_files
from tunewright.examiner.question import Question
from tunewright.examiner.suite import draft_suite, read_suite
from tunewright.schema.errors import DataError, Interrupted, UsageError
from tunewright.schema.exam import PARTS
from tunewright.schema.facts import ModelFacts

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow
    from tunewright.engine.base import Base
    from tunewright.examiner.choice import Candidate

MOST_ROWS = 400
"""Rows that are scored: the margin of error of bits per byte is then a few per cent of it on the data measured."""
QUESTIONS_PER_PART = 60


@dataclass
class _Contender:
    """One candidate: what is known before it is loaded, then what was measured."""

    name: str
    folder: str
    facts: ModelFacts
    tokenizer: Any
    token_rows: tuple[TokenRow, ...] = ()
    bits: Mapping[int, float] = field(default_factory=dict)
    passed: tuple[bool, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, Any] | None = None


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
    return _Bakeoff(contenders, rows, _questions(given, dataset, suite, seed), seed, watch).go(
        _Tuning(request, dataset, Path(runs_dir)) if tune else None
    )


def _distinct(models: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in models if name.strip()))
    if len(names) < 2:
        raise UsageError(
            f"a bake-off needs two or more different models, given: {', '.join(names) or 'none'}",
            hint="tunewright bakeoff rows.jsonl --models Qwen/Qwen3-0.6B,HuggingFaceTB/SmolLM2-360M",
        )
    return names


def _contender(name: str) -> _Contender:
    folder = resolve_model(name)
    return _Contender(name, folder, model_facts(folder), load_tokenizer(folder))


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


@dataclass(frozen=True)
class _Tuning:
    """What a short tuning of every candidate needs."""

    request: Request
    dataset: Dataset
    runs_dir: Path


class _Bakeoff:
    """One bake-off at work."""

    def __init__(
        self,
        contenders: list[_Contender],
        rows: Sequence[Row],
        questions: Sequence[Question],
        seed: int,
        watch: Watch,
    ) -> None:
        from tunewright.examiner.bits import answer_bytes, answer_rows

        self.contenders, self.questions, self.seed, self.watch = contenders, questions, seed, watch
        self.bytes = answer_bytes(rows)
        for one in contenders:
            one.token_rows = answer_rows(rows, one.tokenizer, one.facts.context)
        # A row that one candidate cannot read would be counted for the others only.
        held = set(self.bytes).intersection(*({row.number for row in one.token_rows} for one in contenders))
        self.numbers = [row.number for row in rows if row.number in held]
        self.left_out = len(rows) - len(self.numbers)
        if not self.numbers:
            raise DataError("no row fits all candidates: their contexts or templates leave nothing to compare")
        for one in contenders:
            one.token_rows = tuple(row for row in one.token_rows if row.number in held)

    def go(self, tuning: _Tuning | None) -> dict[str, Any]:
        for one in self.contenders:
            self._measure(one)
        if tuning is not None:
            self._tune(tuning)
        return self._answer()

    def _measure(self, one: _Contender) -> None:
        """Load a candidate, score its rows, ask it the questions, and let it go again."""
        from tunewright.engine.base import load_base
        from tunewright.engine.memory import PeakMemory

        self.watch.say(f"loading {one.name}")
        gc.collect()
        peak = PeakMemory(_device())
        base = load_base(one.folder)
        one.measured = self._score(one, base)
        one.measured["peak_GiB"] = peak.peak_GiB()

    def _score(self, one: _Contender, base: Base) -> dict[str, Any]:
        """Bits and exam of a candidate as it is now, into ``one``; returns them as JSON."""
        from tunewright.examiner.bits import answer_bits

        started_s = time.perf_counter()
        found = answer_bits(base.model, one.token_rows)
        seconds = time.perf_counter() - started_s
        one.bits = found.bits
        one.passed = self._ask(one, base)
        return {
            "bits_per_byte": self._bits_per_byte(one),
            "exam": self._exam_json(one.passed),
            "tokens_per_s": found.tokens / seconds if seconds else 0.0,
        }

    def _ask(self, one: _Contender, base: Base) -> tuple[bool, ...]:
        from tunewright.examiner.ask import answer_all
        from tunewright.examiner.score import passes

        chats = bool(one.tokenizer.chat_template)
        answers = answer_all(
            base.model,
            one.tokenizer,
            [question.turns if chats else _as_text(question) for question in self.questions],
            on_progress=lambda done, total: self.watch.working(f"asking {one.name}", done, total),
        )
        # A model that knows no chats never ends its answer: what it says is its first line.
        texts = answers.texts if chats else [text.split("\n")[0] for text in answers.texts]
        return tuple(passes(text, question) for text, question in zip(texts, self.questions, strict=True))

    def _exam_json(self, passed: Sequence[bool]) -> dict[str, Any]:
        from tunewright.examiner.rates import score

        by_part = {
            part: [ok for ok, question in zip(passed, self.questions, strict=True) if question.part == part]
            for part in PARTS
        }
        whole = score(sum(passed), len(passed))
        return {**vars(whole), "parts": {part: score(sum(some), len(some)) for part, some in by_part.items() if some}}

    def _bits_per_byte(self, one: _Contender) -> float:
        from tunewright.examiner.bits import bits_per_byte

        return bits_per_byte(self._bits_n(one), self._bytes_n())

    def _bits_n(self, one: _Contender) -> Any:
        return np.array([one.bits[number] for number in self.numbers])

    def _bytes_n(self) -> Any:
        return np.array([self.bytes[number] for number in self.numbers], dtype=np.float64)

    def _tune(self, tuning: _Tuning) -> None:
        """The same number of tokens for each candidate, at three learning rates side by side."""
        from tunewright.app.short_tuning import equal_budget, short_tuning
        from tunewright.record.run import free_name

        folder = tuning.runs_dir / free_name(tuning.runs_dir, "bakeoff")
        planned = [short_tuning(tuning.request, one.name) for one in self.contenders]
        budget = equal_budget(planned)
        for place, (one, short) in enumerate(zip(self.contenders, planned, strict=True), start=1):
            if self.watch.should_stop():
                raise Interrupted(f"stopped before {one.name} was tuned; the runs so far are in {folder}")
            self.watch.say(f"tuning {one.name} on about {budget:,} tokens")
            cell = short.run(budget, folder, f"{place}-{_slug(one.name)}", self.watch)
            one.tuned = self._score_tuned(one, cell)

    def _score_tuned(self, one: _Contender, cell: dict[str, Any]) -> dict[str, Any]:
        """Bits and exam of the best of the short tunings, beside what it was."""
        from tunewright.engine.base import load_base
        from tunewright.engine.export import load_tuned

        gc.collect()
        base = load_base(one.folder)
        load_tuned(base, Path(cell.pop("adapter")))
        scored = self._score(one, base)
        return {"bits_per_byte": scored["bits_per_byte"], "exam": scored["exam"], **cell}

    def _answer(self) -> dict[str, Any]:
        from tunewright.examiner.choice import choose

        tuned = self.contenders[0].tuned is not None
        found = choose([self._candidate(one) for one in self.contenders], self._bytes_n(), tuned=tuned, seed=self.seed)
        margin = found.margin
        return {
            "models": [self._model_json(one) for one in self.contenders],
            "recommended": found.recommended,
            "margin": None if margin is None else {**vars(margin), "clear": margin.is_clear},
            "cannot_tell_apart": found.tied,
            "why": found.why,
            "rows": len(self.numbers),
            "left_out": self.left_out,
            "questions": len(self.questions),
            "tuned": tuned,
        }

    def _candidate(self, one: _Contender) -> Candidate:
        from tunewright.examiner.choice import Candidate

        return Candidate(one.name, self._bits_n(one), one.passed, one.facts.parameters)

    def _model_json(self, one: _Contender) -> dict[str, Any]:
        facts = one.facts
        return {
            "model": one.name,
            **one.measured,
            "tuned": one.tuned,
            "parameters": facts.parameters,
            "architecture": facts.family,
            "context": facts.context,
            "licence": licence_of(one.folder),
            "chat_template": bool(one.tokenizer.chat_template),
        }


def _as_text(question: Question) -> list[Message]:
    """The turns, one a line, and a line end, for a model without a chat template."""
    return [Message("user", "\n".join(turn.content for turn in question.turns) + "\n")]


def _device() -> Any:
    from tunewright.engine.precision import choose_device

    return choose_device()[0]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-60:] or "model"
