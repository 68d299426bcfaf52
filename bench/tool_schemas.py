"""Random recipes, exported, put before each tool's own validators: ``python -m bench.tool_schemas --python TOOL=PATH``.

axolotl      : its configuration schema with every validator, for one H100 (``--python axolotl=...``)
llamafactory : its argument parser with every check (``--python llamafactory=...``)
trl          : SFTConfig and LoraConfig are made with what the script says (``--python trl=...``)
unsloth      : the arguments of its functions, read from the wheels by ast, since it can only be imported on a GPU; and
               those of SFTConfig as the TRL beside it has them (needs ``trl``); ``--wheels DIR`` to keep the wheels

Only the tools named are asked. Printed: how many exports each took, and the first refusal of each kind.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import table
from tunewright.data.sources import demo_files
from tunewright.data.tokens import TokenRow
from tunewright.planner.steps import total_steps
from tunewright.schema.recipe import Recipe
from tunewright.trainers.exported import Job
from tunewright.trainers.script_reading import script_settings
from tunewright.trainers.tool import Tool
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.translation import resolved

ROWS = 400
CHOICES: dict[str, list[Any]] = {
    "method": ["lora", "lora", "qlora", "full"],
    "max_length": [128, 2048],
    "packing": [False, False, True],
    "per_device_train_batch_size": [1, 4, 16],
    "gradient_accumulation_steps": [1, 2, 8],
    "num_train_epochs": [1.0, 2.5],
    "learning_rate": [1e-5, 2e-4, 4.3e-3],
    "lr_scheduler_type": ["constant", "linear", "cosine", "cosine_with_min_lr", "wsd", "inverse_sqrt"],
    "lr_floor": [0.0, 0.1],
    "decay_share": [0.1, 0.3],
    "warmup_steps": [0, 10],
    "weight_decay": [0.0, 0.01],
    "max_grad_norm": [0.3, 1.0],
    "optim": ["adamw", "adamw_8bit", "sgd"],
    "lora_rank": [8, 64],
    "lora_alpha": [16.0, 22.6],
    "lora_dropout": [0.0, 0.05],
    "lora_target": ["all", ("q_proj", "v_proj")],
    "modules_to_save": [(), ("embed_tokens", "lm_head")],
    "precision": ["auto", "bf16", "fp16", "fp32"],
    "gradient_checkpointing": [False, True],
    "logging_steps": [1, 10],
    "eval_steps": [None, 7],
    "save_steps": [None, 10],
    "early_stopping_patience": [0, 3],
    "report_to": [(), ("tensorboard",)],
    "stage": ["sft", "sft", "sft", "pt"],
}

AXOLOTL = """
from axolotl.utils.config import prepare_plugins, validate_config
from axolotl.utils.dict import DictDefault
gpu = {"bf16": True, "fp8": True, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
def check(path):
    cfg = DictDefault(yaml.safe_load(open(path)))
    prepare_plugins(cfg)
    validate_config(cfg, capabilities=gpu, env_capabilities={"torch_version": "2.11.0"})
"""
LLAMAFACTORY = """
from llamafactory.hparams import get_train_args
def check(path):
    get_train_args(yaml.safe_load(open(path)))
"""
TRL = """
import ast, torch
from peft import LoraConfig
from trl import SFTConfig
BF16 = False
def check(path):
    for node in ast.parse(open(path).read()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if getattr(node.value.func, "id", "") in ("SFTConfig", "LoraConfig"):
                eval(compile(ast.Expression(node.value), path, "eval"))
"""
ASK = """
import json, os, sys, yaml
{check}
os.chdir(sys.argv[1])
found = {{}}
for name in sorted(os.listdir(".")):
    if name.startswith("0"):
        try:
            check(name)
        except Exception as error:
            found[name] = f"{{type(error).__name__}}: {{error}}"
json.dump(found, open("found.json", "w"))
"""
CHECKS = {"axolotl": AXOLOTL, "llamafactory": LLAMAFACTORY, "trl": TRL}
NEEDS_GPU = ("bf16", "fp16")
"""Refused by transformers on a machine without a GPU, whatever else a config says."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PATH")
    parser.add_argument("--wheels", type=Path, help="where Unsloth's wheels are, or are put")
    parser.add_argument("--recipes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pythons = dict(one.split("=", 1) for one in options.python)
    rows, bad = [], 0
    for tool in TOOLS.values():
        refused = None
        recipes = list(random_recipes(options.recipes, options.seed, cpu=tool.name in ("trl", "llamafactory")))
        if tool.name in pythons:
            refused = asked(tool, pythons[tool.name], recipes)
        elif tool.name == "unsloth" and options.wheels and "trl" in pythons:
            refused = unknown_to_unsloth(tool, recipes, options.wheels, pythons["trl"])
        if refused is None:
            rows.append([tool.title, tool.version, "-", "not asked"])
            continue
        bad += len(refused)
        rows.append([tool.title, tool.version, f"{len(recipes) - len(refused)} of {len(recipes)}", kinds(refused)])
    print(table(["tool", "written for", "taken", "first refusals"], rows))
    return 1 if bad else 0


def random_recipes(count: int, seed: int, cpu: bool) -> Iterator[Recipe]:
    """Recipes over the model of the demo; ``cpu``: without what only a GPU can do."""
    draw, model = random.Random(seed), str(demo_files()["model"])
    for _ in range(count):
        values = {key: draw.choice(choices) for key, choices in CHOICES.items()}
        if cpu:
            values["precision"] = draw.choice(["auto", "fp32"])
        yield Recipe(model=model, data="rows.jsonl", **values)


def exported(tool: Tool, recipe: Recipe) -> dict[str, str]:
    """The files of an export, over a few rows that stand for all."""
    spelt = resolved(recipe, rows=ROWS, val_rows=40, max_length=128)
    row = TokenRow(1, np.arange(1, 9, dtype=np.int32), np.array([0, 0, 0, 0, 1, 1, 1, 1], np.bool_))
    job = Job(spelt, total_steps(spelt, ROWS), [row], [row], Spelling(), ("a text",), ("another",))
    return tool.files(job, tool.lost(spelt))[0]


class Spelling:
    """Enough of a tokenizer to write turns down."""

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return " ".join(map(str, ids))

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [int(word) for word in text.split()]}


def asked(tool: Tool, python: str, recipes: list[Recipe]) -> dict[str, str]:
    """What the tool's own validators say against exports, by the export's number."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, recipe in enumerate(recipes):
            for name, text in exported(tool, recipe).items():
                target = f"{number:05d}{Path(name).suffix}" if name == tool.file else name
                (folder / target).write_text(text, encoding="utf-8")
        code = ASK.format(check=CHECKS[tool.name])
        done = subprocess.run([python, "-c", code, place], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{tool.title}: {done.stderr[-2000:]}")
        return dict(json.loads((folder / "found.json").read_text()))


def unknown_to_unsloth(tool: Tool, recipes: list[Recipe], wheels: Path, trl: str) -> dict[str, str]:
    """Arguments of exported scripts that the functions they are given to do not name."""
    wheel = newest_wheel(wheels)
    taken = {"FastLanguageModel": parameters(wheel, "unsloth/models/loader.py", "FastLanguageModel", "from_pretrained")}
    taken["get_peft_model"] = parameters(wheel, "unsloth/models/llama.py", "FastLlamaModel", "get_peft_model")
    names = "import dataclasses, json, trl; print(json.dumps([f.name for f in dataclasses.fields(trl.SFTConfig)]))"
    said = subprocess.run([trl, "-c", names], capture_output=True, text=True, check=True).stdout
    taken["SFTConfig"] = set(json.loads(said.splitlines()[-1]))
    found = {}
    for number, recipe in enumerate(recipes):
        keys = [key.partition(".") for key in script_settings(exported(tool, recipe)[tool.file])]
        checked = [(scope, name) for scope, dot, name in keys if dot and scope in taken]
        wrong = [f"{scope}({name}=)" for scope, name in checked if name not in taken[scope]]
        if wrong:
            found[str(number)] = ", ".join(wrong)
    return found


def newest_wheel(folder: Path) -> Path:
    """Unsloth's newest wheel, fetched when the folder has none."""
    if not list(folder.glob("unsloth-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "unsloth"]
        subprocess.run(command, check=True)
    return max(folder.glob("unsloth-*.whl"), key=lambda path: path.stat().st_mtime)


def parameters(wheel: Path, file: str, owner: str, method: str) -> set[str]:
    """The named parameters of a method, from the source in the wheel."""
    tree = ast.parse(zipfile.ZipFile(wheel).read(file))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == method:
                    return {one.arg for one in (*inner.args.args, *inner.args.kwonlyargs)}
    raise RuntimeError(f"{wheel}: no {owner}.{method} in {file}")


def kinds(refused: dict[str, str]) -> str:
    """Each kind of refusal once, most frequent first."""
    first = Counter(" ".join(text.split())[:300] for text in refused.values())
    return "; ".join(f"{count} x {text}" for text, count in first.most_common(4)) or "none"


if __name__ == "__main__":
    sys.exit(main())
