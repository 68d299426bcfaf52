"""Which columns of a flat buffer each trainable tensor takes, and how a row is carried from one pack to another.

A slot's own columns are those of a pack of it alone: its own rank, its own layers. Checkpoints, parked slots and best
parameters are kept in them, so that they fit whatever pack the slot sits in next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

ALIGNMENT = 16  # numbers: every view starts on a 64-byte line


@dataclass(frozen=True)
class Leaf:
    """One trainable tensor: where its values lie in a row of the flat buffers."""

    name: str
    shape: tuple[int, ...]  # of one slot
    offset: int

    def of(self, buffer_KP: torch.Tensor) -> torch.Tensor:
        """The tensor [K, *shape] as a view into a flat buffer."""
        size = math.prod(self.shape)
        return buffer_KP[:, self.offset : self.offset + size].view(len(buffer_KP), *self.shape)


@dataclass(frozen=True)
class Columns:
    """The tensors of a row: those that decay first (``decayed`` columns), the others after them (``size`` in all)."""

    leaves: dict[str, Leaf]
    decayed: int
    size: int

    @classmethod
    def of(cls, wanted: Sequence[tuple[str, tuple[int, ...], bool]]) -> Columns:
        """Columns for (name, shape, decays) tensors.

        >>> columns = Columns.of([("b", (3,), False), ("A", (2, 10), True)])
        >>> columns.leaves["A"].offset, columns.leaves["b"].offset, columns.decayed, columns.size
        (0, 32, 32, 48)
        """
        leaves: dict[str, Leaf] = {}
        end = decayed = 0
        for first in (True, False):
            for name, shape, decays in wanted:
                if decays is first:
                    leaves[name] = Leaf(name, shape, end)
                    end += math.ceil(math.prod(shape) / ALIGNMENT) * ALIGNMENT
            decayed = end if first else decayed
        return cls(leaves, decayed, end)

    def cut(self, own: Columns, row_1P: torch.Tensor) -> torch.Tensor:
        """A row of these columns in a smaller set, [1, own.size]: the leading corner of every tensor that one has.

        The same row, not a copy, when both are one. A row of no columns (SGD's moments) has none in any.
        """
        if own == self or row_1P.shape[1] == 0:
            return row_1P
        cut = row_1P.new_zeros(1, own.size)
        for name, leaf in own.leaves.items():
            leaf.of(cut).copy_(self.leaves[name].of(row_1P)[_corner(leaf)])
        return cut

    def paste(self, own: Columns, own_1P: torch.Tensor, row_1P: torch.Tensor) -> None:
        """The way back: write ``own_1P`` into a row of these columns, zeros around it."""
        if own == self or row_1P.shape[1] == 0:
            row_1P.copy_(own_1P)
            return
        row_1P.zero_()
        own_1P = own_1P.to(row_1P.device)
        for name, leaf in own.leaves.items():
            self.leaves[name].of(row_1P)[_corner(leaf)] = leaf.of(own_1P)


def _corner(leaf: Leaf) -> tuple[slice, ...]:
    return (slice(None), *(slice(length) for length in leaf.shape))
