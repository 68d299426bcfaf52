"""Tasks of the lm-evaluation-harness as old skills of the exam; the package comes with the extra ``eval``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tunewright.app.tuned import Voice
from tunewright.app.watch import Watch
from tunewright.schema.errors import EnvironmentMissing

if TYPE_CHECKING:
    from tunewright.examiner.examine import TaskResult


def check_tasks(tasks: Sequence[str]) -> None:
    """Refuse tasks that cannot be run here, before a model is loaded.

    Raises EnvironmentMissing without the harness, UsageError for a task that is neither known nor a YAML file.
    """
    if not tasks:
        return
    if find_spec("lm_eval") is None:
        raise EnvironmentMissing(
            "tasks of the lm-evaluation-harness need lm-eval, which is not installed",
            hint='pip install "tunewright[eval]"',
        )
    from tunewright.examiner.harness import find_tasks

    find_tasks(tasks)


def run_tasks(tasks: Sequence[str], voices: Mapping[str, Voice], watch: Watch) -> tuple[TaskResult, ...]:
    """Each task asked of the base and of the tuned model; nothing without tasks."""
    if not tasks:
        return ()
    from tunewright.examiner.examine import TaskResult
    from tunewright.examiner.harness import ask_tasks

    right = {}
    for who, voice in voices.items():
        watch.say(f"asking the {who} model {', '.join(tasks)}")
        with voice.worn():
            right[who] = ask_tasks(tasks, voice.model, voice.tokenizer)
    return tuple(TaskResult(name, right["base"][name], right["tuned"][name]) for name in right["base"])
