"""The runs of a tuning averaged: their mean measured on the base, and kept beside the best run where it is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from tunewright.app.tuning_runs import TuningRuns
from tunewright.engine.blend import attach_mean, can_be_averaged
from tunewright.engine.evaluate import mean_loss, row_losses
from tunewright.engine.export import save_peft
from tunewright.engine.pack import Pack
from tunewright.record.files import write_folder
from tunewright.record.run import Run
from tunewright.tuner.blend import Blend, Measured, blend, candidates
from tunewright.tuner.budget import Spent
from tunewright.tuner.choice import eval_loss_of
from tunewright.tuner.step import Goal, Tuning


def blend_runs(
    folder: Run, tuning: Tuning, runs: TuningRuns, *, goal: Goal, most: int, tell: Callable[[str], None]
) -> tuple[Blend | None, Tuning]:
    """The mean that is kept in the best run's folder, None when no mean is better, and the tuning with its tokens.

    ``most``: means that may be measured.

    A tuning that is resumed measures the same means again, and comes to the same one.
    """
    best = Run(folder.path / tuning.best.outcome.name)
    others = [step.outcome.name for step in candidates(tuning.steps, tuning.best)]
    folders = [Run(folder.path / name).best for name in (best.name, *others)]
    if not others or tuning.best.outcome.recipe.method == "full" or not can_be_averaged(folders):
        return None, tuning
    means = _Means(folder, runs, best)
    found, tokens = blend(tuning.steps, tuning.best, measure=means.measure, goal=goal, most=most)
    tuning = replace(tuning, spent=tuning.spent.plus(Spent(eval_tokens=tokens)))
    if found is None:
        if tokens:
            tell(f"no mean of {best.name}'s weights with those of other runs is better by more than 0.5 %")
        return None, tuning
    means.keep(found)
    alone = eval_loss_of(tuning.best)
    lucky = "" if found.eval_loss < alone else ", not lower but less a matter of luck"
    tell(
        f"the mean of the weights of {', '.join(found.names)} has a loss of {found.eval_loss:.4f} on the validation "
        f"rows{lucky}, {best.name} alone {alone:.4f}: the mean is kept, in {best.name}/blend"
    )
    return found, tuning


class _Means:
    """Means of the runs below ``folder`` on the base that ``runs`` share; the base is left bare after each."""

    def __init__(self, folder: Run, runs: TuningRuns, best: Run) -> None:
        self.folder, self.runs, self.best = folder, runs, best
        self.prepared = runs.prepared[best.name]

    def measure(self, names: Sequence[str], *, forgetting: bool) -> Measured:
        pack = self._attach(names)
        try:
            return self._measured(pack, forgetting)
        finally:
            pack.detach()

    def keep(self, found: Blend) -> None:
        """Write the mean into the best run's folder, and into its run.json what it is."""
        pack = self._attach(found.names)
        try:
            model = self.prepared.recipe.model
            write_folder(self.best.blend, lambda inside: save_peft(pack, 0, inside, base_name=model))
        finally:
            pack.detach()
        result = {**self.best.read()["result"], "adapter": str(self.best.blend)}
        self.best.update(blend=asdict(found), result=result)

    def _attach(self, names: Sequence[str]) -> Pack:
        return attach_mean(self.runs.base.model, [Run(self.folder.path / name).best for name in names])

    def _measured(self, pack: Pack, forgetting: bool) -> Measured:
        size = self.prepared.recipe.per_device_eval_batch_size
        loss = mean_loss(*row_losses(pack, self.prepared.val.rows, size))
        tokens = self.prepared.val.tokens
        if not forgetting or not self.runs.probed:
            return Measured(loss, None, tokens)
        probe = self.runs.general.probe(self.prepared)
        after = mean_loss(*row_losses(pack, probe, size))
        with pack.adapters_off():
            before = mean_loss(*row_losses(pack, probe, size))
        return Measured(loss, after - before, tokens + 2 * sum(len(row.ids) for row in probe))
