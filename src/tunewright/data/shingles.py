"""Which texts are nearly the same: MinHash finds the candidates, their exact likeness decides.

Likeness is the Jaccard index of the texts' sets of five-character shingles. Each shingle is hashed once; the smallest
hash in each of 126 equal ranges stands for a permutation of its own (one-permutation hashing), and an empty range
borrows from the next one. Two texts are compared when six neighbouring ranges agree in one of 21 bands: of pairs with
a likeness of 0.9, one in four million is missed.
Sources: Broder, "On the resemblance and containment of documents" (1997-06); Shrivastava and Li, "Densifying One
Permutation Hashing via Rotation for Fast Near Neighbor Search" (ICML 2014-06).
Shapes: N texts, H hashes, R ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tunewright.data.chunks import chunks

WIDTH = 5
BANDS, BAND_ROWS = 21, 6
_RANGES = BANDS * BAND_ROWS
_RANGE_WIDTH = np.uint32((1 << 32) // _RANGES + 1)
_CHUNK_CHARACTERS = 60_000
"""Characters hashed at once: the arrays made of them stay in a processor's own cache."""
# Odd 64-bit multipliers, drawn once from numpy's generator with seed 20240601.
_MULTIPLIERS = np.random.default_rng(20240601).integers(1 << 62, 1 << 63, size=2, dtype=np.uint64) | np.uint64(1)
_STEP = np.uint32(0x9E3779B1)

Array32 = NDArray[np.uint32]


def jaccard(one: Array32, other: Array32) -> float:
    """The Jaccard index of two sets of shingle hashes, as :func:`shingle_set` gives them; 1.0 for two empty ones."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 1.0


def shingle_set(text: str) -> Array32:
    """The hashes of a text's five-character shingles, sorted, each once; a shorter text is one shingle."""
    return np.unique(_hashes(_codes(text.ljust(WIDTH))))


def signatures(texts: Iterable[str], count: int, on_progress: Callable[[int, int], None] | None = None) -> Array32:
    """[N, R] the signature of each of ``count`` texts; ``on_progress(done, count)`` is called now and then."""
    made = np.empty((count, _RANGES), np.uint32)
    done = 0
    for chunk in chunks(texts, _CHUNK_CHARACTERS):
        made[done : done + len(chunk)] = _signatures([text.ljust(WIDTH) for text in chunk])
        done += len(chunk)
        if on_progress is not None:
            on_progress(done, count)
    return made


def buckets(signatures_NR: Array32) -> Iterator[list[int]]:
    """Texts that agree in a band, by their places, ascending; only where two or more do."""
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures_NR[:, band * BAND_ROWS : (band + 1) * BAND_ROWS])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * BAND_ROWS))).ravel()
        order = np.argsort(keys, kind="stable")
        differs = np.ones(len(order) + 1, np.bool_)
        differs[1:-1] = keys[order][1:] != keys[order][:-1]
        bounds = np.flatnonzero(differs)
        for at in np.flatnonzero(np.diff(bounds) > 1):
            yield order[bounds[at] : bounds[at + 1]].tolist()


def likeness(signatures_NR: Array32, place: int, others: Sequence[int]) -> NDArray[np.float64]:
    """[len(others)] the estimated Jaccard index of one text with others."""
    estimate: NDArray[np.float64] = (signatures_NR[list(others)] == signatures_NR[place]).mean(axis=1)
    return estimate


def _codes(text: str) -> Array32:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _hashes(codes: Array32) -> Array32:
    """[len(codes) - 4] a hash of every window of five characters."""
    count = len(codes) - WIDTH + 1
    mixed = codes[:count].astype(np.uint64)
    for at in range(1, WIDTH):
        mixed *= _MULTIPLIERS[0]
        mixed += codes[at : at + count]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIERS[1]
    mixed >>= np.uint64(32)
    return mixed.astype(np.uint32)


def _signatures(texts: Sequence[str]) -> Array32:
    """[N, R] of texts of at least five characters: the smallest hash in each range of each text."""
    lengths = np.array([len(text) for text in texts])
    hashes = _hashes(_codes("".join(texts)))
    ends = np.cumsum(lengths)
    inside = np.ones(len(hashes), np.bool_)  # windows that reach into the next text are none of its shingles
    for back in range(1, WIDTH):
        inside[ends[:-1] - back] = False
    first_cell = np.repeat(np.arange(len(texts)) * _RANGES, lengths)[: len(hashes)]
    cells = (first_cell + hashes // _RANGE_WIDTH)[inside]
    values = np.full(len(texts) * _RANGES, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(values, cells, hashes[inside])
    filled = np.zeros(len(values), np.bool_)
    filled[cells] = True
    return _densified(values.reshape(-1, _RANGES), filled.reshape(-1, _RANGES))


def _densified(values: Array32, filled: NDArray[np.bool_]) -> Array32:
    """Every empty range takes the next full one's value, changed by how far away that is."""
    twice = np.concatenate([filled, filled], axis=1)
    places = np.where(twice, np.arange(2 * _RANGES), 2 * _RANGES)
    following = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1][:, :_RANGES]
    distance = following - np.arange(_RANGES)
    taken = np.take_along_axis(values, following % _RANGES, axis=1)
    dense: Array32 = taken + distance.astype(np.uint32) * _STEP
    return dense
