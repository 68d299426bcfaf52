"""A run at work in another trainer's interpreter: what it says as it goes, and what it leaves brought home."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.app import run_life
from tunewright.app.live import Live
from tunewright.app.watch import Watch
from tunewright.curve.names import to_float, to_step
from tunewright.record.files import write_folder
from tunewright.record.heart import Heart
from tunewright.record.run import Run
from tunewright.schema.errors import Interrupted, RunFailed
from tunewright.schema.recipe_io import make_recipe, read_settings
from tunewright.trainers.exported import OUTPUT
from tunewright.trainers.log_rows import LogRows
from tunewright.trainers.riding import Ride
from tunewright.trainers.tool import Tool

FOLDER = "trainer"
"""Within the run's folder: the export, and everything the other trainer writes."""

LOOK_EVERY_S = 0.2
_NOT_OF_THE_MODEL = {"trainer_state.json", "trainer_log.jsonl", "README.md", "training_args.bin"}


@dataclass
class _Seen:
    """What the trainer said of its run so far. eval_s: spent in evaluations; runtime_s: its own total."""

    step: int = 0
    total_steps: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: {"train": 0, "eval": 0})
    eval_s: float = 0.0
    runtime_s: float | None = None
    end: Mapping[str, Any] = field(default_factory=dict)
    base_eval_loss: float | None = None
    eval_loss: float | None = None


class LaunchedRun:
    """One run of another trainer, from its start (or its last checkpoint) to its end: :meth:`go`."""

    def __init__(self, run: Run, tool: Tool, python: str, steps: int, symptoms: frozenset[str], watch: Watch) -> None:
        self._run, self._tool, self._python, self._symptoms, self._watch = run, tool, python, symptoms, watch
        recipe = make_recipe(read_settings(run.path / "recipe.yaml"))
        self._live = Live(run.name, recipe, steps, watch)
        self._rows, self._seen = LogRows("loss"), _Seen(total_steps=steps)
        self._because, self._past_s = "", 0.0
        self._heart, self._started_s = Heart(), time.monotonic()

    def go(self, resume: bool = False) -> dict[str, Any]:
        """Start it, follow it to its end, write down what came of it."""
        run = self._run
        if resume:
            past = list(run.events())
            self._live.remember(past)
            self._past_s = max((float(event.get("seconds", 0.0)) for event in past), default=0.0)
            self._take_evals(past)
        run_life.begin(run, resume=resume)
        try:
            with Ride(self._tool, self._python, run.path / FOLDER, "train", resume=resume) as ride:
                self._follow(ride)
        except KeyboardInterrupt:
            run.update(status="interrupted", ended=time.time())
            raise
        if ride.status() and self._because != "interrupted":
            error = ride.failed()
            run_life.break_off(run, error)
            raise error
        return self._end()

    def _follow(self, ride: Ride) -> None:
        while True:
            over = ride.status() is not None
            for event in ride.news():
                self._take(event)
            if over:
                return
            self._heart.beat([self._run])  # loading a model may take longer than a silent run is taken for a living one
            if self._watch.should_stop() and not self._because:
                self._because = "interrupted"
            if self._because:
                ride.ask_to_stop()
            ride.wait(LOOK_EVERY_S)

    # --- what it says ---------------------------------------------------------------------------------------------

    def _take(self, event: Mapping[str, Any]) -> None:
        seen = self._seen
        seen.step = int(event["step"])
        seen.tokens = dict(event.get("tokens", seen.tokens))
        what = event.get("what")
        if what == "begin":
            self._begin(event)
        elif what == "end":
            seen.end = event
        elif what == "log":
            self._log(event)

    def _begin(self, event: Mapping[str, Any]) -> None:
        seen = self._seen
        seen.total_steps = to_step(event.get("total_steps")) or seen.total_steps
        self._run.update(trainer_versions=event.get("versions", {}))
        for tracker in event.get("left_out") or ():
            self._watch.say(f"{self._run.name}: {tracker} is not installed in {self._python}: nothing is sent there")
        if self._run.metrics_path.is_file():  # its own or a resumed life before this one
            self._run.append({"resumed_at": seen.step})
            self._live.remember([{"resumed_at": seen.step}])

    def _log(self, event: Mapping[str, Any]) -> None:
        logs, seen = event["logs"], self._seen
        seen.eval_s += to_float(logs.get("eval_runtime")) or 0.0
        seen.runtime_s = to_float(logs.get("train_runtime")) or seen.runtime_s
        row = self._rows.row(logs)
        if not row:
            return
        metrics = {
            "step": seen.step,
            "epoch": event.get("epoch") or 0.0,
            "tokens": seen.tokens["train"],
            "seconds": self._past_s + float(event["clock_s"]),
            **row,
        }
        self._run.append(metrics)
        self._take_evals([metrics])
        self._live.on_event(metrics)
        fatal = next((finding for finding in self._live.sure if finding.symptom in self._symptoms), None)
        if fatal is not None and not self._because:
            self._because = f"{fatal.symptom}: {fatal.why}"
            self._watch.say(f"{self._run.name}: stopping {self._tool.title} at step {seen.step}: {fatal.symptom}")

    def _take_evals(self, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            loss = to_float(event.get("eval_loss"))
            if loss is None:
                continue
            if event.get("step") == 0:
                self._seen.base_eval_loss = loss
            self._seen.eval_loss = loss

    # --- its end --------------------------------------------------------------------------------------------------

    def _end(self) -> dict[str, Any]:
        run, seen = self._run, self._seen
        if not seen.end and self._because != "interrupted":
            raise self._never_trained()
        adapter = self._bring_home()
        report = run_life.keep_reading(run)
        answer = self._answer(report.diagnosis.health, adapter)
        run_life.keep_score(run, answer, report)
        if self._because == "interrupted":
            run.update(status="interrupted", ended=time.time(), result=answer)
            raise Interrupted(
                f"{run.name}: stopped at step {seen.step} of {seen.total_steps}",
                hint=f"tunewright train --resume {run.path}",
            )
        run_life.finish(run, answer)
        return answer

    def _never_trained(self) -> RunFailed:
        error = RunFailed(
            f"{self._run.name}: {self._tool.title} ended without training",
            hint=f"everything it printed: {self._run.path / FOLDER / 'log.txt'}",
        )
        run_life.break_off(self._run, error)
        return error

    def _bring_home(self) -> Path | None:
        """Copy what it kept to ``best``; None when it kept nothing."""
        found = kept(self._run.path / FOLDER / OUTPUT)
        if found is None:
            return None
        files = [path for path in found.iterdir() if path.is_file() and path.name not in _NOT_OF_THE_MODEL]
        write_folder(self._run.best, lambda inside: _copy(files, inside))
        return self._run.best

    def _answer(self, health: str, adapter: Path | None) -> dict[str, Any]:
        seen = self._seen
        best, runtime = to_float(seen.end.get("best_metric")), seen.runtime_s
        train_s = None if runtime is None else max(0.0, runtime - seen.eval_s)
        memory = seen.end.get("peak_bytes")
        return {
            "run": str(self._run.path),
            "eval_loss": seen.eval_loss if best is None else best,
            "base_eval_loss": seen.base_eval_loss,
            "steps": seen.step,
            "best_step": to_step(seen.end.get("best_step")),
            "tokens": seen.tokens,
            "seconds": time.monotonic() - self._started_s,
            "train_seconds": train_s,
            "tokens_per_s": seen.tokens["train"] / train_s if train_s else None,
            "peak_GiB": None if memory is None else float(memory) / 2**30,
            "health": health,
            "forgetting": None,
            "stopped_because": self._because or self._ended(),
            "adapter": None if adapter is None else str(adapter),
            "trainer": self._tool.name,
        }

    def _ended(self) -> str:
        done, total = self._seen.step, self._seen.total_steps
        return f"all {total} steps done" if done >= total else f"stopped by the trainer at step {done} of {total}"


def kept(output: Path) -> Path | None:
    """The folder below a trainer's outputs that holds its final model or adapter; else its newest checkpoint.

    Every tool we write for loads the best checkpoint before it saves at the end.
    """
    checkpoints = sorted(output.glob("checkpoint-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in (output / "best", output, *checkpoints):
        if any((folder / mark).is_file() for mark in ("adapter_model.safetensors", "model.safetensors")):
            return folder
        if (folder / "model.safetensors.index.json").is_file():
            return folder
    return None


def _copy(files: Sequence[Path], folder: Path) -> None:
    for file in files:
        shutil.copy2(file, folder / file.name)
