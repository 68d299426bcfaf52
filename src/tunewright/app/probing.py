"""next --probe: cheap trials on the run's own rows and model, where the curve alone cannot tell causes apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunewright.app.prepare import Prepared, prepare_settings
from tunewright.app.request import Request
from tunewright.app.runs import settings_of
from tunewright.app.watch import Watch
from tunewright.engine.base import Base, load_base
from tunewright.planner.steps import total_steps
from tunewright.prescribe.case import Case
from tunewright.prescribe.symptoms import BLOWN_UP, STUCK
from tunewright.probes.lr_probe import Suspect, probe_rates
from tunewright.probes.sanity_run import probe_sanity
from tunewright.probes.scheduler_check import probe_schedule
from tunewright.probes.template_check import check_masks, template_answer
from tunewright.record.run import Run
from tunewright.schema.errors import DataError
from tunewright.schema.probe import ProbeAnswer

TOO_HIGH = (*BLOWN_UP, "oscillation")
TOO_LOW = (*STUCK, "underfit", "plateau")


def probes_wanted(case: Case) -> tuple[Suspect | None, bool]:
    """Which way the learning rate is suspected, and whether to ask if anything can be learnt at all.

    (None, False) for a run whose curve leaves nothing open: then nothing is probed.
    """
    if case.has(*TOO_HIGH):
        return "too high", False
    return ("too low" if case.has(*TOO_LOW) else None), case.has(*STUCK)


def probe_run(path: Path, case: Case, watch: Watch) -> tuple[ProbeAnswer, ...]:
    """The answers in the order in which they were asked: data before rates, what trains nothing before what trains.

    A fault found ends the asking: what follows would be asked of a set-up that is going to change. Raises DataError
    without rows to train on, Interrupted when the watch wants to stop.
    """
    suspect, stuck = probes_wanted(case)
    if suspect is None:
        watch.say("the curve leaves nothing open that a probe could settle")
        return ()
    return _Probing(path, case, watch).answers(suspect, stuck)


@dataclass
class _Probing:
    """One run under examination."""

    path: Path
    case: Case
    watch: Watch

    def answers(self, suspect: Suspect, stuck: bool) -> tuple[ProbeAnswer, ...]:
        prepared = prepare_settings(settings_of(Run(self.path)), Request(), refuse_faults=False)
        masks = check_masks((*prepared.check.faults, *prepared.train.faults))
        if masks is not None:
            return (self._told(masks),)
        if not prepared.train.rows:
            raise DataError(
                f"{prepared.recipe.data}: no row to train on", hint=f"tunewright check {prepared.recipe.data}"
            )
        recipe = prepared.recipe
        logged = self.case.curve.learning_rate if self.case.curve is not None else None
        found = []
        if logged is not None:
            found.append(self._told(probe_schedule(recipe, total_steps(recipe, len(prepared.train.rows)), logged)))
        self.watch.say(f"loading {recipe.model} to probe it")
        base = load_base(recipe.model, method=recipe.method, precision=recipe.precision, template=recipe.template)
        probes: list[Callable[[], ProbeAnswer]] = [
            lambda: self._template(base, prepared),
            lambda: self._rates(base, prepared, suspect),
            *([lambda: self._sanity(base, prepared)] if stuck else []),
        ]
        for probe in probes:
            if any(answer.verdict == "fault" for answer in found):
                break
            found.append(self._told(probe()))
        return tuple(found)

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
