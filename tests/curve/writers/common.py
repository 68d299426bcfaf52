"""What the writers share: a small task and how a file is kept. Runs in any tool's environment."""

from __future__ import annotations

import json
import random
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

STEPS, EVERY = 60, 2
PATHS = re.compile(r"/(?:tmp|work|root|home)/[^\s\"',]*")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Questions with answers that can be learned: the last letter of a made-up word."""
    draw = random.Random(seed)
    words = ["".join(draw.choice("abcdefgh") for _ in range(5)) for _ in range(count)]
    return [{"prompt": f"last letter of {word}?", "completion": word[-1] * 3} for word in words]


def keep_text(source: Path, target: Path) -> None:
    """The file as the tool wrote it, but for folders of the machine it was written on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(PATHS.sub("FOLDER", source.read_text()))


def keep_state(source: Path, target: Path) -> None:
    """A trainer_state.json without what is timing only (it would change on every run)."""
    content = json.loads(source.read_text())
    for row in content["log_history"]:
        for key in [key for key in row if key.endswith(("_runtime", "_per_second")) and key != "train_runtime"]:
            del row[key]
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1)
    target.write_text(PATHS.sub("FOLDER", text) + "\n")


def note(folder: Path, how: str, *packages: str) -> None:
    """Adds a folder of fixtures to MANIFEST.json: what wrote it, at which versions, how."""
    manifest = folder.parent / "MANIFEST.json"
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    known[folder.name] = {"how": how, "versions": {name: version(name) for name in packages}}
    manifest.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
