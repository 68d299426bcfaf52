"""Our run folder for a run that another trainer makes: the same files, so that every verb reads it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.doctor.live import LiveCurve
from tunewright.prescribe.report import Report, report_on
from tunewright.record.files import write_whole
from tunewright.record.heart import Heart
from tunewright.record.run import Run, create_run, find_runs, free_name
from tunewright.record.versions import versions
from tunewright.schema.errors import UsageError

NAME = "tunewright"
PACKAGES = ("torch", "transformers", "trl", "peft", "unsloth", "axolotl", "llamafactory")


class RunFolder:
    """Writes one foreign run's folder. Raises TunewrightError or OSError when the place cannot be written."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._heart = Heart()

    @classmethod
    def new(cls, folder: Path | None, output_dir: Path) -> RunFolder:
        """A new folder: the one asked for, else ``tunewright`` in the trainer's own; ``NAME-1``, ... when taken."""
        wanted = folder or output_dir.absolute() / NAME
        name = free_name(wanted.parent, wanted.name) if wanted.exists() else wanted.name
        return cls(create_run(wanted.parent, name, about={}))

    @classmethod
    def resumed(cls, folder: Path | None, output_dir: Path) -> RunFolder:
        """The folder of the run that is going on: the one asked for, else the newest of ours; a new one if none."""
        wanted = folder or output_dir.absolute() / NAME
        ours = [run for run in find_runs(wanted.parent) if re.fullmatch(_any_of(wanted.name), run.name)]
        return cls(ours[-1]) if ours else cls.new(folder, output_dir)

    def describe(self, settings: Mapping[str, Any], *, total_steps: int, **about: Any) -> None:
        """What is known before the first step."""
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
        write_whole(self.run.path / "recipe.yaml", "".join(lines))
        self.run.write("plan.json", {"predicted": {"steps": total_steps}})
        self.run.update(status="running", versions=versions(PACKAGES), command=" ".join(sys.argv), **about)

    def past(self, step: int) -> list[dict[str, Any]]:
        """The events logged up to ``step`` by the run that is resumed there, its own resumes followed."""
        kept: list[dict[str, Any]] = []
        for event in self.run.events():
            if "resumed_at" in event:
                kept = [one for one in kept if one.get("step", 0) <= int(event["resumed_at"])]
            else:
                kept.append(event)
        return [event for event in kept if event.get("step", 0) <= step]

    def append(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Add metrics, and now and then the sign of life that tells a running run from a killed one."""
        self.run.append(*events)
        self._heart.beat([self.run])

    def finish(self, live: LiveCurve, *, steps: int, seconds: float, kept_best: bool, because: str) -> Report:
        """The closing reading and the figures of the run."""
        live.path = str(self.run.path)
        report = report_on(live.curve())
        evals = report.curve.eval_loss.finite()
        eval_loss = None
        if len(evals):
            eval_loss = float(evals.values.min() if kept_best else evals.values[-1])
        result = {
            "run": str(self.run.path),
            "eval_loss": eval_loss,
            "base_eval_loss": report.curve.base_eval_loss,
            "steps": steps,
            "seconds": seconds,
            "health": report.diagnosis.health,
            "stopped_because": because,
        }
        self.run.write("findings.json", report)
        self.run.update(status="finished", ended=time.time(), result=result)
        return report


def _any_of(name: str) -> str:
    return rf"{re.escape(name)}(-\d+)?"


def check_place(folder: str | Path | None) -> Path | None:
    """The folder asked for as a path. Raises UsageError for an empty name."""
    if folder is None:
        return None
    if not str(folder).strip():
        raise UsageError("TunewrightCallback(folder=''): expected a folder, or None for one beside the trainer's files")
    return Path(folder).absolute()
