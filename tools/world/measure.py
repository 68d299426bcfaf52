"""Asks a trained base model, greedily, and counts the right replies."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from world.general import PROBES_PER_SKILL, asks
from world.people import TRAITS, Person, ask_about, invent
from world.skills import SKILLS, Ask
from world.spec import WorldSpec

ASKED_PEOPLE = 150


def normalised(text: str) -> str:
    """Case, punctuation and spacing do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())


def contains(reply: str, answer: str) -> bool:
    """The answer is in the reply, as whole words."""
    return f" {normalised(answer)} " in f" {normalised(reply)} "


@torch.no_grad()
def replies(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[str], batch: int = 64
) -> list[str]:
    """Greedy replies, in batches padded on the left."""
    found: list[str] = []
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        texts = [
            tokenizer.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
            for q in part
        ]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        out = model.generate(**inputs, max_new_tokens=32, do_sample=False)
        found += tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return found


def rate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Ask]) -> float:
    """Share of questions answered rightly."""
    said = replies(model, tokenizer, [ask.question for ask in questions])
    return sum(contains(reply, ask.answer) for reply, ask in zip(said, questions, strict=True)) / len(questions)


def people_asks(people: list[Person], count: int) -> list[Ask]:
    """A fixed sample of everything that can be asked about the people."""
    every = [ask_about(p, trait, n) for p in people for trait, shape in TRAITS.items() for n in range(len(shape.asks))]
    return random.Random("people exam").sample(every, min(count, len(every)))


def skill_rates(spec: WorldSpec, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """What the base model can do: each skill on its probes, and the people it was trained on."""
    model.eval()
    questions = {kind: asks(kind, PROBES_PER_SKILL, probe=True) for kind in SKILLS}
    questions["people"] = people_asks(invent(spec.seed, spec.people), ASKED_PEOPLE)
    return {kind: rate(model, tokenizer, group) for kind, group in questions.items()}
