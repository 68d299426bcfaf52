"""Asking a model: batched greedy answers through its own chat template.

Sampling and penalties of a generation config are not applied: an exam has to be repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jinja2 import TemplateError

from tunewright.data.render import NO_THINKING
from tunewright.data.tokens import stop_token_ids
from tunewright.engine.lanes import FORWARD, Sharing
from tunewright.examiner.greedy import greedy, greedy_steps
from tunewright.schema.errors import DataError

_THOUGHT_START, _THOUGHT_END = "<think>", "</think>"

MAX_NEW_TOKENS = 128
"""Default length of an answer: exam answers are short, and one that runs on costs no more than this."""
BATCH_SIZE = 64


class Turn(Protocol):
    """One message of a conversation."""

    def as_dict(self) -> dict[str, Any]: ...


Prompt = str | Sequence[Turn] | Sequence[Mapping[str, Any]]
"""A user's question, or a conversation that ends with one."""


@dataclass(frozen=True)
class Answers:
    """``texts``: one per prompt, without special tokens; ``ended``: whether the model ended it itself (else cut);
    ``tokens``: through the model, prompts and answers, padding left out; ``cut_prompts``: prompts that did not fit."""

    texts: tuple[str, ...]
    ended: tuple[bool, ...]
    tokens: int
    cut_prompts: int = 0

    @property
    def finished(self) -> tuple[str | None, ...]:
        """Each text, or None for an answer that never ended."""
        return tuple(text if ended else None for text, ended in zip(self.texts, self.ended, strict=True))


def answer_all(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = MAX_NEW_TOKENS,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Greedy answers to all prompts, in order.

    Prompts go through the chat template with its generation prompt; without a template their turns are joined by
    line ends. A prompt that leaves no room in the model's context keeps its end. An answer ends at any end token of
    the generation config, the tokenizer or the template, else after ``max_new_tokens`` or half of the context.
    Neither the tokenizer nor the model's modes are changed. ``on_progress(done, total)`` is called after each batch.
    On a device without enough memory the batch is halved until it fits.
    """
    stops = end_tokens(model, tokenizer)
    asked = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    room, max_new_tokens = _room(model, max_new_tokens)
    ids = [one[-room:] for one in asked]
    replies, tokens = _replies(model, ids, stops, max_new_tokens, batch_size, on_progress)
    return Answers(
        texts=tuple(_text(tokenizer, reply) for reply in replies),
        ended=tuple(bool(reply) and reply[-1] in stops for reply in replies),
        tokens=tokens,
        cut_prompts=sum(len(one) > room for one in asked),
    )


def _replies(
    model: Any,
    ids: Sequence[list[int]],
    stops: frozenset[int],
    max_new_tokens: int,
    batch_size: int,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[list[list[int]], int]:
    """The reply to each prompt, both as tokens, and how many tokens went through the model; batches that do not fit
    are halved."""
    # Longest first: memory is at its highest at once, and rows of like length waste no padding.
    order = sorted(range(len(ids)), key=lambda at: -len(ids[at]))
    replies: list[list[int]] = [[] for _ in ids]
    tokens = done = 0
    with torch.no_grad(), answering(model), Sharing.of(model).threads(batch_size, FORWARD):
        while done < len(order):
            batch = order[done : done + batch_size]
            try:
                said, used = greedy(model, [ids[at] for at in batch], stops, max_new_tokens)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                batch_size = max(1, len(batch) // 2)
                continue
            for at, reply in zip(batch, said, strict=True):
                replies[at] = reply
            tokens, done = tokens + used, done + len(batch)
            if on_progress is not None:
                on_progress(done, len(order))
    return replies, tokens


@dataclass(frozen=True)
class Growing:
    """An answer so far; ``ended``: the model ended it itself, ``cut``: it was ended at its longest."""

    text: str
    tokens: int
    ended: bool = False
    cut: bool = False


def stream_answer(
    model: Any,
    tokenizer: Any,
    prompt: Prompt,
    *,
    max_new_tokens: int = MAX_NEW_TOKENS,
    worn: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Iterator[Growing]:
    """The answer that :func:`answer_all` gives to one prompt, after each of its tokens; the last one is whole.

    ``worn`` is entered around every forward pass and left again, so that two models that share their weights can
    answer by turns. A thought is not shown.
    """
    stops = end_tokens(model, tokenizer)
    room, max_new_tokens = _room(model, max_new_tokens)
    ids = prompt_ids(tokenizer, prompt)[-room:]
    steps = greedy_steps(model, [ids], stops, max_new_tokens)
    reply: list[int] = []
    while True:
        with torch.no_grad(), answering(model), worn():
            step = next(steps, None)
        if step is None:
            return
        reply += step.told
        ended = reply[-1] in stops
        text = _text(tokenizer, reply)
        cut = not ended and len(reply) == max_new_tokens
        # Half of a character that takes several tokens: the next ones complete it.
        yield Growing(text if ended or cut else text.rstrip("\N{REPLACEMENT CHARACTER}"), len(reply), ended, cut)


def fitting(model: Any, tokenizer: Any, turns: Sequence[Mapping[str, str]], max_new_tokens: int) -> list[Any]:
    """The newest turns that leave room for an answer; system turns stay, and so does the last turn.

    A conversation is shortened by whole exchanges, so that it still begins with a question.
    """
    room, _ = _room(model, max_new_tokens)
    kept = list(turns)
    while len(prompt_ids(tokenizer, kept)) > room:
        start = next(at for at, turn in enumerate(kept) if turn["role"] != "system")
        later = [at for at in range(start + 1, len(kept)) if kept[at]["role"] == "user"]
        if not later:
            break
        kept = kept[:start] + kept[later[0] :]
    return kept


def prompt_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """The tokens a model is given for a prompt. Raises DataError when the chat template refuses its turns."""
    turns = _turns(prompt)
    if not tokenizer.chat_template:
        plain = list(tokenizer("\n".join(turn["content"] for turn in turns), verbose=False)["input_ids"])
        # Some tokenizers end every text; a model that is to go on must not see that.
        while plain and plain[-1] == tokenizer.eos_token_id:
            plain.pop()
        return _never_empty(plain, tokenizer)
    try:
        rendered = tokenizer.apply_chat_template(
            turns,
            tokenize=True,
            add_generation_prompt=True,
            return_dict=False,
            tokenizer_kwargs={"verbose": False},  # what is too long is cut here, and told
            **NO_THINKING,
        )
    except TemplateError as error:
        asked = turns[-1]["content"][:60] if turns else ""
        raise DataError(f"the model's chat template refuses the question {asked!r}: {error}") from None
    return _never_empty(list(rendered), tokenizer)


def _never_empty(ids: list[int], tokenizer: Any) -> list[int]:
    """A model needs one token to start from."""
    return ids or [tokenizer.bos_token_id or tokenizer.eos_token_id or 0]


def _turns(prompt: Prompt) -> list[dict[str, Any]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [dict(turn) if isinstance(turn, Mapping) else turn.as_dict() for turn in prompt]


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer: of the generation config, the tokenizer, and the template after an answer."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found = (configured,) if isinstance(configured, int) else tuple(configured or ())
    return frozenset((*found, *stop_token_ids(tokenizer)))


def _room(model: Any, max_new_tokens: int) -> tuple[int, int]:
    """Tokens of a prompt and of its answer that fit the context together; an answer is given half of it at most."""
    context = _context(model)
    longest = min(max_new_tokens, max(1, context // 2))
    return max(1, context - longest), longest


def _context(model: Any) -> int:
    """Tokens the model can see; very many when its config does not say."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    return int(getattr(config, "max_position_embeddings", None) or 1 << 30)


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Dropout off while answering; each module goes back to the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _text(tokenizer: Any, reply: Sequence[int]) -> str:
    return without_thought(tokenizer.decode(reply, skip_special_tokens=True))


def without_thought(text: str) -> str:
    """What an answer says after the model has thought aloud; nothing while the thought goes on.

    A template may have opened the thought in the prompt, so that only its end is in the answer.

    >>> without_thought("<think>hm, 12?</think> It is 13."), without_thought("so 13.</think>13"), without_thought("13")
    ('It is 13.', '13', '13')
    >>> without_thought("<think>hm, it may be")
    ''
    """
    _, end, after = text.rpartition(_THOUGHT_END)
    if end:
        return after.strip()
    return "" if text.lstrip().startswith(_THOUGHT_START) else text.strip()
