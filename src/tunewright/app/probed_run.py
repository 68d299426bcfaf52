"""Probes around a run: before it starts a line for the user, after it ends what its rows say, kept in its folder."""

from __future__ import annotations

from typing import Any

from tunewright.app.data_probes import DataProbes, Probed, affordable_rows
from tunewright.app.prepare import Prepared
from tunewright.app.run_life import keep_reading
from tunewright.app.watch import Watch
from tunewright.app.worn import tuned_weights
from tunewright.engine.base import Base
from tunewright.planner.steps import total_steps
from tunewright.record.run import PROBES_FILE, Run
from tunewright.schema.finding import Finding


class RunProbes:
    """Asks the base before a run and the trained model after it; nothing where that would cost too much of the run,
    and nothing of continued pre-training, which has no prompts. ``tokens``: forwarded so far."""

    def __init__(self, prepared: Prepared, base: Base, watch: Watch) -> None:
        self._prepared, self._base, self._watch = prepared, base, watch
        self._probes = _probes(prepared, base, watch)
        self._start = Probed()
        self.tokens = 0

    def start(self) -> RunProbes:
        """Ask the untouched base; each finding is told."""
        if self._probes is not None:
            self._start = self._probes.before_training()
            self.tokens += self._start.tokens
        for finding in self._start.findings:
            self._watch.say(f"note: {finding.symptom}: {finding.why}")
        return self

    def end(self, run: Run, answer: dict[str, Any]) -> dict[str, Any]:
        """Ask the trained model and keep what it says in the run's folder, where every later reading finds it.

        Returns the ``train`` JSON with the health this gives and the tokens it took. The base is left bare.
        """
        if (
            self._probes is None or (run.path / PROBES_FILE).is_file()
        ):  # a tuning that is resumed has its best run's already
            return answer
        with tuned_weights(run.kept, self._prepared.recipe, self._base) as trained:
            end = self._probes.after_training(trained, int(answer["steps"]))
        for finding in end.findings:
            self._watch.say(f"{run.name}: {finding.symptom}: {finding.why}")
        self.tokens += end.tokens
        run.write(PROBES_FILE, {"start": self._start, "end": end, "findings": self._lasting(end)})
        report = keep_reading(run)
        tokens = {**answer["tokens"], "eval": answer["tokens"]["eval"] + self.tokens}
        answer = {**answer, "tokens": tokens, "health": report.diagnosis.health}
        run.update(result=answer)
        return answer

    def _lasting(self, end: Probed) -> list[Finding]:
        """What was said of labels before is replaced: the trained model knows better."""
        before = (one for one in self._start.findings if one.symptom != "labels_unrelated" or end.gain is None)
        return [*before, *end.findings]


def _probes(prepared: Prepared, base: Base, watch: Watch) -> DataProbes | None:
    recipe = prepared.recipe
    seen = total_steps(recipe, len(prepared.train.rows)) * recipe.effective_batch_size
    rows = affordable_rows(seen) if recipe.stage == "sft" else 0
    if not rows:
        return None
    return DataProbes(
        base,
        prepared.dataset,
        prepared.facts.max_length,
        recipe.per_device_eval_batch_size,
        watch,
        rows=rows,
        seed=recipe.seed,
        exchanges=1,
    )
