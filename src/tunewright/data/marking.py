"""Rows that mark wrongly who speaks: a prompt that is trained on, chat marks inside a turn, two begins of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.data.faults import Fault, make_fault
from tunewright.data.rows import Row
from tunewright.data.template import Sample

# What chat templates write to say who speaks; in a turn's own text it would be wrapped a second time.
# Source: the templates of ChatML and Qwen, Llama 2 and 3, Gemma, Phi, Zephyr and Mistral, as published 2023 to 2025.
_MARKS = re.compile(
    r"<\|im_start\|>|<\|im_end\|>|<\|start_header_id\|>|<\|eot_id\|>|<start_of_turn>|<end_of_turn>|\[/?INST\]"
    r"|<\|(?:user|assistant|end)\|>"
)
# A text that holds a whole exchange: the question would be trained on with the answer.
_EXCHANGE = re.compile(
    r"<\|im_start\|>user|<\|start_header_id\|>user|<start_of_turn>user|\[INST\]|<\|user\|>"
    r"|^#{2,3} ?(?:Instruction|Human|User|Question):?[\s\S]*^#{2,3} ?(?:Response|Assistant|Answer)"
    r"|^(?:Human|User|Question): [\s\S]*^(?:Assistant|AI|Bot|Answer): ?",
    re.MULTILINE,
)
_SHORTEST_ECHO = 20
"""Characters of a prompt from which an answer that begins with all of it is an echo, not a coincidence."""


@dataclass
class Marking:
    """What the texts alone show of rows that mark wrongly who speaks; of each kind, row -> reason.

    inside: chat marks in a turn's own text; trained: a prompt that is trained on; doubled: two begins of a text.
    """

    inside: dict[int, str] = field(default_factory=dict)
    trained: dict[int, str] = field(default_factory=dict)
    doubled: dict[int, str] = field(default_factory=dict)

    def look(self, rows: Sequence[Row], samples: Sequence[Sample], tokenizer: Any) -> None:
        """Add what some rows and their samples show."""
        by_number = {row.number: row for row in rows}
        self.inside |= {row.number: why for row in rows if (why := _marks_inside(row, tokenizer))}
        begin = tokenizer.bos_token or ""
        for sample in samples:
            row = by_number[sample.number]
            if why := _prompt_trained(row, sample):
                self.trained[sample.number] = why
            if _begins_twice(row, sample, begin):
                self.doubled[sample.number] = (
                    "the row begins with a begin-of-text token, and the template writes one too"
                )

    def faults(self) -> tuple[Fault, ...]:
        """``template_mismatch``, ``prompt_not_masked`` and ``doubled_bos`` of all rows looked at."""
        return (
            *make_fault("template_mismatch", self.inside),
            *make_fault("prompt_not_masked", self.trained),
            *make_fault("doubled_bos", self.doubled),
        )


def _marks_inside(row: Row, tokenizer: Any) -> str:
    """Which chat mark stands where none belongs: any in a turn, in a raw text only those unknown to this tokenizer."""
    texts = [row.text] if row.text is not None else [message.content for message in row.messages]
    for text in texts:
        found = _MARKS.search(text) if "<" in text or "[" in text else None
        if found and row.text is None:
            return f"a turn holds {found[0]}, a mark of a chat template: it would be wrapped twice"
        if found and found[0][0] == "<" and _unknown(found[0], tokenizer):
            return f"the text holds {found[0]}, a mark of another model's template that this model does not know"
    return ""


def _unknown(mark: str, tokenizer: Any) -> bool:
    token = tokenizer.convert_tokens_to_ids(mark)
    return token is None or token == tokenizer.unk_token_id


def _prompt_trained(row: Row, sample: Sample) -> str:
    """Why a prompt is among what is trained on; empty when it is not."""
    if row.text is not None:
        if _EXCHANGE.search(row.text):
            return "a text that holds question and answer: the question is trained on as well"
        return ""
    asked = next((message.content for message in row.messages if message.role == "user"), "").strip()
    if not asked:
        return ""
    begin, end = sample.spans[0]
    place = sample.text.find(asked)
    if begin <= place < end:
        return "the prompt is trained on as well (loss_on = all, or the template's own marks enclose it)"
    if len(row.prompt) >= _SHORTEST_ECHO and row.answer.startswith(row.prompt) and row.answer != row.prompt:
        return "the answer begins with the whole prompt, which is so trained on as well"
    return ""


def _begins_twice(row: Row, sample: Sample, begin: str) -> bool:
    if not begin or row.text is not None or not sample.text.startswith(begin):
        return False
    return row.messages[0].content.lstrip().startswith(begin)
