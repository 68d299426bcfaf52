"""A run that begins where another one stood: the other's checkpoint and history, copied into the new run's folder.

What is trained from there follows the new run's own recipe. With the same rows and the same rates up to the fork (an
absolute warm-up, a stable phase) it becomes what the separate run would be, bit for bit, and only the rest is paid for.
"""

from __future__ import annotations

from tunewright.engine.checkpoint import copy_checkpoint, drop_checkpoint, newest_step, state_at
from tunewright.record.files import write_whole
from tunewright.record.run import Run
from tunewright.schema import jsonio


def fork_run(trunk: Run, step: int, run: Run) -> None:
    """Let ``run``, whose folder exists, begin at ``step`` of ``trunk``, which kept a checkpoint there.

    The checkpoint comes last, so a run without one is forked again. What the trunk spent is noted as inherited.
    Raises DataError when the trunk has no checkpoint of that step.
    """
    spent = state_at(trunk.checkpoints, step)["state"]
    history = [event for event in trunk.events() if event.get("step", step + 1) <= step]
    write_whole(run.metrics_path, b"".join(jsonio.dumps(event) for event in history))
    inherited = [spent["tokens_train"], spent["tokens_eval"]]
    copy_checkpoint(trunk.checkpoints, step, run.checkpoints, stopped_because="", tokens_inherited=inherited)


def has_begun(run: Run) -> bool:
    """Whether the run has a checkpoint to go on from."""
    return newest_step(run.checkpoints) is not None


def reopen_end(run: Run) -> None:
    """Let a run whose last checkpoint is that of its end make its last stretch again, as it was.

    For what is only known while a run ends, when a kill came between that checkpoint and writing it down.
    """
    step = newest_step(run.checkpoints)
    if step is not None and state_at(run.checkpoints, step)["state"]["stopped_because"]:
        drop_checkpoint(run.checkpoints, step)
