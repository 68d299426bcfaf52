"""A row of data: a chat or a raw text, with the number a user finds it under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from tunewright.data.normalise import normalised


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. role: "system", "user", "assistant" or "tool" (other words are kept and reported as a fault).

    fields: what else templates read of a turn (``tool_calls``, ``reasoning_content``, ...), as JSON; empty for nothing.
    Among them ``"weight": 0``, which OpenAI's format writes at an answer that is shown and not trained on.

    >>> Message("assistant", "", '{"tool_calls": [{"type": "function", "function": {"name": "clock"}}]}').called
    ('clock',)
    """

    role: str
    content: str
    fields: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The turn as chat templates take it."""
        return {"role": self.role, "content": self.content, **self._more}

    @property
    def _more(self) -> dict[str, Any]:
        return dict(orjson.loads(self.fields)) if self.fields else {}

    @property
    def said(self) -> str:
        """The content, and the calls of tools as JSON."""
        calls = self._more.get("tool_calls") if self.fields else None
        return self.content if not calls else self.content + orjson.dumps(calls).decode()

    @property
    def called(self) -> tuple[str, ...]:
        """Names of the tools that the turn calls."""
        return tuple(call["function"]["name"] for call in self._more.get("tool_calls", ()))

    @property
    def trained(self) -> bool:
        """Whether the turn, if it is an answer, is one to train on: False where its weight is 0."""
        return not self.fields or self._more.get("weight") != 0

    @property
    def thinks(self) -> bool:
        """Whether the turn holds a thought, in its content or beside it."""
        return "</think>" in self.content or not {"reasoning_content", "thinking"}.isdisjoint(self._more)


@dataclass(frozen=True)
class Row:
    """One record: either ``messages`` or ``text``.

    number: 1-based line (JSONL) or record number; topic: what the row is about, where the file says so; tools: those
    the model may call, as JSON.

    >>> row = Row(1, (Message("user", "Who is Olaf?"), Message("assistant", "The ferryman.")))
    >>> row.prompt, row.answer, row.key
    ('Who is Olaf?', 'The ferryman.', 'whoisolaf')
    """

    number: int
    messages: tuple[Message, ...] = ()
    text: str | None = None
    topic: str | None = None
    tools: str = ""

    @property
    def last_answer(self) -> int:
        """Index of the last assistant turn, -1 when there is none."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].role == "assistant":
                return index
        return -1

    @property
    def prompt(self) -> str:
        """The text of all turns before the last assistant turn, a newline between; empty for a raw text."""
        end = self.last_answer if self.last_answer >= 0 else len(self.messages)
        return "\n".join([message.said for message in self.messages[:end]])

    @property
    def answer(self) -> str:
        """The last assistant turn, else the raw text, else nothing."""
        if self.last_answer >= 0:
            return self.messages[self.last_answer].said
        return self.text or ""

    @cached_property
    def key(self) -> str:
        """What makes two rows the same question: the normalised prompt, or the normalised raw text.

        A prompt of nothing but punctuation keeps its own text, so that "?" and "!" stay apart.
        """
        text = self.prompt if self.text is None else self.text
        return normalised(text) or text.strip()

    @cached_property
    def answer_key(self) -> str:
        """What makes two answers the same: the normalised answer; nothing for a raw text, which has its ``key``."""
        return normalised(self.answer) if self.text is None else ""

    def as_dicts(self, end: int | None = None) -> list[dict[str, Any]]:
        """The first ``end`` turns (all, when None) as chat templates take them."""
        return [message.as_dict() for message in self.messages[:end]]


def by_number(rows: tuple[Row, ...]) -> Mapping[int, Row]:
    """The rows under their numbers; a row that a mixture repeats appears once."""
    return {row.number: row for row in rows}
