"""The candidates of a bake-off at work: each is measured, tuned where that was asked for, and set beside the others."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.app.licence import licence_of
from tunewright.app.request import Request
from tunewright.app.watch import Watch
from tunewright.data.dataset import Dataset
from tunewright.data.rows import Message, Row
from tunewright.examiner.question import Question
from tunewright.schema.errors import DataError, Interrupted
from tunewright.schema.exam import PARTS
from tunewright.schema.facts import ModelFacts

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow
    from tunewright.engine.base import Base
    from tunewright.examiner.choice import Candidate


@dataclass
class Contender:
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


@dataclass(frozen=True)
class ToTune:
    """What a short tuning of every candidate needs."""

    request: Request
    dataset: Dataset
    runs_dir: Path


class BakeoffAtWork:
    """One bake-off at work."""

    def __init__(
        self,
        contenders: list[Contender],
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

    def go(self, tuning: ToTune | None) -> dict[str, Any]:
        for one in self.contenders:
            self._measure(one)
        if tuning is not None:
            self._tune(tuning)
        return self._answer()

    def _measure(self, one: Contender) -> None:
        """Load a candidate, score its rows, ask it the questions, and let it go again."""
        from tunewright.engine.base import load_base
        from tunewright.engine.memory import PeakMemory

        self.watch.say(f"loading {one.name}")
        gc.collect()
        peak = PeakMemory(_device())
        base = load_base(one.folder)
        one.measured = self._score(one, base)
        one.measured["peak_GiB"] = peak.peak_GiB()

    def _score(self, one: Contender, base: Base) -> dict[str, Any]:
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

    def _ask(self, one: Contender, base: Base) -> tuple[bool, ...]:
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

    def _bits_per_byte(self, one: Contender) -> float:
        from tunewright.examiner.bits import bits_per_byte

        return bits_per_byte(self._bits_n(one), self._bytes_n())

    def _bits_n(self, one: Contender) -> Any:
        return np.array([one.bits[number] for number in self.numbers])

    def _bytes_n(self) -> Any:
        return np.array([self.bytes[number] for number in self.numbers], dtype=np.float64)

    def _tune(self, tuning: ToTune) -> None:
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

    def _score_tuned(self, one: Contender, cell: dict[str, Any]) -> dict[str, Any]:
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

    def _candidate(self, one: Contender) -> Candidate:
        from tunewright.examiner.choice import Candidate

        return Candidate(one.name, self._bits_n(one), one.passed, one.facts.parameters)

    def _model_json(self, one: Contender) -> dict[str, Any]:
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
