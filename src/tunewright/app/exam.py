"""exam: the tuned model and its base, asked the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.app.harness import check_tasks, run_tasks
from tunewright.app.model_card import write_card
from tunewright.app.tuned import Source, Voice, find_tuned, is_tuned, load_source_base, voices_of
from tunewright.app.watch import Silent, Watch
from tunewright.data.dataset import Dataset, load_dataset
from tunewright.data.model_folder import resolve_model
from tunewright.data.read import read_rows
from tunewright.data.sources import demo_files, open_source
from tunewright.examiner.examine import examine
from tunewright.examiner.suite import Question, bundled_skills, draft_suite, outside_questions, read_suite, save_suite
from tunewright.record.files import new_file
from tunewright.record.run import Run
from tunewright.schema.errors import EnvironmentMissing, UsageError
from tunewright.schema.exam import ExamResult
from tunewright.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.engine.base import Base

DRAFTED_PER_PART = 120
HELD_OUT = "topics"
"""What ``outside`` says for the topics that were held out of the run's own data."""


@dataclass(frozen=True)
class Examined:
    """The result with the tokens that were forwarded to get it."""

    result: ExamResult
    tokens: int


def exam(
    source: str | Path,
    *,
    suite: str = "",
    draft: str = "",
    model: str = "",
    data: str = "",
    outside: str = "",
    tasks: Sequence[str] = (),
    watch: Watch | None = None,
) -> ExamResult:
    """Examine a run or an adapter of any trainer (base beside tuned), or a plain model against the suite.

    suite: questions as JSONL; without it they are drafted from the run's own data, or from ``data``, which an adapter
    folder needs for it. draft: also write the questions to this file. model: the adapter's base, where it is not
    recorded or has moved. outside: a data file of another domain, whose questions are to be refused, or "topics": the
    held-out rows on topics that no trained row is about. tasks:
    lm-evaluation-harness tasks (names or YAML files) as further old skills; needs the extra ``eval``.

    Raises UsageError when there is nothing to examine, DataError for a suite that cannot be used; before a model is
    loaded.
    """
    watch = watch or Silent()
    given = read_suite(Path(suite)) if suite else ()  # a bad suite is said first
    if draft:
        new_file(draft, "--draft")
    if not is_tuned(source):
        return _exam_model(str(source), given, tasks, watch)
    tuned = find_tuned(source, model)
    dataset = _dataset(tuned, data)
    asked = list(given) or _drafted(tuned, dataset)
    seed = tuned.recipe.seed if tuned.recipe else 0
    questions = [*_outside(asked, outside, dataset, seed), *_skills(asked, tasks)]
    check_tasks(tasks)
    if draft:
        save_suite(questions, Path(draft))
    base = load_source_base(tuned)
    return _examined(tuned, base, dataset, questions, watch, tasks=tasks).result


def _exam_model(name: str, given: Sequence[Question], tasks: Sequence[str], watch: Watch) -> ExamResult:
    """A model without a run: base and tuned are the same model."""
    from tunewright.engine.base import load_base

    check_tasks(tasks)
    base = load_base(resolve_model(name))
    voice = Voice("model", base.model, base.tokenizer, nullcontext)
    questions = [*given, *_skills(given, tasks)]
    answers, _ = _answers(voice, questions, watch, "asking")
    found = run_tasks(tasks, {"base": voice, "tuned": voice}, watch)
    return examine(
        lambda asked: answers,
        lambda asked: answers,
        questions,
        training_answers=(),
        forgetting=None,
        tasks=found,
    )


def _dataset(tuned: Source, data: str) -> Dataset | None:
    """The rows a run was trained on, or the file given for an adapter; None when nothing is known of them."""
    if data:
        seed = tuned.recipe.seed if tuned.recipe else 0
        return load_dataset({"data": data, "val_size": 0.1, "seed": seed})
    return load_dataset(tuned.recipe.model_dump()) if tuned.recipe else None


def _drafted(tuned: Source, dataset: Dataset | None) -> list[Question]:
    """Questions without a suite. Raises UsageError for an adapter of which no data is known."""
    if tuned.recipe is not None and dataset is not None:
        return questions_for(tuned.recipe, dataset)
    if dataset is None:
        raise UsageError(
            f"{tuned.folder}: nothing says what it was trained on, so there is nothing to ask",
            hint="give questions or rows: --suite FILE, or --data FILE",
        )
    return list(draft_suite(dataset.train, dataset.val, limit=DRAFTED_PER_PART, seed=0))


def _outside(asked: Sequence[Question], outside: str, dataset: Dataset | None, seed: int) -> list[Question]:
    """The questions with those that are to be refused: of a file, or held-out topics of the data itself.

    A held-out topic's own wordings are then no longer asked for an answer.
    """
    if not outside:
        return list(asked)
    known = (*dataset.train, *dataset.val) if dataset else ()
    if outside != HELD_OUT:
        rows = read_rows(open_source(outside)).rows
        return [*asked, *outside_questions(rows, known, limit=DRAFTED_PER_PART, seed=seed)]
    trained = {row.topic for row in dataset.train} if dataset else set()
    rows = tuple(row for row in (dataset.val if dataset else ()) if row.topic and row.topic not in trained)
    if not rows:
        raise UsageError(
            "--outside topics: every topic of the held-out rows was trained on, or the rows name no topics",
            hint="give rows of another domain: --outside FILE",
        )
    found = outside_questions(rows, (), limit=DRAFTED_PER_PART, seed=seed)
    refused = {question.turns for question in found}
    return [*(question for question in asked if question.turns not in refused), *found]


def _skills(asked: Sequence[Question], tasks: Sequence[str]) -> tuple[Question, ...]:
    """The bundled skills, unless the questions or the tasks bring old skills of their own."""
    has_general = bool(tasks) or any(question.part == "general" for question in asked)
    return () if has_general else bundled_skills()


def questions_for(recipe: Recipe, dataset: Dataset, suite: str = "") -> list[Question]:
    """The suite given, or the demo's own, or one drafted from the data; always with the bundled skills."""
    chosen = suite or _demo_suite(recipe)
    own = read_suite(Path(chosen)) if chosen else draft_suite(
        dataset.train, dataset.val, limit=DRAFTED_PER_PART, seed=recipe.seed
    )  # fmt: skip
    has_general = any(question.part == "general" for question in own)
    return [*own, *(() if has_general else bundled_skills())]


def _demo_suite(recipe: Recipe) -> str:
    demo = demo_files()
    return str(demo["suite"]) if recipe.data == str(demo["train"]) else ""


def examine_run(
    run: Run, recipe: Recipe, base: Base, dataset: Dataset, questions: Sequence[Question], watch: Watch
) -> Examined:
    """Ask base and tuned model; the result is kept as exam.json in the run's folder. The base is then itself again."""
    from tunewright.engine.base import pristine

    tuned = find_tuned(run.path)
    return _examined(tuned, pristine(base), dataset, questions, watch)


def _examined(
    tuned: Source,
    base: Base,
    dataset: Dataset | None,
    questions: Sequence[Question],
    watch: Watch,
    *,
    tasks: Sequence[str] = (),
) -> Examined:
    from tunewright.app.drift import moved
    from tunewright.engine.on_model import take_off

    of_base, of_tuned = voices_of(tuned, base)
    try:
        base_answers, base_tokens = _answers(of_base, questions, watch, "asking the base")
        tuned_answers, tuned_tokens = _answers(of_tuned, questions, watch, "asking the tuned model")
        drift = moved(tuned, dataset, of_base, of_tuned, watch)
        found = run_tasks(tasks, {"base": of_base, "tuned": of_tuned}, watch)
    finally:
        take_off(base.model)
    result = examine(
        lambda asked: base_answers,
        lambda asked: tuned_answers,
        questions,
        training_answers=tuple(row.answer for row in dataset.train) if dataset else (),
        forgetting=drift.rise,
        kl_new_task=drift.kl,
        tasks=found,
    )
    if tuned.run is not None and tuned.recipe is not None:
        tuned.run.write("exam.json", result)
        write_card(tuned.run)
        _tell(tuned.run, tuned.recipe, result, watch)
    return Examined(result, base_tokens + tuned_tokens + drift.tokens)


def _tell(run: Run, recipe: Recipe, result: ExamResult, watch: Watch) -> None:
    """Send the rates of the exam to the run's trackers; one that is not installed here misses them, which is said."""
    from tunewright.engine.trackers import Told, tell_trackers

    rates = {f"exam/{part}": score.rate for part, score in result.parts.items() if score.rate is not None}
    known = run.read().get("result", {})
    told = Told(int(known.get("steps") or 0), str(known.get("health") or ""), (), rates)
    try:
        tell_trackers(recipe, run.path, told)
    except EnvironmentMissing as error:
        watch.say(error.message)


def _answers(voice: Voice, questions: Sequence[Question], watch: Watch, what: str) -> tuple[list[str], int]:
    """Greedy answers in order, and the tokens they took."""
    from tunewright.examiner.ask import answer_all

    with voice.worn():
        answers = answer_all(
            voice.model,
            voice.tokenizer,
            [question.turns for question in questions],
            on_progress=lambda done, total: watch.working(what, done, total),
        )
    if answers.cut_prompts and voice.who != "tuned":  # the same tokenizer and context: once is enough
        watch.say(
            f"{answers.cut_prompts} of {len(questions)} questions are longer than the model reads and lost their "
            "beginning: what is said to them counts little"
        )
    return list(answers.texts), answers.tokens
