"""Finding the Python that another trainer lives in, and refusing one that is too old for what we write."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tunewright.schema.errors import EnvironmentMissing, UsageError
from tunewright.trainers.tool import Tool

COMMANDS = {"trl": "trl", "unsloth": "unsloth", "axolotl": "axolotl", "llamafactory": "llamafactory-cli"}
"""The command each tool installs; its first line names the interpreter."""

OLDEST = {"trl": "1.0", "unsloth": "2026.8", "axolotl": "0.17", "llamafactory": "0.9.4"}
"""Releases before these were never tried with an export."""

ASK = "import importlib.metadata as m, sys; print(sys.executable); print(m.version(sys.argv[1]))"
ASK_TIMEOUT_S = 60


@dataclass(frozen=True)
class Interpreter:
    """path: of the Python; version: of the tool that is installed there."""

    path: str
    version: str


def find_interpreter(tool: Tool, given: str = "") -> Interpreter:
    """The interpreter asked for, else this one, else the one behind the tool's own command on the path.

    Raises UsageError for a path that is no Python, EnvironmentMissing (with the line that installs it) where the tool
    is not there or too old.
    """
    places = [given] if given else _places(tool)
    found = (_checked(tool, path, asked=bool(given)) for path in places)
    first = next((one for one in found if one is not None), None)
    if first is None:
        raise EnvironmentMissing(
            f"{tool.title} is not installed beside Tunewright, and no {COMMANDS[tool.name]} is on the path",
            hint=f"{install_line(tool, 'python')}; or name its interpreter",
        )
    return first


def install_line(tool: Tool, python: str) -> str:
    """The exact command that installs the release an export is written for.

    >>> from tunewright.trainers.tools import TOOLS
    >>> install_line(TOOLS["trl"], "python")
    'python -m pip install trl==1.16.0'
    """
    return f"{python} -m pip install {tool.version.replace(' ', '==')}"


def _places(tool: Tool) -> list[str]:
    command = shutil.which(COMMANDS[tool.name])
    behind = _first_line(Path(command)) if command else ""
    return [sys.executable, *([behind] if behind else [])]


def _first_line(script: Path) -> str:
    """The interpreter that a console script names."""
    with open(script, "rb") as file:
        line = file.readline(512).decode("utf-8", errors="replace").strip()
    return line.removeprefix("#!").split(" ")[0] if line.startswith("#!") and "python" in line else ""


def _checked(tool: Tool, python: str, *, asked: bool) -> Interpreter | None:
    package = tool.version.partition(" ")[0]
    try:
        done = subprocess.run(
            [python, "-c", ASK, package], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if not asked:
            return None
        reason = getattr(error, "strerror", None) or "does not answer"
        raise UsageError(f"{python}: not a Python interpreter that can be started: {reason}") from None
    lines = done.stdout.split()
    if done.returncode or len(lines) != 2:
        if not asked:
            return None
        if "PackageNotFoundError" not in done.stderr:
            raise UsageError(f"{python}: not a Python interpreter: expected the path of the one {tool.title} lives in")
        raise EnvironmentMissing(f"{python}: {tool.title} is not installed there", hint=install_line(tool, python))
    path, version = lines
    if _release(version) < _release(OLDEST[tool.name]):
        raise EnvironmentMissing(
            f"{path}: {package} {version} is too old: exports are written for {tool.version}, "
            f"and releases before {OLDEST[tool.name]} may read them otherwise",
            hint=install_line(tool, path),
        )
    return Interpreter(path, version)


def _release(version: str) -> tuple[int, ...]:
    """The numbers a version begins with.

    >>> _release("0.9.5.dev0+cu12"), _release("1.16.0")
    ((0, 9, 5), (1, 16, 0))
    """
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin.group().split("."))) if begin else (0,)
