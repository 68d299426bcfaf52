"""Runs the commands of docs/tutorial.md and writes their output into it: ``python -m tools.make_tutorial``.

A block ```` ```console ```` begins with ``$ command``. ``show=6,2`` behind the language keeps the first six lines and
the last two of a long output; what is left out becomes ``...``. Two or three minutes on a laptop.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tunewright

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tutorial.md"
SOURCES = Path(tunewright.__file__).resolve().parent.parent
LEFT_OUT = "..."
COLUMNS = 96
_BLOCK = re.compile(r"```console(?: show=(\d+),(\d+))?\n\$ (.*?)\n(.*?)```\n", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One command of the page with its output as shown, and how many lines of it are kept at both ends."""

    command: str
    shown: str
    head: int | None
    tail: int | None


def blocks(page: str) -> list[Block]:
    """The commands of a page, in order."""
    return [
        Block(command, shown, None if head is None else int(head), None if tail is None else int(tail))
        for head, tail, command, shown in (found.groups() for found in _BLOCK.finditer(page))
    ]


def run_all(page: str, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run every command of a page in ``folder``, one after the other, each with what it printed."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": places, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    for block in blocks(page):
        ended = subprocess.run(
            block.command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        printed = ended.stdout
        for place in (folder, folder.resolve(), SOURCES):
            printed = printed.replace(f"{place}/", "")
        yield block, printed


def shown(block: Block, output: str) -> str:
    """The part of an output that the page keeps."""
    lines = output.rstrip("\n").split("\n") if output.strip() else []
    if block.head is None or block.tail is None or len(lines) <= block.head + block.tail:
        return "".join(f"{line}\n" for line in lines)
    kept = [*lines[: block.head], LEFT_OUT, *lines[len(lines) - block.tail :]]
    return "".join(f"{line}\n" for line in kept)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        outputs = [shown(block, output) for block, output in run_all(page, Path(folder))]
    waiting = iter(outputs)

    def filled(found: re.Match[str]) -> str:
        kept = "" if found[1] is None else f" show={found[1]},{found[2]}"
        return f"```console{kept}\n$ {found[3]}\n{next(waiting)}```\n"

    PAGE.write_text(_BLOCK.sub(filled, page), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
