"""A stage on raw domain text before the instructions: planned by volume, trained once, and kept where it pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tunewright.app.describe import describe_run
from tunewright.app.prepare import Prepared, prepare_settings, replanned
from tunewright.app.request import Request
from tunewright.app.run_one import run_one
from tunewright.app.train import work_for
from tunewright.app.tuning_runs import TuningRuns
from tunewright.planner.stages import stages_for
from tunewright.record.run import Run, create_run
from tunewright.schema.errors import UsageError
from tunewright.schema.plan import Stage
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import Budget, Spent
from tunewright.tuner.cut import fit_to_budget
from tunewright.tuner.order import Order, held
from tunewright.tuner.rungs import Rung
from tunewright.tuner.stages import TRIAL_SHARE, TRIAL_STEPS, Verdict, domain_pays
from tunewright.tuner.step import Step

FOLDER = "domain"
ADAPTER_KEYS = ("model", "method", "precision", "lora_rank", "lora_alpha", "lora_dropout", "lora_target", "seed")
"""What both stages must have in common, because the second goes on with the first one's adapter."""


@dataclass(frozen=True)
class Domain:
    """The raw text as a plan of its own, and the stages that its volume and that of the instructions ask for."""

    prepared: Prepared
    stages: tuple[Stage, ...]

    @property
    def wanted(self) -> bool:
        return self.stages[0].stage == "pt"

    @property
    def on_trial(self) -> bool:
        """Whether its measured gain decides: where it is the only stage, the instructions follow in any case."""
        return len(self.stages) == 1 or "trial" in self.stages[0].name


@dataclass(frozen=True)
class Learned:
    """What came of the stage: the adapter to go on from ("" for none), the short runs that decided, and the cost."""

    adapter: str
    steps: tuple[Step, ...]
    spent: Spent
    said: dict[str, Any]


def plan_domain(text: str, instructions: Prepared) -> Domain:
    """Read the raw text and decide by volume. Raises UsageError where a stage before the rows makes no sense."""
    recipe = instructions.recipe
    if recipe.stage != "sft" or recipe.method == "full" or recipe.init_adapter is not None:
        raise UsageError("--domain: expected instructions to be tuned with adapters after it, from no other adapter")
    shared = {key: getattr(recipe, key) for key in ADAPTER_KEYS}
    prepared = prepare_settings({**shared, "data": text, "stage": "pt", "report_to": recipe.report_to}, Request())
    documents = max(1, prepared.facts.distinct_prompts)
    return Domain(prepared, stages_for(documents, len(instructions.train.rows)))


def learn_domain(
    domain: Domain, planned: Recipe, runs: TuningRuns, budget: Budget, tell: Callable[[str], None]
) -> Learned:
    """Train on the raw text within a quarter of the budget; where it is on trial, compare with and without it."""
    run, spent = _train(domain, runs, budget)
    result = run.read()["result"]
    tell(f"domain text: validation loss {result['base_eval_loss']:.4f} -> {result['eval_loss']:.4f}")
    said = {"stage": domain.stages[0], "run": str(run.path), "eval_loss": result["eval_loss"]}
    if not domain.on_trial:
        return Learned(str(run.best), (), spent, {**said, "kept": True, "because": domain.stages[0].why})
    steps, verdict = _trial(planned, run, runs)
    for step in steps:
        spent = spent.plus(step.outcome.spent)
    tell(f"short runs on the instructions: {verdict.why}: the domain stage is {'kept' if verdict.kept else 'left out'}")
    adapter = str(run.best) if verdict.kept else ""
    return Learned(adapter, steps, spent, {**said, "kept": verdict.kept, "because": verdict.why})


def _train(domain: Domain, runs: TuningRuns, budget: Budget) -> tuple[Run, Spent]:
    run = Run(runs.folder.path / FOLDER)
    prices = runs.prices()
    prices = replace(
        prices,
        rows=len(domain.prepared.train.rows),
        tokens_per_row=domain.prepared.tokens_per_row,
        eval_tokens=domain.prepared.val.tokens,
    )
    recipe = domain.prepared.recipe
    part = replace(budget, tokens=TRIAL_SHARE * budget.tokens, seconds=TRIAL_SHARE * budget.seconds)
    cut, changes = fit_to_budget(recipe, prices, part, Spent(), least_share=0.0)
    prepared = replanned(domain.prepared, cut, changes)
    if run.status() != "finished":
        begun = run.path.exists()
        if not begun:
            create_run(runs.folder.path, run.name, about={"tuning": str(runs.folder.path)})
        describe_run(run, prepared, phase=FOLDER, why=domain.stages[0].why, changed=changes)
        run_one(run, prepared.plan, work_for(prepared, runs.general), runs.base, runs.watch, resume=begun)
    result = run.read()["result"]
    return run, Spent(result["tokens"]["train"], result["tokens"]["eval"], float(result["seconds"]), runs=1)


def _trial(planned: Recipe, run: Run, runs: TuningRuns) -> tuple[tuple[Step, ...], Verdict]:
    """The same short run on the instructions, from the base and from the domain adapter."""
    prices = runs.prices()
    short = held(
        planned,
        learning_rate=planned.learning_rate,
        total=TRIAL_STEPS,
        per_epoch=prices.per_epoch(planned),
        eval_every=prices.eval_every(planned, TRIAL_STEPS),
        warmup=2,
    )
    steps = []
    for number, init in enumerate((None, str(run.best)), start=1):
        why = f"{TRIAL_STEPS} steps on the instructions {'after the domain text' if init else 'alone'}"
        recipe = short.changed(init_adapter=init)
        order = Order(f"run-{number}", recipe, "trial", (), why, kept_at=(TRIAL_STEPS,))
        steps.append(Step(runs.make([order])[0], (), why, None, "trial"))
    alone, after = (Rung(step, short.learning_rate, TRIAL_STEPS) for step in steps)
    return tuple(steps), domain_pays(after, alone)
