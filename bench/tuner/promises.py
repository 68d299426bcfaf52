"""Do longer runs end where it was promised? Runs of the grids that the doctor calls cut short, beside the same cells
half as long again and twice as long.

    python -m bench.tuner.promises      seconds: from the committed logs of the grids
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.table import table
from bench.tuner.cells import Cell, Log, path_of, read_logs
from bench.tuner.pairs import PAIRS
from tunewright.doctor.diagnose import diagnose
from tunewright.engine.schedule import LRSchedule
from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.duration import expected_of_longer
from tunewright.prescribe.fit import fit_log_steps
from tunewright.schema.curve import Curve, Series
from tunewright.schema.prescription import Range

LONGER = (1.5, 2.0)
TRAIN_NOISE = 0.02
"""Nats: the logs keep the mean training loss between two looks; steps scatter around it."""


@dataclass(frozen=True)
class Promise:
    """``last``: where the shorter run ended; ``fitted``: the fit's own 90 %; ``came``: where the longer one ended."""

    last: float
    fitted: Range
    promised: Range
    came: float


def main() -> None:
    found = {name: list(promises(name)) for name in PAIRS if path_of(name).is_file()}
    everything = [one for some in found.values() for one in some]
    rows = [_row(name, some) for name, some in [*found.items(), ("all", everything)] if some]
    head = ["pair", "longer runs", "in what was promised", "in the fit's own 90 %", "gain promised", "gain", "no gain"]
    print(table(head, rows))


def _row(name: str, some: Sequence[Promise]) -> list[str]:
    def share(held: list[bool]) -> str:
        return f"{100 * sum(held) / len(held):.0f} %"

    def gain(losses: list[float]) -> str:
        gains = [1 - loss / one.last for loss, one in zip(losses, some, strict=True)]
        return f"{100 * float(np.median(gains)):.1f} %"

    return [
        *(name, str(len(some))),
        share([one.promised.low <= one.came <= one.promised.high for one in some]),
        share([one.fitted.low <= one.came <= one.fitted.high for one in some]),
        *(gain([one.promised.middle for one in some]), gain([one.came for one in some])),
        share([one.came > one.last for one in some]),
    ]


def promises(name: str) -> Iterator[Promise]:
    """Of one pair: runs under a schedule that comes down, so that a longer one is another run."""
    about, logs = read_logs(path_of(name))
    known = {log.cell: log for log in logs if not log.alone and not log.broken and log.cell.schedule != "wsd"}
    for cell, log in known.items():
        case = Case(diagnosis=diagnose(curve := curve_of(log, about)), curve=curve)
        finding, fit = case.first("underfit"), fit_log_steps(curve)
        for times in LONGER if finding and fit else ():
            longer = known.get(replace(cell, epochs=cell.epochs * times))  # type: ignore[arg-type]
            if longer is not None and finding is not None and fit is not None:
                end = times * log.steps
                expected = expected_of_longer(case, fit, finding.evidence.get("gain_one_more_epoch"), end)
                yield Promise(log.end.eval, fit.at(end), expected, longer.end.eval)


def curve_of(log: Log, about: Mapping[str, Any]) -> Curve:
    """A run of the grid as a log that tells every step."""
    looks, steps = log.looks, np.arange(1, log.steps + 1)
    at = np.array([look.step for look in looks])
    scatter = np.random.default_rng(0).normal(0, TRAIN_NOISE, log.steps)
    train = np.interp(steps, at[1:], [look.train for look in looks[1:]]) + scatter
    return Curve(
        "csv",
        "",
        Series(steps, train),
        eval_loss=Series(at, np.array([look.eval for look in looks])),
        learning_rate=Series(steps, _rates(log.cell, log.steps, about)),
        total_steps=log.steps,
        steps_per_epoch=float(about["per_epoch"]),
    )


def _rates(cell: Cell, total: int, about: Mapping[str, Any]) -> NDArray[np.float64]:
    schedule = LRSchedule(cell.schedule, total, warmup=about["settings"]["warmup_steps"])
    return np.array([cell.rate * schedule.multiplier(step) for step in range(total)])


if __name__ == "__main__":
    main()
