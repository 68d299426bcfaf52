"""plan: the first run with a reason for every value."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunewright.app.prepare import prepare
from tunewright.app.request import Request, given_settings
from tunewright.app.watch import Silent, Watch
from tunewright.data.model_folder import resolve_model
from tunewright.record.files import write_whole
from tunewright.schema.errors import EnvironmentMissing, UsageError
from tunewright.schema.plan import Plan
from tunewright.schema.recipe_io import to_yaml


def plan(
    data: str = "",
    *,
    request: Request | None = None,
    measure: bool = False,
    watch: Watch | None = None,
    runs_dir: str | Path = "runs",
    **settings: Any,
) -> Plan:
    """Plan a run without starting it. Keyword arguments are recipe keys and win over everything planned.

    ``runs_dir``: where past runs are; those of the same model on similar data go before the rules.
    ``measure``: load the model, take dry steps on the longest rows and a few real ones that are thrown away, and plan
    with what they showed; ``plan.measured`` holds it. Needs torch, and raises EnvironmentMissing without it;
    UsageError together with a memory that is not this machine's (``vram_GiB``).

    ``tw.plan("rows.jsonl", model="Qwen/Qwen3-0.6B").recipe.learning_rate``
    """
    request = request or Request(data=data, settings=settings)
    if measure:
        _refuse_unmeasurable(request)
    prepared = prepare(request, refuse_faults=measure, runs_dir=runs_dir)
    if not measure:
        return prepared.plan
    from tunewright.app.measure import measured_plan

    given = given_settings(request)
    given["model"] = resolve_model(str(given["model"]))
    how = {"preset": request.preset or None, "task": request.task or None}
    return measured_plan(prepared, given, watch or Silent(), **how)


def _refuse_unmeasurable(request: Request) -> None:
    if request.vram_GiB is not None:
        raise UsageError(
            "--measure measures this machine and --vram plans for another one: leave one of them out",
            hint="tunewright plan DATA --vram 24",
        )
    if find_spec("torch") is None:
        raise EnvironmentMissing("--measure trains a few steps and needs torch", hint='pip install "tunewright[train]"')


def plan_answer(made: Plan) -> dict[str, Any]:
    """The ``plan`` JSON; ``measured`` is there when something was."""
    answer = {
        "recipe": made.recipe.model_dump(mode="json"),
        "values": made.values,
        "predicted": made.predicted,
        "stages": made.stages,
        "warnings": made.warnings,
    }
    return answer if made.measured is None else answer | {"measured": made.measured}


def save_recipe(made: Plan, out: str) -> None:
    """Write the recipe as YAML, each value under its reason."""
    write_whole(Path(out), to_yaml(made.recipe, {value.key: value.why for value in made.values}))
