"""Lightning's CSVLogger on a linear model: two epochs, losses under Lightning's names.

python tests/curve/writers/with_lightning.py FIXTURES      # an environment with lightning
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from common import keep_text, note
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset


class Line(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 4)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-2)


def main(fixtures: Path) -> None:
    pl.seed_everything(0)
    inputs = torch.randn(256, 8)
    data = TensorDataset(inputs, inputs[:, :4].argmax(1))
    loader, held_out = DataLoader(data, 8, shuffle=True), DataLoader(data, 64)
    with tempfile.TemporaryDirectory() as place:
        logger = CSVLogger(place, name="run")
        trainer = pl.Trainer(
            max_epochs=2,
            logger=logger,
            log_every_n_steps=1,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(Line(), loader, held_out)
        keep_text(Path(logger.log_dir) / "metrics.csv", fixtures / "lightning/metrics.csv")
    note(fixtures / "lightning", "CSVLogger, a linear model", "lightning", "torch")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
