"""The mean of a run's weights along its way: what its looks measure, and what it keeps, where the recipe asks for one.

At a high learning rate the weights wander around the bottom of a valley, and the mean of the places they passed lies
lower: averaging does what a decay of the rate does, at any step, without a step of its own (Izmailov et al., Averaging
Weights Leads to Wider Optima, 2018-03; Hägele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed Training
Durations, 2024-05). Training itself never sees the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from tunewright.engine.optimizer import CHUNK_COLUMNS


def newest_weight(share: float, step: int) -> float:
    """What the newest of ``step`` weights counts in their mean; 1 where nothing is averaged (share 0).

    The mean of the last ``share`` of all steps would need all of those weights. This one counts step s in proportion
    to ``s ** (2 / share - 2)``, is as old on average, and needs one copy: ``mean += w (newest - mean)`` with
    ``w = (p + 1) / (p + step)``, ``p = 2 / share - 2`` (polynomial-decay averaging, Shamir and Zhang, 2012-12). Of A
    and B each is averaged for itself: along one run they move too little for the mean of products to be another.

    share : above 0 to 1 (all steps count alike); step : from 1

    >>> newest_weight(1.0, 4), newest_weight(0.4, 1), newest_weight(0.4, 7), newest_weight(0.0, 7)
    (0.25, 1.0, 0.4, 1.0)
    """
    return (2 - share) / (2 - 2 * share + share * step)


class RunningMeans:
    """The means of a pack's rows, [K, P] as its parameters; no memory is taken before a row asks for one.

    shares : of each row, 0: none; on_show: rows that compute with their mean just now
    """

    def __init__(self, params_KP: torch.Tensor, shares: Sequence[float]) -> None:
        self.params_KP, self.shares = params_KP, list(shares)
        self.means_KP = self._copy()
        self.on_show: frozenset[int] = frozenset()

    def _copy(self) -> torch.Tensor | None:
        return self.params_KP.clone() if any(self.shares) else None

    def of(self, row: int) -> torch.Tensor | None:
        """A row's mean [1, P], a view; None where there is none."""
        return self.means_KP[row : row + 1] if self.means_KP is not None and self.shares[row] else None

    def begin(self, row: int, share: float) -> None:
        """A row begins anew, from the parameters it has now."""
        self.shares[row] = share
        if self.means_KP is None:
            self.means_KP = self._copy()
        else:
            self.means_KP[row] = self.params_KP[row]

    def select(self, order: Sequence[int], params_KP: torch.Tensor) -> None:
        """Follow :meth:`Pack.select`: row i goes on as what row ``order[i]`` was, in the pack's new buffer."""
        self.params_KP, self.shares = params_KP, [self.shares[row] for row in order]
        self.means_KP = None if self.means_KP is None or not any(self.shares) else self.means_KP[list(order)]

    @torch.no_grad()
    def take(self, steps_K: Sequence[int]) -> None:
        """Take the parameters after an update in; ``steps_K``: how many each row has made, this one counted."""
        if self.means_KP is None:
            return
        weights = [newest_weight(share, step) for share, step in zip(self.shares, steps_K, strict=True)]
        weight_K1 = torch.tensor(weights, dtype=torch.float32)[:, None].to(self.means_KP.device, non_blocking=True)
        self.means_KP.lerp_(self.params_KP, weight_K1)

    @contextmanager
    def shown(self, rows: Sequence[int]) -> Iterator[None]:
        """Let those of these rows that have a mean compute with it for a while, at no more memory than a chunk's."""
        self.on_show = frozenset(row for row in rows if self.of(row) is not None)
        self._exchange()
        try:
            yield
        finally:
            self._exchange()
            self.on_show = frozenset()

    @torch.no_grad()
    def _exchange(self) -> None:
        """Parameters and means of the rows on show change places; a second time, and all is as it was."""
        if self.means_KP is None:
            return
        for row in self.on_show:
            pieces = (torch.split(buffer_KP[row], CHUNK_COLUMNS) for buffer_KP in (self.params_KP, self.means_KP))
            for params, mean in zip(*pieces, strict=True):
                held = params.clone()
                params.copy_(mean)
                mean.copy_(held)
