"""The exam: what the tuned model answers that its base did not, what it forgot, and answers to read for oneself."""

from __future__ import annotations

import math

from tunewright.reporter.tree import Bar, Block, Cell, Example, Fold, Paragraph, Section, table
from tunewright.reporter.verdicts import PARTS as PART_NAMES
from tunewright.reporter.verdicts import READING_TONE, exam_verdict
from tunewright.reporter.words import figure, percent, plural, safe, signed
from tunewright.schema.exam import PARTS, Answer, ExamResult, Score

MOST_EXAMPLES = 5
ANSWER_LENGTH = 600
"""Characters of one question or answer that are shown."""


def exam_section(exam: ExamResult | None) -> Section:
    """The exam's section; says so when none was held."""
    if exam is None:
        return Section("exam", "The exam", (Paragraph("No exam was held (tunewright exam RUN)."),))
    blocks: list[Block] = [Paragraph(exam_verdict(exam), READING_TONE.get(exam.reading, "bad"))]
    blocks += [Paragraph(safe(exam.why))] if exam.why else []
    blocks.append(_parts(exam))
    blocks += [_skills(exam)] if exam.skills else []
    blocks.append(Paragraph(_copied(exam)))
    blocks += _examples(exam.answers)
    return Section("exam", "The exam", tuple(blocks), brief=True)


def _parts(exam: ExamResult) -> Block:
    rows: list[tuple[Cell | str, ...]] = [
        (
            PART_NAMES[part],
            f"{exam.parts[part].n:,}",
            score_cell(exam.base_parts.get(part)),
            score_cell(exam.parts[part]),
        )
        for part in PARTS
        if part in exam.parts
    ]
    note = "Share of questions answered right; in brackets the 95 % Wilson interval."
    return table("Base and tuned model by part of the exam", "part|questions #|base|tuned", rows, note=note)


def score_cell(score: Score | None) -> Cell:
    """A rate with its interval and bar; says so when nothing was asked."""
    if score is None or not score.n or score.rate is None or not math.isfinite(score.rate):
        return Cell("not asked")
    interval = f"{percent(score.rate)} ({100 * score.low:.0f}–{100 * score.high:.0f})"
    return Cell(interval, bar=Bar(score.rate, score.low, score.high))


def _skills(exam: ExamResult) -> Block:
    rows: list[tuple[Cell | str, ...]] = []
    for skill in exam.skills:
        base, tuned = (Cell(percent(rate), bar=_bare(rate)) for rate in (skill.base, skill.tuned))
        rows.append((safe(skill.name.replace("_", " "), 80), f"{skill.n:,}", base, tuned))
    return table("Old skills, base and tuned", "skill|questions #|base|tuned", rows)


def _bare(rate: float) -> Bar | None:
    return Bar(rate, rate, rate) if math.isfinite(rate) else None


def _copied(exam: ExamResult) -> str:
    rise = exam.forgetting.get("nats_per_token")
    forgot = f" On general text its loss changed by {signed(rise)} nats per token." if rise is not None else ""
    kl = exam.forgetting.get("kl_new_task")
    forgot += f" On the new task its answers moved by {figure(kl)} nats per token (KL)." if kl is not None else ""
    if exam.copied is None:
        return f"It gave no wrong answer, so none was copied from the training data.{forgot}"
    return f"{percent(exam.copied)} of its wrong answers are copied word for word from the training data.{forgot}"


def _examples(answers: tuple[Answer, ...]) -> list[Block]:
    """Answers to read: first where the tuned model is wrong, then where it is right and the base was not."""
    if not answers:
        return []
    wrong = [answer for answer in answers if not answer.tuned_passed]
    gained = [answer for answer in answers if answer.tuned_passed and not answer.base_passed]
    right = gained or [answer for answer in answers if answer.tuned_passed]
    blocks: list[Block] = []
    for title, chosen in (("Wrong answers", wrong), ("Right answers", right)):
        if chosen:
            shown = f"{title}: {min(MOST_EXAMPLES, len(chosen))} of {plural(len(chosen), 'answer')}"
            blocks.append(Fold(shown, tuple(_example(answer) for answer in _spread(chosen))))
    return blocks


def _spread(answers: list[Answer]) -> list[Answer]:
    """A few answers, from as many parts as possible: each part's first, then each part's second, and so on."""
    by_part: dict[str, list[Answer]] = {}
    for answer in answers:
        by_part.setdefault(answer.part, []).append(answer)
    longest = max(len(group) for group in by_part.values())
    dealt = [group[turn] for turn in range(longest) for group in by_part.values() if turn < len(group)]
    return dealt[:MOST_EXAMPLES]


def _example(answer: Answer) -> Example:
    return Example(
        question=safe(answer.question, ANSWER_LENGTH),
        expected=safe(" / ".join(answer.expected), ANSWER_LENGTH),
        base=safe(answer.base, ANSWER_LENGTH),
        tuned=safe(answer.tuned, ANSWER_LENGTH),
        base_passed=answer.base_passed,
        tuned_passed=answer.tuned_passed,
    )
