"""A base asked about rows: losses of answers under it and its adapters, and what it answers by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from tunewright.app.watch import Watch
from tunewright.data.model_folder import load_tokenizer
from tunewright.data.rows import Message, Row
from tunewright.engine.base import Base
from tunewright.engine.pack import Pack
from tunewright.examiner.ask import Prompt, answer_all
from tunewright.probes.answers import AnswerLosses, Counts, Floats
from tunewright.probes.conditional_gain import Gain, conditional_gain
from tunewright.probes.general import general_material
from tunewright.probes.template_gap import Gap, template_gap
from tunewright.probes.verdicts import USES_PROMPTS_NATS

OWN_ROWS, LONGEST_ANSWER = 32, 48
"""Own answers of the base that are asked for where they are needed, and their longest in tokens."""


@dataclass
class AskedBase:
    """One base, the longest row in tokens, the rows at once, and who is told of the progress."""

    base: Base
    max_length: int
    batch_size: int
    watch: Watch
    seed: int
    _tokens: int = field(default=0, init=False)

    def spent(self) -> int:
        """Tokens forwarded since this was last asked."""
        tokens, self._tokens = self._tokens, 0
        return tokens

    def losses_of(
        self, model: Pack | nn.Module, tokenizer: Any = None, **how: Any
    ) -> Callable[..., tuple[Floats, Counts]]:
        """A function from rows to the losses of their answers under ``model``; what it forwards is counted."""
        losses = AnswerLosses(model, tokenizer or self.base.tokenizer, self.max_length, self.batch_size, **how)

        def ask(rows: Sequence[Row]) -> tuple[Floats, Counts]:
            answer = losses(rows)
            self._tokens += losses.tokens
            losses.tokens = 0
            self.watch.working("asking about the data, tokens", self._tokens, self._tokens)
            return answer

        return ask

    def own_gain(self, model: Pack | nn.Module, rows: Sequence[Row]) -> Gain | None:
        """The gain of the base's own answers, to these rows' prompts or to bundled ones, whichever it reads better."""
        said = self._said_to([row.messages[: row.last_answer] for row in rows], self.base.tokenizer)
        answered = [_answered(row, text) for row, text in zip(rows, said, strict=True) if text.strip()]
        found = conditional_gain(answered, self.losses_of(model, with_stop=False), seed=self.seed)
        own = self._own_tokenizer()
        if found.low >= USES_PROMPTS_NATS or not own.chat_template:
            return found
        return conditional_gain(self._own_rows(own), self.losses_of(model, own), seed=self.seed)

    def template_gap(self, rows: Sequence[Row]) -> Gap | None:
        """Under another template than its own, a base is asked about what it says under its own; else, about the rows
        under such forms as it knows."""

        def losses(tokenizer: Any, asked: Sequence[Row]) -> tuple[Floats, Counts]:
            return self.losses_of(self.base.model, tokenizer, with_stop=False)(asked)

        own = self._own_tokenizer()
        if own.chat_template and own.chat_template != self.base.tokenizer.chat_template:
            return template_gap(self._own_rows(own), self.base.tokenizer, losses, own.chat_template)
        return template_gap(rows, self.base.tokenizer, losses)

    def _own_tokenizer(self) -> Any:
        return self.base.tokenizer if self.base.template is None else load_tokenizer(self.base.folder)

    def _own_rows(self, own_tokenizer: Any) -> tuple[Row, ...]:
        """What the base answers to bundled prompts under its own template."""

        def answer(prompts: Sequence[str]) -> Sequence[str]:
            return self._said_to(prompts, own_tokenizer)

        rows = general_material(answer, probe_count=OWN_ROWS, replay_count=0, seed=self.seed).probe
        return tuple(row for row in rows if row.text is None)

    def _said_to(self, prompts: Sequence[Prompt], tokenizer: Any) -> Sequence[str]:
        said = answer_all(self.base.model, tokenizer, prompts, max_new_tokens=LONGEST_ANSWER)
        self._tokens += said.tokens
        return said.texts


def _answered(row: Row, answer: str) -> Row:
    """The row with another answer, and nothing after it."""
    return replace(row, messages=(*row.messages[: row.last_answer], Message("assistant", answer)))
