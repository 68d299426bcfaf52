"""The mask view of the data: what ``check --show-mask`` says, asked in a process of its own.

The tokenizer may take seconds to load and a data file may be anything, so neither is let into the board itself.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import orjson

from tunewright.board.jobs import settings_of, text
from tunewright.board.places import folder_at
from tunewright.reporter import load
from tunewright.reporter.words import safe
from tunewright.schema.errors import DataError, TunewrightError, UsageError
from tunewright.schema.recipe_io import read_settings

ROWS = 20
LONGEST_ROW = 4_000
"""Characters of one row that are shown."""
MOST_S = 180.0
SHOWN = (
    "rows", "tokens", "supervised_share", "faults", "lengths", "truncated_share", "stop_share", "prompt_masked", "ok",
)  # fmt: skip
MOST_ROWS_NAMED = 12


async def masks_answer(
    root: Path, asked: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Rows as stretches of text, each trained on or not, with the faults of the data.

    asked       : ``{"run"}``, the data of a run as it was read, or ``{"data", "model", "val", "settings"}``
    environment : of the process that reads it

    Raises UsageError, and whatever ``check`` says is wrong with the data.
    """
    command = _command(root, asked)
    try:
        with anyio.fail_after(MOST_S):
            done = await anyio.run_process(command, check=False, env=environment)
    except TimeoutError:
        hint = shlex.join(["tunewright", *(word for word in command[3:] if word not in ("--json", "--quiet", "--"))])
        raise DataError(f"the data was not read within {MOST_S:.0f} seconds", hint=hint) from None
    return _answer(done.stdout, done.stderr)


def _command(root: Path, asked: Mapping[str, Any]) -> list[str]:
    about = _of_run(folder_at(root, text(asked, "run"))) if asked.get("run") else _of_form(asked)
    data, options = about
    head = [sys.executable, "-m", "tunewright", "check"]
    return [*head, *options, f"--show-mask={ROWS}", "--json", "--quiet", "--", data]


def _of_run(folder: Path) -> tuple[str, list[str]]:
    recipe = folder / "recipe.yaml"
    settings = read_settings(recipe) if recipe.is_file() else {}
    data = settings.get("data")
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        data = data[0].get("path")
    if not isinstance(data, str):
        hint = f"tunewright check FILE --recipe {shlex.quote(str(recipe))} --show-mask 5"
        raise UsageError(f"{folder.name}: the recipe of this run names no data file", hint=hint)
    return data, [f"--recipe={recipe}"]


def _of_form(asked: Mapping[str, Any]) -> tuple[str, list[str]]:
    data, model, val = (text(asked, key) for key in ("data", "model", "val"))
    if not data or not (model or data == "demo"):
        raise UsageError("a data file and a model are needed to show what is trained on")
    options = [f"--{key}={value}" for key, value in (("model", model), ("val", val)) if value]
    return data, [*options, *settings_of(asked)]


def _answer(out: bytes, talk: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(out)
    except orjson.JSONDecodeError:
        said = talk.decode("utf-8", "replace").strip().splitlines()
        raise DataError(f"the data could not be checked: {said[-1] if said else 'nothing was said'}") from None
    error = found.get("error")
    if error:
        raise TunewrightError(load.text(error.get("message")), hint=load.text(error.get("hint")), code="data")
    answer = {key: found.get(key) for key in SHOWN}
    answer["faults"] = [{**fault, "rows": fault.get("rows", [])[:MOST_ROWS_NAMED]} for fault in found.get("faults", [])]
    answer["masks"] = [{"row": mask["row"], "pieces": _pieces(mask["pieces"])} for mask in found.get("masks", [])]
    return answer


def _pieces(pieces: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Stretches with control characters made visible, cut where the row becomes too long to read."""
    left, shown = LONGEST_ROW, []
    for piece in pieces:
        if left <= 0:
            break
        shown.append({"text": safe(piece["text"], left), "trained": bool(piece["trained"])})
        left -= len(piece["text"])
    return shown
