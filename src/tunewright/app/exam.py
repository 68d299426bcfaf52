"""exam: the tuned model and its base, asked the same questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.app.watch import Silent, Watch
from tunewright.data.dataset import Dataset, load_dataset
from tunewright.data.sources import demo_files
from tunewright.examiner.examine import examine
from tunewright.examiner.suite import Question, bundled_skills, draft_suite, read_suite, save_suite
from tunewright.record.run import Run, open_run
from tunewright.schema.errors import UsageError
from tunewright.schema.exam import ExamResult
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import make_recipe, read_settings

if TYPE_CHECKING:
    from tunewright.engine.base import Base

DRAFTED_PER_PART = 120


@dataclass(frozen=True)
class Examined:
    """The result with the tokens that were forwarded to get it."""

    result: ExamResult
    tokens: int


def exam(source: str | Path, *, suite: str = "", draft: str = "", watch: Watch | None = None) -> ExamResult:
    """Examine a finished run (base beside tuned), or a plain model against the suite.

    Without ``suite`` the questions are drafted from the run's own data; ``draft`` also writes them to a file.
    Raises UsageError when there is nothing to examine, DataError for a suite that cannot be used.
    """
    from tunewright.engine.base import load_base

    watch = watch or Silent()
    if not (Path(source) / "recipe.yaml").is_file():
        return _exam_model(str(source), suite, watch)
    run = open_run(Path(source))
    recipe = make_recipe(read_settings(run.path / "recipe.yaml"), where=str(run.path / "recipe.yaml"))
    run.read()  # a damaged run.json is said before hundreds of questions are asked
    if not run.best.is_dir():
        raise UsageError(
            f"{run.path}: no best/ to examine, the run has not saved one", hint="run it again: tunewright train"
        )
    dataset = load_dataset(recipe.model_dump())
    questions = questions_for(recipe, dataset, suite)
    if draft:
        save_suite(questions, Path(draft))
    base = load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)
    examined = examine_run(run, recipe, base, dataset, questions, watch)
    return examined.result


def _exam_model(model: str, suite: str, watch: Watch) -> ExamResult:
    """A model without a run: base and tuned are the same model."""
    from tunewright.data.model_folder import resolve_model
    from tunewright.engine.base import load_base

    base = load_base(resolve_model(model), method="lora", precision="auto")
    questions = [*(read_suite(Path(suite)) if suite else ()), *bundled_skills()]
    answers = _asker(base, watch, "asking")[0](questions)
    return examine(lambda asked: answers, lambda asked: answers, questions, training_answers=(), forgetting=None)


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
    """Ask base and tuned model; the result is kept as exam.json in the run's folder."""
    from tunewright.engine.base import pristine

    ask_base, base_tokens = _asker(pristine(base), watch, "asking the base")
    base_answers = ask_base(questions)
    tuned, release = _tuned(base, recipe, run)
    ask_tuned, tuned_tokens = _asker(tuned, watch, "asking the tuned model")
    try:
        tuned_answers = ask_tuned(questions)
    finally:
        release()
    result = examine(
        lambda asked: base_answers,
        lambda asked: tuned_answers,
        questions,
        training_answers=tuple(row.answer for row in dataset.train),
        forgetting=run.read().get("result", {}).get("forgetting"),
    )
    run.write("exam.json", result)
    return Examined(result, base_tokens[0] + tuned_tokens[0])


def _tuned(base: Base, recipe: Recipe, run: Run) -> tuple[Base, Callable[[], None]]:
    """The base with the run's adapter on it and the way to take it off again; a full run has its own weights."""
    from tunewright.engine.base import load_base
    from tunewright.engine.export import load_tuned

    if recipe.method == "full":
        return load_base(str(run.best), method="full", precision=recipe.precision, template=recipe.template), _nothing
    return base, load_tuned(base, run.best).detach


def _nothing() -> None:
    return


def _asker(base: Base, watch: Watch, what: str) -> tuple[Callable[[Sequence[Question]], list[str]], list[int]]:
    from tunewright.examiner.ask import answer_all

    tokens = [0]

    def ask(questions: Sequence[Question]) -> list[str]:
        answers = answer_all(
            base.model,
            base.tokenizer,
            [question.turns for question in questions],
            on_progress=lambda done, total: watch.working(what, done, total),
        )
        tokens[0] += answers.tokens
        return list(answers.texts)

    return ask, tokens
