"""The bands of the final training loss in the guide's decision tree, and what the tree asks for in each.

The guide prints two tables that do not agree with the tree at the edges (0.01-0.15, 0.6-1.0, 1.5+); the tree leaves
no gaps, so verdicts and prescriptions use it. Edges belong to the better band: 0.5 is still the sweet spot.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.doctor.guide_reading import TREE, tree

SWEET_LOW, SWEET_HIGH, BARELY = (branch.high for branch in TREE[:3])


@dataclass(frozen=True)
class Band:
    """A band of final training loss (nats per token): the tree's word for it and its two ways out."""

    name: str
    low: float
    high: float
    word: str
    epochs_factor: float
    learning_rate_factor: float

    @property
    def is_target(self) -> bool:
        return self.epochs_factor == 1.0

    def text(self) -> str:
        if self.low == 0:
            return f"below {self.high:g}"
        return f"above {self.low:g}" if self.high == float("inf") else f"in {self.low:g}-{self.high:g}"


OVERFIT = Band("overfit", 0.0, SWEET_LOW, "OVERFIT", 0.8, 0.5)
SWEET_SPOT = Band("sweet spot", SWEET_LOW, SWEET_HIGH, "PERFECT", 1.0, 1.0)
UNDERFIT = Band("underfit", SWEET_HIGH, BARELY, "UNDERFIT", 1.5, 2.0)
BARELY_LEARNED = Band("barely learned", BARELY, float("inf"), "BARELY LEARNED", 2.0, 3.0)
BANDS = (OVERFIT, SWEET_SPOT, UNDERFIT, BARELY_LEARNED)


def band_of(loss: float) -> Band:
    """The band of one final loss.

    >>> [band_of(loss).name for loss in (0.05, 0.2, 0.5, 0.7, 1.0, 1.2)]
    ['overfit', 'sweet spot', 'sweet spot', 'underfit', 'underfit', 'barely learned']
    """
    branches = [branch.name for branch in TREE]
    return BANDS[branches.index(tree(loss))]


def bands_of(low: float, high: float) -> tuple[Band, ...]:
    """Every band that the range ``low``-``high`` enters; touching an edge is not entering.

    >>> [band.name for band in bands_of(0.4, 0.6)], [band.name for band in bands_of(0.5, 0.8)]
    (['sweet spot', 'underfit'], ['underfit'])
    """
    if low == high:
        return (band_of(low),)
    return tuple(band for band in BANDS if low < band.high and high > band.low)
