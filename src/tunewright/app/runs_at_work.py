"""Runs at work in one pack: what the engine tells of each is read as it comes and written into its folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tunewright.app import run_life
from tunewright.app.kept_rows import keep_end_rows
from tunewright.app.live import Live
from tunewright.app.model_card import write_card
from tunewright.app.offending_rows import token_texts
from tunewright.app.task import Ended, Task
from tunewright.app.train_json import train_json
from tunewright.app.watch import Watch
from tunewright.engine.job import TrainResult
from tunewright.engine.session import Session
from tunewright.engine.trackers import Told, tell_trackers
from tunewright.record.heart import Heart
from tunewright.schema.errors import TunewrightError


class RunsAtWork:
    """The tasks of one pack, each by its place. ``ends``: what came of those that ended.

    The engine calls :meth:`on_event`, :meth:`on_boundary` and :meth:`on_done`.
    """

    def __init__(self, tasks: Sequence[Task], tokenizer: Any, watch: Watch, on_ended: Ended, *, resume: bool) -> None:
        self.ends: dict[int, dict[str, Any] | TunewrightError] = {}
        self._runs = [_RunAtWork(task, watch, tokenizer) for task in tasks]
        self._watch, self._on_ended, self._resume = watch, on_ended, resume
        self._heart = Heart()

    def begin(self, slots: int | None) -> None:
        """Mark the first runs, those with a row in the pack, as running; the others when their first event comes."""
        for one in self._runs[:slots]:
            one.begin(self._resume)

    def on_event(self, place: int, event: dict[str, Any]) -> str:
        self._runs[place].begin(self._resume)
        self._heart.beat(one.task.run for one in self._runs if one.at_work)
        return self._runs[place].live.on_event(event)

    def on_boundary(self, session: Session) -> None:
        for slot in session.slots:
            task = self._runs[slot.index].task
            if slot.over() and task.end_rows:
                keep_end_rows(task.run, slot.row_nll_n, slot.row_tokens_n)

    def on_done(self, place: int, result: TrainResult | TunewrightError) -> None:
        self.ends[place] = self._runs[place].end(result)
        self._on_ended(place, self.ends[place])

    def break_off(self, error: TunewrightError) -> None:
        """The pack as a whole came to an end."""
        for one in self._runs:
            one.break_off(error)

    def say_notes(self) -> None:
        """What the engine did otherwise than asked, once for all runs it is true of."""
        for note in dict.fromkeys(note for one in self._runs for note in one.notes):
            about = [one.task.called for one in self._runs if note in one.notes]
            self._watch.say(f"{about[0] if len(about) == 1 else f'{len(about)} runs'}: {note}")


class _RunAtWork:
    """One task at work: its live reading and the status of its folder."""

    def __init__(self, task: Task, watch: Watch, tokenizer: Any) -> None:
        self.task = task
        text_of_row = token_texts(task.work.train, tokenizer)
        self.live = Live(task.called, task.plan.recipe, task.total_steps, watch, task.stop_when, text_of_row)
        self.at_work = False
        self.notes: list[str] = []
        self._started_s = time.perf_counter()

    def begin(self, resume: bool) -> None:
        """Mark the run as running, once."""
        if self.at_work:
            return
        self.at_work, self._started_s = True, time.perf_counter()
        if resume:
            self.live.remember(self.task.run.events())
        run_life.begin(self.task.run, resume=resume)

    def end(self, result: TrainResult | TunewrightError) -> dict[str, Any] | TunewrightError:
        """Write down what came of the run."""
        if isinstance(result, TunewrightError):
            self.at_work = True  # it may have failed before its first event
            self.break_off(result)
            return result
        self.at_work = False
        self.notes = list(result.notes)
        return self._finish(result)

    def _finish(self, result: TrainResult) -> dict[str, Any]:
        """Read the whole run once more, hold it against what was promised, and tell its trackers."""
        run = self.task.run
        report = run_life.keep_reading(run)
        answer = train_json(run, result, report.diagnosis, seconds=time.perf_counter() - self._started_s)
        run_life.keep_score(run, answer, report)
        run_life.finish(run, answer)
        write_card(run)
        findings = tuple(one for one in report.diagnosis.findings if one.severity != "info")
        tell_trackers(self.task.plan.recipe, run.path, Told(result.steps, report.diagnosis.health, findings, {}))
        return answer

    def break_off(self, error: TunewrightError) -> None:
        """The run ended without a result."""
        if self.at_work:
            self.at_work = False
            run_life.break_off(self.task.run, error)
