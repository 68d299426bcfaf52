"""Rows as a model reads them: token ids with the mask of what is trained on. What an answer ends with.

Each text is tokenised once and whole, so token boundaries are those the model will see; spans of characters become
spans of tokens by the tokenizer's offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.data.chunks import chunks
from tunewright.data.faults import Fault
from tunewright.data.offsets import Offsets
from tunewright.data.template import ChatTemplate

_CHUNK_CHARACTERS = 250_000
"""Of the texts in one call of the tokenizer: its threads have enough to do, and its objects (some 100 bytes for every
token) stay small where rows are long."""


@dataclass(frozen=True, eq=False)
class TokenRow:
    """ids [T] int32; supervised [T] bool: the token is a training target. Token 0 never is: nothing predicts it.

    number: of the row it was made from (of the first one, where rows are joined to blocks).
    """

    number: int
    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Encoded:
    """Rows ready for training.

    rows: those with at least one supervised token, in the file's order, or the first of them where no more were to be
    kept; lengths: tokens of all of them; supervised_tokens: those trained on; truncated: numbers of the rows cut at
    max_length; unsupervised: numbers of the rows left out because nothing in them can be trained on;
    faults: no_supervised_token, truncated, no_stop_token, doubled_bos, template_mismatch, prompt_not_masked.
    """

    rows: tuple[TokenRow, ...]
    lengths: tuple[int, ...]
    supervised_tokens: int
    truncated: tuple[int, ...]
    unsupervised: tuple[int, ...]
    faults: tuple[Fault, ...]

    @property
    def tokens(self) -> int:
        """All input tokens."""
        return sum(self.lengths)


def default_max_length(context: int) -> int:
    """Tokens per row when none are asked for: the model's context or 2048, whichever is smaller."""
    return min(context, 2048)


def stop_token_ids(tokenizer: Any) -> tuple[int, ...]:
    """Tokens at which an answer ends: end-of-text, and the special token the chat template ends answers with."""
    stops = {tokenizer.eos_token_id} - {None}
    if tokenizer.chat_template:
        # Without any special token the stop is ordinary text, which ends no generation.
        last = tokenizer(ChatTemplate.of(tokenizer).stop, add_special_tokens=False)["input_ids"][-1:]
        stops |= {token for token in last if token in special_ids(tokenizer)}
    return tuple(sorted(stops))


def special_ids(tokenizer: Any) -> set[int]:
    """Every token that is not ordinary text."""
    return set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)


def tokenised(texts: Sequence[str], tokenizer: Any) -> Iterator[tuple[list[int], Offsets]]:
    """Ids and character offsets of each text."""
    for some in chunks(texts, _CHUNK_CHARACTERS):
        encoded = tokenizer(some, add_special_tokens=False, return_attention_mask=False, verbose=False)
        for ids, one in zip(encoded["input_ids"], encoded.encodings, strict=True):
            yield ids, Offsets(len(ids), one.token_to_chars)
