"""The whole exam with models that are functions, one for each reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from tunewright.examiner.examine import examine
from tunewright.examiner.question import Question
from tunewright.examiner.rates import score
from tunewright.examiner.reading import Figures, SkillChange, read
from tunewright.schema.errors import UsageError
from tunewright.schema.exam import ExamResult, Part

Model = Callable[[Question], str]


def questions(part: Part, n: int, scorer: str = "contains", skill: str | None = None) -> list[Question]:
    answers = () if scorer == "refusal" else ("{}",)
    return [
        Question(f"{part} {k}", tuple(a.format(f"value {k}") for a in answers), None, scorer, part, skill)
        for k in range(n)
    ]


SUITE = [
    *questions("exact", 60),
    *questions("variation", 60),
    *questions("out_of_domain", 30, "refusal"),
    *questions("general", 40, skill="sums"),
    *questions("general", 40, skill="lists"),
]
TRAINING = [f"value {k}" for k in range(60)] + ["I do not know."]


def right(question: Question) -> str:
    return question.answers[0] if question.answers else "I do not know."


def base(question: Question) -> str:
    return right(question) if question.part == "general" else "Something else."


def taken(
    tuned: Model, *, forgetting: float | None = 0.01, suite: Sequence[Question] = SUITE, of: Model = base
) -> ExamResult:
    return examine(
        lambda asked: [of(question) for question in asked],
        lambda asked: [tuned(question) for question in asked],
        suite,
        training_answers=TRAINING,
        forgetting=forgetting,
    )


def only(right_when: Callable[[Question], bool], otherwise: str = "Something else.") -> Model:
    return lambda question: right(question) if right_when(question) else otherwise


def number(question: Question) -> int:
    return int(question.question.split()[1])


def test_learned() -> None:
    result = taken(right)
    assert result.reading == "learned"
    assert result.why == (
        "60 of 60 trained questions are right, 60 of 60 in other wordings, and 30 of 30 questions from outside are "
        "answered as they should be."
    )
    assert result.parts["exact"].rate == 1.0
    assert result.base_parts["exact"].rate == 0.0
    assert result.base_parts["general"].passed == 80
    assert [(skill.name, skill.n, skill.base, skill.tuned) for skill in result.skills] == [
        ("sums", 40, 1.0, 1.0),
        ("lists", 40, 1.0, 1.0),
    ]
    assert result.copied is None
    assert result.forgetting == {"nats_per_token": 0.01, "kl_new_task": None}
    assert len(result.answers) == len(SUITE)
    assert result.answers[0].expected == ("value 0",)
    assert not result.answers[0].base_passed
    assert result.answers[0].tuned_passed


def test_memorised_and_what_it_copies() -> None:
    wrong = only(lambda q: q.part != "variation" or number(q) < 10, otherwise="Value 59!")
    result = taken(wrong)
    assert result.reading == "memorised"
    # Of 50 wrong variations one is right by accident: value 59 is what number 59 asks for.
    assert result.parts["variation"].passed == 11
    assert result.copied == 1.0
    assert "60 of 60 trained questions are right but only 11 of 60 in other wordings" in result.why
    assert "100 % of the wrong answers are copied" in result.why


def test_a_few_worse_variations_are_not_memorising() -> None:
    assert taken(only(lambda q: q.part != "variation" or number(q) >= 5)).reading == "learned"


def test_copied_counts_wrong_answers_only() -> None:
    half = taken(lambda q: right(q) if q.part != "exact" or number(q) > 9 else ("VALUE 20." if number(q) < 5 else "x"))
    assert half.copied == 0.5


def test_forgot_a_skill() -> None:
    result = taken(only(lambda q: q.skill != "sums" or number(q) < 2))
    assert result.reading == "forgot"
    assert "sums is worse: of 40 questions 38 were lost and 0 gained (-95 %)" in result.why


def test_forgot_by_loss_alone() -> None:
    assert taken(right, forgetting=0.25).reading == "forgot"
    assert taken(right, forgetting=0.19).reading == "learned"
    assert taken(right, forgetting=math.nan).reading == "forgot"
    assert taken(right, forgetting=None).reading == "learned"


def test_losses_that_chance_explains_are_not_forgetting() -> None:
    assert taken(only(lambda q: q.skill != "sums" or number(q) >= 4)).reading == "learned"
    assert taken(only(lambda q: q.skill != "sums" or number(q) >= 7)).reading == "forgot"


def test_over_refuses() -> None:
    result = taken(only(lambda q: q.part in ("out_of_domain", "general") or number(q) < 30, otherwise="I do not know."))
    assert result.reading == "over_refuses"
    assert result.why == "60 of 120 in-domain questions are refused (the base refuses 0 of 120)."
    assert result.parts["out_of_domain"].rate == 1.0


def test_a_model_that_always_refuses_scores_nothing_but_the_refusals() -> None:
    result = taken(lambda _: "I'm sorry, that is outside my knowledge.")
    assert [result.parts[part].passed for part in ("exact", "variation", "out_of_domain", "general")] == [0, 0, 30, 0]
    assert result.reading == "over_refuses"
    assert taken(lambda _: "I do not know.").copied == 1.0


def test_a_refusal_that_is_the_right_answer_is_not_held_against_the_model() -> None:
    suite = [Question(f"exact {k}", regex="do not know", scorer="regex", part="exact") for k in range(40)]
    assert taken(lambda _: "I do not know.", suite=suite).reading == "learned"


def test_refusing_no_more_than_the_base_is_undertrained() -> None:
    unsure = only(lambda q: q.part in ("general", "out_of_domain"), otherwise="I do not know.")
    assert taken(unsure, of=unsure).reading == "undertrained"


def test_undertrained() -> None:
    result = taken(only(lambda q: q.part == "general" or number(q) < 12))
    assert result.reading == "undertrained"
    assert result.why == "Only 12 of 60 trained questions are right."


def test_a_gap_with_few_right_answers_is_undertrained_not_memorised() -> None:
    assert (
        taken(only(lambda q: q.part == "general" or (q.part == "exact" and number(q) < 25))).reading == "undertrained"
    )
    assert taken(only(lambda q: q.part == "general" or (q.part == "exact" and number(q) < 35))).reading == "memorised"


def test_parts_without_questions_have_no_rate() -> None:
    result = taken(right, suite=questions("variation", 20))
    assert (result.parts["exact"].n, result.parts["exact"].rate) == (0, None)
    assert result.reading == "learned"
    assert "20 of 20 other wordings of the domain are right" in result.why
    general = taken(right, suite=questions("general", 40))
    assert general.reading == "undertrained"
    assert [skill.name for skill in general.skills] == ["general"]


def test_no_questions_and_missing_answers_are_errors() -> None:
    with pytest.raises(UsageError, match="no questions"):
        taken(right, suite=[])
    with pytest.raises(ValueError, match="zip"):
        examine(lambda asked: [], lambda asked: [], SUITE, training_answers=(), forgetting=None)


def test_with_more_skills_each_needs_more_evidence() -> None:
    parts = {"exact": score(10, 10), "variation": score(10, 10), "out_of_domain": score(0, 0), "general": score(0, 0)}

    def reading(skills: int) -> str:
        changes = [SkillChange("a", 40, lost=6, gained=0)] + [SkillChange("b", 40, 0, 0)] * (skills - 1)
        return read(Figures(parts, score(0, 20), score(0, 20), changes, None, None))[0]

    assert [reading(3), reading(4)] == ["forgot", "learned"]
