"""The runs of one tuning: made side by side on one base, answered from their folders when they were made before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tunewright.app.describe import describe_run
from tunewright.app.general import PROBE_ROWS, General
from tunewright.app.kept_rows import END_FILE, kept_rows
from tunewright.app.live import StopRule
from tunewright.app.prepare import Prepared, replanned
from tunewright.app.run_life import read_run
from tunewright.app.run_one import run_packed
from tunewright.app.task import Task
from tunewright.app.train import load_recipe_base, work_for
from tunewright.app.watch import Watch
from tunewright.doctor.thresholds import FORGETTING_NATS
from tunewright.engine.base import Base
from tunewright.engine.fork import fork_run, has_begun, reopen_end
from tunewright.planner.machine import this_machine
from tunewright.planner.packs import Cell, alone_because, slots_that_fit
from tunewright.prescribe.promise import Promise
from tunewright.record.run import Run, create_run
from tunewright.schema import jsonio
from tunewright.schema.errors import TunewrightError, UsageError
from tunewright.schema.facts import RunSummary
from tunewright.schema.finding import Diagnosis
from tunewright.schema.prescription import Change
from tunewright.schema.recipe import Recipe
from tunewright.schema.recipe_io import read_settings
from tunewright.tuner.budget import FORWARD_WEIGHT, Spent
from tunewright.tuner.order import AVERAGE_SHARE, Order
from tunewright.tuner.prices import Prices
from tunewright.tuner.step import Outcome

MOST_SLOTS = 8
SAME_KEYS = ("learning_rate", "lr_scheduler_type", "average_share", "num_train_epochs", "lora_rank", "reshuffle")
"""What a tuning decides of a run."""
ASKED = "tokens_asked"
"""In run.json: tokens of asking the base, from the tuning's start until this run could begin."""


class TuningRuns:
    """Makes what the tuner orders. ``prepared``: the plan of every run so far, by its name.

    promise : what the changes of a run promise of it; None when nothing supports one
    slots   : at most so many runs at once
    """

    def __init__(
        self,
        folder: Run,
        first: Prepared,
        watch: Watch,
        *,
        probed: bool,
        slots: int,
        promise: Callable[[tuple[Change, ...]], Promise | None],
    ) -> None:
        self.folder, self.first, self.watch = folder, first, watch
        self.probed, self.slots, self.promise = probed, slots, promise
        self.base: Base = load_recipe_base(first, watch)
        self.general = General(self.base, folder.path, watch)
        self.prepared: dict[str, Prepared] = {}
        self._asked = 0  # tokens of asking the base that are in some run's account
        self._tokens_per_s = 0.0

    def prices(self) -> Prices:
        """What runs cost here, by the speed of the last ones."""
        probe = PROBE_ROWS * self.first.tokens_per_row if self.probed else 0.0
        rows = len(self.first.train.rows)
        return Prices(rows, self.first.tokens_per_row, self.first.val.tokens + probe, self._tokens_per_s)

    def make(self, orders: Sequence[Order]) -> list[Outcome]:
        """Make the runs that are not there yet, together; go on with those that were begun.

        Raises Interrupted with all of them left to be resumed, else the first error a run failed with.
        """
        runs = [self._folder(order) for order in orders]
        tasks = [self._task(run, order) for run, order in zip(runs, orders, strict=True) if run.status() != "finished"]
        if tasks:
            begun = any(task.run.metrics_path.exists() for task in tasks)
            ended = run_packed(tasks, self.base, self.watch, slots=self.slots, resume=begun, resume_hint="")
            for one in ended:
                if isinstance(one, TunewrightError):
                    raise one
        outcomes = [self._outcome(run, order, len(orders)) for run, order in zip(runs, orders, strict=True)]
        self._note_speed(outcomes)
        return outcomes

    def _folder(self, order: Order) -> Run:
        """The run's folder with its plan in it, made unless it is there."""
        run = Run(self.folder.path / order.name)
        prepared = replanned(self.first, order.recipe, order.changes)
        self.prepared[order.name] = prepared
        if run.status() == "finished":
            check_same(run, prepared.recipe)
            return run
        if not run.path.exists():
            create_run(self.folder.path, run.name, about={"tuning": str(self.folder.path)})
        begun = {"begins_at": {"run": order.after, "step": order.at_step}} if order.after else {}
        about = {"changed": order.changes, "why": order.why, "phase": order.phase, **begun}
        describe_run(run, prepared, self.promise(order.changes) if order.phase == "run" else None, **about)
        return run

    def _task(self, run: Run, order: Order) -> Task:
        prepared = self.prepared[order.name]
        work = work_for(prepared, self.general, probe=self.probed)
        if ASKED not in run.read():
            run.update(**{ASKED: self.general.tokens})
        if not (run.path / END_FILE).is_file():
            reopen_end(run)
        if order.after and not has_begun(run):
            fork_run(Run(self.folder.path / order.after), order.at_step, run)
        return Task(run, prepared.plan, work, repeated(order.ends_on), kept_at=frozenset(order.kept_at), end_rows=True)

    def _outcome(self, run: Run, order: Order, together: int) -> Outcome:
        reading, about, prepared = read_run(run), run.read(), self.prepared[order.name]
        result = about["result"]
        summary = RunSummary(
            name=run.name,
            config=prepared.recipe.model_dump(),
            eval_loss=jsonio.number_or_none(result["eval_loss"]),
            base_eval_loss=jsonio.number_or_none(result["base_eval_loss"]),
            best_epoch=result["best_step"] / max(1, prepared.plan.predicted.steps_per_epoch),
            forgetting=jsonio.number_or_none(result["forgetting"]),
            health=reading.diagnosis.health,
        )
        return Outcome(
            run.name,
            prepared.recipe,
            summary,
            reading.diagnosis,
            reading.curve,
            self._spent(about, together),
            result["stopped_because"],
            kept_rows(run, END_FILE),
        )

    def _spent(self, about: dict[str, Any], together: int) -> Spent:
        """A run's own tokens, and its share of the time its pack took."""
        result = about["result"]
        inherited = result.get("tokens_inherited", {"train": 0, "eval": 0})
        until = max(self._asked, int(about.get(ASKED, 0)))
        asked, self._asked = until - self._asked, until
        return Spent(
            result["tokens"]["train"] - inherited["train"],
            result["tokens"]["eval"] - inherited["eval"] + asked,
            float(result["seconds"]) / together,
            runs=1,
        )

    def _note_speed(self, outcomes: Sequence[Outcome]) -> None:
        train = sum(outcome.spent.train_tokens for outcome in outcomes)
        evaluated = sum(outcome.spent.eval_tokens for outcome in outcomes)
        seconds = sum(outcome.spent.seconds for outcome in outcomes)
        if seconds > 0:
            self._tokens_per_s = (train + FORWARD_WEIGHT * evaluated) / seconds


def check_same(run: Run, recipe: Recipe) -> None:
    """Raises UsageError when a finished run is not the one that the tuning would make now: it was begun under another
    budget, or by a version of Tunewright that decides otherwise."""
    made, asked = read_settings(run.path / "recipe.yaml"), recipe.model_dump()
    for key in SAME_KEYS:
        if made.get(key) != asked[key]:
            raise UsageError(
                f"{run.path}: was made with {key} {made.get(key)}, this tuning asks for {asked[key]} now",
                hint="resume it with the budget and settings that it was begun with, or begin another: --name NAME",
            )


SAID = {"forgetting": f"old skills are being lost: forgetting above {FORGETTING_NATS.value} nats per token"}
"""What a run is ended for, where the finding's own words are about the whole run."""


def repeated(symptoms: Sequence[str], evaluations: int = 2) -> StopRule:
    """A stop rule: one of these symptoms at so many evaluations in a row."""
    seen = dict.fromkeys(symptoms, 0)

    def rule(diagnosis: Diagnosis) -> str:
        for symptom in symptoms:
            seen[symptom] = seen[symptom] + 1 if diagnosis.has(symptom) else 0
            if seen[symptom] >= evaluations:
                found = next(one.why for one in diagnosis.findings if one.symptom == symptom)
                return f"{SAID.get(symptom, f'{symptom}: {found}')} at {seen[symptom]} evaluations in a row"
        return ""

    return rule


def slots_for(prepared: Prepared) -> int:
    """How many runs of this kind memory holds at once on this machine, at most 8, at least 1."""
    if alone_because(prepared.recipe):
        return 1
    averaging = prepared.recipe.changed(average_share=AVERAGE_SHARE)  # as short runs do
    cell = Cell(averaging, prepared.plan.predicted, prepared.facts, prepared.model)
    return max(1, slots_that_fit([cell] * MOST_SLOTS, this_machine()))
