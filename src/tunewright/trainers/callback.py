"""The doctor inside any Hugging Face ``Trainer``: one line to add, in TRL, Unsloth, Axolotl and LLaMA-Factory too.

trainer = SFTTrainer(..., callbacks=[tunewright.TunewrightCallback()])
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tunewright.doctor.codes import symptom_of
from tunewright.doctor.live import UNTOLD, LiveCurve
from tunewright.schema.errors import EnvironmentMissing, TunewrightError, UsageError
from tunewright.schema.finding import Finding, Severity
from tunewright.trainers.arguments import recipe_keys
from tunewright.trainers.folder import RunFolder, check_place
from tunewright.trainers.log_rows import LogRows
from tunewright.trainers.step_losses import StepLosses

try:
    from transformers.trainer_callback import TrainerCallback
except ModuleNotFoundError as error:
    raise EnvironmentMissing(
        f"TunewrightCallback needs transformers ({error})", hint="pip install transformers"
    ) from None


class TunewrightCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Watches a run: evaluates before the first step, shows hidden NaN, names what goes wrong, keeps a run folder.

    folder  : where our run folder goes; None: ``tunewright`` in the trainer's ``output_dir``
    stop_on : symptoms or codes that end the run, e.g. ``("non_finite", "divergence")``; estimates must hold at two
              readings in a row
    quiet   : print nothing (the folder is written all the same)

    It never raises into the training it watches: when its folder cannot be written it says so once and goes on
    without. In a distributed run the main process writes and prints, and all of them stop together.
    Raises UsageError for an unknown symptom, when it is made.
    """

    def __init__(
        self, folder: str | Path | None = None, stop_on: Sequence[str] | str = (), quiet: bool = False
    ) -> None:
        self._wanted, self._quiet = check_place(folder), quiet
        self._stop_on = _symptoms((stop_on,) if isinstance(stop_on, str) else stop_on)
        self._live: LiveCurve | None = None
        self._folder: RunFolder | None = None
        self._losses: StepLosses | None = None
        self._changed: dict[str, Any] = {}
        self._rows, self._because = LogRows(), ""
        self._began_s = 0.0

    # --- the trainer's events -----------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._leave(args)  # a trainer that starts over with a smaller batch begins twice
        resumed, main = state.global_step > 0, state.is_world_process_zero
        self._began_s, self._because = time.perf_counter(), ""
        self._rows = LogRows(args.metric_for_best_model)
        if not resumed and str(getattr(args.eval_strategy, "value", args.eval_strategy)) != "no":
            self._set(args, "eval_on_start", True)  # read right after this event
        model, settings = given.get("model"), recipe_keys(args, given.get("model"))
        self._live = LiveCurve("tunewright", total_steps=state.max_steps, config=settings)
        if main:
            self._guarded(lambda: self._open(args, state, settings, given))
        if model is not None and args.world_size == 1 and args.n_gpu < 2 and not args.torch_compile:
            self._losses = StepLosses(model, args.gradient_accumulation_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._losses is not None:
            self._losses.end_step(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **given: Any) -> Any:
        if self._live is None or not logs:
            return control
        events = self._events(state, logs)
        for event in events:
            self._live.add(event)
        if self._folder is not None and events:
            folder = self._folder
            self._guarded(lambda: folder.append(events))
        if self._live.due:
            self._read(state, control)
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._live is None:
            return
        self._guarded(lambda: self._close(args, state))
        self._leave(args)

    # --- one log row --------------------------------------------------------------------------------------------

    def _events(self, state: Any, logs: dict[str, Any]) -> list[dict[str, Any]]:
        """A log row as metrics events: every step since the last one when the losses were caught, else the row."""
        row = self._rows.row(logs)
        stamp = {"step": int(state.global_step), "epoch": float(state.epoch or 0.0), "seconds": self._seconds()}
        event = {**stamp, **row}
        if "loss" not in row or self._losses is None:
            return [event] if row else []
        steps = self._losses.drain(row["loss"])
        if not steps or steps[-1].step != stamp["step"]:
            return [event]
        if steps[-1].loss != steps[-1].loss and row["loss"] == 0.0:
            self._show_hidden(state, logs)
        event["loss"] = steps[-1].loss
        return [*({"step": one.step, "loss": one.loss} for one in steps[:-1]), event]

    def _show_hidden(self, state: Any, logs: dict[str, Any]) -> None:
        """Write NaN where the trainer's filter left 0.0, in its own history too: a 0.0 reads as a perfect loss."""
        logs["loss"] = float("nan")
        if state.log_history and "loss" in state.log_history[-1]:
            state.log_history[-1]["loss"] = float("nan")

    # --- reading ------------------------------------------------------------------------------------------------

    def _read(self, state: Any, control: Any) -> None:
        assert self._live is not None
        diagnosis = self._live.read()
        sure = self._live.confirmed(diagnosis)
        news = self._live.news(sure)
        for finding in news:
            self._tell(state, finding)
        if news and self._folder is not None:
            folder = self._folder
            self._guarded(lambda: folder.run.write("findings.json", diagnosis))
        fatal = next((finding for finding in sure if finding.symptom in self._stop_on), None)
        if fatal is not None and not self._because:
            self._because = f"{fatal.symptom}: {fatal.why}"
            self._say(state, f"stopping the run at step {state.global_step}: {fatal.symptom}")
            control.should_training_stop = True

    def _tell(self, state: Any, finding: Finding) -> None:
        first, last = finding.steps
        where = f"step {first}" if first == last else f"steps {first}-{last}"
        self._say(state, f"{finding.severity} {finding.code} {finding.symptom}, {where}: {finding.why}")

    def _say(self, state: Any, text: str) -> None:
        """One line on stderr that a progress bar does not tear."""
        if self._quiet or not state.is_world_process_zero:
            return
        from tqdm.auto import tqdm  # type: ignore[import-untyped]

        tqdm.write(f"tunewright: {text}", file=sys.stderr)

    # --- beginning and end --------------------------------------------------------------------------------------

    def _open(self, args: Any, state: Any, settings: dict[str, Any], given: Mapping[str, Any]) -> None:
        assert self._live is not None
        output_dir = Path(args.output_dir)
        if state.global_step:
            self._folder = RunFolder.resumed(self._wanted, output_dir)
            self._take_up(state)
        else:
            self._folder = RunFolder.new(self._wanted, output_dir)
        name = str(getattr(getattr(given.get("model"), "config", None), "_name_or_path", "") or "")
        self._folder.describe(
            {**({"model": name} if name else {}), **settings},
            total_steps=state.max_steps,
            model=name,
            trainer="transformers",
            output_dir=str(output_dir.absolute()),
            rows=_rows(given.get("train_dataloader")),
        )

    def _take_up(self, state: Any) -> None:
        """The curve before the resume: from our folder, else from the trainer's own history."""
        assert self._live is not None
        assert self._folder is not None
        past = self._folder.past(state.global_step)
        if not past:
            past = [event for row in state.log_history if (event := self._logged(row))]
            self._folder.append(past)
        for event in past:
            self._live.add(event)
        self._live.add({"resumed_at": state.global_step})
        self._folder.append([{"resumed_at": state.global_step}])

    def _logged(self, row: Mapping[str, Any]) -> dict[str, Any]:
        kept = self._rows.row(row)
        return {"step": int(row["step"]), "epoch": float(row.get("epoch", 0.0)), **kept} if kept else {}

    def _close(self, args: Any, state: Any) -> None:
        assert self._live is not None
        because = self._because or _ended(state)
        if self._folder is not None:
            kept_best = bool(args.load_best_model_at_end)
            report = self._folder.finish(
                self._live, steps=state.global_step, seconds=self._seconds(), kept_best=kept_best, because=because
            )
            told = [finding for finding in report.diagnosis.findings if finding.symptom not in UNTOLD]
            for finding in self._live.news(told, least=get_args(Severity)):
                self._tell(state, finding)
            self._say(state, f"health: {report.diagnosis.health}; tunewright diagnose {self._folder.run.path}")

    def _leave(self, args: Any) -> None:
        """Take out the hook and give the arguments back as they were."""
        if self._losses is not None:
            self._losses.detach()
        for name, value in self._changed.items():
            setattr(args, name, value)
        self._changed = {}
        self._live = self._folder = self._losses = None

    def _set(self, args: Any, name: str, value: Any) -> None:
        if hasattr(args, name) and getattr(args, name) != value:
            self._changed[name] = getattr(args, name)
            setattr(args, name, value)

    def _seconds(self) -> float:
        return time.perf_counter() - self._began_s

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do something with our folder; when that fails, say it once and go on without the folder."""
        try:
            work()
        except (TunewrightError, OSError) as error:
            self._folder = None
            if not self._quiet:
                sys.stderr.write(f"tunewright: the run folder is given up, training goes on: {error}\n")


def _symptoms(names: Sequence[str]) -> frozenset[str]:
    found = {name: symptom_of(name) for name in names}
    unknown = [name for name, symptom in found.items() if symptom is None]
    if unknown:
        raise UsageError(f"TunewrightCallback(stop_on=...): no such symptom: {', '.join(map(repr, unknown))}")
    return frozenset(symptom for symptom in found.values() if symptom is not None)


def _rows(loader: Any) -> dict[str, int]:
    dataset: Any = getattr(loader, "dataset", None)
    return {"train": len(dataset)} if hasattr(dataset, "__len__") else {}


def _ended(state: Any) -> str:
    if state.global_step >= state.max_steps:
        return f"all {state.max_steps} steps done"
    return f"stopped by the trainer at step {state.global_step} of {state.max_steps}"
