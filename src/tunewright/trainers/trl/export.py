"""A recipe as a TRL script that runs as it is."""

from __future__ import annotations

from pathlib import Path

from tunewright.trainers import exported as e
from tunewright.trainers.tool import Tool
from tunewright.trainers.trainer_keys import EVALUATION_KEYS, lost
from tunewright.trainers.translation import Lost
from tunewright.trainers.trl import config as c

BF16 = "BF16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)"


def files(job: e.Job, losses: tuple[Lost, ...]) -> tuple[e.Files, tuple[Lost, ...]]:
    """The script and its rows."""
    lines = e.head(TOOL.title, c.VERSION, "python train.py", job, losses)
    lines += [*_imports(job), *_body(job)]
    return {"train.py": "\n".join(lines) + "\n", **e.row_files(job)}, ()


def skipped(job: e.Job, prefix: str) -> tuple[str, ...]:
    """Keys that need validation rows, when there are none."""
    return () if job.val else (*(prefix + key for key in EVALUATION_KEYS), c.PATIENCE)


def loading(job: e.Job) -> list[str]:
    """The lines that load the rows."""
    lines = [f'train = load_dataset("json", data_files="{e.TRAIN}", split="train")']
    return lines + ([f'val = load_dataset("json", data_files="{e.VAL}", split="train")'] if job.val else [])


def _imports(job: e.Job) -> list[str]:
    adapted = job.recipe.method != "full"
    peft = "PeftModel" if job.recipe.init_adapter else "LoraConfig"
    names = ["AutoModelForCausalLM", "AutoTokenizer"]
    names += ["BitsAndBytesConfig"] if job.recipe.method == "qlora" else []
    names += ["EarlyStoppingCallback"] if stops_early(job) else []
    return [
        "import os",
        "",
        "import torch",
        "from datasets import load_dataset",
        *([f"from peft import {peft}"] if adapted else []),
        f"from transformers import {', '.join(names)}",
        "from trl import SFTConfig, SFTTrainer",
        "",
        "os.chdir(os.path.dirname(os.path.abspath(__file__)))",
        *([BF16] if job.recipe.precision == "auto" else []),
    ]


def _body(job: e.Job) -> list[str]:
    found = e.settings(c.TABLE, job, skipped(job, c.ARGS))
    arguments = [e.Setting("output_dir", e.OUTPUT), *e.only(found, c.ARGS)]
    own_adapter = job.recipe.method != "full" and not job.recipe.init_adapter
    return [
        "",
        *loading(job),
        "",
        *e.call("args = SFTConfig", arguments, c.ARGS),
        *(_lora(found) if own_adapter else []),
        "",
        *_model(job, found),
        "",
        *trainer(job, own_adapter=own_adapter),
    ]


def _lora(found: list[e.Setting]) -> list[str]:
    return ["", *e.call("lora = LoraConfig", [*e.only(found, c.LORA), e.Setting("task_type", "CAUSAL_LM")], c.LORA)]


def _model(job: e.Job, found: list[e.Setting]) -> list[str]:
    name, dtype = e.python_value(job.recipe.model), e.value_of(found, c.DTYPE)
    lines, more = [f"MODEL = {name}", "tokenizer = AutoTokenizer.from_pretrained(MODEL)"], ""
    if job.recipe.method == "qlora":
        lines += [
            "four_bit = BitsAndBytesConfig(",
            '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
            f"    bnb_4bit_compute_dtype={dtype},",
            ")",
        ]
        more = ", quantization_config=four_bit"
    lines.append(f"model = AutoModelForCausalLM.from_pretrained(MODEL, dtype={dtype}{more})")
    if job.recipe.init_adapter and job.recipe.method != "full":
        adapter = e.python_value(job.recipe.init_adapter)
        lines.append(f"model = PeftModel.from_pretrained(model, {adapter}, is_trainable=True)")
    return lines


def stops_early(job: e.Job) -> bool:
    """Whether evaluations may end the run."""
    return bool(job.val) and job.recipe.early_stopping_patience > 0


def trainer(job: e.Job, *, own_adapter: bool = False) -> list[str]:
    """The lines that make the trainer, train and save; ``own_adapter``: it puts the adapter ``lora`` on the model."""
    stop = f"[EarlyStoppingCallback(early_stopping_patience={job.recipe.early_stopping_patience})]"
    return [
        "trainer = SFTTrainer(",
        "    model=model,",
        "    args=args,",
        "    train_dataset=train,",
        *(["    eval_dataset=val,"] if job.val else []),
        "    processing_class=tokenizer,",
        *(["    peft_config=lora,"] if own_adapter else []),
        *([f"    callbacks={stop},"] if stops_early(job) else []),
        ")",
        "trainer.train()",
        f'trainer.save_model("{e.OUTPUT}/best")',
    ]


TOOL = Tool(
    name="trl",
    title="TRL",
    version=c.VERSION,
    file="train.py",
    table=c.TABLE,
    defaults=c.DEFAULTS,
    removed=c.REMOVED,
    lost=lost,
    files=files,
    rows=c.rows,
    keys_file=Path(__file__).with_name("keys.txt"),
)
