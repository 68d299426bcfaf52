"""What a run like this one is planned with, as far as its settings tell it: where its rules go back to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.data.model_folder import model_facts, resolve_model
from tunewright.planner.batch import effective_batch_for
from tunewright.planner.learning_rate import PRIOR_ALPHA, first_run
from tunewright.planner.run_length import epochs_for
from tunewright.schema.errors import TunewrightError
from tunewright.schema.facts import ModelFacts


def usual_settings(config: Mapping[str, Any], rows: int | None, *, ours: bool) -> dict[str, float]:
    """``learning_rate``, ``num_train_epochs`` and ``rows_a_step`` that the planner starts such a run with, and
    ``narrowest``, the smaller side of the model's narrowest layer; empty where it cannot know.

    ``ours``: the run was trained here, so its model lies in a folder or in the local cache; of a foreign log only a
    folder on this machine is looked at. Nothing is fetched.
    """
    stage = str(config.get("stage") or "sft")
    usual: dict[str, float] = {}
    if rows and stage == "sft":
        usual["num_train_epochs"] = epochs_for(rows)
        usual["rows_a_step"] = effective_batch_for(rows, usual["num_train_epochs"])
    model = _model(str(config.get("model") or ""), ours=ours)
    if model is None:
        return usual
    if model.narrowest is not None:
        usual["narrowest"] = model.narrowest
    method = config.get("method")
    if method in ("lora", "qlora", "full"):
        alpha = float(config.get("lora_alpha") or PRIOR_ALPHA)
        usual["learning_rate"] = first_run(method, model.hidden_size, alpha=alpha, stage=stage)
    return usual


def _model(model: str, *, ours: bool) -> ModelFacts | None:
    """The model's shape; None where it is not at hand."""
    try:
        if not model or not (ours or Path(resolve_model(model)).is_dir()):
            return None
        return model_facts(model, fetch=False)
    except (TunewrightError, ModuleNotFoundError):
        return None
