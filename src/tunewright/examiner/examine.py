"""The exam itself: both models answer every question, the answers are scored, the scores read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tunewright.data.normalise import normalised
from tunewright.examiner.question import Question
from tunewright.examiner.rates import score
from tunewright.examiner.reading import Figures, SkillChange, read
from tunewright.examiner.refusal import is_refusal
from tunewright.examiner.score import passes
from tunewright.schema.errors import UsageError
from tunewright.schema.exam import PARTS, Answer, ExamResult, Score, Skill

Ask = Callable[[Sequence[Question]], Sequence[str]]
"""A model: one answer for each question, in order."""
IN_DOMAIN = ("exact", "variation")
UNNAMED_SKILL = "general"


@dataclass(frozen=True)
class TaskResult:
    """An old skill asked elsewhere: whether each model was right, question by question, in the same order."""

    name: str
    base: tuple[bool, ...]
    tuned: tuple[bool, ...]

    @property
    def skill(self) -> Skill:
        n = max(1, len(self.base))
        return Skill(name=self.name, n=len(self.base), base=sum(self.base) / n, tuned=sum(self.tuned) / n)

    @property
    def change(self) -> SkillChange:
        pairs = list(zip(self.base, self.tuned, strict=True))
        lost, gained = sum(was and not now for was, now in pairs), sum(now and not was for was, now in pairs)
        return SkillChange(name=self.name, n=len(pairs), lost=lost, gained=gained)


@dataclass(frozen=True)
class _Marked:
    """One question with both answers and their marks."""

    question: Question
    base: str
    tuned: str
    base_passed: bool
    tuned_passed: bool


def examine(
    ask_base: Ask,
    ask_tuned: Ask,
    questions: Sequence[Question],
    *,
    training_answers: Iterable[str],
    forgetting: float | None,
    kl_new_task: float | None = None,
    tasks: Sequence[TaskResult] = (),
) -> ExamResult:
    """Ask both models everything once, score, and read the result.

    ``training_answers``: all answers of the training rows; ``copied`` is the share of the tuned model's wrong answers
    that equal one of them when normalised (None without wrong answers). ``forgetting``: rise of the loss on general
    rows, ``kl_new_task``: KL(tuned || base) on the new task's answers, both in nats per token, None when not measured.
    ``tasks``: further old skills, asked elsewhere, which count like general questions. Parts without questions have
    n = 0 and no rate.
    Raises UsageError when there is no question.
    """
    if not questions and not tasks:
        raise UsageError("the exam has no questions", hint="draft a suite: tunewright exam RUN --draft OUT")
    marked = _marked(questions, ask_base(questions), ask_tuned(questions))
    parts: dict[str, Score] = {part: _part(marked, part, tuned=True) for part in PARTS}
    base_parts: dict[str, Score] = {part: _part(marked, part, tuned=False) for part in PARTS}
    for task in tasks:
        parts["general"] = _with(parts["general"], task.tuned)
        base_parts["general"] = _with(base_parts["general"], task.base)
    copied = _copied(marked, training_answers)
    reading, why = read(
        Figures(
            parts=parts,
            refused=_refused(marked, tuned=True),
            base_refused=_refused(marked, tuned=False),
            skills=(*_skill_changes(marked), *(task.change for task in tasks)),
            forgetting=forgetting,
            copied=copied,
        )
    )
    return ExamResult(
        parts=parts,
        base_parts=base_parts,
        skills=(*_skills(marked), *(task.skill for task in tasks)),
        copied=copied,
        reading=reading,
        forgetting={"nats_per_token": forgetting, "kl_new_task": kl_new_task},
        why=why,
        answers=tuple(_answer(one) for one in marked),
    )


def _marked(questions: Sequence[Question], base: Sequence[str], tuned: Sequence[str]) -> list[_Marked]:
    return [
        _Marked(question, of_base, of_tuned, passes(of_base, question), passes(of_tuned, question))
        for question, of_base, of_tuned in zip(questions, base, tuned, strict=True)
    ]


def _answer(one: _Marked) -> Answer:
    asked = one.question
    return Answer(asked.part, asked.question, asked.expected, one.base, one.tuned, one.base_passed, one.tuned_passed)


def _with(one: Score, passed: Sequence[bool]) -> Score:
    return score(one.passed + sum(passed), one.n + len(passed))


def _part(marked: Sequence[_Marked], part: str, *, tuned: bool) -> Score:
    asked = [one for one in marked if one.question.part == part]
    return score(sum(one.tuned_passed if tuned else one.base_passed for one in asked), len(asked))


def _refused(marked: Sequence[_Marked], *, tuned: bool) -> Score:
    """In-domain questions that expect an answer and got a refusal, in general words or in the suite's own."""
    own = {normalised(text) for one in marked if one.question.scorer == "refusal" for text in one.question.answers}
    asked = [one for one in marked if one.question.part in IN_DOMAIN and one.question.scorer != "refusal"]
    passed = [one.tuned_passed if tuned else one.base_passed for one in asked]
    given = [one.tuned if tuned else one.base for one in asked]
    refused = [is_refusal(text) or normalised(text) in own for text in given]
    return score(sum(no and not right for no, right in zip(refused, passed, strict=True)), len(asked))


def _copied(marked: Sequence[_Marked], training_answers: Iterable[str]) -> float | None:
    wrong = [normalised(one.tuned) for one in marked if not one.tuned_passed]
    if not wrong:
        return None
    trained = {normalised(answer) for answer in training_answers} - {""}
    return sum(text in trained for text in wrong) / len(wrong)


def _by_skill(marked: Sequence[_Marked]) -> dict[str, list[_Marked]]:
    """General questions by skill, in order of first appearance; those without a name together."""
    groups: dict[str, list[_Marked]] = {}
    for one in marked:
        if one.question.part == "general":
            groups.setdefault(one.question.skill or UNNAMED_SKILL, []).append(one)
    return groups


def _skills(marked: Sequence[_Marked]) -> tuple[Skill, ...]:
    return tuple(
        Skill(
            name=name,
            n=len(group),
            base=sum(one.base_passed for one in group) / len(group),
            tuned=sum(one.tuned_passed for one in group) / len(group),
        )
        for name, group in _by_skill(marked).items()
    )


def _skill_changes(marked: Sequence[_Marked]) -> tuple[SkillChange, ...]:
    return tuple(
        SkillChange(
            name=name,
            n=len(group),
            lost=sum(one.base_passed and not one.tuned_passed for one in group),
            gained=sum(one.tuned_passed and not one.base_passed for one in group),
        )
        for name, group in _by_skill(marked).items()
    )
