"""Exports run for real: TRL and LLaMA-Factory start what we wrote, unmodified, and must see our tokens and our losses.

``python -m bench.export_runs`` makes the peers' environments on demand (see bench/peers.py) and prints two tables.

1. Three steps from one adapter on all rows at once: the tokens each trains on, the validation loss before the first
   step, the training loss of each step. Nothing is random there: a count that differs, or a loss more than 1e-3 away,
   fails.
2. Whole runs, each tool with its own shuffling and its own fresh adapters, over several seeds, launched and followed by
   ``train --trainer``: the final evaluation loss. A mean further from ours than three standard errors fails, as does a
   run whose own log, read afterwards, says something else than what was followed live.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tunewright as tw
from bench.peers import ENVIRONMENTS, python_of
from bench.table import table
from tunewright.app.diagnose import diagnose
from tunewright.app.launch import launch
from tunewright.app.launched_run import FOLDER
from tunewright.app.request import Request
from tunewright.app.train import train
from tunewright.data.sources import demo_files

ROWS, VAL_ROWS, STEPS = 40, 24, 3
MOST_APART = 1e-3
"""The same sums in another order differ by far less; a token more or less in the labels by far more."""
TIMEOUT_S = 900

WHOLE_ROWS = 160
WHOLE = {
    "max_steps": 80,
    "per_device_train_batch_size": 16,
    "learning_rate": 4e-3,
    "eval_steps": 20,
    "logging_steps": 5,
}
"""Eight epochs, the loss still falling slowly at the end: where seeds differ, and a wrong schedule would show."""

LOGGED_TO = 1e-4
"""LLaMA-Factory logs four decimals."""

COUNT_TRL = """
import runpy, trl
def count(trainer):
    print("TRAINED ON", sum(label != -100 for row in trainer.train_dataset for label in row["labels"][1:]))
trl.SFTTrainer.train, trl.SFTTrainer.save_model = count, lambda *_: None
runpy.run_path("train.py")
"""
COUNT_LLAMAFACTORY = """
import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
model, data, training, finetuning, _ = get_train_args(yaml.safe_load(open("train.yaml")))
loaded = load_tokenizer(model)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
rows = get_dataset(template, model, data, training, stage="sft", **loaded)["train_dataset"]
print("TRAINED ON", sum(label != -100 for row in rows for label in row["labels"][1:]))
"""
START = {
    "trl": (["train.py"], COUNT_TRL),
    "llamafactory": (["-m", "llamafactory.cli", "train", "train.yaml"], COUNT_LLAMAFACTORY),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS, help="where the peers' environments are kept")
    parser.add_argument(
        "--python", action="append", default=[], metavar="TOOL=PATH", help="use this interpreter instead"
    )
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    given = dict(one.split("=", 1) for one in options.python)
    pythons = {tool: Path(given[tool]) if tool in given else python_of(tool, options.envs) for tool in START}
    with tempfile.TemporaryDirectory() as folder:
        exact = three_steps(Path(folder) / "exact", pythons)
        print(shown(exact) + "\n")
        whole = whole_runs(Path(folder) / "whole", pythons, options.seeds)
        print(shown_whole(whole))
    bad = [tool for tool, result in exact.items() if apart(result, exact["ours"])]
    bad += [tool for tool, losses in whole.items() if beyond_noise(losses, whole["ours"])]
    print(f"apart from ours: {', '.join(bad) or 'none'}", file=sys.stderr)
    return 1 if bad else 0


def three_steps(folder: Path, pythons: dict[str, Path]) -> dict[str, dict[str, Any]]:
    folder.mkdir()
    recipe = write_recipe(folder)
    with_adapter(recipe, folder)
    found = {tool: theirs(tool, recipe, folder, python) for tool, python in pythons.items()}
    return {"ours": ours(recipe, folder), **found}


def whole_runs(folder: Path, pythons: dict[str, Path], seeds: int) -> dict[str, list[float]]:
    """The final evaluation loss of every seed, made by us and by each tool."""
    folder.mkdir()
    recipe = write_recipe(folder, rows=WHOLE_ROWS, **WHOLE)
    losses: dict[str, list[float]] = {"ours": [], **{tool: [] for tool in pythons}}
    for seed in range(seeds):
        request = Request(recipe=str(recipe), seed=seed)
        losses["ours"].append(last_eval(train(request=request, runs_dir=folder)["run"]))
        for tool, python in pythons.items():
            made = launch(tool, request=request, python=str(python), runs_dir=folder)
            losses[tool].append(last_eval(made["run"]))
            same_log(Path(made["run"]), losses[tool][-1])
        print(f"seed {seed}: {', '.join(f'{tool} {found[-1]:.4f}' for tool, found in losses.items())}", file=sys.stderr)
    return losses


def last_eval(run: str) -> float:
    """Its last evaluation, as the reader of any log gives it."""
    return float(diagnose(run)[0].curve.eval_loss.values[-1])


def same_log(run: Path, followed: float) -> None:
    """Raises RuntimeError when the tool's own log ends otherwise than what was followed while it trained."""
    own = float(diagnose(run / FOLDER / "outputs")[0].curve.eval_loss.values[-1])
    if abs(own - followed) > LOGGED_TO:
        raise RuntimeError(f"{run}: its own log ends at {own}, followed live {followed}")


def beyond_noise(losses: list[float], ours: list[float]) -> bool:
    """Whether two means are further apart than three standard errors of their difference."""
    spread = (statistics.variance(losses) + statistics.variance(ours)) / len(losses)
    return abs(statistics.mean(losses) - statistics.mean(ours)) > 3 * spread**0.5


def write_recipe(folder: Path, rows: int = ROWS, **more: Any) -> Path:
    """Three steps of all rows at once, so that the order of the rows cannot matter, unless ``more`` says otherwise."""
    files = demo_files()
    for name, part, count in (("rows.jsonl", "train", rows), ("valid.jsonl", "validation", VAL_ROWS)):
        lines = files[part].read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:count]), encoding="utf-8")
    settings = {
        "model": str(files["model"]),
        "data": str(folder / "rows.jsonl"),
        "val": str(folder / "valid.jsonl"),
        "max_steps": STEPS,
        "per_device_train_batch_size": ROWS,
        "per_device_eval_batch_size": VAL_ROWS,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "lora_dropout": 0.0,
        "precision": "auto",
        "eval_steps": 1,
        "logging_steps": 1,
        "report_to": [],
        **more,
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    return recipe


def with_adapter(recipe: Path, folder: Path) -> None:
    """Begin all runs with one adapter: fresh ones are drawn at random, and differ from the second step on."""
    begun = tw.train(str(recipe), runs_dir=folder / "runs", max_steps=1)
    with open(recipe, "a", encoding="utf-8") as file:
        file.write(f"init_adapter: {json.dumps(begun['adapter'])}\n")


def ours(recipe: Path, folder: Path) -> dict[str, Any]:
    """What our own engine sees."""
    run = tw.train(str(recipe), runs_dir=folder / "runs")["run"]
    events = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    exported = tw.export(recipe, to="trl", out=folder / "counted")
    return {
        "tokens": exported["supervised_tokens"],
        "eval_loss": next(event["eval_loss"] for event in events if "eval_loss" in event),
        "losses": [event["loss"] for event in events if "loss" in event],
    }


def theirs(tool: str, recipe: Path, folder: Path, python: Path) -> dict[str, Any]:
    """What another trainer sees of our export, started as its own comment says."""
    where = folder / tool
    tw.export(recipe, to=tool, out=where)
    start, count = START[tool]
    said = run(python, ["-c", count], where)
    run(python, start, where)
    states = sorted(where.glob("outputs/**/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    log = json.loads(states[-1].read_text())["log_history"]
    return {
        "tokens": int(said.rpartition("TRAINED ON ")[2].split()[0]),
        "eval_loss": next(row["eval_loss"] for row in log if "eval_loss" in row),
        "losses": [row["loss"] for row in log if "loss" in row],
    }


def run(python: Path, arguments: list[str], folder: Path) -> str:
    """Its standard output. Raises RuntimeError with the last lines it wrote when it fails."""
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [python, *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    if done.returncode:
        raise RuntimeError(f"{folder.name}: {' '.join(arguments[:3])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def apart(result: dict[str, Any], our: dict[str, Any]) -> bool:
    """Whether it trains on other tokens, or a loss is further away than rounding explains."""
    numbers = [(result["eval_loss"], our["eval_loss"]), *zip(result["losses"], our["losses"], strict=True)]
    return result["tokens"] != our["tokens"] or any(abs(one - two) > MOST_APART for one, two in numbers)


def shown_whole(losses: dict[str, list[float]]) -> str:
    head = ["trainer", *(f"seed {seed}" for seed in range(len(losses["ours"]))), "mean"]
    rows = [[name, *(f"{loss:.4f}" for loss in (*found, statistics.mean(found)))] for name, found in losses.items()]
    return table(head, rows)


def shown(results: dict[str, dict[str, Any]]) -> str:
    head = ["trainer", "tokens trained on", "eval loss before", *(f"loss, step {step + 1}" for step in range(STEPS))]
    rows = [
        [name, str(one["tokens"]), *(f"{value:.6f}" for value in (one["eval_loss"], *one["losses"]))]
        for name, one in results.items()
    ]
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
