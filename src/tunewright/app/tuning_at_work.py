"""A tuning at work: short runs, the series, the mean of good ones, the look at sealed rows, the exam, the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunewright.app.blending import blend_runs
from tunewright.app.exam import Examined, examine_run, questions_for
from tunewright.app.general import probe_tokens
from tunewright.app.prepare import Prepared
from tunewright.app.probed_run import RunProbes
from tunewright.app.report import report
from tunewright.app.run_life import read_run
from tunewright.app.sealed import Sealed, look_once
from tunewright.app.series import about_series, decide, told_before
from tunewright.app.tuning_domain import Domain, Learned, learn_domain
from tunewright.app.tuning_json import tuning_json
from tunewright.app.tuning_runs import TuningRuns, slots_for
from tunewright.app.watch import Watch
from tunewright.data.model_folder import called
from tunewright.planner.sources import GIVEN
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.promise import Promise, promise_of
from tunewright.record.run import Run
from tunewright.schema import jsonio
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.tuner.blend import Blend, means_within
from tunewright.tuner.budget import FORWARD_WEIGHT, Budget, Spent
from tunewright.tuner.choice import choose
from tunewright.tuner.order import Order
from tunewright.tuner.prices import MOST_EVALS
from tunewright.tuner.scout import Scouted, scout
from tunewright.tuner.scouting import Setting
from tunewright.tuner.step import Goal, Outcome, Step, Tuning
from tunewright.tuner.tuning import PLANNED, tune

MOST_PROBE_SHARE = 0.25
"""Of a budget, what measuring forgetting may cost; a small budget is better spent on training."""
NOTHING = Learned("", (), Spent(), {})
"""What comes of no domain text."""


@dataclass
class TuningAtWork:
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
        slots, probed = slots_for(self.first), self._forgetting_is_measured()
        self.runs = TuningRuns(self.folder, self.first, self.watch, probed=probed, slots=slots, promise=self._promise)
        eval_tokens = self.runs.prices().eval_tokens
        self.means = means_within(self.budget, eval_tokens)
        held = FORWARD_WEIGHT * self.means * eval_tokens
        self.budget = replace(self.budget, tokens=self.budget.tokens - held)
        self.probes = RunProbes(self.first, self.runs.base, self.watch).start()
        tuning = self._asked(self._blended(self._series(self._scout(self._learn_domain()))))
        sealed = self._look_once(tuning)
        self.tell(f"stopped: {tuning.stopped_because}")
        examined = self._exam(tuning)
        return self._finish(tuning, examined, sealed, time.perf_counter() - started_s)

    def _forgetting_is_measured(self) -> bool:
        """On answers, which raw text does not train; not where the probe would take the budget from the training."""
        if self.goal != "balanced" or self.first.recipe.stage != "sft":
            return False
        price = FORWARD_WEIGHT * probe_tokens(self.first.tokens_per_row, MOST_EVALS)
        if price <= MOST_PROBE_SHARE * self.budget.tokens:
            return True
        self.tell(
            f"forgetting is not measured while runs train: that could take {price:,.0f} of the budget's "
            f"{self.budget.tokens:,.0f} tokens; the exam asks the old skills at the end"
        )
        return False

    def _blended(self, tuning: Tuning) -> Tuning:
        """The tuning after its runs were averaged, where that is better than the best of them."""
        if not self.means:
            return tuning
        self.blend, tuning = blend_runs(self.folder, tuning, self.runs, goal=self.goal, most=self.means, tell=self.tell)
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
            means=self.means,
        )
        if recipe.method == "full":
            self.tell("no probes: full fine-tuning changes the base itself, so runs cannot share it")
            return Scouted(recipe, (), PLANNED, (), Spent())
        return scout(setting, make=self.runs.make, tell=self.tell, on_step=self.write)

    def _series(self, scouted: Scouted) -> Tuning:
        """The run that scouting arrived at, if there is one to make, and what its reading asks for after it."""
        if scouted.done:
            return Tuning(scouted.steps, choose(scouted.steps, self.goal), scouted.spent, scouted.done)
        return tune(
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
            narrowest=self.first.model.narrowest,
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
