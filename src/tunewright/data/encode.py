"""Rows to token rows with their masks, exactly as the tokenizer's own chat template says, and what is wrong with them.

A token that straddles the boundary between prompt and answer belongs to the prompt. No begin-of-text token is added to
what a template renders: the template has written its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.data.blocks import joined_blocks
from tunewright.data.faults import make_fault, merged
from tunewright.data.marking import Marking
from tunewright.data.offsets import Offsets
from tunewright.data.row_faults import role_fault
from tunewright.data.rows import Row
from tunewright.data.samples import Sampler, tokenizer_name
from tunewright.data.template import Sample
from tunewright.data.tokens import Encoded, TokenRow, special_ids, tokenised
from tunewright.schema.errors import ModelError

_CHUNK_ROWS = 500
"""Rows that are rendered, tokenised and masked before the next ones are: what lies between text and ids is several
times as large as both, and is held of these rows only."""


def encode_rows(
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    loss_on: str = "assistant",
    max_length: int,
    stage: str = "sft",
    kept: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Token rows of at most ``max_length`` tokens, with the mask of ``loss_on``.

    loss_on: "assistant" every answer, "last_assistant" and "completion" the last one, "all" every token. Raw texts
    are trained on whole, with an end-of-text token. Without a chat template, "completion" joins prompt, answer and
    end-of-text token with nothing between. stage "pt": texts joined and cut into blocks, every token supervised.
    kept: so many token rows are enough (all, when None): a check needs their figures, and all of them are more than
    the text they are made of. ``on_progress(rows done, rows in all)`` is called now and then.
    A row with wrong roles is left out (``read_rows`` reports it); a row that a rewriting template (see
    ``ChatTemplate.samples``) cannot show at once gives several token rows of its number.
    Raises ModelError for chats without a chat template, and for a tokenizer without character offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{tokenizer_name(tokenizer)}: the tokenizer gives no character offsets, expected a tokenizer.json"
        )
    usable = [row for row in rows if not role_fault(row)]
    if stage == "pt":
        return joined_blocks(usable, tokenizer, max_length, kept)
    sampler = Sampler.of(usable, tokenizer, loss_on)
    made = _Made(tokenizer, max_length, kept)
    for start in range(0, len(usable), _CHUNK_ROWS):
        if on_progress is not None:
            on_progress(start, len(usable))
        made.add(usable[start : start + _CHUNK_ROWS], sampler)
    return made.encoded()


@dataclass
class _Made:
    """Token rows as they are made, and of each kind of fault row -> reason."""

    tokenizer: Any
    max_length: int
    kept: int | None = None
    rows: list[TokenRow] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    supervised: int = 0
    mismatched: dict[int, str] = field(default_factory=dict)
    marking: Marking = field(default_factory=Marking)
    silent: dict[int, str] = field(default_factory=dict)
    cut: dict[int, str] = field(default_factory=dict)
    unstopped: dict[int, str] = field(default_factory=dict)
    doubled: dict[int, str] = field(default_factory=dict)

    def add(self, rows: Sequence[Row], sampler: Sampler) -> None:
        """Render, tokenise and mask some rows."""
        samples, mismatched = sampler.samples(rows)
        self.mismatched |= mismatched
        made = {sample.number for sample in samples} | mismatched.keys()
        self.silent |= {row.number: _WEIGHT_0 for row in rows if row.number not in made}
        self.marking.look(rows, samples, self.tokenizer)
        read = tokenised([sample.text for sample in samples], self.tokenizer)
        for sample, (ids, offsets) in zip(samples, read, strict=True):
            self._add(sample, ids, offsets)

    @cached_property
    def _stops(self) -> set[int]:
        return special_ids(self.tokenizer) | {self.tokenizer.eos_token_id}

    @cached_property
    def _bos(self) -> int | None:
        begin: int | None = self.tokenizer.bos_token_id  # a search through the vocabulary, so not once a row
        return begin

    def _add(self, sample: Sample, ids: list[int], offsets: Offsets) -> None:
        number, most, bos = sample.number, self.max_length, self._bos
        mask = _mask(offsets, sample)
        targets = int(np.count_nonzero(mask[:most]))
        last = offsets.end(sample.answer_end) - 1
        if len(ids) > most:
            self.cut[number] = f"longer than max_length = {most} tokens: the rest is never seen"
        if last > 0 and ids[last] not in self._stops:
            self.unstopped[number] = "the answer does not end in a special token, so the model never learns to stop"
        if bos is not None and ids[:2] == [bos, bos]:
            self.doubled[number] = "the text begins with two begin-of-text tokens"
        if not targets:
            self.silent[number] = _why_silent(len(ids), mask, most)
            return
        self.numbers.append(number)
        self.lengths.append(min(len(ids), most))
        self.supervised += targets
        if self.kept is None or len(self.rows) < self.kept:
            self.rows.append(TokenRow(number, np.array(ids[:most], np.int32), mask[:most]))

    def encoded(self) -> Encoded:
        """All that was added."""
        with_rows = set(self.numbers)
        silent = {number: reason for number, reason in self.silent.items() if number not in with_rows}
        refused = self.mismatched.keys() | self.marking.inside.keys()
        return Encoded(
            rows=tuple(self.rows),
            lengths=tuple(self.lengths),
            supervised_tokens=self.supervised,
            truncated=tuple(sorted(self.cut)),
            unsupervised=tuple(sorted({*silent, *(refused - with_rows)})),
            faults=merged(
                (
                    *make_fault("template_mismatch", self.mismatched),
                    *self.marking.faults(),
                    *make_fault("no_supervised_token", silent),
                    *make_fault("truncated", self.cut),
                    *make_fault("no_stop_token", self.unstopped),
                    *make_fault("doubled_bos", self.doubled),
                )
            ),
        )


def _mask(offsets: Offsets, sample: Sample) -> NDArray[np.bool_]:
    supervised = np.zeros(offsets.tokens, np.bool_)
    for span in sample.spans:
        supervised[offsets.span(sample.text, span)] = True
    supervised[:1] = False
    return supervised


_WEIGHT_0 = "every answer that would be trained on has weight 0"


def _why_silent(length: int, supervised: NDArray[np.bool_], max_length: int) -> str:
    if supervised.any():
        return f"the answer begins after max_length = {max_length} tokens: the prompt alone fills the row"
    return "a single token has nothing before it to predict it from" if length < 2 else "the answer has no token"
