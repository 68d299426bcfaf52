"""plan --measure: dry steps and gradients of the user's own rows on this machine, and the plan that follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tunewright.app.prepare import Prepared
from tunewright.app.watch import Watch
from tunewright.data.model_folder import called
from tunewright.engine.base import load_base
from tunewright.engine.step import is_out_of_memory
from tunewright.planner.machine import this_machine
from tunewright.planner.measured import measured_memory
from tunewright.planner.planner import make_plan
from tunewright.probes.dry_step import DryRun, dry_run
from tunewright.probes.noise_scale import NoiseRun, measure_noise
from tunewright.schema.errors import DataError, RunFailed
from tunewright.schema.measured import MeasuredSide, Measurement, Pace
from tunewright.schema.plan import Plan
from tunewright.schema.recipe import Recipe


def measured_plan(prepared: Prepared, given: Mapping[str, Any], watch: Watch, **how: Any) -> Plan:
    """The plan of ``prepared`` made again with what was measured: memory, then noise with the batch that fits.

    given, how : what the first plan was made with (``preset``, ``task``)

    Raises DataError without a row to train on, RunFailed when a single row does not fit, Interrupted when the watch
    wants to stop.
    """
    recipe = prepared.recipe
    how = {**how, "past": prepared.past}
    if not prepared.train.rows:
        raise DataError("no training rows: nothing can be measured", hint=f"tunewright check {recipe.data}")
    watch.say(f"loading {called(recipe.model)}")
    base = load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)
    train, val = prepared.train.rows, prepared.val.rows
    with _told_when_memory_is_full():
        dry = dry_run(base, recipe, train, val, on_progress=watch.working, should_stop=watch.should_stop)
        found = _measurement(recipe, str(base.device), dry)
        fitting = make_plan(
            prepared.facts, prepared.model, this_machine(), given=given, measured=measured_memory(found), **how
        )
        noise = measure_noise(base, fitting.recipe, train, on_progress=watch.working, should_stop=watch.should_stop)
    found = _with_noise(found, noise, fitting.recipe.effective_batch_size)
    plan = make_plan(
        prepared.facts,
        prepared.model,
        this_machine(),
        given=given,
        measured=measured_memory(found),
        pace=found.pace,
        noise=found.noise[-1],
        **how,
    )
    return replace(plan, measured=found)


@contextmanager
def _told_when_memory_is_full() -> Iterator[None]:
    """Where not even one row fits, the error says what was being done."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(f"out of memory while measuring: {str(error).splitlines()[0]}", code="out_of_memory") from None


def _measurement(recipe: Recipe, device: str, dry: DryRun) -> Measurement:
    return Measurement(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        method=recipe.method,
        gradient_checkpointing=recipe.gradient_checkpointing,
        length=dry.length,
        train=dry.train,
        eval=dry.eval,
        noise=(),
        pace=Pace(_tokens_per_s(dry.train), _tokens_per_s(dry.eval), dry.train.points[-1].rows),
        notes=tuple(_notes("training steps", dry.train) + _notes("evaluation passes", dry.eval)),
    )


def _with_noise(found: Measurement, noise: NoiseRun, rows_per_step: int) -> Measurement:
    pace = replace(found.pace, train_tokens_per_s=noise.tokens_per_s, rows_per_step=rows_per_step)
    return replace(found, noise=noise.readings, pace=pace)


def _tokens_per_s(side: MeasuredSide) -> float:
    point = side.points[-1]
    return point.tokens / point.seconds


def _notes(what: str, side: MeasuredSide) -> list[str]:
    notes = []
    sizes = " and ".join(str(point.rows) for point in side.points)
    if side.ceiling_rows is not None:
        notes.append(f"{what}: {side.ceiling_rows} rows at once ran out of memory")
    if not side.told_apart:
        notes.append(
            f"{what}: the peaks of {sizes} rows at once cannot be told apart, so the memory per row is not known; "
            "the higher of them is taken for any number of rows"
        )
    return notes
