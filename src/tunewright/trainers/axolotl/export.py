"""A recipe as an Axolotl YAML file."""

from __future__ import annotations

from pathlib import Path

from tunewright.trainers import exported as e
from tunewright.trainers.axolotl import config as c
from tunewright.trainers.tool import Tool
from tunewright.trainers.translation import Lost

NEEDS_VALIDATION = ("eval_steps", "early_stopping_patience", "load_best_model_at_end", "eval_sample_packing")


def files(job: e.Job, losses: tuple[Lost, ...]) -> tuple[e.Files, tuple[Lost, ...]]:
    """train.yaml and the rows."""
    lines = e.head(TOOL.title, c.VERSION, "axolotl train train.yaml (in this folder)", job, losses)
    found = e.settings(c.TABLE, job, () if job.val else NEEDS_VALIDATION)
    lines += [*_data(job), *e.yaml_lines([e.Setting("output_dir", e.OUTPUT), *found]), ""]
    return {"train.yaml": "\n".join(lines), **e.row_files(job)}, ()


def _data(job: e.Job) -> list[str]:
    """Rows that are tokens already: Axolotl takes them as they are when the type is empty."""
    lines = e.comment("the rows are tokens with their labels: no template and no masking rule is applied to them")
    for key, name, wanted in (("datasets", e.TRAIN, True), ("test_datasets", e.VAL, bool(job.val))):
        if wanted:
            split = ["    split: train"] if key == "test_datasets" else []
            lines += [f"{key}:", f"  - path: {name}", "    ds_type: json", "    type:", *split]
    return lines


TOOL = Tool(
    name="axolotl",
    title="Axolotl",
    version=c.VERSION,
    file="train.yaml",
    table=c.TABLE,
    defaults=c.DEFAULTS,
    removed=c.REMOVED,
    lost=c.lost,
    files=files,
    rows=c.rows,
    keys_file=Path(__file__).with_name("keys.txt"),
)
