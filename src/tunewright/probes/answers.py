"""The loss of each row's last answer behind its prompt, on a model as it is: what all probes of data are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tunewright.data.encode import encode_rows
from tunewright.data.rows import Row
from tunewright.data.template import ChatTemplate
from tunewright.data.tokens import TokenRow
from tunewright.engine.evaluate import row_losses
from tunewright.engine.pack import Pack

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass
class AnswerLosses:
    """Asks a model, or a pack that shows one slot. ``with_stop``: the token that ends an answer counts as well;
    ``tokens``: input tokens forwarded so far."""

    target: Pack | nn.Module
    tokenizer: Any
    max_length: int
    batch_size: int = 16
    with_stop: bool = True
    tokens: int = field(default=0)

    def __call__(self, rows: Sequence[Row]) -> tuple[Floats, Counts]:
        """(sum of token losses in nats [n], answer tokens [n]) of each row, in order; (0.0, 0) for one without.

        Row numbers must differ. A row that the template refuses, or whose prompt fills max_length, has nothing.
        """
        encoded = self._encoded(rows)
        nats, counts = row_losses(self.target, encoded, self.batch_size)
        self.tokens += sum(len(row) for row in encoded)
        place = {row.number: at for at, row in enumerate(rows)}
        places = [place[row.number] for row in encoded]
        nats_n, tokens_n = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
        nats_n[places], tokens_n[places] = nats, counts
        return nats_n, tokens_n

    def _encoded(self, rows: Sequence[Row]) -> tuple[TokenRow, ...]:
        encoded = encode_rows(rows, self.tokenizer, loss_on="completion", max_length=self.max_length).rows
        if self.with_stop or not self.tokenizer.chat_template:
            return encoded
        stop = ChatTemplate.of(self.tokenizer).stop
        ending = len(self.tokenizer(stop, add_special_tokens=False)["input_ids"])
        return tuple(_without_last(row, ending) for row in encoded)


def _without_last(row: TokenRow, count: int) -> TokenRow:
    """The row with its last supervised tokens read only; a row of nothing else keeps one, so that it stays a row."""
    supervised = row.supervised.copy()
    places = np.flatnonzero(supervised)
    supervised[places[max(1, len(places) - count) :]] = False
    return TokenRow(row.number, row.ids, supervised)
