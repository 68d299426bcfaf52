"""The eight base models: each with its own text, tokenizer, architecture and size, trained here from nothing.

A base is a folder that ``from_pretrained`` loads. Weights are not committed: the same command makes them again in
about ten minutes on one core (other library versions give slightly different ones).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from bench.fault_sft.stored import save_world
from bench.fault_sft.worlds import WORLDS, World

CONTEXT = 160
USER, REPLY, END, PAD = "<|user|>", "<|reply|>", "<|end|>", "<|pad|>"
# Two tokens that no text uses: a template nobody was trained on is written with them.
ODD_USER, ODD_REPLY = "<|odd1|>", "<|odd2|>"
UNKNOWN = "<|unknown|>"
SPECIALS = (PAD, END, USER, REPLY, ODD_USER, ODD_REPLY, UNKNOWN)
TEMPLATE = (
    "{% for m in messages %}{{ ('<|user|>' if m['role'] == 'user' else '<|reply|>') + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|reply|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Base:
    """name, world; tokens: char, bytes, word or a BPE size; chatty: rows of the task's form in the pre-training."""

    name: str
    world: str
    seed: int
    tokens: str | int
    family: str
    config: dict[str, Any] = field(default_factory=dict)
    steps: int = 900
    learning_rate: float = 3e-3
    chatty: bool = False


_GQA = {"num_key_value_heads": 2}


def _sizes(hidden: int, layers: int, inner: int, heads: int = 4) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": inner,
        "num_attention_heads": heads,
    }


BASES: dict[str, Base] = {
    base.name: base
    for base in (
        Base("docs-llama", "docs", 1, "char", "llama", _sizes(96, 2, 256) | {"num_key_value_heads": 4}),
        Base("sums-neox", "sums", 2, "char", "gpt_neox", _sizes(64, 2, 192)),
        Base("labels-mistral", "labels", 3, "word", "mistral", _sizes(80, 2, 192) | _GQA | {"head_dim": 20}),
        Base("grammar-gemma3", "grammar", 4, "word", "gemma3_text", _sizes(96, 2, 192) | _GQA | {"head_dim": 24}),
        Base("code-qwen3", "code", 5, 512, "qwen3", _sizes(96, 3, 224) | _GQA | {"head_dim": 24}, chatty=True),
        Base("records-olmo2", "records", 6, "bytes", "olmo2", _sizes(80, 3, 208) | {"num_key_value_heads": 4}),
        Base("facts-llama", "facts", 7, 360, "llama", _sizes(128, 3, 320) | _GQA, chatty=True),
        Base("topics-gpt2", "topics", 8, 1024, "gpt2", {"n_embd": 112, "n_layer": 3, "n_head": 4}),
    )
}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")


def world_of(base: Base) -> World:
    return WORLDS[base.world](base.seed)


# --- tokenizers --------------------------------------------------------------------------------------------------


def make_tokenizer(base: Base, world: World) -> PreTrainedTokenizerFast:
    """Trained on the world's texts and rows."""
    texts = [*world.texts, *(text for row in (*world.train, *world.other) for text in (row.prompt, row.answer))]
    if base.tokens == "char":
        core = _vocabulary(texts, pre_tokenizers.Split(Regex("."), "isolated"), 200)
    elif base.tokens == "word":
        core = _vocabulary(texts, pre_tokenizers.Whitespace(), 1500)
    else:
        core = _bytes(texts, 256 + len(SPECIALS) if base.tokens == "bytes" else int(base.tokens))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=PAD, unk_token=UNKNOWN, chat_template=TEMPLATE
    )


def _vocabulary(texts: Iterable[str], split: Any, size: int) -> Tokenizer:
    core = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    core.pre_tokenizer = split
    core.train_from_iterator(
        texts, trainers.WordLevelTrainer(vocab_size=size, special_tokens=list(SPECIALS), show_progress=False)
    )
    return core


def _bytes(texts: Iterable[str], size: int) -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False
        ),
    )
    return core


# --- models ------------------------------------------------------------------------------------------------------


def new_model(base: Base, vocabulary: int) -> PreTrainedModel:
    """Random weights, float32, without dropout."""
    off = dict.fromkeys(DROPOUTS, 0.0) if base.family == "gpt2" else {}
    length = "n_positions" if base.family == "gpt2" else "max_position_embeddings"
    config = AutoConfig.for_model(
        base.family,
        vocab_size=vocabulary,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        **{length: CONTEXT},
        **off,
        **base.config,
    )
    torch.manual_seed(base.seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def pretrain(base: Base, folder: Path) -> dict[str, Any]:
    """Trains the base, saves it to ``folder`` and returns what the table says about it."""
    begun, world = time.process_time(), world_of(base)
    tokenizer = make_tokenizer(base, world)
    model = new_model(base, len(tokenizer))
    stream = _stream(base, world, tokenizer)
    loss = _train(base, model, stream)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_world(folder, world)
    answers = [len(tokenizer(row.answer)["input_ids"]) + 1 for row in world.valid]
    return {
        "base": base.name,
        "world": base.world,
        "family": base.family,
        "tokenizer": str(base.tokens),
        "vocabulary": len(tokenizer),
        "parameters": sum(p.numel() for p in model.parameters()),
        "pretrain_loss": round(loss, 4),
        "answer_tokens": round(sum(answers) / len(answers), 1),
        "cpu_s": round(time.process_time() - begun, 1),
    }


def _stream(base: Base, world: World, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """All texts one after another, each closed by the end token; some as a chat where the base is to know chats."""
    rng = random.Random(base.seed)
    ids: list[int] = []
    for text in world.texts:
        cut = len(text) // 2
        chat = base.chatty and rng.random() < 0.5
        ids += tokenizer(f"{USER}{text[:cut]}{REPLY}{text[cut:]}{END}" if chat else f"{text}{END}")["input_ids"]
    return torch.tensor(ids)


def _batches(base: Base, stream: torch.Tensor, length: int = 64, size: int = 16) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(base.seed)
    offsets = torch.arange(length)
    for _ in range(base.steps):
        starts = torch.randint(0, len(stream) - length, (size, 1), generator=generator)
        yield stream[starts + offsets]


def _train(base: Base, model: PreTrainedModel, stream: torch.Tensor) -> float:
    """AdamW under a cosine; returns the mean loss of the last fifty steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=base.learning_rate, weight_decay=0.01)
    losses = []
    for step, ids_BT in enumerate(_batches(base, stream)):
        warm = min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = base.learning_rate * warm * (0.05 + 0.475 * (1 + math.cos(math.pi * step / base.steps)))
        loss = model(input_ids=ids_BT, labels=ids_BT).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    last = losses[-50:]
    return float(sum(last) / len(last))
