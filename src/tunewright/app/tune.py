"""tune: plan, run, read, change, run again, examine, write down."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from tunewright.app.blending import blend_runs
from tunewright.app.exam import Examined, examine_run, questions_for
from tunewright.app.prepare import Prepared, prepare
from tunewright.app.probed_run import RunProbes
from tunewright.app.report import report
from tunewright.app.request import Request
from tunewright.app.run_one import read_run
from tunewright.app.sealed import Sealed, look_once
from tunewright.app.series import about_series, decide, open_series, resume_command, told_before, unfinished_series
from tunewright.app.tuning_domain import Domain, Learned, learn_domain, plan_domain
from tunewright.app.tuning_json import tuning_json
from tunewright.app.tuning_runs import TuningRuns, slots_for
from tunewright.app.watch import Silent, Watch
from tunewright.data.model_folder import called
from tunewright.planner.sources import GIVEN
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.promise import Promise, promise_of
from tunewright.record.run import Run
from tunewright.schema import jsonio
from tunewright.schema.errors import Interrupted, UsageError
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.blend import Blend, held_for_means
from tunewright.tuner.budget import Budget, Spent, default_budget, parse_budget
from tunewright.tuner.order import Order
from tunewright.tuner.scout import Scouted, scout
from tunewright.tuner.scouting import PLANNED_SHARE, Setting
from tunewright.tuner.tuning import PLANNED, Goal, Outcome, Step, Tuning, choose
from tunewright.tuner.tuning import tune as tune_runs

NOTHING = Learned("", (), Spent(), {})
"""What comes of no domain text."""
MOST_RANK = 64
GOALS: tuple[Goal, ...] = get_args(Goal)


def tune(
    data: str = "",
    *,
    request: Request | None = None,
    goal: str = "balanced",
    budget: str = "",
    resume: bool = False,
    domain: str = "",
    runs_dir: str | Path = "runs",
    name: str = "",
    watch: Watch | None = None,
    command: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """A series of runs toward the sweet spot, the exam of the best one, and the report. Returns the ``tune`` JSON.

    ``domain``: raw text of the subject, for a stage before the instructions where its volume or its gain asks for one.

    ``tw.tune("rows.jsonl", model="Qwen/Qwen3-0.6B", budget="30m")``
    """
    if goal not in GOALS:
        raise UsageError(f"--goal {goal}: expected one of {', '.join(GOALS)}")
    runs_dir = Path(runs_dir)
    # what a tuning starts from does not change while it goes on: later runs, its own too, are not learned from
    before = float(unfinished_series(runs_dir, "tune", name).read().get("started", 0.0)) if resume else None
    request = request or Request(data=data, settings=settings)
    prepared = prepare(request, runs_dir=runs_dir, before=before)
    if not prepared.val.rows:
        raise UsageError("a tuning needs validation rows: give --val FILE or a val_size above 0")
    allowed = _budget(prepared, budget)
    prepared = _within(prepared, allowed, goal, request, runs_dir, before)
    text = plan_domain(domain, prepared) if domain else None
    folder = open_series(runs_dir, "tune", name=name, resume=resume, command=command)
    try:
        return _Tuning(
            folder, prepared, "eval" if goal == "eval" else "balanced", allowed, watch or Silent(), text
        ).go()
    except Interrupted as error:
        folder.update(status="interrupted")
        raise Interrupted(error.message, hint=resume_command(command, "tunewright tune ...")) from None


def _budget(prepared: Prepared, text: str) -> Budget:
    """What the user allows, or the default for data of this size."""
    if text:
        allowed = parse_budget(text, prepared.train.tokens)
        if min(allowed.tokens, allowed.seconds, allowed.runs) <= 0:
            raise UsageError(f"--budget {text}: nothing may be spent, so nothing can be trained", hint="--budget 1runs")
        return allowed
    return default_budget(len(prepared.train.rows), prepared.train.tokens)


def _within(
    prepared: Prepared, allowed: Budget, goal: str, request: Request, runs_dir: Path, before: float | None
) -> Prepared:
    """The plan as a tuning needs it: what the planner chose for a single run, changed where several will be made.

    Epochs: of a run of at most half of the budget, with the batch that suits that length; the other half finds out
    which run it should be. Rank, for the loss alone: twice the planned one; it costs no token, low ranks lose up to
    2 % and draw the best learning rate down, and alpha is fixed, so the rate stays. What the user set stays too.
    """
    planned = {value.key: value for value in prepared.plan.values}
    wanted: dict[str, tuple[Any, str]] = {}
    epochs = max(1.0, round(PLANNED_SHARE * allowed.tokens / max(1, prepared.train.tokens), 1))
    if prepared.recipe.max_steps is None and epochs < prepared.recipe.num_train_epochs:
        wanted["num_train_epochs"] = (epochs, f"{epochs:g}: half of the budget ({allowed.said})")
    narrowest = min((min(pair) for pair in prepared.model.linear_in_out), default=0)
    rank = min(MOST_RANK, 2 * prepared.recipe.lora_rank)
    if goal == "eval" and prepared.recipe.lora_rank < rank <= narrowest:
        wanted["lora_rank"] = (rank, f"{rank}: twice the planned rank, as a tuning compares at no extra token")
    wanted = {key: found for key, found in wanted.items() if planned[key].source != GIVEN}
    if not wanted:
        return prepared
    changed = {key: value for key, (value, _) in wanted.items()}
    made = prepare(replace(request, settings={**request.settings, **changed}), runs_dir=runs_dir, before=before)
    said = {
        key: replace(planned[key], value=value, why=f"{why}. {planned[key].why}")
        for key, (value, why) in wanted.items()
    }
    values = tuple(said.get(value.key, value) for value in made.plan.values)
    return replace(made, plan=replace(made.plan, values=values))


@dataclass
class _Tuning:
    """One tuning at work: its folder, its data, and what all its runs share.

    blend : the mean of runs that is kept in place of the best of them
    """

    folder: Run
    first: Prepared
    goal: Goal
    budget: Budget
    watch: Watch
    domain: Domain | None = None
    blend: Blend | None = None

    def go(self) -> dict[str, Any]:
        started_s = time.perf_counter()
        self.told = told_before(self.folder)
        self.parent: Step | None = None
        self._show_plan()
        self.tell(f"budget: {self.budget.said}")
        # forgetting is measured on answers, which raw text does not train
        probed = self.goal == "balanced" and self.first.recipe.stage == "sft"
        self.runs = TuningRuns(
            self.folder, self.first, self.watch, probed=probed, slots=slots_for(self.first), promise=self._promise
        )
        self.held = held_for_means(self.budget, self.runs.prices().eval_tokens)
        self.budget = replace(self.budget, tokens=self.budget.tokens - self.held)
        self.probes = RunProbes(self.first, self.runs.base, self.watch).start()
        tuning = self._asked(self._blended(self._series(self._scout(self._learn_domain()))))
        sealed = self._look_once(tuning)
        self.tell(f"stopped: {tuning.stopped_because}")
        examined = self._exam(tuning)
        return self._finish(tuning, examined, sealed, time.perf_counter() - started_s)

    def _blended(self, tuning: Tuning) -> Tuning:
        """The tuning after its runs were averaged, where that is better than the best of them."""
        if not self.held:
            return tuning
        self.blend, tuning = blend_runs(self.folder, tuning, self.runs, goal=self.goal, tell=self.tell)
        return tuning

    def _asked(self, tuning: Tuning) -> Tuning:
        """The tuning with what its best model says of the data in that run's reading."""
        best = tuning.best
        run = Run(self.folder.path / best.outcome.name)
        self.probes.end(run, run.read()["result"])
        known = replace(best, outcome=replace(best.outcome, diagnosis=read_run(run).diagnosis))
        steps = tuple(known if step is best else step for step in tuning.steps)
        return replace(tuning, steps=steps, best=known)

    def _show_plan(self) -> None:
        recipe, cost = self.first.recipe, self.first.plan.predicted
        self.write((), None)
        self.tell(
            f"plan: {recipe.method} on {called(recipe.model)}, {len(self.first.train.rows)} rows, "
            f"batch {recipe.effective_batch_size}, {recipe.num_train_epochs:g} epochs = {cost.steps} steps, "
            f"LR {recipe.learning_rate:.2e}, rank {recipe.lora_rank}"
        )
        for warning in self.first.plan.warnings:
            self.tell(f"note: {warning}")

    def _learn_domain(self) -> Learned:
        """The stage before the instructions, where there is raw text and its volume asks for one."""
        if self.domain is None:
            return NOTHING
        for stage in self.domain.stages:
            self.tell(f"stage: {stage.name}: {stage.why}")
        if not self.domain.wanted:
            return NOTHING
        learned = learn_domain(self.domain, self.first.recipe, self.runs, self.budget, self.tell)
        if learned.adapter:
            self.runs.slots = 1  # an adapter that is gone on with trains alone
        return learned

    def _scout(self, learned: Learned) -> Scouted:
        """Short runs that settle rate and length, where they can share a base; else the plan as it is."""
        recipe, rows = self.first.recipe, len(self.first.dataset.train)
        self.stages = [learned.said] if learned.said else []
        if learned.adapter:
            recipe = recipe.changed(init_adapter=learned.adapter)
        given = frozenset(value.key for value in self.first.plan.values if value.source == GIVEN)
        setting = Setting(
            planned=recipe,
            prices=self.runs.prices,
            budget=self.budget,
            goal=self.goal,
            rows=rows,
            given=given,
            spent=learned.spent,
            before=learned.steps,
        )
        if recipe.method == "full":
            self.tell("no probes: full fine-tuning changes the base itself, so runs cannot share it")
            return Scouted(recipe, (), PLANNED, (), Spent())
        return scout(setting, make=self.runs.make, tell=self.tell, on_step=self.write)

    def _series(self, scouted: Scouted) -> Tuning:
        """The run that scouting arrived at, and what its reading asks for after it."""
        return tune_runs(
            scouted.first,
            run=self._run,
            cost_of=lambda recipe: self.runs.prices()(recipe),
            budget=self.budget,
            goal=self.goal,
            rows=len(self.first.dataset.train),
            before=scouted.steps,
            spent=scouted.spent,
            changes=scouted.changes,
            why=scouted.why,
            longest=scouted.longest,
            tell=self.tell,
            on_step=self.write,
        )

    def _run(self, name: str, recipe: Recipe, changes: tuple[Change, ...], why: str) -> Outcome:
        # a run that clearly forgets ends early: its tokens are better spent on the next
        return self.runs.make([Order(name, recipe, "run", changes, why, ends_on=("forgetting",))])[0]

    def _promise(self, changes: tuple[Change, ...]) -> Promise | None:
        """What the changes promise of the next run: they are always made to the best whole run so far."""
        if self.parent is None:
            return None
        outcome = self.parent.outcome
        return promise_of(
            changes,
            parent=str(self.folder.path / outcome.name),
            before=outcome.summary.eval_loss,
            least_gain=least_gain(outcome.curve),
        )

    def tell(self, text: str) -> None:
        """Say one decision and keep it in decisions.jsonl, where a tuning that goes on finds its own words again."""
        if self.told and self.told[0] == text:
            self.told.pop(0)
            self.watch.say(text)
            return
        self.told = []
        decide(self.folder, self.watch, text)

    def write(self, steps: Sequence[Step], best: Step | None) -> None:
        """tuning.json as far as it has come."""
        whole = tuple(step for step in steps if step.phase == "run")
        self.parent = choose(whole, self.goal) if whole else None
        self._write(tuning_json(self.folder.path, steps, best))

    def _write(self, known: Mapping[str, Any]) -> None:
        recipe = self.first.recipe
        about = about_series("tune", self.folder, model=recipe.model, data=recipe.data, goal=self.goal)
        self.folder.write("tuning.json", {**about, **known})

    def _exam(self, tuning: Tuning) -> Examined:
        best = tuning.best.outcome
        prepared = self.runs.prepared[best.name]
        questions = questions_for(prepared.recipe, prepared.dataset)
        run = Run(self.folder.path / best.name)
        return examine_run(run, prepared.recipe, self.runs.base, prepared.dataset, questions, self.watch)

    def _look_once(self, tuning: Tuning) -> Sealed | None:
        """The loss on the sealed test rows, now that everything is chosen."""
        best = tuning.best.outcome
        sealed = look_once(Run(self.folder.path / best.name), self.runs.prepared[best.name], self.runs.base)
        chosen = f"{best.name} was chosen by the loss on {len(self.first.val.rows)} validation rows"
        if sealed is None:
            self.tell(f"{chosen}; no test rows were kept aside (--test FILE seals some for one look at the end)")
            return None
        self.tell(
            f"{chosen}; on {sealed.rows} sealed test rows, looked at once, its loss is {sealed.loss:.4f} ± "
            f"{sealed.standard_error:.4f}"
        )
        return sealed

    def _finish(self, tuning: Tuning, examined: Examined, sealed: Sealed | None, seconds: float) -> dict[str, Any]:
        beside = examined.tokens + (sealed.tokens if sealed else 0) + self.probes.tokens  # they choose nothing
        spent = tuning.spent
        final = {
            **tuning_json(self.folder.path, tuning.steps, tuning.best, self.blend),
            "tokens": {"train": spent.train_tokens, "eval": spent.eval_tokens + beside, "beside": beside},
            "test": sealed,
            "stages": self.stages,
            "seconds": seconds,
            "stopped_because": tuning.stopped_because,
            "exam": examined.result,
        }
        self._write(final)
        self.folder.update(status="finished", ended=time.time())
        page = report(self.folder.path)
        return {**jsonio.plain(final), "report": str(page)}
