"""The mask against templates of the kinds in use: what is trained on is what the model has to produce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.data.encode import encode_rows
from tunewright.data.rows import Message, Row
from tunewright.data.tokens import default_max_length, stop_token_ids
from tunewright.schema.errors import ModelError

Make = Callable[..., Any]
Shown = Callable[[Any, Any], str]
ENDS = {
    "chatml": "<|im_end|>",
    "default_system": "<|im_end|>",
    "marked": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "gemma": "<end_of_turn>",
}
QUESTION, ANSWER = "Who is the ferryman?", "The ferryman is Olaf."


def why(encoded: Any, fault: str) -> str:
    return next((one.why for one in encoded.faults if one.fault == fault), "")


@pytest.mark.parametrize("name", ENDS)
def test_every_answer_with_its_end_of_turn_and_nothing_else(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown, name: str
) -> None:
    tokenizer = make_tokenizer(name)
    row = make_chat(7, QUESTION, ANSWER, "When? ☃", "At seven. 🚢")
    encoded = encode_rows([row], tokenizer, max_length=500)
    assert [one.number for one in encoded.rows] == [7]
    assert trained_on(encoded.rows[0], tokenizer) == f"{ANSWER}{ENDS[name]}At seven. 🚢{ENDS[name]}"
    assert not encoded.faults
    # The tokens are those the template itself would be tokenised to.
    expected = tokenizer.apply_chat_template(row.as_dicts(), tokenize=True, return_dict=False)
    assert encoded.rows[0].ids.tolist() == expected
    assert encoded.rows[0].ids.dtype == np.int32


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("loss_on", ["last_assistant", "completion"])
def test_only_the_last_answer(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown, name: str, loss_on: str
) -> None:
    tokenizer = make_tokenizer(name)
    encoded = encode_rows([make_chat(1, "A?", "a", "B?", "b")], tokenizer, loss_on=loss_on, max_length=500)
    assert trained_on(encoded.rows[0], tokenizer) == "b" + ENDS[name]


@pytest.mark.parametrize("name", [*ENDS, "qwen3", "mistral", "plain"])
def test_all_is_every_token_but_the_first(make_tokenizer: Make, make_chat: Make, name: str) -> None:
    row = make_chat(1, QUESTION, "<think>so</think>" + ANSWER, "When?", "At seven.")
    encoded = encode_rows([row], make_tokenizer(name), loss_on="all", max_length=500)
    supervised = encoded.rows[0].supervised
    assert not supervised[0]
    assert supervised[1:].all()
    assert bool(why(encoded, "no_stop_token")) == (name == "plain")


def test_qwen_thinking_is_trained_on_in_each_turn_as_it_is_produced(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown
) -> None:
    tokenizer = make_tokenizer("qwen3")
    row = make_chat(4, QUESTION, f"<think>\nhm\n</think>\n\n{ANSWER}", "When?", "<think>\nso\n</think>\n\nAt seven.")
    encoded = encode_rows([row], tokenizer, max_length=500)
    assert [one.number for one in encoded.rows] == [4, 4]
    assert [trained_on(one, tokenizer) for one in encoded.rows] == [
        f"<think>\nhm\n</think>\n\n{ANSWER}<|im_end|>",
        "<think>\nso\n</think>\n\nAt seven.<|im_end|>",
    ]
    # The second sees the first as the template shows it then: without its thinking.
    assert "hm" not in tokenizer.decode(encoded.rows[1].ids)
    assert not encoded.faults


def test_qwen_rows_of_one_turn_stay_one_row_and_train_the_empty_thinking(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown
) -> None:
    tokenizer = make_tokenizer("qwen3")
    encoded = encode_rows([make_chat(1, QUESTION, ANSWER)], tokenizer, max_length=500)
    assert [trained_on(one, tokenizer) for one in encoded.rows] == [f"<think>\n\n</think>\n\n{ANSWER}<|im_end|>"]


def test_the_space_before_an_answer_is_the_models_to_produce(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown
) -> None:
    tokenizer = make_tokenizer("mistral")
    encoded = encode_rows([make_chat(1, "A?", ANSWER, "B?", "At seven.")], tokenizer, max_length=500)
    assert trained_on(encoded.rows[0], tokenizer) == f" {ANSWER}</s> At seven.</s>"


def test_a_token_that_straddles_the_boundary_belongs_to_the_prompt(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown
) -> None:
    tokenizer = make_tokenizer("plain")  # its prompt ends with a space, which the answer's first token swallows
    encoded = encode_rows([make_chat(1, "A?", "The ferry leaves.")], tokenizer, max_length=500)
    assert trained_on(encoded.rows[0], tokenizer) == " ferry leaves.\n"


def test_a_trailing_question_is_not_trained_on(make_tokenizer: Make, make_chat: Make, trained_on: Shown) -> None:
    for name in ("chatml", "marked"):
        row = make_chat(1, "A?", "a", "B?")
        encoded = encode_rows([row], make_tokenizer(name), max_length=500)
        assert trained_on(encoded.rows[0], make_tokenizer(name)) == "a<|im_end|>"


def test_a_template_that_refuses_a_row_names_it_and_keeps_the_rest(make_tokenizer: Make, make_chat: Make) -> None:
    rows = [make_chat(1, "A?", "a"), make_chat(2, "A?", "a", system="Be kind."), make_chat(3, "B?", "b")]
    encoded = encode_rows(rows, make_tokenizer("gemma"), max_length=500)
    assert [one.number for one in encoded.rows] == [1, 3]
    assert encoded.unsupervised == (2,)
    assert "System role not supported (row 2)" in why(encoded, "template_mismatch")


def test_a_template_that_leaves_a_turn_out(make_tokenizer: Make, make_chat: Make) -> None:
    encoded = encode_rows([make_chat(1, "A?", "a", system="Be kind.")], make_tokenizer("mistral"), max_length=500)
    assert "leaves out the system turn (row 1)" in why(encoded, "template_mismatch")


def with_template(make_tokenizer: Make, template: str) -> Any:
    tokenizer = make_tokenizer("chatml", eos="<|im_end|>")
    tokenizer.chat_template = template
    return tokenizer


def test_a_prompt_that_is_no_prefix_of_the_chat(make_tokenizer: Make, make_chat: Make) -> None:
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<think>' }}{% endif %}"
    )
    encoded = encode_rows([make_chat(1, "A?", "a")], with_template(make_tokenizer, template), max_length=500)
    assert "is not how the answered chat begins" in why(encoded, "template_mismatch")
    assert encoded.rows == ()


def test_a_template_that_changes_the_answer(make_tokenizer: Make, make_chat: Make) -> None:
    template = "{% for m in messages %}{{ m.role + m.content | upper + '<|im_end|>' }}{% endfor %}"
    encoded = encode_rows([make_chat(1, "WHO?", "Olaf.")], with_template(make_tokenizer, template), max_length=500)
    assert "not the answer of the row" in why(encoded, "template_mismatch")


def test_a_broken_template_is_a_fault_of_every_row(make_tokenizer: Make, make_chat: Make) -> None:
    for template in ("{{ messages[0].nothing.at_all }}", "{{ 1 + 'a' }}", "{{ messages[7].role }}", "{% if %}"):
        encoded = encode_rows([make_chat(1, "A?", "a")], with_template(make_tokenizer, template), max_length=500)
        assert encoded.unsupervised == (1,)
        assert "the template refuses the row" in why(encoded, "template_mismatch")


def test_marks_around_nothing(make_tokenizer: Make, make_chat: Make) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{% generation %}{% endgeneration %}"
    encoded = encode_rows([make_chat(1, "A?", "a")], with_template(make_tokenizer, template), max_length=500)
    assert "enclose no answer" in why(encoded, "template_mismatch")


def test_answers_that_do_not_end_in_a_special_token(make_tokenizer: Make, make_chat: Make) -> None:
    encoded = encode_rows([make_chat(3, "A?", "a")], make_tokenizer("plain"), max_length=500)
    assert "never learns to stop (row 3)" in why(encoded, "no_stop_token")


def test_a_begin_of_text_token_in_the_rows_is_seen(make_tokenizer: Make, make_chat: Make) -> None:
    doubled = "{{ bos_token + bos_token }}" + make_tokenizer("chatml").chat_template
    encoded = encode_rows([make_chat(1, "A?", "a")], with_template(make_tokenizer, doubled), max_length=500)
    assert next(f.rows for f in encoded.faults if f.fault == "doubled_bos") == (1,)
    once = encode_rows([make_chat(1, "A?", "a")], make_tokenizer("llama3"), max_length=500)
    assert once.rows[0].ids.tolist().count(make_tokenizer().bos_token_id) == 1


def test_long_rows_are_cut_and_named(make_tokenizer: Make, make_chat: Make) -> None:
    rows = [make_chat(1, "A?", "a"), make_chat(2, "A?", "a " * 100), make_chat(3, "A? " * 100, "a")]
    encoded = encode_rows(rows, make_tokenizer(), max_length=40)
    assert [(one.number, len(one)) for one in encoded.rows][1] == (2, 40)
    assert encoded.truncated == (2, 3)
    assert encoded.unsupervised == (3,)
    assert "max_length = 40 tokens: the prompt alone fills the row (row 3)" in why(encoded, "no_supervised_token")
    assert not why(encoded, "no_stop_token")


def test_all_rows_longer_than_max_length(make_tokenizer: Make, make_chat: Make) -> None:
    rows = [make_chat(number, QUESTION * 20, ANSWER) for number in range(1, 31)]
    encoded = encode_rows(rows, make_tokenizer(), max_length=16)
    assert encoded.rows == ()
    fault = next(one for one in encoded.faults if one.fault == "no_supervised_token")
    assert (fault.rows, fault.severity) == (tuple(range(1, 31)), "error")
    assert "max_length" in fault.fix


def test_chats_without_a_template(make_tokenizer: Make, make_chat: Make, trained_on: Shown) -> None:
    tokenizer = make_tokenizer(None)
    rows = [make_chat(1, "Q: who? A:", " Olaf")]
    with pytest.raises(ModelError) as caught:
        encode_rows(rows, tokenizer, max_length=50)
    assert "--set template=FILE" in caught.value.hint
    encoded = encode_rows(rows, tokenizer, loss_on="completion", max_length=50)
    assert trained_on(encoded.rows[0], tokenizer) == " Olaf</s>"
    assert tokenizer.decode(encoded.rows[0].ids) == "Q: who? A: Olaf</s>"
    with pytest.raises(ModelError):
        encode_rows([make_chat(1, "A?", "a", "B?", "b")], tokenizer, loss_on="completion", max_length=50)


def test_raw_texts_are_trained_on_whole_with_an_end(make_tokenizer: Make, trained_on: Shown) -> None:
    tokenizer = make_tokenizer(None)
    encoded = encode_rows([Row(1, text="The ferry leaves."), Row(2, text="x")], tokenizer, max_length=50)
    assert [tokenizer.decode(one.ids) for one in encoded.rows] == ["The ferry leaves.</s>", "x</s>"]
    assert encoded.rows[0].supervised[1:].all()
    endless = encode_rows([Row(1, text="x")], make_tokenizer(None, eos=None), max_length=50)
    assert endless.unsupervised == (1,)
    assert "single token" in why(endless, "no_supervised_token")


def test_a_tokenizer_that_begins_every_text_itself_begins_it_once(make_tokenizer: Make, make_chat: Make) -> None:
    from tokenizers import processors

    tokenizer = make_tokenizer(None, eos="<|im_end|>")
    begin = ("<s>", tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[begin])
    texts = encode_rows([Row(1, text="Hello"), Row(2, text="<s>Hello")], tokenizer, max_length=50)
    assert [tokenizer.decode(one.ids) for one in texts.rows] == ["<s>Hello<|im_end|>"] * 2
    tokenizer.chat_template = make_tokenizer("llama3").chat_template
    chats = encode_rows([make_chat(1, "A?", "a")], tokenizer, max_length=50)
    assert chats.rows[0].ids.tolist().count(tokenizer.bos_token_id) == 1


def test_continued_pre_training_joins_texts_to_full_blocks(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer(None)
    rows = [
        Row(1, text="One two."),
        Row(2, text="Three. " * 20),
        Row(3, (Message("user", "A?"), Message("assistant", "b"))),
    ]
    encoded = encode_rows(rows, tokenizer, max_length=16, stage="pt")
    assert [len(one) for one in encoded.rows[:-1]] == [16] * (len(encoded.rows) - 1)
    text = tokenizer.decode(np.concatenate([one.ids for one in encoded.rows]))
    assert text == "One two.</s>" + "Three. " * 20 + "</s>A?\nb</s>"
    assert all(not one.supervised[0] and one.supervised[1:].all() for one in encoded.rows)
    assert [encoded.rows[0].number, encoded.rows[1].number] == [1, 2]
    assert encode_rows([], tokenizer, max_length=16, stage="pt").rows == ()


def test_rows_with_wrong_roles_are_left_to_the_reader(make_tokenizer: Make, make_chat: Make) -> None:
    encoded = encode_rows([Row(1, (Message("user", "A?"),)), make_chat(2, "A?", "a")], make_tokenizer(), max_length=50)
    assert [one.number for one in encoded.rows] == [2]
    assert not encoded.faults
    assert encode_rows([], make_tokenizer(), max_length=50).rows == ()


def test_order_is_the_files_also_when_texts_and_chats_are_mixed(make_tokenizer: Make, make_chat: Make) -> None:
    rows = [make_chat(1, "A?", "a"), Row(2, text="Hello there"), make_chat(3, "B?", "b")]
    assert [one.number for one in encode_rows(rows, make_tokenizer(), max_length=50).rows] == [1, 2, 3]


def test_a_row_that_a_mixture_repeats_is_encoded_as_often(make_tokenizer: Make, make_chat: Make) -> None:
    row = make_chat(1, "A?", "a", "B?", "b")
    for name in ("chatml", "marked", "qwen3"):
        once, twice = (encode_rows([row] * n, make_tokenizer(name), max_length=90).rows for n in (1, 2))
        assert [one.ids.tolist() for one in twice] == [one.ids.tolist() for one in once * 2]
        assert [one.supervised.tolist() for one in twice] == [one.supervised.tolist() for one in once * 2]


def test_a_tokenizer_without_offsets_is_refused(make_chat: Make) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        encode_rows([make_chat(1, "A?", "a")], object(), max_length=50)


def test_where_answers_end(make_tokenizer: Make) -> None:
    ids = make_tokenizer().convert_tokens_to_ids
    assert set(stop_token_ids(make_tokenizer("gemma"))) == {ids("<end_of_turn>"), ids("</s>")}
    assert stop_token_ids(make_tokenizer("plain")) == (ids("</s>"),)
    assert stop_token_ids(make_tokenizer(None)) == (ids("</s>"),)
    assert default_max_length(512) == 512
    assert default_max_length(128_000) == 2048


# Words as people write them; a template's own markers inside a turn are a fault of the row and not of the mask.
said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and text.strip() != "" and "<" not in text
)


@pytest.mark.parametrize("name", ENDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(turns=st.lists(st.tuples(said, said), min_size=1, max_size=3))
def test_what_is_trained_on_decodes_to_the_answers(
    make_tokenizer: Make, make_chat: Make, trained_on: Shown, name: str, turns: Sequence[tuple[str, str]]
) -> None:
    tokenizer = make_tokenizer(name)
    row = make_chat(1, *[text for turn in turns for text in turn])
    encoded = encode_rows([row], tokenizer, max_length=5000)
    assert trained_on(encoded.rows[0], tokenizer) == "".join(answer + ENDS[name] for _, answer in turns)
