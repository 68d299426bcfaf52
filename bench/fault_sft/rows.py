"""Rows as tokens, with everything the injections do to data."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from bench.fault_sft.bases import CONTEXT, END, ODD_REPLY, ODD_USER, REPLY, SPECIALS, USER
from bench.fault_sft.spec import Spec
from bench.fault_sft.worlds import Row, World

Example = dict[str, list[int]]
IGNORED = -100


def make_examples(spec: Spec, world: World, tokenizer: PreTrainedTokenizerFast) -> tuple[list[Example], list[Example]]:
    """Training and validation examples of a run."""
    rng = random.Random(spec.seed)
    train_rows, valid_rows = make_rows(spec, world, rng)
    ops = spec.ops
    odd_train, odd_valid = ops.get("odd_template", 0) >= 1, ops.get("odd_template", 0) >= 2
    train = [encode(row, tokenizer, odd=odd_train, ops=ops) for row in train_rows]
    valid = [encode(row, tokenizer, odd=odd_valid, ops=ops) for row in valid_rows]
    if ops.get("noise"):
        _scramble_answers(train, ops["noise"], len(tokenizer), rng)
    if ops.get("mask_rows"):
        for example in rng.sample(train, int(len(train) * ops["mask_rows"])):
            example["labels"] = [IGNORED] * len(example["labels"])
    if ops.get("sorted"):
        train.sort(key=lambda example: len(example["input_ids"]))
    return train, valid


def make_rows(spec: Spec, world: World, rng: random.Random) -> tuple[list[Row], list[Row]]:
    """The rows as text: what a person's data file would hold."""
    ops, recipe = spec.ops, spec.recipe
    # the data set is the base's; a run's seed decides the order and the weights only
    train = random.Random(0).sample(world.train, min(recipe.rows, len(world.train)))
    valid = list(world.valid[: recipe.valid_rows])
    if ops.get("permute"):
        answers = [row.answer for row in train]
        rng.shuffle(answers)
        train = [Row(row.prompt, answer) for row, answer in zip(train, answers, strict=True)]
    if ops.get("duplicate"):
        unique = train[: int(ops["duplicate"])]
        train = [unique[n % len(unique)] for n in range(len(train))]
    if ops.get("leak"):
        train = train[len(valid) * int(ops["leak"]) :] + valid * int(ops["leak"])
    if ops.get("shift_valid"):
        valid = list(world.other[: recipe.valid_rows])
    return train, valid


def switched(spec: Spec, world: World, train: list[Example], tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    """The rows of a whole run in order, the last part of them from another domain."""
    rng = random.Random(spec.seed)
    needed = spec.recipe.steps * spec.recipe.batch * spec.recipe.accumulation
    first = int(needed * spec.ops["switch"])
    other = [encode(row, tokenizer, odd=False, ops={}) for row in world.other]
    return [rng.choice(train) for _ in range(first)] + [rng.choice(other) for _ in range(needed - first)]


def encode(row: Row, tokenizer: PreTrainedTokenizerFast, *, odd: bool, ops: Any) -> Example:
    """One row as token ids and labels; the loss is on the answer and its end unless an injection says otherwise."""
    user, reply = (ODD_USER, ODD_REPLY) if odd else (USER, REPLY)
    prompt = tokenizer(f"{user}{row.prompt}{reply}")["input_ids"]
    answer = tokenizer(row.answer if ops.get("drop_end") else f"{row.answer}{END}")["input_ids"]
    ids = (prompt + answer)[:CONTEXT]
    labels = (prompt if ops.get("loss_on_prompt") else [IGNORED] * len(prompt)) + answer
    labels = labels[:CONTEXT]
    if ops.get("truncate"):
        keep = max(4, int(len(ids) * ops["truncate"]))
        ids, labels = ids[:keep], labels[:keep]
    if ops.get("mask_all"):
        labels = [IGNORED] * len(labels)
    return {"input_ids": ids, "labels": labels}


def _scramble_answers(examples: Sequence[Example], share: float, vocabulary: int, rng: random.Random) -> None:
    """Random tokens in the place of a share of the answer tokens, in the input and in the labels."""
    for example in examples:
        for place, label in enumerate(example["labels"]):
            if label != IGNORED and rng.random() < share:
                drawn = rng.randrange(len(SPECIALS), vocabulary)
                example["labels"][place] = example["input_ids"][place] = drawn


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Padded on the right."""
    width = max(len(example["input_ids"]) for example in examples)
    count = len(examples)
    ids_BT = torch.zeros(count, width, dtype=torch.long)
    labels_BT = torch.full((count, width), IGNORED, dtype=torch.long)
    mask_BT = torch.zeros(count, width, dtype=torch.long)
    for n, example in enumerate(examples):
        length = len(example["input_ids"])
        ids_BT[n, :length] = torch.tensor(example["input_ids"])
        labels_BT[n, :length] = torch.tensor(example["labels"])
        mask_BT[n, :length] = 1
    return {"input_ids": ids_BT, "labels": labels_BT, "attention_mask": mask_BT}
