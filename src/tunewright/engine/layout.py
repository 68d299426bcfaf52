"""Where rows lie when a batch has no pads: laid end to end, and taken out into groups where attention needs them.

Shapes: K slots, N tokens per slot, R rows and T tokens of the longest row of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Indexes = NDArray[np.int64]

LEAST_FILLED = 0.6
"""A row joins a group when it fills this share of the group's longest: fewer pads against fewer, larger products."""


@dataclass(frozen=True)
class Layout:
    """Rows within ``[K*N]`` tokens laid end to end, and their places in padded groups.

    ``there``: the token each place of each group takes; a pad takes its own row's first token, so that what a slot's
    neighbours hold can never reach it. ``back``: the place of each token. ``pads``: places that are pads.
    ``spare``: tokens of no row, which fill a slot with fewer tokens up to N.
    """

    groups: tuple[tuple[int, int], ...]  # (R, T)
    there: torch.Tensor
    back: torch.Tensor
    pads: torch.Tensor
    spare: torch.Tensor


def lay_out(lengths_KR: Sequence[Indexes], device: torch.device) -> Layout:
    """The layout of the slots' rows, given their lengths in the order they lie; a slot without rows has one pad.

    >>> lay_out([np.array([3, 1]), np.array([2])], torch.device("cpu")).groups
    ((2, 3), (1, 1))
    """
    # a slot without a row would otherwise borrow its answers from another slot
    lengths_KR = [lengths if len(lengths) else np.ones(1, dtype=np.int64) for lengths in lengths_KR]
    tokens_K = [int(lengths.sum()) for lengths in lengths_KR]
    N = max(tokens_K)
    starts = [slot * N + np.cumsum(lengths) - lengths for slot, lengths in enumerate(lengths_KR)]
    start_R, length_R = np.concatenate(starts), np.concatenate(list(lengths_KR))
    groups, there, pads = [], [], []
    back = np.zeros(len(lengths_KR) * N, dtype=np.int64)
    places_before = 0
    for rows in groups_by_length(length_R):
        T = int(length_R[rows[0]])
        start_R1, real_RT = start_R[rows][:, None], np.arange(T) < length_R[rows][:, None]
        token_RT = np.where(real_RT, start_R1 + np.arange(T), start_R1)
        place_RT = places_before + np.arange(token_RT.size).reshape(token_RT.shape)
        back[token_RT[real_RT]] = place_RT[real_RT]
        there.append(token_RT.ravel())
        pads.append(place_RT[~real_RT])
        groups.append((len(rows), T))
        places_before += token_RT.size
    spare = [np.arange(slot * N + tokens, (slot + 1) * N) for slot, tokens in enumerate(tokens_K)]
    for slot, unused in enumerate(spare):
        back[unused] = back[slot * N]  # any finite answer of its own slot will do
    arrays = (np.concatenate(there), back, np.concatenate(pads), np.concatenate(spare))
    return Layout(tuple(groups), *(on_device(array, device) for array in arrays))


def on_device(array: Indexes, device: torch.device) -> torch.Tensor:
    """The array on the device; from pinned memory, so that the copy does not wait for what the device still does."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def groups_by_length(length_R: Indexes) -> list[Indexes]:
    """Indexes of rows of similar length, longest first in each group and over all.

    >>> [group.tolist() for group in groups_by_length(np.array([20, 90, 100, 15]))]
    [[2, 1], [0, 3]]
    """
    order = np.argsort(-length_R, kind="stable")
    cuts = [0]
    for place, length in enumerate(length_R[order].tolist()):
        if length < LEAST_FILLED * length_R[order[cuts[-1]]]:
            cuts.append(place)
    return np.split(order, cuts[1:])
