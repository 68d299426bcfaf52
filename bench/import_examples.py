"""Every example a tool publishes, read as a user's own config: ``python -m bench.import_examples --axolotl DIR ...``.

Each directory is a checkout of the tool's repository (of unslothai/notebooks for Unsloth). An example must be read, or
be refused with the key that is not known; what crashes, or is taken for another tool's, fails.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.table import table
from tunewright.schema.errors import RecipeError
from tunewright.trainers.importing import read_foreign
from tunewright.trainers.tools import TOOLS

PATTERNS = {
    "trl": "examples/scripts/*.py",
    "unsloth": "python_scripts/*.py",
    "axolotl": "examples/**/*.y*ml",
    "llamafactory": "examples/**/*.y*ml",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for tool in TOOLS:
        parser.add_argument(f"--{tool}", type=Path, metavar="DIR")
    options = vars(parser.parse_args())
    rows, reasons, bad = [], Counter[str](), 0
    for tool, folder in options.items():
        if folder is None:
            continue
        outcomes = Counter[str]()
        for outcome, why in read_all(tool, folder):
            outcomes[outcome] += 1
            reasons.update(f"{tool}: {one}" for one in why)
        bad += outcomes["another tool's"]
        names = ("read", "refused", "no training config", "another tool's")
        rows.append([TOOLS[tool].title, *(str(outcomes[name]) for name in names)])
    print(table(["tool", "read", "refused", "no training config", "another tool's"], rows))
    for reason, count in reasons.most_common():
        print(f"{count:>4} x {reason}")
    return 1 if bad else 0


def read_all(tool: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(outcome, reasons) of every example; read from the repository's root, where their relative paths begin."""
    os.chdir(folder.absolute())
    for path in sorted(Path().glob(PATTERNS[tool])):
        if path.suffix == ".py" and "SFTTrainer(" not in path.read_text(encoding="utf-8", errors="replace"):
            continue
        try:
            found = read_foreign(path)
        except RecipeError as error:
            yield "refused", [fault.removeprefix(f"{path}: ")[:150] for fault in error.faults]
            continue
        yield ("no training config" if found is None else "read" if found.tool.name == tool else "another tool's"), []


if __name__ == "__main__":
    sys.exit(main())
