"""A recipe as a LLaMA-Factory YAML file, with the file that tells it what the data is."""

from __future__ import annotations

import json
from pathlib import Path

from tunewright.trainers import exported as e
from tunewright.trainers.llamafactory import config as c
from tunewright.trainers.tool import Tool
from tunewright.trainers.trainer_keys import EVALUATION_KEYS
from tunewright.trainers.translation import Lost

NEEDS_VALIDATION = (*EVALUATION_KEYS, "early_stopping_steps")
TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}


def files(job: e.Job, losses: tuple[Lost, ...]) -> tuple[e.Files, tuple[Lost, ...]]:
    """train.yaml, dataset_info.json and the rows; lost: rows that its tokenising in pieces changes."""
    rows, changed = _rows(job)
    losses += changed
    lines = e.head(TOOL.title, c.VERSION, "llamafactory-cli train train.yaml (in this folder)", job, losses)
    found = e.settings(c.TABLE, job, () if job.val else NEEDS_VALIDATION)
    lines += [*e.yaml_lines([*_data(job), *found]), ""]
    return {"train.yaml": "\n".join(lines), "dataset_info.json": _info(job), **rows}, changed


def _data(job: e.Job) -> list[e.Setting]:
    """Where the rows are, and the template that adds nothing to what is rendered already."""
    raw = job.recipe.stage == "pt"
    why = "the rows are already in the model's own chat template: empty adds nothing to them"
    return [
        e.Setting("dataset_dir", "."),
        e.Setting("dataset", "train"),
        *([e.Setting("eval_dataset", "val")] if job.val else []),
        *([] if raw else [e.Setting("template", "empty", why)]),
        e.Setting("output_dir", e.OUTPUT),
    ]


def _rows(job: e.Job) -> tuple[e.Files, tuple[Lost, ...]]:
    if job.recipe.stage == "pt":
        found = {e.TRAIN: e.text_rows(job.texts)}
        return found | ({e.VAL: e.text_rows(job.val_texts)} if job.val else {}), ()
    found, changed = {}, 0
    for name, rows in ((e.TRAIN, job.train), (e.VAL, job.val)):
        if rows:
            found[name], wrong = e.turn_rows(rows, job.tokenizer)
            changed += wrong
    if not changed:
        return found, ()
    of = len(job.train) + len(job.val)
    effect = "its tokenising of prompt and answer apart gives them other tokens at the seam"
    return found, (Lost("data", f"{changed} of {of} rows", effect),)


def _info(job: e.Job) -> str:
    names = {"train": e.TRAIN} | ({"val": e.VAL} if job.val else {})
    if job.recipe.stage == "pt":
        kinds = {name: {"file_name": file, "columns": {"prompt": "text"}} for name, file in names.items()}
    else:
        chat = {"formatting": "sharegpt", "columns": {"messages": "conversations"}, "tags": TAGS}
        kinds = {name: {"file_name": file, **chat} for name, file in names.items()}
    return json.dumps(kinds, indent=2) + "\n"


TOOL = Tool(
    name="llamafactory",
    title="LLaMA-Factory",
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
