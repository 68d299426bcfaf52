"""CRC-32C, the checksum of TensorBoard's and W&B's record files, for many records at once.

Castagnoli polynomial, reflected 0x82F63B78; TensorFlow's files store it rotated by 15 bits plus 0xA282EAD8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_ALL = np.uint32(0xFFFFFFFF)


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


def masked_crc(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The masked CRC-32C of every row of a [n, length] byte matrix.

    >>> hex(int(masked_crc(np.zeros((1, 32), np.uint8))[0]))
    '0xfd7fffa'
    """
    table = _table()
    crc = np.full(len(rows), _ALL)
    for column in rows.T:
        crc = table[(crc ^ column) & 0xFF] ^ (crc >> 8)
    crc ^= _ALL
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def intact(content: bytes, starts: Sequence[int], lengths: Sequence[int]) -> NDArray[np.bool_]:
    """Which records (data at ``start``, its masked checksum right behind) are as they were written."""
    whole = np.frombuffer(content, np.uint8)
    at, sizes = np.array(starts, np.int64), np.array(lengths, np.int64)
    good = np.zeros(len(at), bool)
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        rows = whole[at[chosen][:, None] + np.arange(size + 4)]
        stored = np.ascontiguousarray(rows[:, size:]).view("<u4")[:, 0]
        good[chosen] = masked_crc(rows[:, :size]) == stored
    return good


@lru_cache(maxsize=4096)
def masked_crc_of(data: bytes) -> int:
    """The same for one short piece; lengths repeat, so the last ones are kept."""
    return int(masked_crc(np.frombuffer(data, np.uint8)[None])[0])
