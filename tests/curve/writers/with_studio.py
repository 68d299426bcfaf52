"""Unsloth Studio's own storage layer, fed with the rows of a Trainer run (training in Studio needs a GPU).

    python tests/curve/writers/with_studio.py FIXTURES BACKEND      # BACKEND: studio/backend of the unsloth wheel

The tables of its chat and other parts are dropped afterwards, to keep the file small.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

KEPT = ("training_runs", "training_metrics", "sqlite_sequence")
SETTINGS = {
    "model_name": "letters-tiny",
    "training_type": "LoRA/QLoRA",
    "load_in_4bit": True,
    "learning_rate": "2e-4",
    "num_epochs": 3,
    "batch_size": 8,
    "gradient_accumulation_steps": 1,
    "max_steps": 0,
    "lora_r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
}


def metrics(state: Path) -> list[dict[str, Any]]:
    """The Trainer's rows in the form Studio's training thread stores: what is not finite becomes null."""
    found = []
    for row in json.loads(state.read_text())["log_history"]:
        if "train_runtime" not in row and row["step"] % 2 == 0:  # every other step: a small file
            keys = ("step", "loss", "learning_rate", "grad_norm", "eval_loss", "epoch")
            found.append({key: row.get(key) if row.get(key) == row.get(key) else None for key in keys})
    return found


def main(fixtures: Path, backend: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["UNSLOTH_STUDIO_HOME"] = place
        sys.path.insert(0, backend)
        from storage import studio_db

        for run, started in (("healthy", "2026-01-01T10:00:00"), ("nan_shown", "2026-01-02T10:00:00")):
            rows = metrics(fixtures / run / "trainer_state.json")
            studio_db.create_run(run, "letters-tiny", "letters", json.dumps(SETTINGS), started, rows[-1]["step"])
            studio_db.insert_metrics_batch(run, rows)
            studio_db.finish_run(run, "completed", started, rows[-1]["step"], rows[-1]["loss"], 1.0)
        path = Path(studio_db.studio_db_path())
        shrink(path, fixtures / "unsloth_studio/studio.db")
    about = {"how": __doc__.splitlines()[0], "versions": {"unsloth": Path(backend).parts[-4].partition("-")[2]}}
    manifest = fixtures / "MANIFEST.json"
    known = json.loads(manifest.read_text())
    known["unsloth_studio"] = about
    manifest.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def shrink(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(source)
    database.execute("PRAGMA foreign_keys=OFF")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("PRAGMA journal_mode=DELETE")
    names = database.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view', 'table')"
    ).fetchall()
    for kind, name in sorted(names, reverse=True):
        if name not in KEPT and not name.startswith("sqlite_"):
            try:
                database.execute(f'DROP {kind} IF EXISTS "{name}"')
            except sqlite3.Error:
                continue  # a shadow table of an index: it goes with its owner
    database.commit()
    database.execute("PRAGMA page_size=1024")
    database.execute("VACUUM")
    database.close()
    shutil.copyfile(source, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
