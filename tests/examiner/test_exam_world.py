"""The bundled base sits the bundled exam."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunewright.data.model_folder import resolve_model
from tunewright.examiner.ask import answer_all
from tunewright.examiner.examine import examine
from tunewright.examiner.suite import bundled_skills
from tunewright.probes.general import general_material
from tunewright.schema.exam import ExamResult

FEWEST = 0.80
"""What is promised of the base: at least 80 % of each skill's questions, at least 40 of them, in three skills."""


@pytest.fixture(scope="module")
def base() -> tuple[Any, Any]:
    folder = resolve_model("tiny")
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def result(base: tuple[Any, Any]) -> ExamResult:
    questions = bundled_skills()
    texts = answer_all(*base, [question.turns for question in questions]).texts
    return examine(lambda _: texts, lambda _: texts, questions, training_answers=(), forgetting=0.0)


def test_the_base_has_the_skills_that_tuning_may_cost_it(result: ExamResult) -> None:
    able = {skill.name: skill.base for skill in result.skills if skill.n >= 40 and skill.base >= FEWEST}
    assert len(able) >= 3


def test_a_model_beside_itself_has_forgotten_nothing(result: ExamResult) -> None:
    assert result.reading != "forgot"
    assert all(skill.base == skill.tuned for skill in result.skills)


def test_the_base_ends_its_answers_to_general_prompts(base: tuple[Any, Any]) -> None:
    def answer(prompts: Any) -> tuple[str | None, ...]:
        return answer_all(*base, prompts).finished

    made = general_material(answer, probe_count=60, replay_count=100, seed=0)
    assert (len(made.probe), len(made.replay)) == (61, 100)
