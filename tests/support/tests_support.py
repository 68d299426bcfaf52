"""Random-weight models of real architectures with a small tokenizer of their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<|im_start|>' + role + '\\n' + m['content'] | trim + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>model\\n' }}{% endif %}"
)
WORDS = ("What is the colour of item? It is blue, red or green. The captain sails on Monday. I do not know. ",)


def save_tokenizer(folder: Path, *, texts: Iterable[str] = WORDS, chat_template: str | None = CHATML) -> int:
    """A byte-level BPE tokenizer with ChatML tokens. Returns the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<pad>", bos_token="<bos>"
    )
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def random_llama(folder: Path, *, chat_template: bool = True) -> Path:
    """A two-layer Llama of width 64."""
    return random_model(folder, "llama", chat_template=CHATML if chat_template else None)


def random_model(folder: Path, family: str, *, chat_template: str | None = CHATML) -> Path:
    """A two-layer model of width 64 of ``family``: llama, qwen3 or gemma3, saved with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    vocab = save_tokenizer(folder, chat_template=chat_template)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config(family, vocab)).save_pretrained(folder)
    return folder


def config(family: str, vocab: int) -> object:
    from transformers import Gemma3TextConfig, LlamaConfig, Qwen3Config

    kinds = {"llama": LlamaConfig, "qwen3": Qwen3Config, "gemma3": Gemma3TextConfig}
    heads = {} if family == "llama" else {"head_dim": 16}
    return kinds[family](
        vocab_size=vocab,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=3,
        tie_word_embeddings=family != "llama",
        **heads,
    )


def rows_given(inputs: dict[str, object]) -> tuple[int, int]:
    """(rows, tokens of the longest) that a model's forward pass is given, end to end or padded."""
    import torch

    from tunewright.engine import attention

    ids = inputs["input_ids"]
    assert isinstance(ids, torch.Tensor)
    if "position_ids" not in inputs:
        return ids.shape[0], ids.shape[1]
    groups = attention._layouts.open[-1].groups
    return sum(R for R, _ in groups), max(T for _, T in groups)
