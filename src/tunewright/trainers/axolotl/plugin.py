"""The doctor as an Axolotl plugin (written for axolotl 0.19.0), with keys of its own in the YAML file:

plugins: [tunewright.trainers.axolotl.Plugin]
tunewright_stop_on: [non_finite, divergence]   # optional: symptoms that end the run
tunewright_folder: runs/mine                   # optional: else "tunewright" in output_dir
"""

from __future__ import annotations

from typing import Any

from axolotl.integrations.base import BasePlugin  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel, field_validator

from tunewright.doctor.codes import symptom_of
from tunewright.trainers.callback import TunewrightCallback


class Keys(BaseModel):
    """What the plugin adds to Axolotl's configuration, which refuses a symptom that there is not."""

    tunewright_stop_on: list[str] | None = None
    tunewright_folder: str | None = None

    @field_validator("tunewright_stop_on")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        unknown = [name for name in names or () if symptom_of(name) is None]
        if unknown:
            raise ValueError(f"tunewright_stop_on: no such symptom: {', '.join(unknown)}")
        return names


class Plugin(BasePlugin):  # type: ignore[misc, unused-ignore]
    """Rides in the run that Axolotl makes; changes nothing else of it."""

    def get_input_args(self) -> str:
        return "tunewright.trainers.axolotl.plugin.Keys"

    def add_callbacks_pre_trainer(self, cfg: Any, model: Any) -> list[TunewrightCallback]:
        return [TunewrightCallback(cfg.tunewright_folder, stop_on=cfg.tunewright_stop_on or ())]
