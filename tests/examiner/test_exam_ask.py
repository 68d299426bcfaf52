"""Our greedy loop against ``generate`` of transformers, token for token."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tunewright.data.rows import Message
from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora
from tunewright.examiner import ask
from tunewright.examiner.ask import answer_all, end_tokens, prompt_ids
from tunewright.schema.errors import DataError

WORDS = [f"w{n}" for n in range(60)]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %} <end>{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PROMPTS = [" ".join(WORDS[(7 * n + k * k) % 60] for k in range(1 + (5 * n) % 17)) for n in range(13)]


def make_tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    marks = ["<pad>", "<s>", "</s>", "<unk>", "<end>", "<user>", "<assistant>", "<system>"]
    plain = Tokenizer(models.WordLevel({word: n for n, word in enumerate(marks + WORDS)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<end>", "<user>", "<assistant>", "<system>"],
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(family: str, *, eos: int | list[int] | None = 2, context: int = 256) -> Any:
    torch.manual_seed(5)
    shape = {
        "vocab_size": 68,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.4,  # larger than usual, so that answers differ and some end
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    model = LlamaForCausalLM(LlamaConfig(**shape)) if family == "llama" else Qwen3ForCausalLM(
        Qwen3Config(**shape, head_dim=8)
    )  # fmt: skip
    model.generation_config.eos_token_id = eos
    return model.eval()


def generated(model: Any, tokenizer: Any, prompt: str, limit: int, stops: frozenset[int]) -> list[int]:
    """What ``generate`` answers to one prompt alone, its end token included."""
    ids = torch.tensor([prompt_ids(tokenizer, prompt)])
    with torch.no_grad():
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=sorted(stops),
            pad_token_id=0,
        )
    return [int(token) for token in whole[0, ids.shape[1] :]]


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("eos", [2, list(range(20, 27)), list(range(8, 48))])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_the_same_tokens_as_generate(family: str, eos: int | list[int], batch_size: int) -> None:
    model, tokenizer = make_model(family, eos=eos), make_tokenizer()
    stops = end_tokens(model, tokenizer)
    answers = answer_all(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=batch_size)
    alone = [generated(model, tokenizer, prompt, 12, stops) for prompt in PROMPTS]
    assert list(answers.texts) == [tokenizer.decode(reply, skip_special_tokens=True).strip() for reply in alone]
    assert list(answers.ended) == [reply[-1] in stops for reply in alone]
    prompt_tokens = sum(len(prompt_ids(tokenizer, prompt)) for prompt in PROMPTS)
    assert answers.tokens == prompt_tokens + sum(len(reply) - 1 for reply in alone)


def test_the_cases_above_have_both_ended_and_cut_answers_and_differ() -> None:
    model, tokenizer = make_model("llama", eos=list(range(20, 27))), make_tokenizer()
    answers = answer_all(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=4)
    assert 0 < sum(answers.ended) < len(PROMPTS)
    assert len(set(answers.texts)) > 5
    assert [text is None for text in answers.finished] == [not ended for ended in answers.ended]


def test_every_kind_of_end_token_counts() -> None:
    tokenizer = make_tokenizer()
    assert end_tokens(make_model("llama", eos=[9, 11]), tokenizer) == {2, 4, 9, 11}
    assert end_tokens(make_model("llama", eos=None), tokenizer) == {2, 4}
    assert end_tokens(make_model("llama", eos=9), make_tokenizer(None)) == {2, 9}


def test_a_conversation_may_be_text_messages_or_dicts() -> None:
    tokenizer = make_tokenizer()
    as_text = prompt_ids(tokenizer, "w1 w2")
    assert prompt_ids(tokenizer, (Message("user", "w1 w2"),)) == as_text
    assert prompt_ids(tokenizer, [{"role": "user", "content": "w1 w2"}]) == as_text
    assert as_text == [1, 5, 9, 10, 6]
    assert prompt_ids(tokenizer, (Message("system", "w0"), Message("user", "w1")))[:3] == [1, 7, 8]


def test_without_a_template_the_text_itself_is_continued() -> None:
    tokenizer = make_tokenizer(None)
    assert prompt_ids(tokenizer, "w1 w2") == [9, 10]
    assert prompt_ids(tokenizer, "") == [1]


def test_a_question_that_the_template_refuses_is_named() -> None:
    tokenizer = make_tokenizer("{{ raise_exception('no system turns') }}")
    with pytest.raises(DataError, match="refuses the question 'w1': no system turns"):
        prompt_ids(tokenizer, "w1")


def test_nothing_asked_or_nothing_wanted() -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    assert answer_all(model, tokenizer, []).texts == ()
    none = answer_all(model, tokenizer, ["w1"], max_new_tokens=0)
    assert none.texts == ("",)
    assert none.tokens == 0


def test_model_and_tokenizer_are_left_as_they_were() -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    tokenizer.padding_side = "right"
    model.train()
    model.lm_head.eval()
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=3, batch_size=5)
    assert tokenizer.padding_side == "right"
    assert model.training
    assert model.model.layers[0].training
    assert not model.lm_head.training
    assert all(parameter.grad is None and not parameter.is_inference() for parameter in model.parameters())


def test_dropout_is_off_while_answering() -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    calm = answer_all(model, tokenizer, PROMPTS, max_new_tokens=6)
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.train()
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=6) == calm


def test_a_prompt_that_does_not_fit_keeps_its_end() -> None:
    model, tokenizer = make_model("llama", context=24), make_tokenizer()
    long = " ".join(WORDS)
    answers = answer_all(model, tokenizer, [long, "w1"], max_new_tokens=4)
    assert answers.cut_prompts == 1
    assert answers.tokens <= 24 + 3 + 4 + 3


def test_an_answer_longer_than_the_context_leaves_the_prompt_whole() -> None:
    model, tokenizer = make_model("llama", context=64), make_tokenizer()
    short = answer_all(model, tokenizer, PROMPTS[:3], max_new_tokens=32)
    assert answer_all(model, tokenizer, PROMPTS[:3], max_new_tokens=500) == short
    assert short.cut_prompts == 0


def test_progress_is_told_after_each_batch() -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    told: list[tuple[int, int]] = []
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=2, batch_size=6, on_progress=lambda *now: told.append(now))
    assert told == [(6, 13), (12, 13), (13, 13)]


def test_a_full_device_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    plain = answer_all(model, tokenizer, PROMPTS, max_new_tokens=5, batch_size=64)
    greedy, sizes = ask.greedy, []

    def short_of_memory(model: Any, prompts: Any, *rest: Any) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError
        return greedy(model, prompts, *rest)

    monkeypatch.setattr(ask, "greedy", short_of_memory)
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=5, batch_size=64) == plain
    assert sizes[:3] == [13, 6, 3]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>\nhm, 12?\n</think>\n\nIt is 13.", "It is 13."),
        ("<think>\n\n</think>\n\nIt is 13.", "It is 13."),
        ("\n<think>first</think><think>second</think> 13", "13"),
        ("12 or 13, let me see</think>13", "13"),  # opened by the prompt
        ("<think>it must be 13, because", ""),  # cut before it ended
        ("It is 13.", "It is 13."),
        ("Tags such as <think> are text here.", "Tags such as <think> are text here."),
    ],
)
def test_a_thought_is_no_part_of_the_answer(said: str, left: str) -> None:
    assert ask.without_thought(said) == left


@pytest.mark.parametrize("eos", [2, list(range(20, 27)), list(range(8, 48))])
def test_streaming_ends_where_the_exam_does(eos: int | list[int]) -> None:
    model, tokenizer = make_model("llama", eos=eos), make_tokenizer()
    whole = answer_all(model, tokenizer, PROMPTS, max_new_tokens=12)
    for place, prompt in enumerate(PROMPTS):
        pieces = list(ask.stream_answer(model, tokenizer, prompt, max_new_tokens=12))
        assert (pieces[-1].text, pieces[-1].ended) == (whole.texts[place], whole.ended[place])
        assert pieces[-1].cut is not pieces[-1].ended
        assert [piece.tokens for piece in pieces] == list(range(1, len(pieces) + 1))
        assert all(later.text.startswith(sooner.text) for sooner, later in pairwise(pieces))


def test_two_models_on_the_same_weights_stream_by_turns() -> None:
    model, tokenizer = make_model("llama"), make_tokenizer()
    plain = answer_all(model, tokenizer, PROMPTS[:1], max_new_tokens=8).texts[0]
    pack = attach_lora(model, [SlotSpec(rank=4, alpha=8.0)])
    with torch.no_grad():
        pack.params_KP += 0.2 * torch.randn(pack.params_KP.shape, generator=torch.Generator().manual_seed(2))
    tuned = answer_all(model, tokenizer, PROMPTS[:1], max_new_tokens=8).texts[0]
    streams = [
        ask.stream_answer(model, tokenizer, PROMPTS[0], max_new_tokens=8, worn=worn)
        for worn in (pack.adapters_off, pack.computing)
    ]
    assert [pair[-1].text for pair in zip(*zip(*streams, strict=False), strict=True)] == [plain, tuned] != [tuned] * 2


def test_a_long_conversation_loses_its_oldest_exchanges() -> None:
    model, tokenizer = make_model("llama", context=40), make_tokenizer()
    turns = [{"role": "system", "content": "w0"}]
    for n in range(9):
        turns += [{"role": "user", "content": f"w{n} w1 w2"}, {"role": "assistant", "content": "w3"}]
    turns.append({"role": "user", "content": "w9"})
    kept = ask.fitting(model, tokenizer, turns, 8)
    assert kept[0] == turns[0]
    assert kept[1:] == turns[-len(kept) + 1 :]
    assert kept[1]["role"] == "user"
    assert len(prompt_ids(tokenizer, kept)) <= 32 < len(prompt_ids(tokenizer, turns))
    alone = [{"role": "user", "content": " ".join(WORDS)}]
    assert ask.fitting(model, tokenizer, alone, 8) == alone


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # raised inside peft
@pytest.mark.parametrize("wrap", ["peft", "pack"])
def test_a_model_with_adapters_answers_as_generate_does(wrap: str) -> None:
    model, tokenizer = make_model("llama", eos=list(range(20, 27))), make_tokenizer()
    plain = answer_all(model, tokenizer, PROMPTS, max_new_tokens=8)
    adapted = with_peft(model) if wrap == "peft" else with_second_slot(model)
    stops = end_tokens(adapted, tokenizer)
    answers = answer_all(adapted, tokenizer, PROMPTS, max_new_tokens=8)
    assert answers.texts != plain.texts
    for prompt, text in zip(PROMPTS, answers.texts, strict=True):
        reply = generated(adapted, tokenizer, prompt, 8, stops)
        assert text == tokenizer.decode(reply, skip_special_tokens=True).strip()


def with_peft(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def with_second_slot(model: Any) -> Any:
    """A pack of two adapters of which the second one answers."""
    pack = attach_lora(model, [SlotSpec(rank=4, alpha=8.0, seed=seed) for seed in (0, 1)])
    with torch.no_grad():
        pack.params_KP += 0.2 * torch.randn(pack.params_KP.shape, generator=torch.Generator().manual_seed(2))
    pack.switch.only, pack.switch.index = (1,), slice(1, 2)  # as under pack.only(1), for good
    return model
