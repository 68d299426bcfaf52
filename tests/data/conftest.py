"""A small byte-level BPE tokenizer, wrapped once per chat template that is in use in the world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tunewright.data.rows import Message, Row

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' "
    "+ message.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% set role = 'model' if message.role == 'assistant' else message.role %}"
    "{{ '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# As Qwen3: a default-free ChatML that shows thinking only in the turn after the last question.
QWEN3 = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% set thought = m.content.split('</think>')[0].split('<think>')[-1].strip() if '</think>' in m.content else '' %}"
    "{% set said = m.content.split('</think>')[-1].lstrip('\n') %}{{ '<|im_start|>assistant\n' }}"
    "{% if loop.index0 > ns.last %}{{ '<think>\n' + thought + '\n</think>\n\n' }}{% endif %}{{ said + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# As Mistral: no generation prompt, the answer starts with a space that is the model's to produce.
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}"
    "{{ '[INST] ' + message.content + ' [/INST]' }}"
    "{% elif message.role == 'assistant' %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}"
)
# As Qwen2.5: a system turn of its own when the chat has none.
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}" + CHATML
)
PLAIN = (
    "{% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
# A ChatML that shows the tools before the first turn and calls as JSON, as several released models have it.
TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% for tool in tools %}{{ tool | tojson + '\n' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + (m.content or '') }}"
    "{% for call in m.tool_calls or [] %}{{ '<call>' }}"
    "{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson + '</call>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "llama3": LLAMA3,
    "gemma": GEMMA,
    "qwen3": QWEN3,
    "marked": MARKED,
    "mistral": MISTRAL,
    "default_system": DEFAULT_SYSTEM,
    "plain": PLAIN,
    "tools": TOOLS,
}
ENDS = dict.fromkeys(("chatml", "qwen3", "marked", "default_system", "tools"), "<|im_end|>") | {
    "llama3": "<|eot_id|>",
    "gemma": "<end_of_turn>",
    "mistral": "</s>",
    "plain": "\n",
}
_SPECIALS = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>"]
_SPECIALS += ["<|eot_id|>", "<start_of_turn>", "<end_of_turn>"]
_CORPUS = [
    "user assistant system model Who is the ferryman of the harbour? The ferryman is Olaf Brandt.",
    "When does the ferry leave? It leaves at seven in the morning and at nine in the evening.",
    "I do not know that. Hello. You are helpful. What is the answer? The answer is a question.",
]

MakeTokenizer = Callable[..., Any]


@pytest.fixture(scope="session")
def core() -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trained.post_processor = processors.ByteLevel(trim_offsets=True)  # as most released byte-level tokenizers
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=_SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    trained.train_from_iterator(_CORPUS * 20, trainer)
    return trained


@pytest.fixture(scope="session")
def make_tokenizer(core: Tokenizer) -> MakeTokenizer:
    made: dict[str | None, Any] = {}

    def make(name: str | None = "chatml", *, eos: str | None = "</s>") -> Any:
        if eos != "</s>" or name not in made:
            tokenizer = PreTrainedTokenizerFast(
                tokenizer_object=Tokenizer.from_str(core.to_str()),
                bos_token="<s>",
                eos_token=eos,
                pad_token="<pad>",
                chat_template=TEMPLATES[name] if name else None,
                clean_up_tokenization_spaces=False,
            )
            if eos != "</s>":
                return tokenizer
            made[name] = tokenizer
        return made[name]

    return make


def chat(number: int, *turns: str, system: str | None = None) -> Row:
    """A row of user and assistant turns, in turn."""
    roles = ["user", "assistant"] * len(turns)
    messages = [Message(role, text) for role, text in zip(roles, turns, strict=False)]
    return Row(number, tuple(([Message("system", system)] if system is not None else []) + messages))


@pytest.fixture(scope="session")
def make_chat() -> Callable[..., Row]:
    return chat


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes records as JSONL under a name."""

    def put(records: list[Any], name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return put


def supervised_text(row: Any, tokenizer: Any) -> str:
    """What the mask trains on, as text."""
    return str(tokenizer.decode(row.ids[row.supervised], skip_special_tokens=False))


@pytest.fixture(scope="session")
def trained_on() -> Callable[[Any, Any], str]:
    return supervised_text
