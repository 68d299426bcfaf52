"""What a run's folder says before the first step, so that the run can be understood, resumed and made again."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from typing import Any

from tunewright.app.lineage import prediction_json
from tunewright.app.model_card import license_of
from tunewright.app.prepare import Prepared
from tunewright.planner.machine import this_machine
from tunewright.prescribe.promise import Promise
from tunewright.record.files import write_whole
from tunewright.record.run import CHECK_FILE, Run
from tunewright.record.versions import versions
from tunewright.schema.plan import Plan
from tunewright.schema.recipe_io import to_yaml

VERSIONS_OF = ("torch", "transformers", "peft", "numpy")


def describe_run(run: Run, prepared: Prepared, promise: Promise | None = None, **about: Any) -> None:
    """Write what is known before the first step: the recipe with its reasons, the plan, versions and hashes.

    ``promise``: what the rule behind the recipe promises of the run, where one is.
    """
    plan = prepared.plan
    write_whole(run.path / "recipe.yaml", to_yaml(plan.recipe, {value.key: value.why for value in plan.values}))
    run.write("plan.json", {**_plan_without_recipe(plan)})
    run.write("prediction.json", prediction_json(plan.predicted, promise))
    run.write(CHECK_FILE, prepared.check)
    run.update(
        model=plan.recipe.model,
        data=plan.recipe.data,
        data_sha256=prepared.dataset.sha256,
        rows={"train": len(prepared.dataset.train), "val": len(prepared.dataset.val)},
        tokens_per_row=prepared.tokens_per_row,
        versions=versions(VERSIONS_OF),
        machine=_machine(),
        base_license=license_of(plan.recipe.model),
        **about,
    )


@cache
def _machine() -> dict[str, Any]:
    """This machine, asked once: it takes a moment."""
    return {**vars(this_machine()), "system": platform.platform(aliased=True, terse=True)}


def _plan_without_recipe(plan: Plan) -> dict[str, Any]:
    return {"values": plan.values, "predicted": plan.predicted, "stages": plan.stages, "warnings": plan.warnings}


def same_data(run: Run, sha256: str | Mapping[str, str]) -> bool:
    """Whether the data is byte for byte what the run started with."""
    recorded = run.read().get("data_sha256")
    return recorded is None or recorded == sha256
