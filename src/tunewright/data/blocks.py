"""Raw text for continued pre-training: all texts one after the other, cut into blocks of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.data.rows import Row
from tunewright.data.samples import Sampler
from tunewright.data.tokens import Encoded, TokenRow, tokenised


def joined_blocks(rows: Sequence[Row], tokenizer: Any, max_length: int, kept: int | None) -> Encoded:
    """All texts one after the other, cut into rows of max_length tokens; the words of a chat without its roles.

    After each text stands the end-of-text token, and a block may hold several texts: it is read as one, a text can see
    the one before it. Only the last block may be shorter, and is left out when it is a single token. Every token is in
    exactly one block and a target once, but for a block's first, which has nothing before it. Empty texts say nothing.
    """
    rows = [row for row in rows if _words(row).strip()]
    raw = Sampler.of((), tokenizer, "all").raw
    texts = [raw(Row(row.number, text=_words(row))).text for row in rows]
    pieces = [np.array(ids, np.int32) for ids, _ in tokenised(texts, tokenizer)]
    stream = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
    ends = np.cumsum([len(piece) for piece in pieces])  # [rows] where each row's tokens end in the stream
    made = []
    for start in range(0, len(stream), max_length):
        ids = stream[start : start + max_length]
        if len(ids) > 1:
            supervised = np.arange(len(ids)) > 0
            made.append(TokenRow(rows[int(np.searchsorted(ends, start, side="right"))].number, ids, supervised))
    lengths = tuple(map(len, made))
    targets = sum(lengths) - len(lengths)
    return Encoded(tuple(made[:kept]), lengths, targets, truncated=(), unsupervised=(), faults=())


def _words(row: Row) -> str:
    return "\n".join(message.content for message in row.messages) if row.text is None else row.text
