"""What a chat template says the model must produce: rendered texts with the spans to train on.

Nothing about a template is assumed. For every answer, the template is asked twice: for the prompt (the turns before,
with the generation prompt) and for the turns up to and including the answer. What the second has beyond the first is
what the model has to produce, the end-of-turn token included. A template with
``{% generation %}`` marks says it itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from tunewright.data.render import NO_THINKING, Span, render, render_marked
from tunewright.data.rows import Message, Row

_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
_SENTINEL = "Zq7answer7qZ"


@dataclass(frozen=True)
class Sample:
    """A text to tokenise; ``spans``: the [start, end) stretches of characters to train on; ``answer_end``: where the
    last answer ends, its end-of-turn token included."""

    number: int
    text: str
    spans: tuple[Span, ...]
    answer_end: int


@dataclass(frozen=True)
class _Turn:
    """An answer as rendered: ``full`` ends with it, ``[start, end)`` is what the model produces of it."""

    full: str
    start: int
    end: int


@dataclass(frozen=True)
class ChatTemplate:
    """A tokenizer's chat template with what was learnt about it.

    tail: what follows the last answer's text, such as "<|im_end|>\\n"; stop: the start of it that the model must
    produce, up to its first special token ("<|im_end|>"), or all of it when it holds none.
    """

    tokenizer: Any
    marks: bool
    tail: str
    stop: str

    @classmethod
    def of(cls, tokenizer: Any) -> ChatTemplate:
        """Reads the template of a tokenizer that has one, and tries it on one short chat."""
        marks = bool(_MARKS.search(tokenizer.get_chat_template()))
        probe = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _SENTINEL}]
        texts, refused = render(tokenizer, [probe], False, NO_THINKING)
        tail = "" if refused else texts[0].rpartition(_SENTINEL)[2]
        return cls(tokenizer, marks, tail, tail[: _stop_end(tokenizer, tail)])

    def samples(self, rows: Sequence[Row], *, last_only: bool) -> tuple[list[Sample], dict[int, str]]:
        """Samples of chat rows in order, and why the template does not fit a row (number -> reason).

        A template that rewrites earlier turns (drops their thinking, say) makes several samples of one row, each as
        the model would see that turn when asked: an answer is only trained on in the form it will be produced. A row
        whose answers all have weight 0 gives none.
        """
        build = self._marked if self.marks else self._measured
        return build(rows, last_only)

    def whole(self, rows: Sequence[Row]) -> tuple[list[Sample], dict[int, str]]:
        """Every character of every row as rendered, without a difference between the roles."""
        _, texts, refused = _asked(self.tokenizer, [(row, row.last_answer) for row in rows])
        reasons = {rows[at].number: reason for at, reason in refused.items()}
        samples = []
        for row, text in zip(rows, texts, strict=True):
            reason = reasons.get(row.number) or _mismatch(row, row.last_answer, "", text)
            if reason:
                reasons[row.number] = reason
            else:
                samples.append(Sample(row.number, text, ((0, len(text)),), self._end(text)))
        return samples, reasons

    def _measured(self, rows: Sequence[Row], last_only: bool) -> tuple[list[Sample], dict[int, str]]:
        asked = [(at, turn) for at, row in enumerate(rows) for turn in _answers(row, last_only)]
        prompts, fulls, refused = _asked(self.tokenizer, [(rows[at], turn) for at, turn in asked])
        reasons = {rows[asked[one][0]].number: reason for one, reason in refused.items()}
        turns: list[list[_Turn]] = [[] for _ in rows]  # by place: a mixture may hold a row, and its number, twice
        for (at, turn), prompt, full in zip(asked, prompts, fulls, strict=True):
            reason = reasons.get(rows[at].number) or _mismatch(rows[at], turn, prompt, full)
            if reason:
                reasons[rows[at].number] = reason
            turns[at].append(_Turn(full, len(prompt), self._end(full)))
        fitting = [(row.number, turns[at]) for at, row in enumerate(rows) if row.number not in reasons]
        return [sample for number, its_turns in fitting for sample in _cover(number, its_turns)], reasons

    def _end(self, full: str) -> int:
        """Where the model stops: after the stop token, before what the template adds behind it."""
        return len(full) - len(self.tail) + len(self.stop) if self.tail and full.endswith(self.tail) else len(full)

    def _marked(self, rows: Sequence[Row], last_only: bool) -> tuple[list[Sample], dict[int, str]]:
        chats = [row.as_dicts(row.last_answer + 1) for row in rows]
        rendered, refused = render_marked(self.tokenizer, chats, [row.tools for row in rows])
        reasons = {rows[at].number: reason for at, reason in refused.items()}
        samples = []
        for row, (text, marked) in zip(rows, rendered, strict=True):
            if row.number in reasons:
                continue
            lost = _mismatch(row, row.last_answer, "", text)
            spans = tuple((start, end) for start, end in marked if end > start)
            if lost or not spans:
                reasons[row.number] = lost or "the template's {% generation %} marks enclose no answer"
                continue
            trained = _trained_spans(row, spans, last_only)
            if trained is None:
                reasons[row.number] = "some answers have weight 0, and the template's marks do not tell which"
            elif trained:
                samples.append(Sample(row.number, text, trained, spans[-1][1]))
        return samples, reasons


def _answers(row: Row, last_only: bool) -> list[int]:
    """Indices of the assistant turns to train on; none where all of them have weight 0."""
    last = row.last_answer
    asked = [last] if last_only else [at for at, message in enumerate(row.messages) if message.role == "assistant"]
    return [at for at in asked if row.messages[at].trained]


def _trained_spans(row: Row, spans: tuple[Span, ...], last_only: bool) -> tuple[Span, ...] | None:
    """Of the marked answers those to train on; None where some have weight 0 and the marks do not tell which."""
    answers = [message.trained for message in row.messages[: row.last_answer + 1] if message.role == "assistant"]
    if all(answers):
        return spans[-1:] if last_only else spans
    if len(answers) != len(spans):
        return None
    kept = list(zip(spans, answers, strict=True))[-1 if last_only else 0 :]
    return tuple(span for span, is_trained in kept if is_trained)


def _mismatch(row: Row, turn: int, prompt: str, full: str) -> str:
    """Why this rendering cannot be trusted, or nothing."""
    if not full.startswith(prompt):
        return "the prompt that the template makes is not how the answered chat begins"
    if not _holds(full[len(prompt) :], row.messages[turn].content):
        return "the rendered answer is not the answer of the row"
    return _lost(row.messages[:turn], prompt or full) or _lost_tools(row, row.messages[turn], prompt or full, full)


def _lost(messages: Sequence[Message], text: str) -> str:
    """Which turn the rendered text does not hold; earlier answers may be shortened by the template's intent."""
    for message in messages:
        if message.role != "assistant" and not _holds(text, message.content):
            return f"the template leaves out the {message.role} turn"
    return ""


def _lost_tools(row: Row, answer: Message, prompt: str, full: str) -> str:
    """What of the tools a template does not show: a model cannot learn to call what it never sees."""
    if any(name not in full for name in answer.called):
        return "the template leaves out the call of a tool"
    if row.tools and any(name not in prompt for name in _tool_names(row.tools)):
        return "the template leaves out the tools that may be called"
    return ""


@lru_cache(maxsize=256)
def _tool_names(tools: str) -> tuple[str, ...]:
    return tuple(str(tool["function"].get("name", "")) for tool in orjson.loads(tools))


def _holds(text: str, content: str) -> bool:
    """Whether the content is in the text, white space aside: templates trim and re-wrap."""
    if content in text or content.strip() in text:
        return True
    return "".join(content.split()) in "".join(text.split())


def _cover(number: int, turns: list[_Turn]) -> list[Sample]:
    """As few samples as hold every answer in the form it is produced; one when earlier turns are never rewritten."""
    samples = []
    left = turns
    while left:
        text = left[-1].full
        held = [text.startswith(turn.full[: turn.end]) for turn in left]  # its own turn always is
        spans = tuple((turn.start, turn.end) for turn, is_held in zip(left, held, strict=True) if is_held)
        samples.append(Sample(number, text, spans, spans[-1][1]))
        left = [turn for turn, is_held in zip(left, held, strict=True) if not is_held]
    return samples[::-1]


def _stop_end(tokenizer: Any, tail: str) -> int:
    """Length of the tail up to and including its first special token; all of it when there is none."""
    if not tail:
        return 0
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    encoded = tokenizer(tail, add_special_tokens=False, return_offsets_mapping=True)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return next((int(end) for token, (_, end) in pairs if token in special), len(tail))


def _asked(tokenizer: Any, asked: Sequence[tuple[Row, int]]) -> tuple[list[str], list[str], dict[int, str]]:
    """Of each (row, turn): the prompt, the chat up to and including the answer, and by index what was refused.

    With the thinking switch off, as the model will be asked, unless the answer itself holds a thought or the template
    then writes a prompt that its own answered chat does not begin with.
    """
    prompts, fulls = [""] * len(asked), [""] * len(asked)
    refused: dict[int, str] = {}
    thoughtful = [row.messages[turn].thinks for row, turn in asked]
    todo = [at for at, thinks in enumerate(thoughtful) if not thinks]
    again = [at for at, thinks in enumerate(thoughtful) if thinks]
    for places, switches in ((todo, NO_THINKING), (again, {})):
        tools = [asked[at][0].tools for at in places]
        turns = [(asked[at][0], asked[at][1]) for at in places]
        made, no_prompt = render(tokenizer, [row.as_dicts(turn) for row, turn in turns], True, switches, tools)
        whole, no_full = render(tokenizer, [row.as_dicts(turn + 1) for row, turn in turns], False, switches, tools)
        for index, at in enumerate(places):
            prompts[at], fulls[at] = made[index], whole[index]
            reason = no_prompt.get(index) or no_full.get(index)
            if reason:
                refused[at] = reason
            elif switches and not fulls[at].startswith(prompts[at]):
                again.append(at)
    return prompts, fulls, refused
