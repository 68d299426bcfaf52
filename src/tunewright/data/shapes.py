"""Shapes: how the columns of a record become a row. Nothing is guessed from the content, only from column names.

Names are compared without regard to case and to white space around them: spreadsheets write "Question ".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.data.rows import Message, Row
from tunewright.data.turns import tools, turns
from tunewright.data.values import BadRecord, kind_of, sound_text

Fields = Mapping[str, Any]

_ANSWERS = ("completion", "response", "output", "answer", "solution", "assistant", "target")


@dataclass(frozen=True)
class Shape:
    """``fits``: whether these column names are of this shape; ``messages`` or ``text``: the content of a record."""

    name: str
    expected: str
    fits: Callable[[Collection[str]], bool]
    messages: Callable[[Fields], tuple[Message, ...]] | None = None
    text: Callable[[Fields], str] | None = None

    def row(self, number: int, record: Fields) -> Row:
        """The row of a record. Raises BadRecord when a value is missing, of the wrong type or no text."""
        fields = _folded(record)
        topic = fields.get("topic")
        return Row(
            number,
            messages=self.messages(fields) if self.messages else (),
            text=self.text(fields) if self.text else None,
            topic=str(topic) if isinstance(topic, (str, int)) and topic != "" else None,
            tools=tools(fields.get("tools")) if self.messages else "",
        )


def shape_of(columns: Iterable[str]) -> Shape | None:
    """The first shape these column names fit.

    >>> shape_of({"Instruction", "input", "output"}).name
    'alpaca'
    """
    names = {_name(column) for column in columns}
    return next((shape for shape in SHAPES if shape.fits(names)), None)


def _name(column: Any) -> str:
    return str(column).strip().casefold()


def _folded(record: Fields) -> Fields:
    """The record under plain names; a column that is written so already wins over one that only reads so."""
    if all(name == _name(name) for name in record):
        return record
    return {_name(name): value for name, value in record.items()} | {
        name: value for name, value in record.items() if name == _name(name)
    }


def _chat(column: str) -> Callable[[Fields], tuple[Message, ...]]:
    """Messages of a record with a column that holds the list of turns, and perhaps ``system``."""

    def messages(fields: Fields) -> tuple[Message, ...]:
        if column not in fields:
            raise BadRecord(f"no {column!r}")
        made = turns(fields[column], column)
        return made if made[0].role == "system" else (*_system(fields), *made)

    return messages


def _system(fields: Fields) -> tuple[Message, ...]:
    return (Message("system", sound_text(fields, "system")),) if fields.get("system") else ()


def _has_answer(columns: Collection[str]) -> bool:
    return any(name in columns for name in _ANSWERS)


def _pair(question: str, *, beside: tuple[str, ...] = ("input", "context")) -> Callable[[Fields], tuple[Message, ...]]:
    """Messages of a record with a question column, an answer column and perhaps ``system``, ``history`` and a column
    that the question is about (``input``, or as some name it, ``context``)."""

    def messages(fields: Fields) -> tuple[Message, ...]:
        answer = next((name for name in _ANSWERS if name in fields), "completion")
        if isinstance(fields.get(question), list):  # both sides may themselves be lists of turns
            return turns(fields[question], question) + turns(fields.get(answer), answer)
        asked = sound_text(fields, question)
        material = next((name for name in beside if fields.get(name)), None)
        if material:
            asked += "\n\n" + sound_text(fields, material)
        said = "" if fields.get(answer, "") is None else sound_text(fields, answer)
        return (*_system(fields), *_history(fields), Message("user", asked), Message("assistant", said))

    return messages


def _history(fields: Fields) -> tuple[Message, ...]:
    """Earlier questions and answers, as pairs of texts; a column of that name that holds anything else is not meant."""
    pairs = fields.get("history")
    if not isinstance(pairs, list):
        return ()
    earlier: list[Message] = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRecord(f"'history' holds {kind_of(pair)}, expected pairs of question and answer")
        earlier += [Message("user", sound_text({"history": pair[0]}, "history"))]
        earlier += [Message("assistant", sound_text({"history": pair[1]}, "history"))]
    return tuple(earlier)


def _raw(fields: Fields) -> str:
    return sound_text(fields, "text")


def _asks(question: str) -> Callable[[Collection[str]], bool]:
    return lambda columns: question in columns and _has_answer(columns)


def _is_alpaca(columns: Collection[str]) -> bool:
    return {"instruction", "input"} <= set(columns) and _has_answer(columns)


SHAPES = (
    Shape("messages", "messages [{role, content}]", lambda columns: "messages" in columns, _chat("messages")),
    Shape(
        "sharegpt", "conversations [{from, value}]", lambda columns: "conversations" in columns, _chat("conversations")
    ),
    Shape("alpaca", "instruction, input, output", _is_alpaca, _pair("instruction")),
    Shape("instruction/completion", "instruction, completion", _asks("instruction"), _pair("instruction")),
    Shape("prompt/completion", "prompt, completion", _asks("prompt"), _pair("prompt")),
    Shape("question/answer", "question, answer", _asks("question"), _pair("question")),
    Shape("query/response", "query, response", _asks("query"), _pair("query")),
    Shape("problem/solution", "problem, solution", _asks("problem"), _pair("problem")),
    Shape("user/assistant", "user, assistant", _asks("user"), _pair("user")),
    Shape("input/output", "input, output", _asks("input"), _pair("input", beside=("context",))),
    Shape("text", "text", lambda columns: "text" in columns, None, _raw),
)
