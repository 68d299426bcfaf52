"""One exam question: what is asked, and what counts as a right answer."""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.data.rows import Message
from tunewright.schema.exam import Part

SCORER_NAMES = ("contains", "equals", "sentence", "regex", "refusal")


@dataclass(frozen=True)
class Question:
    """One exam question. ``answers``: each alone is right; ``skill``: the old skill it tests (general questions);
    ``messages``: the whole conversation when there is more than the question (else empty)."""

    question: str
    answers: tuple[str, ...] = ()
    regex: str | None = None
    scorer: str = "contains"
    part: Part = "exact"
    skill: str | None = None
    messages: tuple[Message, ...] = ()

    @property
    def turns(self) -> tuple[Message, ...]:
        """The conversation to ask, ending with the user's question."""
        return self.messages or (Message("user", self.question),)

    @property
    def expected(self) -> tuple[str, ...]:
        """What a report shows as the right answer.

        >>> Question("Who?", scorer="refusal").expected
        ('(a refusal)',)
        """
        if self.answers:
            return self.answers
        return (f"/{self.regex}/",) if self.regex is not None else ("(a refusal)",)
