"""From a request to everything a run needs but the model's weights: rows, tokens, facts and the plan."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.app.past import past_runs
from tunewright.app.request import Request, read_request
from tunewright.data.check import CheckReport, check_rows
from tunewright.data.dataset import Dataset, load_dataset
from tunewright.data.dataset import facts as data_facts
from tunewright.data.encode import encode_rows
from tunewright.data.model_folder import load_tokenizer, model_facts, resolve_model
from tunewright.data.tokens import Encoded, TokenRow, default_max_length
from tunewright.planner.machine import this_machine
from tunewright.planner.planner import READING_KEYS, make_plan, settings_before_reading
from tunewright.planner.sources import TUNEWRIGHT
from tunewright.probes.general import replay_rows_from_file
from tunewright.schema.errors import DataError, ModelError
from tunewright.schema.facts import DataFacts, MachineFacts, ModelFacts, PastRun
from tunewright.schema.plan import Plan, PlannedValue
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe


@dataclass(frozen=True)
class Read:
    """Rows as text and as tokens with the check of them: all that is known before a plan is made."""

    dataset: Dataset
    tokenizer: Any
    train: Encoded
    val: Encoded
    check: CheckReport
    facts: DataFacts
    model: ModelFacts


@dataclass(frozen=True)
class Prepared(Read):
    """The same with the plan whose recipe will be run, and the runs it learned from."""

    plan: Plan
    past: tuple[PastRun, ...] = ()

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    @property
    def tokens_per_row(self) -> float:
        return self.train.tokens / max(1, len(self.train.rows))


def prepare(
    request: Request,
    *,
    refuse_faults: bool = True,
    runs_dir: str | Path | None = None,
    before: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Read, encode, check and plan. Raises DataError for error-level faults (unless told not to refuse).

    ``runs_dir``: the plan learns from the runs of the same model below it, those that ended before the time
    ``before`` when that is given. ``on_progress(rows done, rows in all)`` is called while rows become tokens.
    """
    asked = read_request(request)
    given = {**asked.values, "model": resolve_model(str(asked.values["model"]))}
    past = () if runs_dir is None else past_runs(Path(runs_dir), given["model"], before=before)
    made = prepare_settings(given, request, refuse_faults=refuse_faults, past=past, on_progress=on_progress)
    notes = (*_faults_said(made.check), *asked.notes)
    return replace(made, plan=replace(made.plan, warnings=(*made.plan.warnings, *notes)))


def prepare_settings(
    given: Mapping[str, Any],
    request: Request,
    *,
    refuse_faults: bool = True,
    past: tuple[PastRun, ...] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """The same from recipe keys; the rest of the request (preset, task, VRAM) still counts."""
    read = read_data(given, request, on_progress=on_progress)
    look = check_command(given)
    if refuse_faults:
        refuse(read.check, str(given["data"]), look)
    if not read.train.rows:
        why = "; ".join(f"{fault.fault}: {fault.why}" for fault in read.check.faults if fault.severity == "error")
        raise DataError(f"{given['data']}: no training rows, nothing can be planned: {why or 'none left'}", hint=look)
    plan = make_plan(
        read.facts,
        read.model,
        this_machine(),
        given=given,
        preset=request.preset or None,
        task=request.task or None,
        vram_GiB=request.vram_GiB,
        past=past,
    )
    if plan.recipe.replay is not None and plan.recipe.replay.data != "general":
        replay_rows_from_file(Path(plan.recipe.replay.data))  # said now, before a run folder is made for nothing
    return Prepared(**vars(read), plan=plan, past=past)


def check_command(given: Mapping[str, Any]) -> str:
    """The ``check`` that reads the same rows in the same way, so that it shows the same faults."""
    named = [f"--{key} {shlex.quote(str(given[key]))}" for key in ("model", "val") if given.get(key)]
    read = {key: given[key] for key in ("test", "template", *READING_KEYS) if given.get(key) is not None}
    settings = [f"--set {key}={shlex.quote(str(one))}" for key, one in read.items() if not _is_usual(key, one)]
    return " ".join(["tunewright check", shlex.quote(str(given["data"])), *named, *settings])


def _is_usual(key: str, value: Any) -> bool:
    return bool(Recipe.model_fields[key].default == value)


def read_data(
    given: Mapping[str, Any],
    request: Request,
    *,
    kept: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Read:
    """Read, encode and check, whatever is wrong with the rows; nothing is refused and nothing planned.

    ``kept``: so many token rows of each part are enough (all, when None).
    """
    model = model_facts(given["model"])
    reading = settings_before_reading(
        given, context=model.context, preset=request.preset or None, vram_GiB=request.vram_GiB
    )
    dataset = load_dataset({**given, **reading})
    tokenizer = load_tokenizer(given["model"], given.get("template"))
    max_length = int(reading.get("max_length") or default_max_length(model.context))
    stage = str(reading.get("stage", "sft"))
    train, val, test = (
        encode_rows(
            rows,
            tokenizer,
            loss_on=str(reading.get("loss_on", "assistant")),
            max_length=max_length,
            stage=stage,
            kept=kept,
            on_progress=on_progress,
        )
        for rows in (dataset.train, dataset.val, dataset.test)
    )
    _refuse_unknown_tokens(model, tokenizer, (*train.rows, *val.rows, *test.rows))
    facts = data_facts(dataset, train, val, max_length=max_length, stage=stage)
    return Read(dataset, tokenizer, train, val, check_rows(dataset, train, val, test), facts, model)


def _refuse_unknown_tokens(model: ModelFacts, tokenizer: Any, rows: Sequence[TokenRow]) -> None:
    """Raise ModelError for tokens that were added to the tokenizer and not to the model."""
    if len(tokenizer) <= model.vocab_size:
        return
    highest = max((int(row.ids.max()) for row in rows if len(row)), default=0)
    if highest >= model.vocab_size:
        raise ModelError(
            f"{model.name}: the rows have token {highest} ({tokenizer.convert_ids_to_tokens(highest)}), but the model "
            f"has embeddings for {model.vocab_size} tokens",
            hint="model.resize_token_embeddings(len(tokenizer)), save both, train with modules_to_save: [embed_tokens]",
        )


def replanned(
    prepared: Prepared, recipe: Recipe, changes: tuple[Change, ...], machine: MachineFacts | None = None
) -> Prepared:
    """The same data under another recipe; changed values carry the reason of their change.

    A change of how the data is read (length, template, loss, split) reads it again. ``machine``: when it is known
    already; asking it takes a moment.
    """
    given = recipe.model_dump()
    read_anew = any(given[key] != getattr(prepared.recipe, key) for key in READ_KEYS)
    if read_anew:
        prepared = prepare_settings(given, Request())
    plan = make_plan(prepared.facts, prepared.model, machine or this_machine(), given=given)
    reasons = {value.key: value for value in prepared.plan.values}
    reasons |= {
        change.key: replace(reasons[change.key], value=change.after, why=change.why, source=change.source)
        for change in changes
        if change.key in reasons
    }
    values = tuple(_with_reason(value, reasons[value.key]) for value in plan.values)
    return replace(prepared, plan=replace(plan, values=values))


def _with_reason(value: PlannedValue, known: PlannedValue) -> PlannedValue:
    """The value with the reason that is known for it; a reason of another value is none for this one."""
    if known.value == value.value:
        return known
    return replace(value, why="It follows from the changes that were made for this run.", source=TUNEWRIGHT)


READ_KEYS = ("data", "val", "test", "template", *READING_KEYS)
"""Keys that decide how the data is read, split and cut."""


def _faults_said(check: CheckReport) -> tuple[str, ...]:
    """For a plan of data that cannot be trained on as it is: what train and tune will refuse it for."""
    return tuple(
        f"training will be refused, {fault.fault}: {fault.why}" for fault in check.faults if fault.severity == "error"
    )


def refuse(check: CheckReport, data: str, look: str) -> None:
    """Raise one DataError that names every error-level fault with its rows; ``look``: the command that checks them."""
    errors = [fault for fault in check.faults if fault.severity == "error"]
    if errors:
        named = "; ".join(f"{fault.fault}: {fault.why}" for fault in errors)
        raise DataError(f"{data}: {named}", hint=f"{look} --fix clean.jsonl", code=errors[0].fault)
