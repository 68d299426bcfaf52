"""Is this the template the model was made with: the loss of the answers under it and under others, before training.

A model that has learnt chats in one form finds answers in another form unlikely; the training curve does not show it,
as the first hundred steps teach the other form. Compared are nats per token of what the answers say (not of the marks
that end them, which a model may never have seen), row by row, so that the rows themselves cancel out.
Source: "FAULT study" (2026): a wrong template costs 0.1 to 0.3 nats per token at step 0 and nothing afterwards.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.data.rows import Row
from tunewright.probes.answers import Counts, Floats

Losses = Callable[[Any, Sequence[Row]], tuple[Floats, Counts]]
"""(tokenizer, rows) -> sums of the answers' token losses in nats, and their tokens."""
OWN = "the model's own"


def _form(user: tuple[str, str], reply: tuple[str, str], system: str = "") -> str:
    """A chat template of the marks before and after what the user says and what the model replies.

    ``system``: the mark before a system turn; a form without one refuses such turns.
    """
    told = f"'{system}' + m.content + '{user[1]}'" if system else "raise_exception('no system turn')"
    return (
        "{{ bos_token or '' }}{% for m in messages %}"
        f"{{% if m.role == 'assistant' %}}{{{{ '{reply[0]}' + m.content + '{reply[1]}' }}}}"
        f"{{% elif m.role == 'system' %}}{{{{ {told} }}}}"
        f"{{% else %}}{{{{ '{user[0]}' + m.content + '{user[1]}' }}}}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{{{{ '{reply[0]}' }}}}{{% endif %}}"
    )


# Forms in which released models were made, with their marks. Only models that know all marks of a form as tokens of
# their own can have learnt it; of the others, what they find more likely says nothing (measured: up to 0.6 nats).
# Source: the templates that ChatML, Llama 3, Gemma, Phi and Zephyr were published with (2023-03 to 2025-03).
FORMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ChatML": (
        ("<|im_start|>", "<|im_end|>"),
        _form(
            ("<|im_start|>user\\n", "<|im_end|>\\n"),
            ("<|im_start|>assistant\\n", "<|im_end|>\\n"),
            "<|im_start|>system\\n",
        ),
    ),
    "Llama 3": (
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        _form(
            ("<|start_header_id|>user<|end_header_id|>\\n\\n", "<|eot_id|>"),
            ("<|start_header_id|>assistant<|end_header_id|>\\n\\n", "<|eot_id|>"),
            "<|start_header_id|>system<|end_header_id|>\\n\\n",
        ),
    ),
    "Gemma": (
        ("<start_of_turn>", "<end_of_turn>"),
        _form(("<start_of_turn>user\\n", "<end_of_turn>\\n"), ("<start_of_turn>model\\n", "<end_of_turn>\\n")),
    ),
    "Phi": (
        ("<|user|>", "<|assistant|>", "<|end|>"),
        _form(("<|user|>\\n", "<|end|>\\n"), ("<|assistant|>\\n", "<|end|>\\n"), "<|system|>\\n"),
    ),
    "Zephyr": (
        ("<|user|>", "<|assistant|>", "</s>"),
        _form(("<|user|>\\n", "</s>\\n"), ("<|assistant|>\\n", "</s>\\n"), "<|system|>\\n"),
    ),
}


@dataclass(frozen=True)
class Gap:
    """nats: per answer token, the template in use minus the best other one (positive: the other fits better);
    error: its standard error; loss: under the template in use; losses: under each other one; other: the best one."""

    nats: float
    error: float
    loss: float
    losses: Mapping[str, float]
    other: str
    rows: int

    @property
    def is_own(self) -> bool:
        """Whether the best other template is the one the model came with."""
        return self.other == OWN


def template_gap(rows: Sequence[Row], tokenizer: Any, losses: Losses, own_template: str = "") -> Gap | None:
    """The template the tokenizer renders with against all others; None without chats or without another to try.

    own_template: the one the model came with, when another is in use.
    """
    chats = [row for row in rows if row.text is None and row.last_answer > 0]
    if len(chats) < 2 or not tokenizer.chat_template:
        return None
    others = {name: form for name, (marks, form) in FORMS.items() if _knows(tokenizer, marks)}
    if own_template and own_template != tokenizer.chat_template:
        others = {OWN: own_template, **others}
    used_n, counts_n = losses(tokenizer, chats)
    found: dict[str, tuple[float, float]] = {}
    for name, form in others.items():
        other_n, other_counts_n = losses(with_template(tokenizer, form), chats)
        both = (counts_n > 0) & (other_counts_n > 0)
        apart = (used_n / np.maximum(counts_n, 1) - other_n / np.maximum(other_counts_n, 1))[both]
        # a form that refuses system turns says nothing of rows that have one, nor does one that renders them alike
        if len(apart) >= max(2, len(chats) // 2) and apart.any():
            found[name] = (float(apart.mean()), float(apart.std(ddof=1) / math.sqrt(len(apart))))
    if not found or not counts_n.any():
        return None
    best = max(found, key=lambda name: found[name][0])
    loss = float((used_n / np.maximum(counts_n, 1))[counts_n > 0].mean())
    under = {name: loss - nats for name, (nats, _) in found.items()}
    return Gap(*found[best], loss, under, best, int((counts_n > 0).sum()))


def _knows(tokenizer: Any, marks: Sequence[str]) -> bool:
    """Whether each mark is a token of its own."""
    known = {str(token) for token in tokenizer.added_tokens_decoder.values()} | set(tokenizer.all_special_tokens)
    return known.issuperset(marks)


def with_template(tokenizer: Any, template: str) -> Any:
    """The same tokenizer under another chat template; the given one is left as it is."""
    other = copy.copy(tokenizer)
    other.chat_template = template
    return other
