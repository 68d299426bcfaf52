"""A recipe as an Unsloth script. It needs a GPU to run."""

from __future__ import annotations

from pathlib import Path

from tunewright.trainers import exported as e
from tunewright.trainers.tool import Tool
from tunewright.trainers.translation import Lost
from tunewright.trainers.trl import config as trl
from tunewright.trainers.trl.export import loading, skipped, stops_early, trainer
from tunewright.trainers.unsloth import config as c


def files(job: e.Job, losses: tuple[Lost, ...]) -> tuple[e.Files, tuple[Lost, ...]]:
    """The script and its rows."""
    lines = e.head(TOOL.title, c.VERSION, "python train.py (on a machine with a GPU)", job, losses)
    lines += [*_imports(job), *_body(job)]
    return {"train.py": "\n".join(lines) + "\n", **e.row_files(job)}, ()


def _imports(job: e.Job) -> list[str]:
    return [
        "import os",
        "",
        "from unsloth import FastLanguageModel  # before the others: it patches them",
        "",
        *(["import torch"] if job.recipe.precision in ("bf16", "fp16") else []),
        "from datasets import load_dataset",
        *(["from transformers import EarlyStoppingCallback"] if stops_early(job) else []),
        "from trl import SFTConfig, SFTTrainer",
        "",
        "os.chdir(os.path.dirname(os.path.abspath(__file__)))",
    ]


def _body(job: e.Job) -> list[str]:
    found = e.settings(c.TABLE, job, skipped(job, c.ARGS))
    arguments = [e.Setting("output_dir", e.OUTPUT), *e.only(found, c.ARGS)]
    loader = [*e.only(found, c.LOADER), e.Setting("random_state", job.recipe.seed)]
    return [
        "",
        *loading(job),
        "",
        *e.call("model, tokenizer = FastLanguageModel.from_pretrained", loader, c.LOADER),
        *_adapter(job, found),
        "",
        *e.call("args = SFTConfig", arguments, c.ARGS),
        "",
        *trainer(job),
    ]


def _adapter(job: e.Job, found: list[e.Setting]) -> list[str]:
    if job.recipe.method == "full":
        return []
    checkpointing = e.value_of(found, f"{c.LOADER}{c.CHECKPOINTING}")
    more = [e.Setting(c.CHECKPOINTING, checkpointing), e.Setting("random_state", job.recipe.seed)]
    lines = e.call("model = FastLanguageModel.get_peft_model", [*e.only(found, c.LORA), *more], c.LORA)
    return [lines[0], "    model,", *lines[1:]]


TOOL = Tool(
    name="unsloth",
    title="Unsloth",
    version=c.VERSION,
    file="train.py",
    table=c.TABLE,
    defaults=c.DEFAULTS,
    removed=c.REMOVED,
    lost=c.lost,
    files=files,
    rows=trl.rows,
    keys_file=Path(__file__).with_name("keys.txt"),
    today=c.today,
)
