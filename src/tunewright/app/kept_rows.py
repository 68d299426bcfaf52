"""Losses of validation rows, one by one, as a run folder keeps them; read without torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.record.run import Run
from tunewright.schema import jsonio
from tunewright.tuner.ranking import RowLosses

FILE = "val_rows.json"
"""Losses at the run's best step."""
END_FILE = "end_rows.json"
"""Losses at its last evaluation, which is not always the best one."""


def keep_end_rows(run: Run, nats_n: NDArray[np.float64] | None, tokens_n: NDArray[np.int64]) -> None:
    """Keep what a run's last evaluation measured anyway; nothing when it had no validation rows."""
    if nats_n is not None:
        run.write(END_FILE, {"nats": nats_n, "tokens": tokens_n})


def kept_rows(run: Run, file: str = FILE) -> RowLosses | None:
    """The losses of the run's validation rows at its best step, or at its end; None when none were kept.

    Raises DataError when the file is damaged.
    """
    kept = run.read(file)
    if not kept:
        return None
    return RowLosses(np.array([jsonio.number(nats) for nats in kept["nats"]]), np.array(kept["tokens"]))
