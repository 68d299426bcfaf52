"""W&B offline through the Trainer's own integration, on a tiny random model.

python tests/curve/writers/with_wandb.py FIXTURES      # an environment with wandb
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))


def main(fixtures: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        quiet = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": place, "WANDB_DISABLE_GIT": "true"}
        quiet |= {"WANDB_CONSOLE": "off", "WANDB__DISABLE_STATS": "true", "WANDB_DISABLE_CODE": "true"}
        os.environ.update(quiet)
        from common import note
        from make_fixtures import train

        train(root / "out", logging_steps=8, report_to=["wandb"], run_name="letters")
        import wandb

        wandb.finish()
        file = max(root.rglob("*.wandb"), key=lambda path: path.stat().st_size)
        (fixtures / "wandb").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, fixtures / "wandb/run-letters.wandb")
    note(fixtures / "wandb", "offline mode, through the Trainer", "wandb", "transformers", "torch")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
