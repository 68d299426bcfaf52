"""next: the recipe of the next run, from a run, a log, grown data, or runs typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunewright.app.case import case_of, is_run, ran_out_of_memory, rows_of
from tunewright.app.lineage import remember
from tunewright.app.next_edit import export_next, foreign_config, write_back
from tunewright.app.request import with_settings
from tunewright.app.runs import settings_of
from tunewright.app.watch import Silent, Watch
from tunewright.curve.read import read_one
from tunewright.data.read import read_rows
from tunewright.data.sources import open_source
from tunewright.prescribe.case import Case
from tunewright.prescribe.grown import grown_data, grown_prescription
from tunewright.prescribe.prescribe import Policy, apply, resolve
from tunewright.prescribe.table import read_table
from tunewright.prescribe.table_next import next_from_table
from tunewright.record.files import new_file, write_whole
from tunewright.record.run import Run
from tunewright.schema.curve import EMPTY, Curve
from tunewright.schema.errors import DataError, EnvironmentMissing, UsageError
from tunewright.schema.prescription import Prescription
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import make_recipe, to_yaml

POLICIES: tuple[Policy, ...] = ("evidence", "guide")


def next_recipe(
    run: str | Path = "",
    *,
    policy: str = "evidence",
    data: str = "",
    table: str = "",
    out: str = "",
    runs_dir: str | Path = "runs",
    recipe: str = "",
    to: str = "",
    probe: bool = False,
    watch: Watch | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What to change for the next run, and the recipe with it changed. Returns the ``next`` JSON.

    run      : a run folder, or any tool's log; its settings are read when they lie beside it, else changes are relative
    data     : the training data has grown to this file: three options with their arithmetic
    table    : a CSV of runs typed by hand
    out      : write the next recipe there (needs a run folder with its recipe); the run remembers it in next.json, so
               that what was predicted is scored when it has been trained
    runs_dir : where earlier runs are: what failed on the same data and model there is not prescribed again
    recipe   : the config or script of another trainer that the run was made with: its settings are known from there,
               and the prescription is written back into it, under ``edit`` (as a file where ``out`` names one)
    to       : trl, unsloth, axolotl or llamafactory: write the next run for that trainer into the folder ``out``
    probe    : where the curve leaves several causes open, ask the run's own rows and model: short trials that need
               torch and leave no trace; the answers are under ``probes``, and what explains the run is acted on
    watch    : told what is probed
    columns  : which column of a log of unknown names is what, as for ``diagnose``
    Raises UsageError when there is nothing to go by.
    """
    chosen = _checked(run, policy, table, recipe)
    if columns and (table or data):
        raise UsageError(
            "--map names the columns of a log, which neither --table nor --data goes by: leave it out",
            hint="tunewright next LOG --map loss=COLUMN",
        )
    if probe:
        _refuse_probe(run, data, table)
    if out and not to:
        new_file(out, "--out")  # before any probe is made
    case: Case | None = None
    if table:
        answer = _from_table(Path(table), chosen, data)
    elif run and data:
        answer = _from_grown_data(Path(run), data, chosen)
    elif run:
        foreign = foreign_config(recipe, to) if recipe else None
        known = {} if foreign is None else foreign.values
        case = case_of(_curve_of(Path(run), columns), Path(run), known, runs_dir=Path(runs_dir))
        case = _with_probes(case, Path(run), watch or Silent()) if probe else case
        answer = _from_case(case, chosen) | (_probed(case) if probe else {})
        if foreign is not None:
            steps = None if case.curve is None else case.curve.total_steps
            return answer | {"edit": write_back(recipe, foreign, answer["prescription"], steps=steps, out=out)}
    else:
        raise UsageError(
            "nothing to go by: expected a run, a log or --table",
            hint="tunewright next runs/train-1",
        )
    if to:
        return {**answer, "exported": export_next(answer["recipe"], answer["prescription"], to=to, out=out)}
    if out:
        answer["written"] = _write(answer["recipe"], answer["prescription"], Path(out))
        if run:
            _remember(Run(Path(run).absolute()), answer, case)
    return answer


def _checked(run: str | Path, policy: str, table: str, recipe: str) -> Policy:
    """The policy asked for. Raises UsageError for an unknown one, and for inputs that do not go together."""
    if policy not in POLICIES:
        raise UsageError(f"--policy {policy}: expected one of {', '.join(POLICIES)}")
    if recipe and not run:
        raise UsageError(
            f"--recipe {recipe} says what a run was made with: expected the run or its log too",
            hint=f"tunewright next LOG --recipe {recipe}",
        )
    if table and run:
        raise UsageError("a run and --table are both given: choose one", hint=f"tunewright next --table {table}")
    return "guide" if policy == "guide" else "evidence"


def _refuse_probe(run: str | Path, data: str, table: str) -> None:
    """Probes train on a run's own rows: a table, grown data and a bare log have none."""
    if not run or data or table:
        raise UsageError("--probe needs a run, and neither --table nor --data", hint="tunewright next RUN --probe")
    if not is_run(Path(run)):
        raise UsageError(
            f"{run}: --probe trains a little on the run's own rows, and there is no recipe.yaml here that names them",
            hint=f"tunewright next {run}",
        )
    if find_spec("torch") is None:
        raise EnvironmentMissing("--probe trains a few steps and needs torch", hint='pip install "tunewright[train]"')


def _probed(case: Case) -> dict[str, Any]:
    """The probes' answers, and which of them explains the run; None when none does."""
    explains = next((answer.probe for answer in case.probes if answer.verdict == "fault"), None)
    return {"probes": case.probes, "explained_by": explains}


def _with_probes(case: Case, path: Path, watch: Watch) -> Case:
    from tunewright.app.probing import probe_run  # torch comes with it

    return replace(case, probes=probe_run(path, case, watch))


def _curve_of(path: Path, columns: Mapping[str, str] | None) -> Curve:
    """The curve; an empty one for a run whose memory was full before it logged anything."""
    try:
        return read_one(path, columns)
    except DataError:
        if not ran_out_of_memory(path):
            raise
        return Curve("tunewright", str(path), EMPTY, config=settings_of(Run(path)))


def _from_case(case: Case, policy: Policy) -> dict[str, Any]:
    resolved = resolve(case, policy)
    return _answer(resolved.prescription, resolved.options, dict(case.config))


def _from_grown_data(path: Path, data: str, policy: Policy) -> dict[str, Any]:
    run = Run(path)
    old_rows, new_rows = rows_of(run), len(read_rows(open_source(data)).rows)
    if old_rows is None:
        raise UsageError(
            f"{path}: the run does not say how many rows it was trained on",
            hint="tunewright next --table runs.csv",
        )
    if new_rows < old_rows:
        raise UsageError(
            f"{data}: has {new_rows} rows, the run had {old_rows}: --data is for data that has grown",
            hint=f"tunewright next {path}",
        )
    settings = settings_of(run)
    if settings.get("max_steps"):
        raise UsageError(
            f"{path}: max_steps rules the run's length, so its epochs say nothing about grown data",
            hint=f"tunewright next {path}",
        )
    prescription = grown_prescription(old_rows, new_rows, settings, policy)
    answer = _answer(prescription, grown_data(old_rows, new_rows, settings, policy), settings)
    if answer["recipe"]:
        answer["recipe"]["data"] = data
    return answer


def _from_table(path: Path, policy: Policy, data: str) -> dict[str, Any]:
    new_rows = len(read_rows(open_source(data)).rows) if data else None
    found = next_from_table(read_table(path), policy, new_rows)
    verdicts = [
        {"run": f"run {one.run.line - 1}", "verdict": one.text, "word": one.word, "steps": one.steps.text}
        for one in found.verdicts
    ]
    last = found.verdicts[-1].run
    known: dict[str, Any] = {"num_train_epochs": last.epochs, "learning_rate": last.learning_rate}
    changed = {change.key: change.after for change in found.prescription.changes if change.after is not None}
    answer = _answer(found.prescription, found.options, {})
    expects = {"expects": found.expects} if found.expects else {}
    recipe = {**known, **found.settings, **changed}
    return {**answer, "recipe": recipe, "rows": found.rows, "verdicts": verdicts, **expects}


def _answer(prescription: Prescription, options: Any, settings: dict[str, Any]) -> dict[str, Any]:
    return {"prescription": prescription, "recipe": _next(prescription, settings), "options": options}


def _next(prescription: Prescription, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The next recipe as plain values: whole where the run's own is known, else what is known of it; None if nothing.

    A foreign log has only the keys that lay beside it: they are changed as they are, and name no data.
    """
    if not settings:
        return None
    if "model" not in settings or "data" not in settings:
        changes = () if prescription.keep else prescription.changes
        return with_settings(settings, {change.key: change.after for change in changes if change.after is not None})
    changed: Recipe = apply(make_recipe(settings), prescription)
    return changed.model_dump(mode="json")


def _write(recipe: dict[str, Any] | None, prescription: Prescription, out: Path) -> str:
    if recipe is None or "model" not in recipe or "data" not in recipe:
        raise UsageError(
            "--out: the run's own recipe is not known, so the next one cannot be written whole",
            hint="name the config the run was made with: --recipe FILE",
        )
    write_whole(out, to_yaml(make_recipe(recipe), {change.key: change.why for change in prescription.changes}))
    return str(out)


def _remember(parent: Run, answer: dict[str, Any], case: Case | None) -> None:
    """Leave the promise with the run; where its folder cannot be written, say that nothing will be scored."""
    try:
        remember(parent, make_recipe(answer["recipe"]), answer["prescription"], None if case is None else case.curve)
    except UsageError as error:
        answer["note"] = f"the prediction will not be scored: {error.message}"
