"""What tuning moved besides the answers: the loss on what the base could do, and the distributions on the new task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunewright.app.general import MOST_TOKENS, PROBE_ROWS, with_short_text
from tunewright.app.tuned import Voice
from tunewright.app.watch import Watch
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow, encode_rows
from tunewright.probes.general import general_material

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.examiner.shift import Look, Shift

MOST_ROWS = 200
"""Rows of the new task that the two models are compared on."""


@dataclass(frozen=True)
class Reading:
    """How rows become tokens, as the run read them."""

    loss_on: str
    max_length: int
    stage: str
    seed: int


def kl_on(rows: Sequence[Row], base: Voice, tuned: Voice, how: Reading) -> tuple[float | None, int]:
    """KL(tuned || base) in nats per token on the answers of rows, None without any; and the tokens it took."""
    every = -(-len(rows) // MOST_ROWS) or 1
    encoded = encode_rows(
        rows[::every], tuned.tokenizer, loss_on=how.loss_on, max_length=how.max_length, stage=how.stage
    )
    found = _compared(encoded.rows, base, tuned)
    return found.kl, found.tokens


def general_rise(base: Voice, tuned: Voice, how: Reading, watch: Watch) -> tuple[float | None, int]:
    """Rise of the loss on the base's own answers to bundled prompts and on a plain text, nats per token; and tokens.

    None for a base without a chat template, whose answers to prompts say nothing.
    """
    from tunewright.examiner.ask import answer_all

    if not base.tokenizer.chat_template:
        return None, 0
    spent = 0

    def ask(prompts: Sequence[str]) -> Sequence[str | None]:
        nonlocal spent
        with base.worn():
            said = answer_all(
                base.model,
                base.tokenizer,
                prompts,
                max_new_tokens=MOST_TOKENS,
                on_progress=lambda done, total: watch.working("asking the base what it knows", done, total),
            )
        spent += said.tokens
        return said.finished if 2 * sum(said.ended) >= len(said.ended) else said.texts

    material = general_material(ask, probe_count=PROBE_ROWS, replay_count=0, seed=how.seed)
    rows = encode_rows(material.probe, base.tokenizer, loss_on="assistant", max_length=how.max_length).rows
    found = _compared(with_short_text(rows), base, tuned)
    return found.rise, spent + found.tokens


def _compared(rows: Sequence[TokenRow], base: Voice, tuned: Voice) -> Shift:
    from tunewright.examiner.shift import shift

    return shift(_looking(tuned), _looking(base), rows)


def _looking(voice: Voice) -> Look:
    from tunewright.examiner.shift import log_probabilities

    def look(row: TokenRow) -> Tensor:
        with voice.worn():
            return log_probabilities(voice.model, row)

    return look
