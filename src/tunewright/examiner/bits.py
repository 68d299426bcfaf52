"""Bits per byte: how surprised a model is by the user's answers, comparable between models with different tokenizers.

    bits per byte = sum over rows and their answer's tokens of -log2 p(token | all before it)
                    / sum over rows of the UTF-8 bytes of the answer

A loss per token rewards a tokenizer that cuts text into many easy pieces; the bits of a whole answer do not depend on
how it was cut, and its bytes are the same for every model. The end-of-answer token is left out: it is no byte of the
text. Each model reads the prompt through its own chat template; one without a template reads the turns and a line end.
Rows of plain text count whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.data.encode import encode_rows
from tunewright.data.rows import Message, Row
from tunewright.data.tokens import TokenRow, stop_token_ids
from tunewright.engine.evaluate import row_losses

NATS_PER_BIT = math.log(2.0)
BATCH_ROWS = 16


@dataclass(frozen=True)
class AnswerBits:
    """``bits``: of each row's answer, by row number; rows that do not fit the model's context or its template are
    not in it. ``tokens``: through the model, prompts included."""

    bits: Mapping[int, float]
    tokens: int


def answer_rows(rows: Sequence[Row], tokenizer: Any, context: int) -> tuple[TokenRow, ...]:
    """The rows as a model reads them, with the answer's tokens marked, those of its end left out.

    Raises ModelError for a tokenizer without character offsets.
    """
    if tokenizer.chat_template:
        encoded = encode_rows(rows, tokenizer, loss_on="last_assistant", max_length=context)
    else:
        encoded = encode_rows([_plain(row) for row in rows], tokenizer, loss_on="completion", max_length=context)
    stops = np.array(stop_token_ids(tokenizer), dtype=np.int32)
    cut = set(encoded.truncated)
    return tuple(
        TokenRow(row.number, row.ids, row.supervised & ~np.isin(row.ids, stops))
        for row in encoded.rows
        if row.number not in cut
    )


def _plain(row: Row) -> Row:
    """A chat for a model that knows none: the turns before the answer, one a line, then the answer."""
    if row.text is not None:
        return row
    return Row(row.number, messages=(Message("user", f"{row.prompt}\n"), Message("assistant", row.answer)))


def answer_bits(model: Any, token_rows: Sequence[TokenRow], batch_rows: int = BATCH_ROWS) -> AnswerBits:
    """The bits of each row's answer under ``model``. A NaN stays in its row."""
    nats_n, _ = row_losses(model, token_rows, batch_rows)
    numbers = (row.number for row in token_rows)
    return AnswerBits(
        bits={number: float(nats) / NATS_PER_BIT for number, nats in zip(numbers, nats_n, strict=True)},
        tokens=sum(len(row) for row in token_rows),
    )


def answer_bytes(rows: Sequence[Row]) -> dict[int, int]:
    """UTF-8 bytes of each row's answer without the white space around it; rows without an answer are left out."""
    sizes = {row.number: len(row.answer.strip().encode("utf-8", "replace")) for row in rows}
    return {number: size for number, size in sizes.items() if size}


def bits_per_byte(bits_n: NDArray[np.float64], bytes_n: NDArray[np.float64]) -> float:
    """All bits over all bytes; NaN without a byte.

    >>> bits_per_byte(np.array([8.0, 4.0]), np.array([4.0, 8.0]))
    1.0
    """
    total = float(bytes_n.sum())
    return float(bits_n.sum()) / total if total else math.nan
