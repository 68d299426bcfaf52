"""The tables of the bench as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.table import table
from bench.tuner.score import GOAL, Came, Score, Way, share_needed
from bench.tuner.search import Grid

PairScores = Mapping[str, Mapping[float, Score]]
"""Pair -> budget -> score, of one way."""


@dataclass(frozen=True)
class Scored:
    """A way with its scores on all pairs."""

    way: Way
    on: PairScores

    def restricted(self, pairs: Sequence[str]) -> Scored:
        """The same way on some of the pairs."""
        return Scored(self.way, {pair: self.on[pair] for pair in pairs})

    def pooled(self, share: float) -> Score:
        """All seeds of all pairs at one budget."""
        return Score([came for scores in self.on.values() for came in scores[share].came])

    def needed(self, least_within: float = 0.5, goal: float = GOAL) -> float:
        """The budget at which so many of all searches are within the goal."""
        shares = next(iter(self.on.values()))
        return share_needed({share: self.pooled(share) for share in shares}, least_within, goal)


def better_forms(scored: Sequence[Scored], share: float) -> list[Scored]:
    """Of each family the form with the lowest median regret at this budget, best family first."""
    families: dict[str, list[Scored]] = {}
    for one in scored:
        families.setdefault(one.way.family, []).append(one)

    def order(one: Scored) -> tuple[float, float]:
        pooled = one.pooled(share)
        return pooled.median, pooled.worst

    return sorted((min(forms, key=order) for forms in families.values()), key=order)


def percent(value: float, digits: int = 2) -> str:
    return "-" if not math.isfinite(value) else f"{100 * value:.{digits}f}"


def pairs_table(grids: Mapping[str, Grid], about: Mapping[str, Mapping[str, object]]) -> str:
    """What the grids found."""
    rows = []
    for name, grid in grids.items():
        best = grid.best
        per_schedule = (
            min(grid.logs[cell].best.eval for cell in grid.cells(schedule)) for schedule in ("cosine", "linear", "wsd")
        )
        cell = best.cell
        rows.append(
            [
                *(
                    name,
                    about[name]["base"],
                    about[name]["rows"],
                    f"{about[name]['per_epoch']} x 1 to {grid.epochs[-1]}",
                ),
                *(f"{best.looks[0].eval:.3f}", *(f"{loss:.4f}" for loss in per_schedule)),
                f"{cell.schedule} {cell.rate:g} r{cell.rank} {cell.epochs} ep",
                percent(best.end.eval / best.best.eval - 1, 1),
                f"{grid.one_grid / 1e6:.2f}",
            ]
        )
    head = ["pair", "base", "rows", "steps", "untuned", "cosine", "linear", "WSD", "best run"]
    return table([*head, "its end above its best, %", "a grid, M tokens"], rows)


def ways_table(scored: Sequence[Scored], share: float, ours: Mapping[str, Sequence[Came]]) -> str:
    """Everybody at one budget, ours first, then the better form of each family."""
    pairs = list(scored[0].on)
    rows = (
        [_row("Tunewright", Score([came for all_of in ours.values() for came in all_of]), _of(ours, pairs))]
        if ours
        else []
    )
    for one in better_forms(scored, share):
        rows.append(_row(one.way.name, one.pooled(share), [one.on[pair][share] for pair in pairs]))
    head = ["way", "spent, % of a grid", "regret %", "worst", "within 1 %", "on test %", "worst", "false kills"]
    return table([*head, *(f"{pair}: median (worst)" for pair in pairs)], rows)


def _of(ours: Mapping[str, Sequence[Came]], pairs: Sequence[str]) -> list[Score | None]:
    return [Score(ours[pair]) if pair in ours else None for pair in pairs]


def _row(name: str, pooled: Score, on: Sequence[Score | None]) -> list[str]:
    return [
        *(name, percent(pooled.share, 1), percent(pooled.median), percent(pooled.worst, 1)),
        f"{sum(one.eval <= GOAL for one in pooled.came)}/{len(pooled.came)}",
        *(percent(pooled.test_median), percent(pooled.test_worst, 1), f"{pooled.false_kills:.1f}"),
        *("-" if one is None else f"{percent(one.median)} ({percent(one.worst, 1)})" for one in on),
    ]


def ablations_table(ours: Mapping[str, Sequence[Came]], ablated: Mapping[str, Mapping[str, Sequence[Came]]]) -> str:
    """The tuner with each of its steps left out, on the pairs and seeds where both were run."""
    rows = []
    for step, on in ablated.items():
        pairs = [name for name, came in on.items() if came and name in ours]
        if not pairs:
            continue
        # seeds are run in order, so the first ones are the same on both sides
        whole, less = (Score([came for name in pairs for came in of[name][: len(on[name])]]) for of in (ours, on))
        rows.append(
            [
                *(f"without {step}", ", ".join(pairs), len(less.came)),
                *(f"{percent(one.median)} ({percent(one.worst, 1)})" for one in (whole, less)),
                *(f"{percent(one.share, 1)}" for one in (whole, less)),
            ]
        )
    head = ["step left out", "pairs", "runs", "regret % with it (worst)", "without it (worst)"]
    return table([*head, "spent with it, % of a grid", "without it"], rows)


def live_table(ours: Mapping[str, Sequence[Came]], grid_s: Mapping[str, float]) -> str:
    """The tuner on each pair, seed by seed."""
    rows = [
        [
            *(pair, seed, percent(one.eval), percent(one.test), percent(one.eval_to_mean), percent(one.test_to_mean)),
            *(percent(one.share, 1), one.false_kills),
            *(f"{one.seconds:.0f}", f"{grid_s[pair]:.0f}"),
        ]
        for pair, all_of in ours.items()
        for seed, one in enumerate(all_of)
    ]
    head = ["pair", "seed", "regret %", "on test %", "to the best cell's mean %", "on test %", "spent, % of a grid"]
    everything = [one for all_of in ours.values() for one in all_of]
    measures = ("eval", "test", "eval_to_mean", "test_to_mean")
    within = (sum(getattr(one, key) <= GOAL for one in everything) for key in measures)
    rows.append(["within 1 %", len(everything), *within, "", "", "", ""])
    return table([*head, "false kills", "s", "the three grids, s"], rows)


def needed_table(scored: Sequence[Scored], ours: Mapping[str, Sequence[Came]]) -> str:
    """What each family needs for half and nine tenths of its searches to be within the goal, and for half of them to
    be as good as the median of ours."""
    families: dict[str, list[Scored]] = {}
    for one in scored:
        families.setdefault(one.way.family, []).append(one)
    mine = Score([came for all_of in ours.values() for came in all_of]) if ours else None
    goals = [(0.5, GOAL), (0.9, GOAL), (0.5, max(0.0, mine.median) if mine else GOAL)]
    rows = []
    for family, forms in families.items():
        needs = [min(one.needed(*goal) for one in forms) for goal in goals]
        times = [_times(need, mine.share) if mine else "-" for need in needs]
        rows.append([family, *(f"{_share(need)} ({by})" for need, by in zip(needs, times, strict=True))])
    rows.sort(key=lambda row: ("never" in row[1], row[1:]))
    head = ["family, cheapest form for each", "half within 1 %: % of a grid (x ours)", "nine tenths within 1 %"]
    return table([*head, "half as good as our median"], rows)


def _share(share: float) -> str:
    return f"{100 * share:4.0f}" if math.isfinite(share) else "never"


def _times(share: float, spent: float) -> str:
    return f"{share / spent:.1f}" if math.isfinite(share / spent) else "-"
