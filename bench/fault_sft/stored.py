"""A base's rows beside its weights: parsing the standard library takes longer than a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from bench.fault_sft.worlds import Row, World

ROWS = "world.json"


def save_world(folder: Path, world: World) -> None:
    """Rows, and the texts that the general loss is measured on."""
    values = asdict(world) | {"texts": world.texts[:64]}
    (folder / ROWS).write_text(json.dumps(values))


def load_world(folder: Path) -> World:
    values = json.loads((folder / ROWS).read_text())
    rows = {part: [Row(**row) for row in values[part]] for part in ("train", "valid", "other")}
    return World(values["texts"], **rows)
