"""The (model, data) pairs of the bench: a base, 150 to 600 rows of its task, rows to choose on, rows kept sealed.

The bases and rows are those of FAULT-SFT (bench/fault_sft), the bundled model's those of the demo. Written to
``build/tuner/<pair>`` as anyone would hold them: three JSONL files beside a model folder.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fault_sft.bases import BASES, pretrain
from bench.fault_sft.paths import BASES_DIR
from bench.fault_sft.stored import load_world
from bench.peers import ROOT
from tunewright.data.sources import demo_files
from tunewright.record.files import write_whole

WORK = ROOT / "build" / "tuner"
DRAW = 0
"""The one seed of the drawing of rows: a pair's data are the same in every run."""

FEW_STEPS = 100
"""An epoch of fewer is a very small set: its tuning is given 6 % of a grid instead of 3."""

RATES = tuple(5e-4 * 2**k for k in range(8))
"""5e-4 to 6.4e-2: these bases are 64 to 128 wide and want more than the 5e-4 of models a hundred times their size."""
RANKS = (2, 8, 32)

Parts = Mapping[str, Sequence[dict[str, str]]]


@dataclass(frozen=True)
class Pair:
    """``epochs``: the four counts of the grid. ``batch``: rows a step. ``held``: rows to choose on, as many sealed."""

    name: str
    base: str
    rows: int
    epochs: tuple[int, ...]
    about: str
    batch: int = 8
    held: int = 48

    @property
    def per_epoch(self) -> int:
        """Optimizer steps of one pass."""
        return -(-self.rows // self.batch)

    @property
    def share(self) -> float:
        """Of the cost of one grid: what the tuner is given."""
        return 0.06 if self.per_epoch < FEW_STEPS else 0.03

    @property
    def eval_every(self) -> int:
        """Steps between two looks at the rows: about nine in a run of middle length."""
        return max(2, round(self.per_epoch * sum(self.epochs) / len(self.epochs) / 9))

    @property
    def warmup(self) -> int:
        """Steps, the same for every length of run, so that a long run begins as a short one."""
        return max(2, self.per_epoch // 20)

    @property
    def folder(self) -> Path:
        return WORK / self.name

    def file(self, part: str) -> str:
        """``train``, ``eval`` or ``test`` rows."""
        return str(self.folder / f"{part}.jsonl")


PAIRS = {
    pair.name: pair
    for pair in (
        Pair("topics", "topics-gpt2", 160, (1, 2, 3, 4), "prose, little to gain: strong overfit"),
        Pair("labels", "labels-mistral", 160, (2, 4, 6, 8), "texts to file under ten names: answers of one word"),
        Pair("sums", "sums-neox", 160, (4, 8, 12, 16), "digits to sort: learnt slowly"),
        Pair("facts", "facts-llama", 160, (1, 2, 3, 4), "a handbook of invented names: learnt in an epoch"),
        Pair("grammar", "grammar-gemma3", 160, (4, 8, 12, 16), "sentences of an artificial language of known entropy"),
        Pair("code", "code-qwen3", 160, (1, 2, 4, 6), "one-line programs, chat template"),
        Pair("docs", "docs-llama", 160, (1, 2, 4, 6), "sentences of documents, read as characters"),
        Pair("demo", "tiny", 160, (2, 4, 8, 12), "a fifth of the demo's questions"),
        Pair("grammar512", "grammar-gemma3", 512, (2, 4, 6, 8), "the same language, 128 steps an epoch", 4, 96),
        Pair("code512", "code-qwen3", 512, (1, 2, 3, 4), "the same programs, 128 steps an epoch", 4, 96),
    )
}


def model_of(pair: Pair) -> Path:
    """The base's folder, trained first where it is not there yet (half a minute to a minute)."""
    if pair.base == "tiny":
        return demo_files()["model"]
    folder = BASES_DIR / pair.base
    if not (folder / "world.json").exists():
        pretrain(BASES[pair.base], folder)
    return folder


def lay_out(pair: Pair) -> None:
    """Write the pair's three files, unless they are there."""
    model = model_of(pair)
    if all(Path(pair.file(part)).exists() for part in ("train", "eval", "test")):
        return
    pair.folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (_demo(pair) if pair.base == "tiny" else _world(pair, model)).items():
        write_whole(Path(pair.file(part)), "".join(f"{json.dumps(row)}\n" for row in rows))


def _demo(pair: Pair) -> Parts:
    parts = demo_files()
    train, valid = ([json.loads(line) for line in parts[part].open()] for part in ("train", "validation"))
    kept = ("instruction", "completion")
    drawn = random.Random(DRAW).sample(train, pair.rows)
    held = random.Random(DRAW).sample(valid, 2 * pair.held)
    return _parts(pair, *([{key: row[key] for key in kept} for row in rows] for rows in (drawn, held)))


def _world(pair: Pair, model: Path) -> Parts:
    """Test rows are training rows of the world that this pair does not train on, from the same draw."""
    world = load_world(model)
    drawn = random.Random(DRAW).sample(world.train, min(len(world.train), pair.rows + pair.held))
    held = [*world.valid[: pair.held], *drawn[-pair.held :]]
    return _parts(
        pair,
        *(
            [{"instruction": row.prompt, "completion": row.answer} for row in rows]
            for rows in (drawn[: pair.rows], held)
        ),
    )


def _parts(pair: Pair, train: Sequence[dict[str, str]], held: Sequence[dict[str, str]]) -> Parts:
    return {"train": train, "eval": held[: pair.held], "test": held[pair.held :]}


def settings(pair: Pair) -> dict[str, Any]:
    """What is the same in every cell, for the tuner, and for every peer."""
    return {
        "model": str(model_of(pair)),
        "data": pair.file("train"),
        "val": pair.file("eval"),
        "per_device_train_batch_size": pair.batch,
        "warmup_steps": pair.warmup,
        "lora_alpha": 32.0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "precision": "fp32",
        "report_to": [],
    }
