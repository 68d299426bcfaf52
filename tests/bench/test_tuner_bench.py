"""The tuner's bench: searches answered from logs pay what they should, keep their budget, and are scored as said."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.tuner.cells import SCHEDULES, Cell, Log, Look, Schedule, read_logs, write_logs
from bench.tuner.peers import (
    Peer,
    alto,
    asha,
    asha_annealed,
    one_shot,
    random_runs,
    top_after_first,
    top_after_first_annealed,
    until_broke,
)
from bench.tuner.score import Way, regret, scored, share_needed
from bench.tuner.search import Broke, Grid, Search
from bench.tuner.seeds import expected_best, seeds_table
from bench.tuner.tables import Scored, better_forms, needed_table, ways_table
from bench.tuner.tree import guide_tree

STEPS = 20  # of one epoch
TOKENS = 50  # of one step
EVAL_TOKENS = 400
EPOCHS, RATES, RANKS = (1, 2, 3, 4), tuple(5e-4 * 2**k for k in range(8)), (2, 8, 32)


def loss_of(cell: Cell, step: int) -> float:
    """Best at 4e-3 and after two epochs, a little better with more rank; infinite where the rate is far too high."""
    if step == 0:
        return 3.0
    if cell.rate > 4e-2:
        return math.nan
    done = step / STEPS
    learnt = 2.0 * math.exp(-3.0 * done) + 0.05 * max(0.0, done - 2) ** 2
    off = 0.3 * abs(math.log2(cell.rate / 4e-3)) * min(1.0, done)
    annealed = 0.05 * (step < STEPS * cell.epochs)
    return (
        1.0
        + learnt
        + off
        + annealed
        - 0.01 * math.log2(cell.rank)
        + {"cosine": 0.01, "linear": 0.02}.get(cell.schedule, 0.0)
    )


def log_of(cell: Cell) -> Log:
    looks = [
        Look(step, step * TOKENS, loss_of(cell, step), loss_of(cell, step) + 0.1, 1.0)
        for step in range(0, STEPS * cell.epochs + 1, 5)
    ]
    return Log(cell, STEPS * cell.epochs, tuple(looks))


@pytest.fixture
def grid() -> Grid:
    cells = [
        Cell(schedule, epochs, rate, rank)
        for schedule in SCHEDULES
        for epochs in EPOCHS
        for rate in RATES
        for rank in RANKS
    ]
    return Grid({cell: log_of(cell) for cell in cells}, EPOCHS, RATES, RANKS, EVAL_TOKENS)


def test_one_grid_costs_its_tokens_and_half_of_ten_evaluations_a_run(grid: Grid) -> None:
    trained = sum(STEPS * TOKENS * epochs for epochs in EPOCHS) * 24
    assert grid.one_grid == pytest.approx(trained + 96 * 10 * 0.5 * EVAL_TOKENS)


def test_the_best_is_the_best_of_all_schedules_by_the_rows_to_choose_on(grid: Grid) -> None:
    assert grid.best.cell == Cell("wsd", 2, 4e-3, 32)
    assert regret(grid, grid.best.best.eval, grid.best.best.test) == (0.0, 0.0)


def test_a_run_gone_on_with_pays_for_the_rest_only(grid: Grid) -> None:
    cell, search = Cell("cosine", 2, 1e-3, 8), Search(grid)
    assert search.run(cell, until=7).step == 10  # the next look there is
    first = search.spent
    search.run(cell)
    assert search.spent == pytest.approx(grid.cost(cell))
    assert first == pytest.approx(grid.cost(cell) / 4)


def test_annealed_runs_of_one_trunk_pay_for_it_once(grid: Grid) -> None:
    search = Search(grid)
    search.annealed(4e-3, 8, 1)
    short = search.spent
    search.annealed(4e-3, 8, 2)
    both = [grid.cost(Cell("wsd", count, 4e-3, 8)) for count in (1, 2)]
    assert short == pytest.approx(both[0])
    assert search.spent < sum(both)
    trunk_once = 0.2 * both[0] + grid.cost(Cell("wsd", 2, 4e-3, 8), 0, 32) + 0.2 * both[1]
    # the two runs count their ten looks over lengths of their own
    assert search.spent == pytest.approx(trunk_once, rel=0.2)


def test_what_is_not_paid_for_is_not_seen(grid: Grid) -> None:
    cell = Cell("cosine", 1, 4e-3, 8)
    search = Search(grid, budget=grid.cost(cell) - 1)
    with pytest.raises(Broke):
        search.run(cell)
    assert (search.spent, search.story) == (0.0, [])
    assert search.best_at(math.inf) == (3.0, 3.1)


PEERS: dict[str, Peer] = {
    "random": random_runs("cosine"),
    "asha": asha("linear", 3, 0.25),
    "asha annealed": asha_annealed(4),
    "top": top_after_first("cosine", 1.0, 2),
    "top annealed": top_after_first_annealed(1),
    "alto": alto("cosine"),
    "tree": guide_tree("cosine", 160, rate=3e-3),
    "one shot": one_shot("wsd", 1e-3, 64, 2.0),
}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_keeps_its_budget_and_finds_something(grid: Grid, name: str) -> None:
    for share in (0.03, 0.25):
        search = until_broke(PEERS[name], Search(grid, share * grid.one_grid), seed=1)
        assert 0 < search.spent <= share * grid.one_grid
        assert search.best_at(math.inf)[0] < 2.0


def test_random_search_of_everything_finds_the_best_of_its_schedule(grid: Grid) -> None:
    search = until_broke(random_runs("cosine"), Search(grid), seed=0)
    assert search.spent == pytest.approx(grid.one_grid)
    assert search.best_at(math.inf)[0] == min(grid.logs[cell].best.eval for cell in grid.cells("cosine"))


def test_a_run_given_up_is_a_false_kill_when_it_is_among_the_best_and_not_taken_up_again(grid: Grid) -> None:
    search, best = Search(grid), Cell("wsd", 2, 4e-3, 32)
    assert best in grid.top
    search.run(best, 5)
    search.drop([best])
    assert search.dropped_by(search.spent) == [best]
    search.run(best)
    assert search.dropped_by(search.spent) == []


def test_a_way_is_scored_at_each_budget_and_needs_the_first_that_is_enough(grid: Grid) -> None:
    way = Way("random runs", "wsd", lambda: random_runs("wsd"))
    scores = scored(grid, way, shares=(0.03, 0.25, 1.0), seeds=5)
    assert scores[1.0].median == 0.0
    assert scores[0.03].median > scores[0.25].median >= 0.0
    assert share_needed({0.25: scores[0.25], 1.0: scores[1.0]}, 1.0) == 1.0
    assert share_needed({0.03: scores[0.03]}, 1.0) == math.inf


def test_tables_show_the_better_form_of_a_family(grid: Grid) -> None:
    forms: list[Schedule] = ["cosine", "wsd"]
    found = [
        Scored(way, {"a": scored(grid, way, shares=(0.03, 1.0), seeds=4)})
        for way in (Way("random runs", form, lambda form=form: random_runs(form)) for form in forms)
    ]
    assert [one.way.form for one in better_forms(found, 1.0)] == ["wsd"]
    text = ways_table(found, 1.0, {})
    assert "random runs, wsd" in text
    assert "random runs, cosine" not in text
    assert "random runs" in needed_table(found, {})


def test_logs_are_read_as_they_were_written(tmp_path: Path, grid: Grid) -> None:
    logs = [
        *grid.logs.values(),
        Log(Cell("cosine", 1, 6.4e-2, 2, seed=1), 20, log_of(Cell("cosine", 1, 1e-3, 2)).looks, True),
    ]
    write_logs(tmp_path / "a.json.gz", {"pair": "a"}, logs)
    about, read = read_logs(tmp_path / "a.json.gz")
    assert about == {"pair": "a"}
    assert [log.cell for log in read] == [log.cell for log in logs]
    assert read[0].best.eval == pytest.approx(logs[0].best.eval, abs=1e-5)
    assert math.isnan(next(log for log in read if log.cell.rate > 4e-2 and not log.alone).end.eval)
    assert "0 | " in seeds_table({"a": read[:5]}).replace("  ", " ")


def test_asha_sends_up_the_best_third_of_a_rung(grid: Grid) -> None:
    search = Search(grid)
    until_broke(asha("cosine", 3, 1.0), search, seed=0)
    longest = [cell for cell in grid.cells("cosine") if cell.epochs == 4]
    finished = [cell for cell in longest if search._reached.get(cell) == grid.logs[cell].steps]
    assert 0 < len(finished) < len(longest) / 2


def test_the_best_cell_is_that_of_the_lowest_mean_not_of_the_luckiest_run() -> None:
    def made(cell: Cell, loss: float, *, alone: bool = False) -> Log:
        return Log(cell, STEPS, (Look(0, 0, 3.0, 3.0, 1.0), Look(STEPS, 0, loss, loss + 0.1, 1.0)), alone=alone)

    steady, lucky, single = (Cell("wsd", 1, 1e-3, rank, 0) for rank in RANKS)
    logs = [made(steady, 1.0), made(Cell("wsd", 1, 1e-3, 2, 1), 1.1)]
    logs += [made(lucky, 0.9), made(Cell("wsd", 1, 1e-3, 8, 1), 1.5), made(lucky, 0.1, alone=True), made(single, 0.5)]
    best = expected_best(logs)
    assert best is not None
    assert (best.eval, best.test) == (pytest.approx(1.05), pytest.approx(1.15))
    assert expected_best([made(single, 0.5)]) is None
