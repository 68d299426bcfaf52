"""Pre-training of a tiny Llama on a corpus: one thread, float32, the same weights every time on the same machine."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from world.corpus import Chat
from world.spec import WorldSpec
from world.tokenizer import CONTEXT

# What the assistant says is what the model is for. The prompts count a little: made names are noise that would eat
# capacity at full weight, and a model that never learnt any of the prompt tokens would be no base for loss on text.
PROMPT_WEIGHT = 0.1
WARMUP_STEPS = 100
FLOOR = 0.03


@dataclass(frozen=True)
class Encoded:
    """Token ids of one chat and, for each of them, what it counts in the loss."""

    ids: list[int]
    weights: list[float]


def encode(chat: Chat, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Renders message by message: the prefix before each reply tells where the reply starts."""
    weights: list[float] = []
    ids: list[int] = []
    for n, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        before = str(tokenizer.apply_chat_template(chat[:n], tokenize=False, add_generation_prompt=True))
        after = str(tokenizer.apply_chat_template(chat[: n + 1], tokenize=False))
        prompt = tokenizer(before, add_special_tokens=False)["input_ids"]
        reply = tokenizer(after[len(before) :], add_special_tokens=False)["input_ids"]
        weights += [PROMPT_WEIGHT] * (len(prompt) - len(weights)) + [1.0] * len(reply)
        ids = prompt + reply
    return Encoded(ids, weights)


def new_model(spec: WorldSpec, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model."""
    torch.manual_seed(spec.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        intermediate_size=spec.intermediate,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.04,
    )
    return LlamaForCausalLM(config)


def batches(rows: list[Encoded], size: int, rng: random.Random) -> Iterator[list[Encoded]]:
    """One epoch in random order: every batch is a mix of all kinds, which one of like lengths would not be."""
    order = rng.sample(rows, len(rows))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def weighted_losses(model: LlamaForCausalLM, rows: list[Encoded], pad: int) -> torch.Tensor:
    """Weighted sum of the next-token losses. Padding is on the right, so causal attention needs no mask."""
    longest = max(len(row.ids) for row in rows)
    ids_BT = torch.tensor([row.ids + [pad] * (longest - len(row.ids)) for row in rows])
    weights_BT = torch.tensor([row.weights + [0.0] * (longest - len(row.ids)) for row in rows])
    logits_BTV = model(input_ids=ids_BT, use_cache=False).logits
    losses = functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none")
    return (losses * weights_BT[:, 1:].flatten()).sum()


def backward(model: LlamaForCausalLM, batch: list[Encoded], pad: int) -> float:
    """Gradients of the batch's weighted mean loss; its short and its long half go separately to save padding."""
    ordered = sorted(batch, key=lambda row: len(row.ids))
    whole = sum(sum(row.weights[1:]) for row in batch)
    total = 0.0
    for half in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
        if half:
            loss = weighted_losses(model, half, pad) / whole
            torch.autograd.backward(loss)
            total += loss.item()
    return total


def rate_at(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine down to a small floor."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    done = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def pretrain(
    spec: WorldSpec,
    tokenizer: PreTrainedTokenizerFast,
    chats: list[Chat],
    epochs: int,
    max_steps: int | None = None,
    watch: Callable[[LlamaForCausalLM], object] | None = None,
) -> LlamaForCausalLM:
    """Trains a new model for some epochs, or for at most `max_steps` updates of that schedule.

    `watch` is called with the model after each epoch.
    """
    torch.set_num_threads(1)
    rows = [encode(chat, tokenizer) for chat in chats]
    model, rng = new_model(spec, tokenizer), random.Random(f"order {spec.seed}")
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(0.9, 0.98), foreach=True)
    steps, step, started = epochs * math.ceil(len(rows) / spec.batch), 0, time.monotonic()
    for _ in range(epochs):
        for batch in batches(rows, spec.batch, rng):
            if max_steps is not None and step >= max_steps:
                return model
            for group in optimizer.param_groups:
                group["lr"] = spec.learning_rate * rate_at(step, steps)
            loss = backward(model, batch, tokenizer.pad_token_id)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 200 == 0:
                print(f"step {step}/{steps}  loss {loss:.4f}  {time.monotonic() - started:.0f} s", flush=True)
            step += 1
        if watch is not None:
            watch(model)
    return model


def weights_hash(model: LlamaForCausalLM) -> str:
    """A checksum over all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()
