"""Any path as curves: one log, a run's folder, or a tree of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunewright.curve.beside import settings_beside
from tunewright.curve.find import logs_below, reader_of
from tunewright.curve.json_text import open_size, read_bytes, unreadable
from tunewright.curve.names import MAPPABLE
from tunewright.curve.readers import Reader, reader
from tunewright.curve.same_run import richest, same_run
from tunewright.schema.curve import Curve
from tunewright.schema.errors import DataError, UsageError

_EXPECTED = (
    "a run folder, trainer_state.json, trainer_log.jsonl, logging.jsonl, event files, run-*.wandb, studio.db, "
    "CSV, JSON, JSONL, printed rows, or a pasted table"
)
_SAME_IN_EVERY_RUN = {"trainer_state", "trainer_log", "logging", "metrics", "stdout", "train"}

RUN_MARK = "#"
"""Between a file of several runs and the name of one: ``studio.db#mine``."""

_BY_ENDING = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "table", ".tsv": "table", ".json": "trainer_state"}


def read_curves(path: Path, columns: Mapping[str, str] | None = None) -> list[Curve]:
    """Every curve at ``path``: mostly a file gives one, a folder is searched (sorted by path).

    Damaged logs in a folder are passed over while another can be read; :func:`search` names them.
    ``columns`` says which column of a log is what, for logs of unknown names: ``{"loss": "train_nll"}``.
    Raises DataError when there is nothing to read.
    """
    curves, problems = search(path, columns)
    if not curves:
        raise problems[0]
    return curves


def read_one(path: Path, columns: Mapping[str, str] | None = None) -> Curve:
    """The one curve at ``path``; ``FILE#RUN`` names one of a file of several. ``columns`` as for :func:`read_curves`.

    Raises DataError when there is none, UsageError when there are several.
    """
    curves = read_curves(path, columns)
    if len(curves) > 1:
        raise several_runs(path, curves)
    return curves[0]


def named_by(path: Path) -> Path:
    """The path whose name tells a log's run from others: its own, or its folder's where every run has such a file."""
    whole = path.absolute()
    return whole.parent if whole.stem in _SAME_IN_EVERY_RUN and not whole.is_dir() else whole


def several_runs(path: Path, curves: Sequence[Curve]) -> UsageError:
    """Which of them is meant?"""
    names = ", ".join(curve.path for curve in curves[:5])
    return UsageError(f"{path}: {len(curves)} runs in it; expected one", hint=f"name one: {names}")


def search(path: Path, columns: Mapping[str, str] | None = None) -> tuple[list[Curve], list[DataError]]:
    """The curves at ``path`` and what could not be read; at least one of the two lists has an entry."""
    for metric in columns or {}:
        if metric not in MAPPABLE:
            raise UsageError(f"{metric}: no such metric; expected one of {', '.join(MAPPABLE)}")
    try:
        if path.is_dir():
            return _search_folder(path, columns)
        if RUN_MARK in path.name and not path.exists():
            return _one_of_file(path, columns)
        open_size(path)
        return [_with_settings(curve, path) for curve in _reader_of_file(path).read(path, columns)], []
    except DataError as error:
        known = bool(error.hint) or path.exists()
        return [], [error if known else DataError(error.message, hint=f"expected {_EXPECTED}")]
    except (OSError, ValueError) as error:  # a name the system refuses, a folder that may not be read
        return [], [unreadable(path, error)]


def _one_of_file(path: Path, columns: Mapping[str, str] | None) -> tuple[list[Curve], list[DataError]]:
    """The run that ``FILE#RUN`` names, as the reports on a file of several runs call it."""
    file = Path(str(path).partition(RUN_MARK)[0])
    curves, problems = search(file, columns)
    named = [curve for curve in curves if curve.path == str(path)]
    if curves and not named:
        names = ", ".join(curve.path for curve in curves[:5])
        problems = [DataError(f"{path}: no such run in {file}", hint=f"expected one of {names}")]
    return named, problems


def _reader_of_file(path: Path) -> Reader:
    found = reader_of(path)
    if found is not None:
        return found
    if path.suffix.lower() in _BY_ENDING:
        return reader(_BY_ENDING[path.suffix.lower()])  # says what is missing in it
    if b"loss" in read_bytes(path).replace(b"\x00", b"").lower():
        from tunewright.curve.readers.pasted import has_table
        from tunewright.curve.readers.printed import has_printed_rows

        if has_table(read_bytes(path).decode("utf-8", "replace")):
            return reader("pasted")
        return reader("printed" if has_printed_rows(path) else "lines")
    raise DataError(f"{path}: not a training log", hint=f"expected {_EXPECTED}")


def _search_folder(root: Path, columns: Mapping[str, str] | None) -> tuple[list[Curve], list[DataError]]:
    said: list[str] = []
    runs: dict[Path, list[list[Curve]]] = {}
    problems: list[DataError] = []
    for found in logs_below(root, said):
        try:
            for curve in found.reader.read(found.path, columns):
                _put(runs, found.owner, curve)
        except DataError as error:
            problems.append(error)
        except OSError as error:
            problems.append(unreadable(found.path, error))
    curves = [_with_settings(_whole(logs), owner) for owner, several in runs.items() for logs in several]
    problems += [DataError(text) for text in said]
    if not curves and not problems:
        problems.append(DataError(f"{root}: no training log in it", hint=f"expected {_EXPECTED}"))
    return curves, problems


def _whole(logs: list[Curve]) -> Curve:
    """The log of a run that says most, with the error that another one of it ends in."""
    chosen = richest(logs)
    failed = next((log for log in logs if log.failure), chosen)
    return replace(chosen, failure=failed.failure, notes=tuple(dict.fromkeys((*chosen.notes, *_error_of(failed)))))


def _error_of(log: Curve) -> tuple[str, ...]:
    return tuple(note for note in log.notes if log.failure and note.endswith(log.failure))


def _put(runs: dict[Path, list[list[Curve]]], owner: Path, curve: Curve) -> None:
    """Beside the logs of the same run in its folder or in one above, else as a run of its own."""
    near = (logs for place in (owner, *owner.parents) for logs in runs.get(place, ()))
    same = next((logs for logs in near if same_run(logs[0], curve)), None)
    if same is not None:
        same.append(curve)
    else:
        runs.setdefault(owner, []).append([curve])


def _with_settings(curve: Curve, beside: Path) -> Curve:
    """The curve with the settings found beside a foreign log; what the log itself states comes first."""
    if curve.kind in ("tunewright", "unsloth_studio"):
        return curve
    config = {**settings_beside(Path(curve.path) if Path(curve.path).exists() else beside), **curve.config}
    return replace(curve, config=config, total_steps=curve.total_steps or config.get("max_steps"))
