"""The callback in real runs of other trainers, each in its own environment: does it see, say, stop and write?

    python -m bench.callback_hosts [--json FILE]
    python -m bench.callback_hosts --trl /path/to/python --llamafactory /path/to/python

The environments are those of bench/peers.py unless interpreters are given; what Tunewright itself needs is added to
them where it is missing. In each, the bundled model is tuned on the bundled rows twice: with a sound learning rate,
and with one that diverges while the callback may stop the run. What must hold is checked here, on the folders the
callback wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewright.app.diagnose import diagnose
from tunewright.data.sources import demo_files
from tunewright.record.run import open_run

ROOT = Path(__file__).parent.parent
STEPS, SOUND, DIVERGES = 60, 2e-3, 1.0
STOP_ON = ("non_finite", "divergence", "worse_than_start")


@dataclass(frozen=True)
class Checked:
    """One run in one trainer. ``steps`` of ``planned`` were made; ``said`` are the findings printed."""

    host: str
    version: str
    learning_rate: float
    steps: int
    planned: int
    evaluated_at_start: bool
    health: str
    findings: tuple[str, ...]
    said: tuple[str, ...]
    stopped_because: str
    passed: bool


def settings(folder: Path, learning_rate: float) -> dict[str, Any]:
    """What both trainers are told, under the names they share."""
    return {
        "output_dir": str(folder),
        "max_steps": STEPS,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "logging_steps": 5,
        "eval_strategy": "steps",
        "eval_steps": 15,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "seed": 0,
    }


# --- inside the trainer's own environment ------------------------------------------------------------------------


def in_trl(given: dict[str, Any]) -> str:
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import tunewright

    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    trainer = trl.SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(given["model"]),
        args=trl.SFTConfig(**given["settings"], max_length=128),
        train_dataset=Dataset.from_list(given["train"]),
        eval_dataset=Dataset.from_list(given["valid"]),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[tunewright.TunewrightCallback(stop_on=given["stop_on"])],
    )
    trainer.train()
    return str(trl.__version__)


def in_llamafactory(given: dict[str, Any]) -> str:
    from importlib.metadata import version

    from llamafactory.train.tuner import run_exp

    import tunewright

    folder = Path(given["settings"]["output_dir"]).parent
    rows = {
        part: [{"instruction": r["prompt"], "input": "", "output": r["completion"]} for r in given[part]]
        for part in PARTS
    }
    for part, texts in rows.items():
        (folder / f"{part}.json").write_text(json.dumps(texts))
    (folder / "dataset_info.json").write_text(json.dumps({part: {"file_name": f"{part}.json"} for part in PARTS}))
    arguments = {
        **given["settings"],
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_target": "all",
        "model_name_or_path": given["model"],
        "template": "default",
        "dataset_dir": str(folder),
        "dataset": "train",
        "eval_dataset": "valid",
        "cutoff_len": 128,
        "overwrite_cache": True,
    }
    run_exp(arguments, callbacks=[tunewright.TunewrightCallback(stop_on=given["stop_on"])])
    return version("llamafactory")


PARTS = ("train", "valid")
ADDED = ("orjson==", "ruamel.yaml==", "ruamel-yaml==", "click==")
HOSTS = {"trl": in_trl, "llamafactory": in_llamafactory}


# --- here --------------------------------------------------------------------------------------------------------


def rows_of(path: Path, most: int) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()[:most]]
    return [{"prompt": row["instruction"], "completion": row["completion"]} for row in rows]


def run_in(host: str, python: str, folder: Path, learning_rate: float) -> tuple[str, str]:
    """(version, what was printed) of one run of ``host`` by its own interpreter. Raises SystemExit when it fails."""
    files = demo_files()
    given = {
        "model": str(files["model"]),
        "train": rows_of(files["train"], 300),
        "valid": rows_of(files["validation"], 60),
        "stop_on": STOP_ON,
        "settings": settings(folder / "out", learning_rate),
    }
    (folder / "given.json").write_text(json.dumps(given))
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [python, __file__, "--inside", host, str(folder / "given.json")],
        env={**os.environ, "PYTHONPATH": paths.rstrip(os.pathsep), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{host} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip().splitlines()[-1], done.stdout + done.stderr


def check(host: str, python: str, learning_rate: float) -> Checked:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        version, printed = run_in(host, python, folder, learning_rate)
        run = open_run(folder / "out" / "tunewright")
        diagnosis = diagnose(run.path)[0].diagnosis
        result = run.read()["result"]
        evals = [event for event in run.events() if "eval_loss" in event]
    told = [line.split("tunewright: ", 1)[1] for line in printed.splitlines() if "tunewright: " in line]
    said = tuple(words[2].rstrip(",") for line in told if len(words := line.split()) > 2 and words[1].startswith("TW"))
    started = bool(evals) and evals[0]["step"] == 0
    found = tuple(finding.symptom for finding in diagnosis.findings)
    hot = learning_rate == DIVERGES
    stopped = int(result["steps"]) < STEPS
    serious = {finding.symptom for finding in diagnosis.findings if finding.severity != "info"}
    passed = started and stopped == hot and (diagnosis.health == "sick") == hot
    passed = passed and len(set(said)) == len(said) and serious <= set(said)
    return Checked(
        *(host, version, learning_rate, int(result["steps"]), STEPS, started, diagnosis.health, found, said),
        result["stopped_because"],
        passed,
    )


def _python_of(host: str) -> Path:
    from bench.peers import python_of  # not inside a trainer's environment, where this file runs by its path

    return python_of(host)


def prepared(python: str) -> str:
    """The interpreter, with what Tunewright needs beside its trainer; nothing the trainer pins is touched."""
    asked = [python, "-c", "import click, numpy, orjson, pydantic, ruamel.yaml"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith(ADDED)]
        subprocess.run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *pins], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", help="the interpreter of an environment that TRL lives in")
    parser.add_argument("--llamafactory", help="the same for LLaMA-Factory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", nargs=2, metavar=("HOST", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        host, file = given.inside
        print(HOSTS[host](json.loads(Path(file).read_text())))
        return
    pythons = {host: getattr(given, host) for host in HOSTS if getattr(given, host)}
    pythons = pythons or {host: str(_python_of(host)) for host in HOSTS}
    pythons = {host: prepared(python) for host, python in pythons.items()}
    checked = [check(host, python, rate) for host, python in pythons.items() for rate in (SOUND, DIVERGES)]
    for one in checked:
        print(
            f"{'ok  ' if one.passed else 'FAIL'} {one.host} {one.version}  lr {one.learning_rate:g}: "
            f"{one.steps}/{one.planned} steps, {one.health}, said: {', '.join(one.said) or 'nothing'}; "
            f"{one.stopped_because}"
        )
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in checked], indent=2) + "\n")
    sys.exit(0 if all(one.passed for one in checked) else 1)


if __name__ == "__main__":
    main()
