"""The folder of several runs, a tuning's or a sweep's: made, found again, and its decisions kept in plain text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from tunewright.app.watch import Watch
from tunewright.record.files import storage_errors, write_whole
from tunewright.record.run import Run, create_run, free_name
from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError

Kind = Literal["tune", "sweep"]
NAMES = {"tune": "tuning", "sweep": "sweep"}


def open_series(runs_dir: Path, kind: Kind, *, name: str = "", resume: bool = False, command: str = "") -> Run:
    """A new folder, or with ``resume`` the unfinished one of that name (or the newest of its kind).

    Raises UsageError when a new one's name is taken, or when there is none to resume.
    """
    if not resume:
        return create_run(runs_dir, name or free_name(runs_dir, kind), about={"command": command})
    return unfinished_series(runs_dir, kind, name)


def unfinished_series(runs_dir: Path, kind: Kind, name: str = "") -> Run:
    """The unfinished series of that name, or the newest of its kind. Raises UsageError when there is none."""
    found = [Run(path.parent.absolute()) for path in runs_dir.glob("*/tuning.json")]
    unfinished = [run for run in found if (not name or run.name == name) and _unfinished(run, kind)]
    if not unfinished:
        named = f" named {name}" if name else ""
        raise UsageError(f"{runs_dir}: no unfinished {NAMES[kind]}{named} to resume", hint="tunewright runs ls")
    return max(unfinished, key=lambda run: (float(run.read().get("started", 0.0)), run.name))


def _unfinished(folder: Run, kind: Kind) -> bool:
    about = folder.read("tuning.json")
    return about.get("kind", "tune") == kind and not about.get("stopped_because")


def decide(folder: Run, watch: Watch, text: str) -> None:
    """Say one decision and keep it in decisions.jsonl."""
    watch.say(text)
    line = jsonio.dumps({"t": time.time(), "text": text})
    path = folder.path / "decisions.jsonl"
    with storage_errors(path), open(path, "ab") as file:
        file.write(line)


def told_before(folder: Run) -> list[str]:
    """What an earlier life of the series decided, in its words; a line cut off by a kill is taken away."""
    path = folder.path / "decisions.jsonl"
    if not path.is_file():
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        write_whole(path, b"".join(line + b"\n" for line in lines))
    return [str(jsonio.loads(line)["text"]) for line in lines]


def resume_command(command: str, otherwise: str) -> str:
    """The command that goes on with what ``command`` began."""
    return f"{command or otherwise} --resume".replace("--resume --resume", "--resume")


def about_series(kind: Kind, folder: Run, **fields: Any) -> dict[str, Any]:
    """What tuning.json begins with."""
    return {"kind": kind, **fields, "started": folder.read().get("started")}
