"""Every error a user can meet, in one tree.

    TunewrightError                 base: one line, a stable code, a hint, an exit code
    |-- UsageError (ValueError)     2  a wrong argument, name or combination
    |-- RecipeError (ValueError)    2  a recipe that cannot be meant: every fault listed at once
    |-- DataError (ValueError)      2  a data file, suite or log that cannot be used
    |-- ModelError (ValueError)     2  a model folder or tokenizer that cannot be used
    |-- RunFailed (RuntimeError)    3  a run that started and could not go on
    |-- EnvironmentMissing (OSError) 4 something this machine lacks: a package, a device, the network
    `-- Interrupted (RuntimeError)  130 stopped by the user after a clean checkpoint

The text says what happened and where, then what was expected; ``hint`` is the next command.
Faces print ``error: <message>`` and ``hint: <hint>`` and leave with ``exit_code``; nothing else in the
project decides exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """The published exit codes."""

    OK = 0
    BAD_ANSWER = 1
    USAGE = 2
    RUN_FAILED = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130


class TunewrightError(Exception):
    """What happened, where, what was expected; and the command that helps.

    >>> str(DataError("train.jsonl, line 3: not JSON", hint="tunewright check train.jsonl"))
    'train.jsonl, line 3: not JSON'
    """

    code = "error"
    exit_code = Exit.USAGE

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.code))


def _rebuild(kind: type[TunewrightError], message: str, hint: str, code: str) -> TunewrightError:
    return kind(message, hint=hint, code=code)


class UsageError(TunewrightError, ValueError):
    code = "usage"


class RecipeError(TunewrightError, ValueError):
    """All the faults of a recipe at once; ``faults`` holds them one by one."""

    code = "recipe"

    def __init__(self, faults: Sequence[str] | str, *, hint: str = "", code: str = "") -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("; ".join(self.faults), hint=hint, code=code)


class DataError(TunewrightError, ValueError):
    code = "data"


class ModelError(TunewrightError, ValueError):
    code = "model"


class RunFailed(TunewrightError, RuntimeError):
    code = "run_failed"
    exit_code = Exit.RUN_FAILED


class EnvironmentMissing(TunewrightError, OSError):
    code = "environment"
    exit_code = Exit.ENVIRONMENT


class Interrupted(TunewrightError, RuntimeError):
    code = "interrupted"
    exit_code = Exit.INTERRUPTED
