"""The sentences a report opens with: what came of a run or a tuning, in plain words with the figures in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.reporter.tree import Tone
from tunewright.reporter.words import figure, one_line, percent, plural, signed
from tunewright.schema.exam import ExamResult, Score

if TYPE_CHECKING:
    from tunewright.reporter.run_view import RunView, TuningView

HEALTH_TONE: dict[str, Tone] = {"healthy": "good", "warning": "warn", "sick": "bad"}
SEVERITY_TONE: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "quiet"}
READINGS = {
    "learned": "it learned the new material",
    "memorised": "it repeats what it was trained on but does not answer other wordings",
    "forgot": "it lost old skills",
    "over_refuses": "it refuses questions it should answer",
    "undertrained": "it has not learned enough of the new material",
}
READING_TONE: dict[str, Tone] = {"learned": "good", "undertrained": "warn", "over_refuses": "warn"}
PARTS = {
    "exact": "Questions as trained",
    "variation": "The same in other words",
    "out_of_domain": "Outside the subject",
    "general": "Old skills",
}
"""The parts of an exam as a reader who never saw the code would call them."""


def run_verdict(view: RunView) -> tuple[str, Tone]:
    """One sentence or two on a run, and whether they are good news."""
    name = one_line(view.name, 80)
    if view.status == "failed":
        error = one_line(view.about.get("error") or "no reason was recorded", 300)
        return f"{name} failed: {error}", "bad"
    sentence = f"{_outcome(view, name)}{_health_clause(view)}."
    return f"{sentence} {exam_verdict(view.exam)}".strip(), _tone(view)


def _tone(view: RunView) -> Tone:
    if view.health == "sick" or (view.exam and view.exam.reading in ("memorised", "forgot")):
        return "bad"
    if view.status == "interrupted" or view.health == "warning":
        return "warn"
    return "good" if view.health == "healthy" else "quiet"


def _outcome(view: RunView, name: str) -> str:
    stopped = f"{name} was interrupted" if view.status == "interrupted" else ""
    if view.curve is None and view.eval_loss is None:
        return stopped or f"{name} has logged nothing yet"
    loss, base = view.eval_loss, view.base_eval_loss
    if loss is None:
        return stopped + (", and n" if stopped else f"{name}: n") + "o validation loss was measured"
    where = f" (best at step {view.best_step:,})" if view.best_step is not None else ""
    subject = f"{stopped}; so far it" if stopped else name
    if base is None:
        return f"{subject} reached a validation loss of {figure(loss)} nats per token{where}"
    if figure(loss) == figure(base):
        return f"{subject} left the validation loss where it was, at {figure(base)} nats per token"
    verb = "lowered" if loss < base else "did not lower"
    ends = (
        f" from {figure(base)} to {figure(loss)}" if loss < base else f": {figure(base)} before, {figure(loss)} after"
    )
    return f"{subject} {verb} the validation loss{ends} nats per token{where}"


def _health_clause(view: RunView) -> str:
    serious = [finding for finding in (view.diagnosis.findings if view.diagnosis else ()) if finding.severity != "info"]
    if view.health == "healthy":
        but = view.diagnosis.leaves_open if view.diagnosis else ""
        return "; its curve is healthy" + (f" as far as it tells: {but}" if but else "")
    if not serious:
        return ""
    word = "but its curve is sick" if view.health == "sick" else "with a warning"
    return f"; {word}: {one_line(serious[0].why, 300).rstrip('.')}"


def tuning_verdict(view: TuningView) -> tuple[str, Tone]:
    """One to three sentences on a tuning, and whether they are good news."""
    best = view.best_run
    if best is None:
        return f"{plural(len(view.runs), 'run')} so far; none has been chosen yet.", "quiet"
    name = one_line(best.name, 80)
    base = view.base_eval_loss
    if base is None and best.view:
        base = best.view.base_eval_loss
    loss = view.kept_loss
    sentences = [f"Use {name}, the best of {plural(len(view.runs), 'run')}." if len(view.runs) > 1 else f"Use {name}."]
    if view.averaged:
        sentences = [f"Use the mean of {one_line(', '.join(view.averaged), 200)}, kept in {name}/blend."]
    if loss is not None:
        fall = f"from {figure(base)} to {figure(loss)}" if base is not None else f"to {figure(loss)}"
        lower = base is None or loss < base
        sentences.append(f"It {'brings' if lower else 'changes'} the validation loss {fall} nats per token.")
    if best.health == "sick":
        sentences.append("Its curve is sick: read the findings before you use it.")
    sentences.append(exam_verdict(view.exam))
    tone = HEALTH_TONE.get(best.health, "quiet")
    if tone == "good" and view.exam is not None:
        tone = READING_TONE.get(view.exam.reading, "bad")
    return " ".join(sentence for sentence in sentences if sentence), tone


def exam_verdict(exam: ExamResult | None) -> str:
    """What the exam says, in a sentence; empty without an exam."""
    if exam is None:
        return ""
    forgot = exam.reading == "forgot"
    asked = _first_part(exam, ("general",)) if forgot else _asked(exam)
    rates = ""
    if asked is not None:
        tuned, base = asked
        before = f", {percent(base.rate)} before" if base is not None and base.rate is not None else ""
        rates = f" ({percent(tuned.rate)} of {'their' if forgot else 'the'} questions right{before})"
    return f"In the exam {READINGS.get(exam.reading, exam.reading)}{rates}."


def _asked(exam: ExamResult) -> tuple[Score, Score | None] | None:
    """The part that shows best whether the material was learned: other wordings, else the questions as trained."""
    return _first_part(exam, ("variation", "exact"))


def _first_part(exam: ExamResult, names: tuple[str, ...]) -> tuple[Score, Score | None] | None:
    part = next((part for part in names if part in exam.parts and exam.parts[part].n), None)
    return (exam.parts[part], exam.base_parts.get(part)) if part else None


def headline_facts(
    loss: float | None, base: float | None, exam: ExamResult | None, forgetting: float | None
) -> list[tuple[str, str]]:
    """The few figures that are read first."""
    facts = [("Validation loss", f"{figure(base)} → {figure(loss)}" if base is not None else figure(loss))]
    asked = _asked(exam) if exam else None
    if asked is not None:
        tuned, before = asked
        start = f"{percent(before.rate)} → " if before is not None and before.rate is not None else ""
        facts.append(("Exam, questions right", f"{start}{percent(tuned.rate)}"))
    facts.append(("Forgetting, nats per token", signed(forgetting)))
    return facts
