"""Tasks of EleutherAI's lm-evaluation-harness asked of a model in memory (read from lm-eval 0.4.13, 2026-10).

Only the questions' marks are taken over: one right-or-wrong per document, so that base and tuned model can be compared
pairwise like any other old skill. Imported only where the package is installed (extra ``eval``).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewright.schema.errors import EnvironmentMissing, UsageError
from tunewright.schema.recipe_io import nearest

METRICS = ("exact_match", "acc_norm", "acc", "mc2", "f1", "pass@1")
"""Which metric of a task counts, the first it has; a task without any of them gives its first one."""
BATCH_ROWS = 16


def find_tasks(tasks: Sequence[str]) -> list[str]:
    """The tasks as the harness takes them: names it knows, and YAML files.

    Raises UsageError for a name it does not know and for a file that is not there.
    """
    with _quiet():
        known = _manager().all_tasks
    for task in tasks:
        if task.endswith((".yaml", ".yml")):
            if not Path(task).is_file():
                raise UsageError(f"--tasks {task}: no such file", hint="lm-eval ls tasks lists the names")
        elif task not in known:
            guess = nearest(task, known)
            raise UsageError(
                f"--tasks {task}: not a task of the installed lm-eval" + (f"; did you mean {guess}?" if guess else ""),
                hint="lm-eval ls tasks",
            )
    return [str(Path(task).absolute()) if task.endswith((".yaml", ".yml")) else task for task in tasks]


def ask_tasks(tasks: Sequence[str], model: Any, tokenizer: Any) -> Mapping[str, tuple[bool, ...]]:
    """Task name -> whether each of its documents was answered right, in their order; chats through the template.

    A score between 0 and 1 counts as right from one half on. Raises EnvironmentMissing when a task's data cannot be
    fetched, UsageError when a task has no score per document.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    wanted = find_tasks(tasks)
    with _quiet(), _as_it_is(model), _harness_errors(tasks):
        asked = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH_ROWS)
        found = simple_evaluate(
            model=asked,
            tasks=wanted,
            task_manager=_manager(),
            log_samples=True,
            bootstrap_iters=0,
            apply_chat_template=bool(tokenizer.chat_template),
        )
    return {name: _right(name, samples) for name, samples in sorted(found["samples"].items())}


def _right(task: str, samples: Sequence[Mapping[str, Any]]) -> tuple[bool, ...]:
    """Marks of one task by document, under its first filter."""
    first = samples[0].get("filter") if samples else None
    rows = sorted((one for one in samples if one.get("filter") == first), key=lambda one: int(one["doc_id"]))
    names = list(rows[0]["metrics"]) if rows else []
    metric = next((name for name in METRICS if name in names), names[0] if names else "")
    values = [row.get(metric) for row in rows]
    if not values or not all(isinstance(value, (bool, int, float)) for value in values):
        raise UsageError(f"--tasks {task}: it has no score of each question, only {', '.join(names) or 'none at all'}")
    return tuple(float(value) >= 0.5 for value in values)  # type: ignore[arg-type]


def _manager() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager()


@contextmanager
def _as_it_is(model: Any) -> Iterator[None]:
    """The harness ties the two ends of a model's vocabulary, which would undo an adapter that trained one of them."""
    model.tie_weights = lambda *_, **__: None
    try:
        yield
    finally:
        del model.tie_weights


@contextmanager
def _harness_errors(tasks: Sequence[str]) -> Iterator[None]:
    names = ", ".join(tasks)
    try:
        yield
    except (ConnectionError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EnvironmentMissing(
            f"--tasks {names}: its data cannot be fetched: {reason}", hint="try it online"
        ) from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"--tasks {names}: the harness cannot run it: {reason}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines and warnings of the harness on stderr."""
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
