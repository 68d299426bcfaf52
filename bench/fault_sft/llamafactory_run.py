"""One run of LLaMA-Factory, as its users run it: a data file, one set of arguments, ``run_exp``; the log is read back
from the trainer_state.json it writes."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llamafactory.data.formatter import EmptyFormatter, StringFormatter
from llamafactory.data.template import TEMPLATES, register_template
from llamafactory.train.tuner import run_exp

from bench.fault_sft.bases import CONTEXT, END, REPLY, USER
from bench.fault_sft.callbacks import callbacks_of
from bench.fault_sft.hf_run import argument_values
from bench.fault_sft.record import Log, Record
from bench.fault_sft.rows import make_rows
from bench.fault_sft.spec import Spec
from bench.fault_sft.stored import load_world
from bench.fault_sft.worlds import Row

TEMPLATE = "fault_sft"


def run(spec: Spec, bases: Path) -> Record:
    """Trains and returns the record of the run."""
    _register()
    train, valid = make_rows(spec, load_world(bases / spec.base), random.Random(spec.seed))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_data(folder, {"train": train, "valid": valid})
        out = folder / "out"
        run_exp(_arguments(spec, bases, folder, out), callbacks=callbacks_of(spec))
        history = json.loads((out / "trainer_state.json").read_text())["log_history"]
        shutil.rmtree(out)
    per_epoch = len(train) / (spec.recipe.batch * spec.recipe.accumulation)
    return Record(spec, Log.of_history(history), spec.recipe.steps, round(per_epoch, 4))


def _register() -> None:
    if TEMPLATE not in TEMPLATES:
        register_template(
            name=TEMPLATE,
            format_user=StringFormatter(slots=[f"{USER}{{{{content}}}}{REPLY}"]),
            format_assistant=StringFormatter(slots=["{{content}}", END]),
            format_prefix=EmptyFormatter(),
            stop_words=[END],
        )


def _write_data(folder: Path, parts: dict[str, Sequence[Row]]) -> None:
    info = {}
    for name, rows in parts.items():
        texts = [{"instruction": row.prompt, "input": "", "output": row.answer} for row in rows]
        (folder / f"{name}.json").write_text(json.dumps(texts))
        info[name] = {"file_name": f"{name}.json"}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def _arguments(spec: Spec, bases: Path, folder: Path, out: Path) -> dict[str, Any]:
    recipe = spec.recipe
    values = argument_values(recipe, spec.seed, str(out))
    adapter = {"lora_rank": recipe.rank, "lora_alpha": 2 * recipe.rank, "lora_dropout": recipe.dropout}
    return {
        **values,
        "stage": "sft",
        "do_train": True,
        "do_eval": False,
        "finetuning_type": recipe.method,
        **(adapter | {"lora_target": "all"} if recipe.method == "lora" else {}),
        "model_name_or_path": str(bases / spec.base),
        "template": TEMPLATE,
        "dataset_dir": str(folder),
        "dataset": "train",
        "eval_dataset": "valid",
        "cutoff_len": CONTEXT,
        "overwrite_cache": True,
        "report_to": "none",
    }
