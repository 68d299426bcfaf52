"""ms-swift's own progress callback in a Trainer run on a tiny random model (its command line wants a known model).

    python tests/curve/writers/with_swift.py FIXTURES      # an environment with ms-swift

The callback class is the one ms-swift puts into every Trainer; the closing summary is appended by its own writer, with
the fields its training pipeline gives it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

import swift.trainers.patcher  # noqa: F401  (puts its callbacks into transformers.trainer)
from common import keep_text, note
from make_fixtures import train
from swift.utils import append_to_jsonl
from transformers import TrainingArguments


def main(fixtures: Path) -> None:
    TrainingArguments.max_epochs = None  # a field of its own arguments, which its callbacks ask for
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        state = json.loads(train(root, logging_steps=4, disable_tqdm=False).read_text())
        summary = {key: state[key] for key in ("best_metric", "global_step", "log_history")}
        log = root / "logging.jsonl"
        append_to_jsonl(
            str(log), {"last_model_checkpoint": None, "best_model_checkpoint": None, **summary}, strict=False
        )
        keep_text(log, fixtures / "ms_swift/logging.jsonl")
    how = "its progress callback in the Trainer, on a tiny random model; not through its command line"
    note(fixtures / "ms_swift", how, "ms-swift", "transformers", "torch")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
