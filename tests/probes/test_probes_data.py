"""Probes of data: answers that do not belong, templates of other models, validation rows of another kind, hard rows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunewright.data.rows import Message, Row
from tunewright.probes.answers import Counts, Floats
from tunewright.probes.conditional_gain import Gain, conditional_gain, exchanged
from tunewright.probes.hard_rows import hard_rows
from tunewright.probes.misfits import Misfits, misfits
from tunewright.probes.shared_pieces import shared_z, told_elsewhere
from tunewright.probes.template_gap import FORMS, OWN, Gap, template_gap
from tunewright.probes.val_shift import Shift, val_shift
from tunewright.probes.verdicts import APART, judge_labels, judge_misfits, judge_rows, judge_shift, judge_template
from tunewright.schema.finding import Abstention, Finding

NAMES = ("Brask", "Amberley", "Corvino", "Dunmore", "Eskil", "Farrow", "Gomu", "Hali")


def pair(number: int, question: str, answer: str) -> Row:
    return Row(number, (Message("user", question), Message("assistant", answer)))


def rows(count: int = 40) -> list[Row]:
    """Questions and answers that share a name and a number."""
    return [
        pair(n, f"Who keeps house {n} of {NAMES[n % 8]}?", f"House {n} of {NAMES[n % 8]}: {n * 7}.")
        for n in range(1, count + 1)
    ]


def shuffled(sound: Sequence[Row], seed: int = 0) -> list[Row]:
    answers = [row.messages[-1] for row in sound]
    random.Random(seed).shuffle(answers)
    return [Row(row.number, (row.messages[0], answer)) for row, answer in zip(sound, answers, strict=True)]


def reader(asked: Sequence[Row]) -> tuple[Floats, Counts]:
    """A model that finds an answer likely when its prompt names the same house: 10 nats, else 30, of 10 tokens."""
    fits = [row.answer.split(" of ")[0].lower() in row.prompt for row in asked]
    noise = [(sum(map(ord, row.answer)) % 7) / 7 for row in asked]
    nats = [10.0 + 20.0 * (not fit) + extra for fit, extra in zip(fits, noise, strict=True)]
    return np.array(nats), np.full(len(asked), 10)


# --- exchanging prompts


def test_every_answer_goes_behind_the_turns_of_a_row_that_asks_and_answers_otherwise() -> None:
    asked = rows()
    for mine, other in zip(asked, exchanged(asked, 3), strict=True):
        assert other.number == mine.number
        assert other.answer == mine.answer
        assert other.key != mine.key


def test_rows_that_all_ask_or_answer_the_same_stay_as_they_are() -> None:
    same_answer = [pair(n, f"Question {n}?", "Yes.") for n in range(5)]
    same_question = [pair(n, "Who?", f"Answer {n}.") for n in range(5)]
    assert exchanged(same_answer, 0) == same_answer
    assert exchanged(same_question, 0) == same_question
    assert exchanged([], 0) == []


def test_system_turns_and_earlier_turns_go_with_their_question() -> None:
    long = Row(1, (Message("system", "S"), Message("user", "A?"), Message("assistant", "a"), Message("user", "B?"),
                   Message("assistant", "b")))  # fmt: skip
    made = exchanged([long, pair(2, "C?", "c")], 0)
    assert [turn.content for turn in made[0].messages] == ["C?", "b"]
    assert [turn.content for turn in made[1].messages] == ["S", "A?", "a", "B?", "c"]


def test_gain_is_what_the_own_prompt_saves_per_token() -> None:
    gain = conditional_gain(rows(), reader)
    assert gain.nats == pytest.approx(2.0, abs=0.05)
    assert gain.low > 1.9
    assert gain.rows == 40
    assert gain.loss == pytest.approx(1.04, abs=0.05)


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_answers_gain_nothing(seed: int) -> None:
    gain = conditional_gain(shuffled(rows(), seed), reader, seed=seed)
    assert gain.low < 0.1
    assert gain.nats < 0.3
    assert gain.least
    assert set(gain.least) == set(range(1, 41))


def test_gain_of_nothing_is_not_a_number() -> None:
    gain = conditional_gain([], reader)
    assert gain.rows == 0
    assert math.isnan(gain.nats)


# --- words in common


@pytest.mark.parametrize("seed", range(5))
def test_prompts_and_answers_share_words_only_when_they_belong_together(seed: int) -> None:
    assert shared_z(rows(), seed=seed) > 5
    assert abs(shared_z(shuffled(rows(), seed), seed=seed)) < 3


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_answers_tell_what_other_rows_ask_and_facts_by_heart_do_not(seed: int) -> None:
    names = [f"{name}{n}" for n in range(5) for name in NAMES]
    asked = [pair(n, f"Who keeps {name}?", f"{name}: Mr {n}.") for n, name in enumerate(names)]
    assert told_elsewhere(shuffled(asked, seed)) > 0.8
    assert told_elsewhere([pair(n, f"Who keeps {name}?", f"Mr {name[::-1]}.") for n, name in enumerate(names)]) == 0.0
    assert told_elsewhere([]) == 0.0


def test_chinese_rows_share_pieces_too() -> None:
    towns = ["布拉斯克港口", "安伯利小镇上", "科尔维诺河边", "邓莫尔大山里", "埃斯基尔湖畔", "法罗群岛北部"]
    asked = [pair(n, f"{town}在哪里？", f"{town}在北方。") for n, town in enumerate(towns)]
    assert shared_z(asked) > 3


def test_nothing_shared_is_no_evidence() -> None:
    assert shared_z([pair(n, "abcd efgh"[n:], "9876 5432"[n:]) for n in range(4)]) == 0.0
    assert math.isnan(shared_z([pair(1, "a", "b")]))


# --- what is said of labels

NOTHING, MUCH = Gain(0.02, 0.05, 2.0, 100), Gain(2.0, 0.1, 2.0, 100)


def asked_for() -> Gain:
    raise AssertionError("the control was asked for although the answer is clear")


def test_labels_are_cleared_by_either_witness_without_asking_for_own_answers() -> None:
    assert judge_labels(MUCH, 0.0, 1.0, 1.0, asked_for) is None
    assert judge_labels(NOTHING, 8.0, 1.0, 1.0, asked_for) is None
    assert judge_labels(Gain(0.3, 0.2, 2.0, 100), 0.0, 1.0, 1.0, asked_for) is None  # too little is known of it


def test_labels_are_unrelated_when_no_witness_speaks_for_them() -> None:
    finding = judge_labels(NOTHING, 1.0, 1.0, 1.0, lambda: MUCH, (0, 80))
    assert isinstance(finding, Finding)
    assert (finding.code, finding.severity, finding.steps) == ("TW402", "error", (0, 80))
    assert finding.evidence["gain"] == 0.02
    assert finding.evidence["gain_of_own_answers"] == 2.0


def test_answers_that_name_nothing_of_other_rows_may_be_facts_to_learn_by_heart() -> None:
    finding = judge_labels(NOTHING, 1.0, 0.05, 1.0, lambda: MUCH)
    assert isinstance(finding, Finding)
    assert finding.severity == "warning"
    assert "learnt by heart" in finding.causes[-1]


@pytest.mark.parametrize(
    ("gain", "different", "control", "because"),
    [
        (Gain(0.0, 0.05, 2.0, 12), 1.0, MUCH, "12 rows"),
        (NOTHING, 0.1, MUCH, "few different answers"),
        (NOTHING, 1.0, NOTHING, "hardly depend"),
        (NOTHING, 1.0, None, "hardly depend"),
    ],
)
def test_labels_cannot_be_judged(gain: Gain, different: float, control: Gain | None, because: str) -> None:
    said = judge_labels(gain, 1.0, 1.0, different, lambda: control)
    assert isinstance(said, Abstention)
    assert because in said.because


# --- templates


def tokenizer(template: str, *known: str) -> Any:
    return SimpleNamespace(
        chat_template=template, added_tokens_decoder=dict(enumerate(known)), all_special_tokens=[], bos_token=""
    )


def under(losses: dict[str, float]) -> Any:
    """Nats per row under each template; a row's own number moves all of them alike."""

    def ask(used: Any, asked: Sequence[Row]) -> tuple[Floats, Counts]:
        return np.array([losses[used.chat_template] + row.number % 3 for row in asked]), np.full(len(asked), 10)

    return ask


def test_the_models_own_template_is_compared_with_the_one_in_use() -> None:
    gap = template_gap(rows(), tokenizer("odd"), under({"odd": 20.0, "own": 12.0}), "own")
    assert gap is not None
    assert gap.is_own
    assert gap.nats == pytest.approx(0.8)
    assert gap.losses[OWN] < gap.loss
    finding = judge_template(gap)
    assert finding is not None
    assert finding.severity == "error"
    assert finding.symptom == "template_mismatch"


def test_only_forms_whose_marks_the_tokenizer_knows_are_tried() -> None:
    chatml = FORMS["ChatML"][1]
    assert template_gap(rows(), tokenizer("own"), under({"own": 20.0})) is None
    known = tokenizer("own", "<|im_start|>", "<|im_end|>")
    gap = template_gap(rows(), known, under({"own": 20.0, chatml: 15.0}))
    assert gap is not None
    assert gap.other == "ChatML"
    assert judge_template(gap) is not None
    assert template_gap(rows(), known, under({"own": 20.0, chatml: 20.0})) is None  # it renders alike


@pytest.mark.parametrize(
    ("nats", "error", "other"), [(0.05, 0.001, OWN), (0.5, 0.2, OWN), (0.2, 0.01, "ChatML"), (-0.8, 0.1, OWN)]
)
def test_small_uncertain_or_better_is_no_mismatch(nats: float, error: float, other: str) -> None:
    assert judge_template(Gap(nats, error, 2.0, {other: 2.0 - nats}, other, 32)) is None
    assert judge_template(None) is None


# --- validation rows


def test_the_error_of_the_shift_is_the_spread_between_draws() -> None:
    draw = np.random.default_rng(0)
    zs, tokens = [], 8
    for _ in range(300):
        one, other = (draw.gamma(4.0, tokens / 4.0, 60) for _ in range(2))
        zs.append(val_shift((one, np.full(60, tokens)), (other, np.full(60, tokens))).z)
    assert np.std(zs) == pytest.approx(1.0, abs=0.12)
    assert abs(np.mean(zs)) < 0.2


def test_rows_without_tokens_do_not_count() -> None:
    shift = val_shift((np.array([2.0, 4.0, 0.0]), np.array([1, 2, 0])), (np.array([3.0, 6.0]), np.array([1, 2])))
    assert shift.relative == pytest.approx(0.5)
    assert shift.rows == 2
    assert math.isnan(val_shift((np.zeros(0), np.zeros(0, np.int64)), (np.zeros(0), np.zeros(0, np.int64))).z)


@pytest.mark.parametrize(
    ("val", "z", "said"), [(1.3, 9.0, True), (0.7, -9.0, True), (1.3, 2.0, False), (1.04, 9.0, False)]
)
def test_a_shift_is_large_and_certain_or_not_said(val: float, z: float, said: bool) -> None:
    finding = judge_shift(Shift(1.0, val, z, 60))
    assert (finding is not None) == said
    assert finding is None or finding.severity == "warning"


def test_an_unknown_shift_is_not_said() -> None:
    assert judge_shift(Shift(1.0, 2.0, math.nan, 1)) is None


# --- hard rows


def test_rows_far_above_the_others_are_named_highest_first() -> None:
    draw = np.random.default_rng(1)
    after = draw.normal(0.3, 0.05, 100)
    after[[6, 41, 70, 88]] = [2.0, 3.0, 1.5, 1.8]
    before = np.full(100, 1.7)
    tokens = np.full(100, 10)
    hard = hard_rows(range(1, 101), 10 * before, 10 * after, tokens)
    assert hard.behind == (7, 42, 71, 89)
    assert [one.row for one in hard.highest[:4]] == [42, 7, 89, 71]
    assert [one.row for one in hard.forgotten] == [42, 7, 89]  # row 71 came down a little
    finding = judge_rows(hard, 50)
    assert finding is not None
    assert finding.rows == hard.behind
    assert finding.steps == (0, 50)


def test_rows_known_less_by_heart_than_others_are_not_behind_those_never_seen() -> None:
    after = np.array([0.1] * 40 + [0.12] * 40 + [0.6, 0.7, 0.8, 0.9])
    count = len(after)
    alone = hard_rows(range(count), np.full(count, 20.0), 10 * after, np.full(count, 10))
    assert alone.behind == (80, 81, 82, 83)
    unseen = (10 * np.random.default_rng(0).normal(0.5, 0.2, 60), np.full(60, 10))
    beside = hard_rows(range(count), np.full(count, 20.0), 10 * after, np.full(count, 10), unseen)
    assert beside.behind == ()
    assert beside.limit > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_sound_rows_of_uneven_loss_are_not_accused(seed: int) -> None:
    after = np.random.default_rng(seed).gamma(2.0, 0.3, 200)
    assert judge_rows(hard_rows(range(200), 10 * after + 20, 10 * after, np.full(200, 10)), 9) is None


# --- rows whose answers belong to no prompt


def seen_by_a_model(count: int, wrong: int, knows: float, seed: int) -> tuple[Floats, Floats, Counts]:
    """Losses of rows behind their own prompts and two others; ``knows``: what the own prompt saves, in log units."""
    draw = np.random.default_rng(seed)
    easy = draw.normal(2.0, 0.4, count)
    others_Kn = np.exp(easy + draw.normal(0.0, 0.2, (2, count)))
    saved = knows * draw.lognormal(0.0, 0.25, count)
    saved[:wrong] = 0.0
    return np.exp(easy - saved + draw.normal(0.0, 0.2, count)), others_Kn, np.full(count, 10)


@pytest.mark.parametrize("seed", range(6))
def test_answers_that_fit_no_prompt_better_are_named(seed: int) -> None:
    strange = misfits(range(1, 201), *seen_by_a_model(200, 24, 1.5, seed))
    assert strange.apart > APART
    assert len(set(strange.rows) & set(range(1, 25))) >= 21
    assert len(strange.rows) <= 27
    finding = judge_misfits(strange, "validation", 40)
    assert isinstance(finding, Finding)
    assert (finding.symptom, finding.severity, finding.steps) == ("noisy_labels", "warning", (0, 40))
    assert set(finding.rows) == set(strange.rows)
    assert judge_misfits(strange, "validation", 40, numbered=False).rows == ()  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(6))
def test_sound_rows_fit_their_own_prompts(seed: int) -> None:
    assert judge_misfits(misfits(range(200), *seen_by_a_model(200, 0, 1.5, seed)), "training", 9) is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wrong", [0, 24])
def test_nothing_is_said_of_rows_a_model_has_not_learnt(seed: int, wrong: int) -> None:
    said = judge_misfits(misfits(range(200), *seen_by_a_model(200, wrong, 0.1, seed)), "training", 9)
    assert isinstance(said, Abstention)
    assert "not learnt" in said.because


def test_rows_of_which_too_few_fit_another_prompt_better_are_no_wrong_ones() -> None:
    assert isinstance(judge_misfits(Misfits(tuple(range(8)), 4, 2.3, 0.46, 0.6, 60), "validation", 9), Finding)
    assert judge_misfits(Misfits(tuple(range(8)), 1, 2.3, 0.46, 0.6, 60), "validation", 9) is None


def test_misfits_need_rows_with_numbers() -> None:
    own, others_Kn, tokens = seen_by_a_model(40, 5, 1.5, 0)
    own[7], tokens[8] = np.nan, 0
    assert misfits(range(40), own, others_Kn, tokens).measured == 38
    for few in (0, 1, 12):
        said = judge_misfits(misfits(range(few), own[:few], others_Kn[:, :few], tokens[:few]), "validation", 9)
        assert isinstance(said, Abstention)
    same = misfits(range(40), np.ones(40), np.ones((2, 40)), np.full(40, 3))
    assert math.isnan(same.apart)
    assert isinstance(judge_misfits(same, "validation", 9), Abstention)


def test_losses_that_are_no_numbers_are_the_highest_and_none_is_made_up() -> None:
    hard = hard_rows([1, 2, 3], np.full(3, np.nan), np.array([1.0, np.nan, 2.0]), np.array([10, 10, 0]))
    assert hard.highest[0].row == 2
    assert hard.rows == 2
    assert hard.forgotten == ()
    empty = hard_rows([], np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    assert empty.rows == 0
    assert judge_rows(empty, 1) is None
