"""export: a run or a recipe as a folder that another trainer runs as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.app.prepare import Prepared, prepare, prepare_settings
from tunewright.app.request import RECIPE_ENDINGS, Request
from tunewright.app.runs import settings_of
from tunewright.data.model_folder import resolve_model
from tunewright.data.rows import Row
from tunewright.planner.sources import GIVEN
from tunewright.planner.steps import total_steps
from tunewright.record.files import write_folder, write_whole
from tunewright.record.run import Run, kept_run, open_run
from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import comments_of, nearest, to_yaml
from tunewright.trainers.exported import Files, Job
from tunewright.trainers.interpreter import find_interpreter
from tunewright.trainers.tool import Tool
from tunewright.trainers.tools import TOOLS
from tunewright.trainers.translation import Lost, adjusted, resolved


def export(
    source: str | Path,
    *,
    to: str,
    out: str | Path,
    settings: dict[str, Any] | None = None,
    verify: bool = False,
    python: str = "",
) -> dict[str, Any]:
    """Write a run's or a recipe's folder for ``to``: its config or script, the rows, and the recipe itself.

    source: a run folder, a recipe, or another trainer's config; settings: recipe keys that win over it.
    verify: start the tool on it, in ``python`` or the interpreter found, and compare what it would train on with ours,
    under ``verified``. The answer names the files, and under ``cannot`` each setting that ``to`` has no word for, with
    the effect. Raises UsageError for an unknown tool and for a folder that is already there, EnvironmentMissing when
    the tool to verify with is not installed.

    ``tw.export("runs/train-1", to="axolotl", out="for-axolotl")``
    """
    tool, folder = tool_named(to), Path(out).absolute()
    if not str(out).strip():
        raise UsageError("no folder to write to: expected -o DIR", hint="tunewright export RUN --to trl -o DIR")
    if folder.exists():
        raise UsageError(
            f"{out}: is already there; an export never writes over a folder", hint="choose another --out DIR"
        )
    found = find_interpreter(tool, python) if verify else None
    prepared, reasons = read_source(str(source), settings or {})
    written = write_export(tool, prepared, reasons, folder)
    answer: dict[str, Any] = {
        "tool": tool.name,
        "folder": str(folder),
        "files": sorted(written.files),
        "rows": {"train": len(written.job.train), "val": len(written.job.val)},
        "supervised_tokens": sum(int(row.supervised.sum()) for row in written.job.train),
        "steps": written.job.steps,
        "cannot": [{"key": one.key, "value": one.value, "effect": one.effect} for one in written.losses],
    }
    if found is not None:
        from tunewright.app.verify_export import verify as compare  # needs torch, which an export does not

        answer["verified"] = compare(tool, written, folder, found)
    return answer


@dataclass(frozen=True)
class Written:
    """An export: the job it was made from, its files, and what the tool cannot be told."""

    job: Job
    files: Files
    losses: tuple[Lost, ...]


def write_export(tool: Tool, prepared: Prepared, reasons: Mapping[str, str], folder: Path) -> Written:
    """Write what ``prepared`` asks for as a whole folder for ``tool``; one that is there is replaced."""
    asked = _with_whole_paths(prepared.recipe)
    job = _job(prepared, asked, reasons)
    losses = (*adjusted(asked, job.recipe), *tool.lost(job.recipe), *_without_validation(job))
    files, more = tool.files(job, losses)
    files["recipe.yaml"] = to_yaml(asked, reasons)
    write_folder(folder, lambda inside: _fill(inside, files))
    return Written(job, files, (*losses, *more))


def tool_named(name: str, flag: str = "--to") -> Tool:
    if name in TOOLS:
        return TOOLS[name]
    guess = nearest(name, TOOLS)
    raise UsageError(
        f"{flag} {name}: expected one of {', '.join(TOOLS)}" + (f"; did you mean {guess}?" if guess else ""),
        hint=f"tunewright export RUN --to {guess or 'trl'} -o DIR",
    )


def read_source(source: str, settings: dict[str, Any]) -> tuple[Prepared, dict[str, str]]:
    """The run read and planned again, and why each value is what it is."""
    if Path(source).is_dir():
        run = open_run(kept_run(Path(source)))
        given = settings_of(run)
        if not given:
            raise UsageError(f"{source}: the run has no recipe.yaml to export", hint="give the recipe itself")
        given = {**given, "model": resolve_model(str(given["model"])), **settings}
        return prepare_settings(given, Request()), _whys(run)
    if not source.endswith(RECIPE_ENDINGS):
        raise UsageError(
            f"{source}: neither a run folder nor a recipe (.yaml) nor another trainer's config",
            hint="tunewright plan DATA --out recipe.yaml",
        )
    prepared = prepare(Request(recipe=source, settings=settings))
    planned = {value.key: value.why for value in prepared.plan.values if value.source != GIVEN}
    return prepared, planned | comments_of(Path(source).read_text(encoding="utf-8"))


def _whys(run: Run) -> dict[str, str]:
    values = run.read("plan.json").get("values", [])
    return {str(one.get("key")): str(one.get("why") or "") for one in values if one.get("source") != GIVEN}


def _with_whole_paths(recipe: Recipe) -> Recipe:
    """Local files and folders by their whole path: the other tool is started in another folder."""
    names = ("model", "val", "test", "template", "init_adapter")
    whole: dict[str, Any] = {name: _whole(value) for name in names if isinstance(value := getattr(recipe, name), str)}
    if isinstance(recipe.data, str):
        whole["data"] = _whole(recipe.data)
    else:
        whole["data"] = tuple(part.model_copy(update={"path": _whole(part.path)}) for part in recipe.data)
    return recipe.model_copy(update=whole)


def _whole(name: str) -> str:
    return str(Path(name).absolute()) if Path(name).exists() else name


def _job(prepared: Prepared, recipe: Recipe, reasons: Mapping[str, str]) -> Job:
    rows, val_rows = prepared.train.rows, prepared.val.rows
    spelt = resolved(recipe, rows=len(rows), val_rows=len(val_rows), max_length=prepared.facts.max_length)
    job = Job(spelt, total_steps(spelt, len(rows)), rows, val_rows, prepared.tokenizer, reasons=reasons)
    if recipe.stage != "pt":
        return job
    return replace(job, texts=_texts(prepared.dataset.train), val_texts=_texts(prepared.dataset.val))


def _texts(rows: Sequence[Row]) -> tuple[str, ...]:
    """Rows as plain text; the words of a chat without its roles."""
    texts = ("\n".join(turn.content for turn in row.messages) if row.text is None else row.text for row in rows)
    return tuple(text for text in texts if text.strip())


def _without_validation(job: Job) -> tuple[Lost, ...]:
    if job.val or not job.recipe.early_stopping_patience:
        return ()
    return (Lost("early_stopping_patience", job.recipe.early_stopping_patience, "never stops: no validation rows"),)


def _fill(folder: Path, files: Files) -> None:
    for name, content in files.items():
        write_whole(folder / name, content)
