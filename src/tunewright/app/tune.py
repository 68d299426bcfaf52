"""tune: plan, run, read, change, run again, examine, write down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.app.exam import Examined, examine_run, questions_for
from tunewright.app.general import PROBE_ROWS, General
from tunewright.app.live import StopRule, never
from tunewright.app.prepare import Prepared, prepare, replanned
from tunewright.app.report import report
from tunewright.app.request import Request
from tunewright.app.run_one import describe_run, read_run, run_one
from tunewright.app.series import about_series, decide, open_series, resume_command, unfinished_series
from tunewright.app.train import load_recipe_base, work_for
from tunewright.app.watch import Silent, Watch
from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.engine.base import Base
from tunewright.planner.cost import rows_with_replay
from tunewright.planner.steps import evaluation_steps, total_steps
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.promise import Promise, promise_of
from tunewright.record.run import Run, create_run
from tunewright.schema import jsonio
from tunewright.schema.errors import Interrupted, UsageError
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.budget import FORWARD_WEIGHT, Budget, Spent, default_budget, parse_budget
from tunewright.tuner.tuning import Costs, Outcome, Step, Tuning
from tunewright.tuner.tuning import tune as tune_runs

GOALS = ("balanced", "eval")


def tune(
    data: str = "",
    *,
    request: Request | None = None,
    goal: str = "balanced",
    budget: str = "",
    resume: bool = False,
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """A series of runs toward the sweet spot, the exam of the best one, and the report. Returns the ``tune`` JSON.

    ``tw.tune("rows.jsonl", model="Qwen/Qwen3-0.6B", budget="30m")``
    """
    if goal not in GOALS:
        raise UsageError(f"--goal {goal}: expected one of {', '.join(GOALS)}")
    runs_dir = Path(runs_dir)
    # what a tuning starts from does not change while it goes on: later runs, its own too, are not learned from
    before = float(unfinished_series(runs_dir, "tune", name).read().get("started", 0.0)) if resume else None
    prepared = prepare(request or Request(data=data, settings=settings), runs_dir=runs_dir, before=before)
    if not prepared.val.rows:
        raise UsageError("a tuning needs validation rows: give --val FILE or a val_size above 0")
    allowed = _budget(prepared, budget)
    folder = open_series(runs_dir, "tune", name=name, resume=resume, command=command)
    try:
        return _Tuning(folder, prepared, goal, allowed, watch or Silent()).go()
    except Interrupted as error:
        folder.update(status="interrupted")
        raise Interrupted(error.message, hint=resume_command(command, "tunewright tune ...")) from None


def _budget(prepared: Prepared, text: str) -> Budget:
    """What the user allows, or the default for data of this size."""
    if text:
        return parse_budget(text, prepared.train.tokens)
    return default_budget(len(prepared.train.rows), prepared.train.tokens)


@dataclass
class _Tuning:
    """One tuning at work: its folder, its data, and what all its runs share."""

    folder: Run
    first: Prepared
    goal: str
    budget: Budget
    watch: Watch

    def go(self) -> dict[str, Any]:
        started_s = time.perf_counter()
        self._show_plan()
        self.base: Base = load_recipe_base(self.first, self.watch)
        self.general = General(self.base, self.folder.path, self.watch)
        self.prepared: dict[str, Prepared] = {}
        self.tell(f"budget: {self.budget.said}")
        tuning = tune_runs(
            self.first.recipe,
            run=self.run,
            cost_of=self.cost_of,
            budget=self.budget,
            goal="eval" if self.goal == "eval" else "balanced",
            rows=len(self.first.dataset.train),
            tell=self.tell,
            on_step=self.write,
        )
        self.tell(f"stopped: {tuning.stopped_because}")
        examined = self._exam(tuning)
        return self._finish(tuning, examined, time.perf_counter() - started_s)

    def _show_plan(self) -> None:
        recipe, cost = self.first.recipe, self.first.plan.predicted
        self.write((), None)
        self.tell(
            f"plan: {recipe.method} on {recipe.model}, {len(self.first.train.rows)} rows, "
            f"batch {recipe.effective_batch_size}, {recipe.num_train_epochs:g} epochs = {cost.steps} steps, "
            f"LR {recipe.learning_rate:.2e}, rank {recipe.lora_rank}"
        )
        for warning in self.first.plan.warnings:
            self.tell(f"note: {warning}")

    @property
    def _probes(self) -> bool:
        """Whether runs are watched for forgetting: it is measured on answers, which raw text does not train."""
        return self.goal == "balanced" and self.first.recipe.stage == "sft"

    def cost_of(self, recipe: Recipe) -> Costs:
        """What a run of this recipe would take, evaluations at half weight."""
        rows = len(self.first.train.rows)
        steps = total_steps(recipe, rows_with_replay(rows, recipe))
        evaluations = len(evaluation_steps(recipe, steps))
        evaluated = self.first.val.tokens + (PROBE_ROWS * self.first.tokens_per_row if self._probes else 0.0)
        train = steps * recipe.effective_batch_size * self.first.tokens_per_row
        tokens = train + FORWARD_WEIGHT * evaluations * evaluated
        return Costs(tokens, tokens / self._speed if self._speed else 0.0)

    _speed: float = 0.0  # tokens per second of the last run
    _best: Step | None = None  # the best run so far

    def run(self, name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome:
        """Run one recipe, or read it from its folder when an earlier start of this tuning finished it."""
        prepared = replanned(self.first, recipe, changes)
        self.prepared[name] = prepared
        run = Run(self.folder.path / name)
        if run.status() != "finished":
            self._train(run, prepared, changes, why)
        return self._outcome(run, prepared)

    def _train(self, run: Run, prepared: Prepared, changes: tuple[Change, ...], why: str) -> None:
        resume = run.path.exists()
        if not resume:
            create_run(self.folder.path, run.name, about={"tuning": str(self.folder.path)})
        describe_run(run, prepared, self._promise(changes), changed=changes, why=why)
        work = work_for(prepared, self.general, probe=self._probes)
        # a run that clearly forgets ends early: its tokens are better spent on the next
        stop_when = forgetting_stop() if self._probes else never
        run_one(run, prepared.plan, work, self.base, self.watch, resume=resume, stop_when=stop_when)

    def _promise(self, changes: tuple[Change, ...]) -> Promise | None:
        """What the changes promise of the next run: they are always made to the best one so far."""
        if self._best is None:
            return None
        outcome = self._best.outcome
        return promise_of(
            changes,
            parent=str(self.folder.path / outcome.name),
            before=outcome.summary.eval_loss,
            least_gain=least_gain(outcome.curve),
        )

    def _outcome(self, run: Run, prepared: Prepared) -> Outcome:
        reading = read_run(run)
        curve, diagnosis = reading.curve, reading.diagnosis
        result = run.read()["result"]
        self._speed = float(result["tokens_per_s"] or 0.0)
        summary = RunSummary(
            name=run.name,
            config=prepared.recipe.model_dump(),
            eval_loss=_number(result["eval_loss"]),
            base_eval_loss=_number(result["base_eval_loss"]),
            best_epoch=result["best_step"] / max(1, prepared.plan.predicted.steps_per_epoch),
            forgetting=_number(result["forgetting"]),
            health=diagnosis.health,
        )
        asked, self.general.tokens = self.general.tokens, 0
        spent = Spent(result["tokens"]["train"], result["tokens"]["eval"] + asked, float(result["seconds"]), runs=1)
        return Outcome(run.name, prepared.recipe, summary, diagnosis, curve, spent, result["stopped_because"])

    def tell(self, text: str) -> None:
        """Say one decision and keep it in decisions.jsonl."""
        decide(self.folder, self.watch, text)

    def write(self, steps: Sequence[Step], best: Step | None, **final: Any) -> None:
        """tuning.json as far as it has come."""
        self._best = best
        self.folder.write("tuning.json", {**self._about(), **tuning_json(self.folder.path, steps, best), **final})

    def _about(self) -> dict[str, Any]:
        recipe = self.first.recipe
        return about_series("tune", self.folder, model=recipe.model, data=recipe.data, goal=self.goal)

    def _exam(self, tuning: Tuning) -> Examined:
        best = tuning.best.outcome
        prepared = self.prepared[best.name]
        questions = questions_for(prepared.recipe, prepared.dataset)
        run = Run(self.folder.path / best.name)
        return examine_run(run, prepared.recipe, self.base, prepared.dataset, questions, self.watch)

    def _finish(self, tuning: Tuning, examined: Examined, seconds: float) -> dict[str, Any]:
        final = {
            "tokens": {"train": tuning.spent.train_tokens, "eval": tuning.spent.eval_tokens + examined.tokens},
            "seconds": seconds,
            "stopped_because": tuning.stopped_because,
            "exam": examined.result,
        }
        self.write(tuning.steps, tuning.best, **final)
        self.folder.update(status="finished", ended=time.time())
        page = report(self.folder.path)
        return {
            **jsonio.plain({**tuning_json(self.folder.path, tuning.steps, tuning.best), **final}),
            "report": str(page),
        }


def forgetting_stop(evaluations: int = 2) -> StopRule:
    """A stop rule: forgetting above the threshold at so many evaluations in a row."""
    seen = [0]

    def rule(diagnosis: Diagnosis) -> str:
        seen[0] = seen[0] + 1 if diagnosis.has("forgetting") else 0
        if seen[0] < evaluations:
            return ""
        above = f"forgetting above {FORGETTING_NATS.value} nats per token"
        return f"old skills are being lost: {above} at {seen[0]} evaluations in a row"

    return rule


def _number(value: Any) -> float | None:
    return None if value is None else jsonio.number(value)


def tuning_json(folder: Path, steps: Sequence[Step], best: Step | None) -> dict[str, Any]:
    """The ``runs``, ``base_eval_loss`` and ``best`` of the ``tune`` JSON."""
    first = steps[0].outcome.summary if steps else None
    answer: dict[str, Any] = {
        "runs": [_run_json(folder, step) for step in steps],
        "base_eval_loss": first.base_eval_loss if first else None,
        "best": None,
    }
    if best is not None:
        path = folder / best.outcome.name
        answer["best"] = {"run": str(path), "eval_loss": best.outcome.summary.eval_loss, "adapter": str(path / "best")}
    return answer


def _run_json(folder: Path, step: Step) -> dict[str, Any]:
    outcome = step.outcome
    return {
        "run": str(folder / outcome.name),
        "name": outcome.name,
        "changed": step.changes,
        "why": step.why,
        "eval_loss": outcome.summary.eval_loss,
        "forgetting": outcome.summary.forgetting,
        "health": outcome.diagnosis.health,
        "findings": [finding.symptom for finding in outcome.diagnosis.findings],
        "stopped_because": outcome.stopped_because,
        "predicted": step.predicted,
    }
