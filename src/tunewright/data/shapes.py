"""Shapes: how the columns of a record become a row. Nothing is guessed from the content, only from column names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tunewright.data.formats import kind_of
from tunewright.data.rows import Message, Row

Fields = Mapping[str, Any]

# ShareGPT and its relatives name the speakers; templates know four.
ROLE_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "function_response": "tool",
    "observation": "tool",
}
_ANSWERS = ("completion", "response", "output", "answer")


class BadRecord(ValueError):
    """A record whose columns are there but whose values cannot be meant; the text says why.

    odd: because of characters that no text holds.
    """

    def __init__(self, why: str, *, odd: bool = False) -> None:
        super().__init__(why)
        self.odd = odd


@dataclass(frozen=True)
class Shape:
    """``fits``: whether these column names are of this shape; ``messages`` or ``text``: the content of a record."""

    name: str
    expected: str
    fits: Callable[[Collection[str]], bool]
    messages: Callable[[Fields], tuple[Message, ...]] | None = None
    text: Callable[[Fields], str] | None = None

    def row(self, number: int, fields: Fields) -> Row:
        """The row of a record. Raises BadRecord when a value is missing, of the wrong type or no text."""
        topic = fields.get("topic")
        return Row(
            number,
            messages=self.messages(fields) if self.messages else (),
            text=self.text(fields) if self.text else None,
            topic=str(topic) if isinstance(topic, (str, int)) and topic != "" else None,
        )


def shape_of(columns: Collection[str]) -> Shape | None:
    """The first shape these column names fit.

    >>> shape_of({"instruction", "input", "output"}).name
    'alpaca'
    """
    return next((shape for shape in SHAPES if shape.fits(columns)), None)


def _string(fields: Fields, name: str) -> str:
    if name not in fields:
        raise BadRecord(f"no {name!r}")
    value = fields[name]
    if not isinstance(value, str):
        raise BadRecord(f"{name!r} is {kind_of(value)}, expected text")
    if "\x00" in value:
        raise BadRecord(f"{name!r} contains a NUL character", odd=True)
    try:
        value.encode()
    except UnicodeEncodeError:
        why = f"{name!r} contains half of a surrogate pair, which no text file can hold"
        raise BadRecord(why, odd=True) from None
    return value


def _chat(name: str) -> Callable[[Fields], tuple[Message, ...]]:
    """Messages of a record with a column that holds the list of turns."""

    def messages(fields: Fields) -> tuple[Message, ...]:
        if name not in fields:
            raise BadRecord(f"no {name!r}")
        return _turns(fields[name], name)

    return messages


def _turns(value: Any, name: str) -> tuple[Message, ...]:
    if isinstance(value, str):  # a CSV cell can only hold the list as JSON
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise BadRecord(f"{name!r} is text, expected a list of turns") from None
    if not isinstance(value, list):
        raise BadRecord(f"{name!r} is {kind_of(value)}, expected a list of turns")
    if not value:
        raise BadRecord(f"{name!r} is empty")
    return tuple(_turn(turn, name) for turn in value)


def _turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, Mapping):
        raise BadRecord(f"a turn of {name!r} is {kind_of(turn)}, expected an object")
    who, what = ("from", "value") if "from" in turn else ("role", "content")
    role = _string(turn, who)
    return Message(ROLE_NAMES.get(role, role), _string(turn, what))


def _has_answer(columns: Collection[str]) -> bool:
    return any(name in columns for name in _ANSWERS)


def _pair(question: str) -> Callable[[Fields], tuple[Message, ...]]:
    """Messages of a record with a question column, an answer column and perhaps ``system`` and ``input``."""

    def messages(fields: Fields) -> tuple[Message, ...]:
        answer = next((name for name in _ANSWERS if name in fields), "completion")
        if isinstance(fields.get(question), list):  # both sides may themselves be lists of turns
            return _turns(fields[question], question) + _turns(fields.get(answer), answer)
        asked = _string(fields, question)
        if fields.get("input"):
            asked += "\n\n" + _string(fields, "input")
        system = (Message("system", _string(fields, "system")),) if fields.get("system") else ()
        return (*system, Message("user", asked), Message("assistant", _string(fields, answer)))

    return messages


def _raw(fields: Fields) -> str:
    return _string(fields, "text")


def _is_alpaca(columns: Collection[str]) -> bool:
    return {"instruction", "input"} <= set(columns) and _has_answer(columns)


SHAPES = (
    Shape("messages", "messages [{role, content}]", lambda columns: "messages" in columns, _chat("messages")),
    Shape(
        "sharegpt", "conversations [{from, value}]", lambda columns: "conversations" in columns, _chat("conversations")
    ),
    Shape("alpaca", "instruction, input, output", _is_alpaca, _pair("instruction")),
    Shape(
        "instruction/completion",
        "instruction, completion",
        lambda columns: "instruction" in columns and _has_answer(columns),
        _pair("instruction"),
    ),
    Shape(
        "prompt/completion",
        "prompt, completion",
        lambda columns: "prompt" in columns and _has_answer(columns),
        _pair("prompt"),
    ),
    Shape(
        "question/answer",
        "question, answer",
        lambda columns: "question" in columns and _has_answer(columns),
        _pair("question"),
    ),
    Shape("text", "text", lambda columns: "text" in columns, None, _raw),
)
