"""next --probe: cheap trials on the run's own rows and model, of what its curve cannot show or leaves open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tunewright.app.kept_rows import END_FILE, kept_rows
from tunewright.app.prepare import Prepared, prepare_settings
from tunewright.app.request import Request
from tunewright.app.runs import settings_of
from tunewright.app.watch import Watch
from tunewright.data.alike import near_duplicates
from tunewright.data.model_folder import called
from tunewright.engine.base import Base, load_base
from tunewright.planner.steps import total_steps
from tunewright.prescribe.case import Case
from tunewright.prescribe.symptoms import STUCK, UNSTABLE
from tunewright.probes.lr_probe import Suspect, probe_rates
from tunewright.probes.row_answers import rows_answer, val_answer
from tunewright.probes.sanity_run import probe_sanity
from tunewright.probes.scheduler_check import probe_schedule
from tunewright.probes.template_check import check_masks, template_answer
from tunewright.record.run import Run
from tunewright.schema.errors import DataError
from tunewright.schema.probe import ProbeAnswer

TOO_LOW = (*STUCK, "underfit", "plateau")


def probes_wanted(case: Case) -> tuple[Suspect | None, bool]:
    """Which way the learning rate is suspected, and whether to ask if anything can be learnt at all.

    (None, False) for a run whose curve leaves nothing open: then its data alone is asked about.
    """
    if case.has(*UNSTABLE):
        return "too high", False
    return ("too low" if case.has(*TOO_LOW) else None), case.has(*STUCK)


def probe_run(path: Path, case: Case, watch: Watch) -> tuple[ProbeAnswer, ...]:
    """The answers in the order in which they were asked: data before rates, what trains nothing before what trains.

    The data is asked about whatever the curve looks like: a leak, another model's template and answers that belong to
    other prompts leave a healthy one. A fault found ends the asking: what follows would be asked of a set-up that is
    going to change. Raises DataError without rows to train on, Interrupted when the watch wants to stop.
    """
    return _Probing(path, case, watch).answers()


@dataclass
class _Probing:
    """One run under examination."""

    path: Path
    case: Case
    watch: Watch

    def answers(self) -> tuple[ProbeAnswer, ...]:
        prepared = prepare_settings(settings_of(Run(self.path)), Request(), refuse_faults=False)
        masks = check_masks((*prepared.check.faults, *prepared.train.faults))
        if masks is not None:
            return (self._told(masks),)
        if not prepared.train.rows:
            raise DataError(
                f"{prepared.recipe.data}: no row to train on", hint=f"tunewright check {prepared.recipe.data}"
            )
        found = [self._told(self._validation(prepared)), *self._schedule(prepared)]
        if not any(answer.verdict == "fault" for answer in found):
            for probe in self._with_model(prepared):
                found.append(self._told(probe()))
                if found[-1].verdict == "fault":
                    break
        return tuple(found)

    def _with_model(self, prepared: Prepared) -> Iterator[Callable[[], ProbeAnswer]]:
        """The probes that need the base, which is loaded when the first of them is asked for."""
        recipe = prepared.recipe
        suspect, stuck = probes_wanted(self.case)
        self.watch.say(f"loading {called(recipe.model)} to probe it")
        base = load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)
        if recipe.stage == "sft":
            yield lambda: self._template(base, prepared)
        if suspect is not None:
            yield lambda: self._rates(base, prepared, suspect)
        # a set-up that blows up or learns nothing teaches nothing that rows could be judged by
        if recipe.stage == "sft" and not self.case.has(*UNSTABLE, *STUCK):
            yield lambda: self._rows(base, prepared)
        if stuck:
            yield lambda: self._sanity(base, prepared)

    def _schedule(self, prepared: Prepared) -> list[ProbeAnswer]:
        """Whether the rate went as planned; asked where the curve suspects the rate."""
        logged = self.case.curve.learning_rate if self.case.curve is not None else None
        if logged is None or probes_wanted(self.case)[0] is None:
            return []
        steps = total_steps(prepared.recipe, len(prepared.train.rows))
        return [self._told(probe_schedule(prepared.recipe, steps, logged))]

    def _validation(self, prepared: Prepared) -> ProbeAnswer:
        """Rows on both sides of the split, and what each side's loss was where the run kept it."""
        dataset = prepared.dataset
        asked = {row.key for row in dataset.train}
        leaked = {row.number for row in dataset.val if row.text is None and row.key in asked}
        alike = {
            number
            for fault in near_duplicates(dataset.train, dataset.val, partial(self.watch.working, "rows compared"))
            if fault.part == "validation"
            for number in fault.rows
        }
        kept = kept_rows(Run(self.path), END_FILE)
        losses = {}
        if kept is not None and len(kept.nll_n) == len(prepared.val.rows):
            figures = zip(kept.nll_n.tolist(), kept.tokens_n.tolist(), strict=True)
            losses = {row.number: one for row, one in zip(prepared.val.rows, figures, strict=True)}
        return val_answer(len(dataset.val), leaked, alike, losses)

    def _rows(self, base: Base, prepared: Prepared) -> ProbeAnswer:
        from tunewright.app.data_probes import DataProbes

        began_s = time.perf_counter()
        recipe = prepared.recipe
        batch, length = recipe.per_device_eval_batch_size, prepared.facts.max_length
        probes = DataProbes(base, prepared.dataset, length, batch, self.watch, seed=recipe.seed)
        best_step = Run(self.path).read().get("result", {}).get("best_step")
        found, said, tokens = probes.unseen_rows(recipe, prepared.train.rows, best_step)
        return rows_answer(found, said, tokens=tokens, seconds=time.perf_counter() - began_s)

    def _template(self, base: Base, prepared: Prepared) -> ProbeAnswer:
        from tunewright.app.data_probes import DataProbes

        began_s = time.perf_counter()
        recipe = prepared.recipe
        batch, length = recipe.per_device_eval_batch_size, prepared.facts.max_length
        asked = DataProbes(base, prepared.dataset, length, batch, self.watch, seed=recipe.seed).before_training()
        seconds = time.perf_counter() - began_s
        return template_answer(asked.gain, asked.findings, asked.abstained, tokens=asked.tokens, seconds=seconds)

    def _rates(self, base: Base, prepared: Prepared, suspect: Suspect) -> ProbeAnswer:
        return probe_rates(
            base,
            prepared.recipe,
            prepared.train.rows,
            prepared.val.rows or prepared.train.rows,
            suspect,
            self.case.usual.get("learning_rate"),
            on_progress=self.watch.working,
            should_stop=self.watch.should_stop,
        )

    def _sanity(self, base: Base, prepared: Prepared) -> ProbeAnswer:
        return probe_sanity(
            base,
            prepared.recipe,
            prepared.train.rows,
            self.case.usual.get("learning_rate"),
            on_progress=self.watch.working,
            should_stop=self.watch.should_stop,
        )

    def _told(self, answer: ProbeAnswer) -> ProbeAnswer:
        self.watch.say(f"{answer.question} {answer.answer} ({answer.seconds:.1f} s)")
        return answer
