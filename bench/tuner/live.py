"""The product's tuner, live, on the pairs: what it kept, measured here on both sets of rows, and what it spent.

    python -m bench.tuner.live topics --seeds 0 1 2     within 6 % of the cost of one grid, 3 % of a larger set's
    python -m bench.tuner.live topics --budget default  with the budget it takes when none is named
    python -m bench.tuner.live topics --without race    with one of its steps left out; half: of the budget

A seed that has its result in ``bench/results/tuner`` is not run again, unless the tuner's code has changed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import tunewright as tw
from bench.peers import ROOT
from bench.records import fingerprint, machine
from bench.tuner.cells import path_of, read_logs
from bench.tuner.pairs import PAIRS, settings
from bench.tuner.search import Grid
from bench.tuner.train import Bench
from tunewright.app import tuning_at_work
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.export import load_tuned
from tunewright.planner.learning_rate import first_run
from tunewright.record.files import write_whole
from tunewright.schema.recipe_io import read_settings
from tunewright.tuner import order, scout
from tunewright.tuner.budget import FORWARD_WEIGHT

RESULTS = ROOT / "bench" / "results" / "tuner"
PRODUCT = Path(tw.__file__).parent
APP = PRODUCT / "app"
DECIDES = [
    *(PRODUCT / "tuner", PRODUCT / "prescribe", PRODUCT / "engine" / "averaging.py"),
    *(APP / "tune.py", APP / "tuning_at_work.py", APP / "blending.py"),
]
"""The code whose change makes a result old."""

ABLATIONS: dict[str, tuple[Any, str, Any]] = {
    "scouting": (scout, "probe_steps", lambda scouting: 0),  # the planned run, and what its reading asks for
    "race": (scout, "race", lambda scouting: None),
    "lengthening": (scout, "lengthen", lambda scouting: None),
    "ending": (scout, "settle", lambda scouting: None),  # a short last run instead of the trunk's own end
    "doubling": (scout, "STRAIGHT_FACTOR", 1.0),  # the last run, straight to zero, at the very rate of the short ones
    "neighbours": (scout, "NEIGHBOURS", ((1.0, 1.0),)),
    "settling": (order, "AVERAGE_SHARE", 0.0),  # short runs are measured at the weights of their last step
    "siblings": (scout, "siblings", lambda scouting: False),  # a last run and its neighbours instead
    "blending": (tuning_at_work, "means_within", lambda budget, eval_tokens: 0),
}
"""Step -> (where it is, its name there, what stands in its place)."""
WRONG_PRIOR = 8.0
"""``--without prior``: the search starts at an eighth of the planned learning rate."""
BY_OPTION = ("prior", "half")
"""What is left out without changing the code: the prior, and half of the budget."""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    if options.without in ABLATIONS:
        setattr(*ABLATIONS[options.without])
    for name in options.pairs:
        run_pair(name, options)


def run_pair(name: str, options: argparse.Namespace) -> None:
    """All seeds of one pair, each written down as it ends."""
    grid = Grid.of(*read_logs(path_of(name)))
    share = PAIRS[name].share / (2 if options.without == "half" else 1)
    budget = "" if options.budget == "default" else options.budget or f"{int(share * grid.one_grid)}tokens"
    path = result_path(name, options.without)
    code = fingerprint([], DECIDES)
    known = json.loads(path.read_text())["runs"] if path.is_file() else []
    runs = [run for run in known if (run["code"], run["budget"]) == (code, budget)]
    bench = Bench.of(PAIRS[name])
    for seed in options.seeds:
        if seed in [run["seed"] for run in runs]:
            continue
        begin = {"learning_rate": planned_rate(bench) / WRONG_PRIOR} if options.without == "prior" else {}
        runs.append({**tune_live(bench, grid, seed, budget, **begin), "code": code, "budget": budget})
        print(_line(name, grid, runs[-1]), file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n")


def result_path(name: str, without: str = "") -> Path:
    """Where the results of a pair are, of the whole tuner or of one with a step left out."""
    return RESULTS / (f"ablations/{name}-without-{without}.json" if without else f"live-{name}.json")


def planned_rate(bench: Bench) -> float:
    """Where the product starts on this base."""
    return first_run("lora", bench.read.model.hidden_size)


def _line(name: str, grid: Grid, run: Mapping[str, Any]) -> str:
    regret = 100 * (run["eval"] / grid.best.best.eval - 1)
    share = 100 * run["cost"] / grid.one_grid
    return f"{name}, seed {run['seed']}: {regret:+.2f} % of the best, {share:.1f} % of a grid, {run['seconds']:.0f} s"


def tune_live(bench: Bench, grid: Grid, seed: int, budget: str, **begin: Any) -> dict[str, Any]:
    """One tuning with ``goal="eval"``: losses of the adapter it kept, what its runs took, and its story.

    The exam at its end is no part of the search: its tokens are not counted, and its seconds are.
    """
    given = {**settings(bench.pair), "gradient_accumulation_steps": 1, "seed": seed, **begin}  # the grids' batch
    folder = bench.pair.folder / "live" / f"seed-{seed}"  # alone: a tuning learns from runs that lie beside it
    shutil.rmtree(folder, ignore_errors=True)
    began_s = time.perf_counter()
    answer = tw.tune(given.pop("data"), goal="eval", budget=budget, runs_dir=folder, **given)
    seconds = time.perf_counter() - began_s
    runs = [_run(Path(run["run"]), run, grid) for run in answer["runs"]]
    of_tuning = answer["tokens"]
    tokens = {"train": of_tuning["train"], "eval": of_tuning["eval"] - of_tuning["beside"]}
    adapter = Path(answer["best"]["adapter"])
    return {
        "seed": seed,
        "eval": loss_of(bench, adapter, bench.read.val.rows),
        "test": loss_of(bench, adapter, bench.test),
        "tokens": tokens,
        "cost": tokens["train"] + FORWARD_WEIGHT * tokens["eval"],
        "seconds": seconds,
        "false_kills": sum(run["false_kill"] for run in runs),
        "kept": Path(answer["best"]["run"]).name,
        "averaged": (answer["best"]["blend"] or {"names": []})["names"],
        "runs": runs,
        "stopped_because": answer["stopped_because"],
    }


def _run(folder: Path, told: Mapping[str, Any], grid: Grid) -> dict[str, Any]:
    """One run of a tuning: what it was, what it took, and whether it was ended though its cell is among the best."""
    result = json.loads((folder / "run.json").read_text())["result"]
    inherited = result.get("tokens_inherited", {"train": 0, "eval": 0})
    recipe = read_settings(folder / "recipe.yaml")
    keys = ("learning_rate", "lora_rank", "num_train_epochs", "lr_scheduler_type")
    cell = grid.nearest("wsd", recipe["learning_rate"], recipe["lora_rank"], recipe["num_train_epochs"])
    whole = str(told["stopped_because"]).startswith("all ")
    return {
        "name": folder.name,
        "phase": told.get("phase", "run"),
        **{key: recipe[key] for key in keys},
        "eval_loss": told["eval_loss"],
        "stopped_because": told["stopped_because"],
        "tokens": {part: result["tokens"][part] - inherited[part] for part in ("train", "eval")},
        "false_kill": not whole and cell in grid.top,
    }


def loss_of(bench: Bench, adapter: Path, rows: Sequence[Any]) -> float:
    """Mean loss of an adapter folder on rows, nats per answer token."""
    pack = load_tuned(bench.base, adapter)
    try:
        return mean_loss(*row_losses(pack, rows, 32))
    finally:
        pack.detach()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="", help="as the product takes it, or default; else a share of the grid")
    parser.add_argument("--without", default="", choices=["", *BY_OPTION, *ABLATIONS], help="leave a step out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
