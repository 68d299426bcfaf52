"""Rows as texts with the stretches to train on: by the chat template where there is one, else as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.data.rows import Row
from tunewright.data.template import ChatTemplate, Sample
from tunewright.schema.errors import ModelError


@dataclass(frozen=True)
class Sampler:
    """How rows become texts with spans; template: None where no row needs one; begin: what is put before raw texts."""

    template: ChatTemplate | None
    loss_on: str
    begin: str
    end: str

    @classmethod
    def of(cls, rows: Sequence[Row], tokenizer: Any, loss_on: str) -> Sampler:
        """Raises ModelError for chats where there is no chat template and they cannot be joined without one."""
        begin, end = _begin(tokenizer), tokenizer.eos_token or ""
        if all(row.text is not None for row in rows):
            return cls(None, loss_on, begin, end)
        if tokenizer.chat_template:
            return cls(ChatTemplate.of(tokenizer), loss_on, begin, end)
        if loss_on == "completion" and all(row.text is not None or _is_pair(row) for row in rows):
            return cls(None, loss_on, begin, end)
        raise ModelError(
            f"{tokenizer_name(tokenizer)}: the rows are chats and the tokenizer has no chat template",
            hint="--set template=FILE (a Jinja chat template), or for single questions --set loss_on=completion",
        )

    def samples(self, rows: Sequence[Row]) -> tuple[list[Sample], dict[int, str]]:
        """Texts and spans in the order of the rows; and the rows the template does not fit."""
        if self.template is None:
            return [self.raw(row) for row in rows if row.text is not None or row.messages[row.last_answer].trained], {}
        chats = [row for row in rows if row.text is None]
        if self.loss_on == "all":
            made, mismatched = self.template.whole(chats)
        else:
            last_only = self.loss_on in ("last_assistant", "completion")
            made, mismatched = self.template.samples(chats, last_only=last_only)
        made += [self.raw(row) for row in rows if row.text is not None]
        place = {row.number: at for at, row in enumerate(rows)}
        return sorted(made, key=lambda sample: place[sample.number]), mismatched

    def raw(self, row: Row) -> Sample:
        """A text with the begin- and end-of-text tokens this tokenizer would use; prompts are not trained on."""
        text = row.prompt + row.answer
        begin = "" if text.startswith(self.begin) else self.begin
        start = len(begin) + len(row.prompt)
        whole = begin + text + self.end
        return Sample(row.number, whole, ((start, len(whole)),), len(whole))


def _is_pair(row: Row) -> bool:
    return [message.role for message in row.messages] == ["user", "assistant"]


def _begin(tokenizer: Any) -> str:
    """The begin-of-text token as text, when this tokenizer puts it before every text by itself."""
    first = tokenizer("a")["input_ids"][:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token and first == [tokenizer.bos_token_id] else ""


def tokenizer_name(tokenizer: Any) -> str:
    """What to call a tokenizer in a sentence."""
    return str(getattr(tokenizer, "name_or_path", "") or "this tokenizer")
