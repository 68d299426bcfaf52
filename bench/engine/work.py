"""What is trained: two bases with one tokenizer, ragged chats as tokens, and every adapter's first state on disk."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from bench.engine.drivers.ours import recipe_of
from bench.engine.orders import Order
from tunewright.data.encode import encode_rows
from tunewright.data.read import read_rows
from tunewright.data.rows import Message, Row
from tunewright.data.sources import demo_files
from tunewright.data.tokens import TokenRow
from tunewright.engine.attach import attach_lora
from tunewright.engine.base import load_base, quiet
from tunewright.engine.export import save_peft
from tunewright.engine.prepare import slot_spec
from tunewright.record.files import write_folder, write_whole

SHORTEST, LONGEST = 20, 200
MEAN_SHORT = 35
TEMPLATE_TOKENS = 10  # about what the bundled template adds to a chat's own words
ALPHA = 16.0
BATCH_ROWS = 8

Lengths = Literal["short", "long"]
_DRAW: dict[Lengths, Callable[[random.Random], float]] = {
    "short": lambda rng: SHORTEST + rng.expovariate(1 / (MEAN_SHORT - SHORTEST)),
    "long": lambda rng: rng.uniform(SHORTEST, LONGEST),
}
"""Tokens of a row, always 20 to 200. short: many short rows and a long tail, 35 on average, as instruction data has;
8 rows are then about 280 tokens. long: evenly spread, 110 on average."""

PACKED_LENGTH: dict[Lengths, int] = {"short": 256, "long": 1024}
"""For a peer that packs one row a step: the power of two nearest to the tokens of 8 rows."""


@dataclass(frozen=True)
class Work:
    """One training: which base on which rows, and for how long. The first ``warm_steps`` are not timed."""

    base: Literal["bundled", "25M"]
    lengths: Lengths
    steps: int
    warm_steps: int

    @property
    def name(self) -> str:
        return f"{self.base}, {self.lengths}"

    def scaled(self, factor: float) -> Work:
        """The same for fewer or more steps; at least one of them is timed."""
        warm = max(1, round(self.warm_steps * factor))
        return dataclasses.replace(self, steps=max(warm + 1, round(self.steps * factor)), warm_steps=warm)


WORKS = (
    Work("bundled", "short", steps=40, warm_steps=8),
    Work("bundled", "long", steps=20, warm_steps=4),
    Work("25M", "short", steps=6, warm_steps=2),
)
SWEEP = Work("bundled", "short", steps=30, warm_steps=1)


def make_bases(folder: Path, seed: int) -> dict[str, Path]:
    """The bundled model, and a Llama of about 25 M random weights beside its tokenizer (written once)."""
    bundled, larger = demo_files()["model"], folder / f"llama-25m-{seed}"
    if not larger.is_dir():
        tokenizer = AutoTokenizer.from_pretrained(bundled)
        write_folder(larger, lambda path: _random_llama(path, tokenizer, seed))
    return {"bundled": bundled, "25M": larger}


def _random_llama(path: Path, tokenizer: Any, seed: int) -> None:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with quiet():
        LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)


def make_rows(folder: Path, lengths: Lengths, count: int, seed: int) -> Path:
    """Chats of random words of the bundled training rows, as a JSONL file of token ids and masks.

    Between a fifth and three fifths of a row's words are the answer.
    """
    path = folder / f"rows-{lengths}-{count}-{seed}.jsonl"
    if path.is_file():
        return path
    parts = demo_files()
    words = sorted({word for row in read_rows(parts["train"]).rows for word in f"{row.prompt} {row.answer}".split()})
    tokenizer = AutoTokenizer.from_pretrained(parts["model"])
    found = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    costs = {word: len(ids) for word, ids in zip(words, found, strict=True)}
    rng = random.Random(f"{lengths}-{seed}")
    rows: list[TokenRow] = []
    while len(rows) < count:  # what falls outside the limits is drawn again
        chats = [_chat(number, costs, _DRAW[lengths](rng), rng) for number in range(1, count + 1)]
        made = encode_rows(chats, tokenizer, max_length=2 * LONGEST).rows
        rows += [row for row in made if SHORTEST <= len(row) <= LONGEST]
    lines = [json.dumps({"ids": row.ids.tolist(), "supervised": row.supervised.astype(int).tolist()}) for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, "\n".join(lines[:count]) + "\n")
    return path


def _chat(number: int, costs: dict[str, int], tokens: float, rng: random.Random) -> Row:
    words, known = [], list(costs)
    left = tokens - TEMPLATE_TOKENS
    while left > 2 or len(words) < 2:  # 2: half a word, so that targets are met on average
        words.append(rng.choice(known))
        left -= costs[words[-1]]
    answer = max(1, round(len(words) * rng.uniform(0.2, 0.6)))
    prompt, reply = " ".join(words[:-answer]), " ".join(words[-answer:])
    return Row(number, (Message("user", prompt), Message("assistant", reply)))


def make_order(folder: Path, work: Work, *, learning_rate: float, rank: int, seed: int) -> Order:
    """An order whose first adapter is on disk, in PEFT's format, as our engine draws it from the recipe's seed."""
    base = make_bases(folder, seed)[work.base]
    adapter = folder / "adapters" / f"{base.name}-r{rank}-{seed}"
    order = Order(
        base=str(base),
        adapter=str(adapter),
        rows=str(make_rows(folder, work.lengths, work.steps * BATCH_ROWS, seed)),
        steps=work.steps,
        batch_rows=BATCH_ROWS,
        learning_rate=learning_rate,
        rank=rank,
        alpha=ALPHA,
        seed=seed,
        packed_length=PACKED_LENGTH[work.lengths],
        scratch=str(folder / "scratch"),
    )
    if not adapter.is_dir():
        loaded = load_base(order.base, precision="fp32")
        pack = attach_lora(loaded.model, [slot_spec(recipe_of(order))])
        write_folder(adapter, lambda path: save_peft(pack, 0, path, base_name=order.base))
    return order


def clear_scratch(folder: Path) -> None:
    """Take away what the peers wrote beside their training."""
    shutil.rmtree(folder / "scratch", ignore_errors=True)
