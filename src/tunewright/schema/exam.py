"""The result of examining a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Part = Literal["exact", "variation", "out_of_domain", "general"]
PARTS: tuple[Part, ...] = ("exact", "variation", "out_of_domain", "general")
Reading = Literal["learned", "memorised", "forgot", "over_refuses", "undertrained"]


@dataclass(frozen=True)
class Score:
    """``passed`` of ``n`` questions; ``low``-``high`` is the 95 % Wilson interval of the rate. n = 0: rate is None."""

    n: int
    passed: int
    rate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Skill:
    """One old skill: the share of its ``n`` questions that the base and the tuned model answer correctly."""

    name: str
    n: int
    base: float
    tuned: float


@dataclass(frozen=True)
class Answer:
    """One question with both models' answers, kept so that a reader can see what was scored."""

    part: str
    question: str
    expected: tuple[str, ...]
    base: str
    tuned: str
    base_passed: bool
    tuned_passed: bool


@dataclass(frozen=True)
class ExamResult:
    """parts / base_parts: by part name, tuned / base model. ``copied``: share of the tuned model's wrong answers
    that are copied word for word from training answers (None without wrong answers). ``forgetting``:
    {"nats_per_token": rise of the loss on the base's own answers and on a general text, or None}."""

    parts: Mapping[str, Score]
    base_parts: Mapping[str, Score]
    skills: tuple[Skill, ...]
    copied: float | None
    reading: Reading
    forgetting: Mapping[str, float | None]
    why: str = ""
    answers: tuple[Answer, ...] = ()
