"""One run, four logs: the Trainer's state, its event files, its printed output with and without the progress bar.

    python tests/curve/writers/with_trainer.py FIXTURES        # transformers, tensorboard; about a minute

``one_run`` is a healthy run, ``one_run_nan`` one whose weights become NaN at step 40 (the Trainer's filter shows
losses of 0.0 from there on).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

from common import keep_state, keep_text, note


def train_one(folder: Path, poison: int, bar: bool) -> None:
    from make_fixtures import train

    train(folder, poison=poison, logging_steps=2, report_to=["tensorboard"], disable_tqdm=not bar)


def captured(folder: Path, poison: int, bar: bool, into: Path) -> None:
    command = [sys.executable, __file__, str(folder), str(poison), str(int(bar)), "--train"]
    with open(into, "wb") as file:
        subprocess.run(command, check=True, stdout=file, stderr=subprocess.STDOUT if bar else subprocess.DEVNULL)


def main(fixtures: Path) -> None:
    for name, poison in (("one_run", 0), ("one_run_nan", 40)):
        with tempfile.TemporaryDirectory() as place:
            root, target = Path(place), fixtures / name
            shutil.rmtree(target, ignore_errors=True)
            captured(root / "a", poison, True, root / "with_bar.log")
            captured(root / "b", poison, False, root / "without_bar.log")
            keep_state(root / "a/trainer_state.json", target / "state/trainer_state.json")
            for file in ("with_bar.log", "without_bar.log"):
                keep_text(root / file, target / "printed" / file)
            events = next((root / "a").rglob("*tfevents*"))
            (target / "events").mkdir()
            shutil.copyfile(events, target / "events/events.out.tfevents.1")
        note(target, "Trainer on a tiny random model", "transformers", "torch", "tensorboard")


if __name__ == "__main__":
    if sys.argv[-1] == "--train":
        train_one(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
    else:
        main(Path(sys.argv[1]))
