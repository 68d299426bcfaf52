"""Trackers beside metrics.jsonl: each run of a pack reports to a place of its own."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tunewright.data.tokens import TokenRow
from tunewright.engine import trackers
from tunewright.engine.base import Base
from tunewright.engine.job import Job
from tunewright.engine.loop import run_pack
from tunewright.record.run import Run
from tunewright.schema.finding import Finding
from tunewright.schema.jsonio import number
from tunewright.schema.recipe import Recipe

Logged = dict[str, list[tuple[int, dict[str, float]]]]


class FakeBoard(ModuleType):
    """Weights & Biases as it documents itself: a second init gives the first run back unless told otherwise."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.logged: Logged = defaultdict(list)
        self.config: dict[str, Any] = {}
        self.finished: list[str] = []
        self.alerts: list[tuple[str, str, str]] = []
        self.summaries: dict[str, dict[str, Any]] = defaultdict(dict)
        self.AlertLevel = Enum("AlertLevel", ["INFO", "WARN", "ERROR"])
        self._latest: Any = None

    def init(
        self,
        *,
        project: str,
        name: str,
        config: dict[str, Any],
        reinit: str = "",
        dir: str = "",
        id: str = "",
        resume: str = "never",
    ) -> Any:
        assert project == "tunewright"
        if self.__name__ == "wandb" and self._latest is not None and reinit != "create_new":
            return self._latest
        known = f"id-of-{name}" if self.__name__ == "wandb" else name
        assert (name in self.config) == (resume == "allow"), "a run that is known goes on, another one begins"
        assert id in ("", known)
        self.config[name] = config
        self._latest = SimpleNamespace(
            log=lambda numbers, step: self.logged[name].append((step, numbers)),
            finish=lambda: self.finished.append(name),
            alert=lambda title, text, level: self.alerts.append((name, title, level.name)),
            id=known,
            name=name,
            **({"summary": self.summaries[name]} if self.__name__ == "wandb" else {}),
        )
        return self._latest


class FakeMlflow(ModuleType):
    """MLflow's fluent interface: one active run, and others by their id."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.logged: Logged = defaultdict(list)
        self.config: dict[str, Any] = {}
        self.finished: list[str] = []
        self.tags: dict[tuple[str, str], str] = {}
        self.files: dict[tuple[str, str], str] = {}
        self._active: list[str] = []

    def start_run(self, *, run_name: str, nested: bool = False) -> Any:
        assert nested or not self._active, "a run is already active"
        self._active.append(run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def end_run(self, status: str = "FINISHED") -> None:
        ended = self._active.pop()
        self.finished += [ended] if status == "FINISHED" else []

    def log_params(self, params: dict[str, Any], run_id: str) -> None:
        self.config[run_id] = params

    def log_metrics(self, metrics: dict[str, float], step: int, run_id: str) -> None:
        self.logged[run_id].append((step, metrics))

    def MlflowClient(self) -> Any:
        return SimpleNamespace(
            set_terminated=self.finished.append,
            set_tag=lambda run_id, key, value: self.tags.update({(run_id, key): value}),
            log_text=lambda run_id, text, file: self.files.update({(run_id, file): text}),
        )


@pytest.fixture
def train_two(
    make_base: Callable[..., Base],
    make_rows: Callable[..., list[TokenRow]],
    make_recipe: Callable[..., Recipe],
    make_run: Callable[..., Run],
) -> Callable[[str], list[Run]]:
    """Two unlike runs side by side, and then a third in the row of the one that ends first."""

    def train(tracker: str) -> list[Run]:
        rows, val, runs = make_rows(20), make_rows(4, seed=1), [make_run(f"cell-{place}") for place in range(3)]
        jobs = [
            Job(make_recipe(report_to=(tracker,), max_steps=3 + place, learning_rate=rate), rows, val, run=runs[place])
            for place, rate in enumerate((1e-3, 2e-3, 3e-3))
        ]
        run_pack(make_base(), jobs, slots=2)
        return runs

    return train


def events_of(run: Run, key: str) -> dict[int, float]:
    return {event["step"]: number(event[key]) for event in run.events() if key in event}


@pytest.mark.parametrize(("name", "fake"), [("wandb", FakeBoard), ("trackio", FakeBoard), ("mlflow", FakeMlflow)])
def test_runs_of_a_pack_are_runs_of_their_own_elsewhere(
    train_two: Callable[[str], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fake: Callable[[str], FakeBoard | FakeMlflow],
) -> None:
    package = fake(name)
    monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setattr(trackers, "find_spec", lambda _: True)
    runs = train_two(name)
    assert sorted(package.finished) == ["cell-0", "cell-1", "cell-2"]
    for run in runs:
        logged = package.logged[run.path.name]
        for key, theirs in (("loss", "train/loss"), ("eval_loss", "eval/loss")):
            assert {step: numbers[theirs] for step, numbers in logged if theirs in numbers} == events_of(run, key)
    assert [package.config[run.path.name]["learning_rate"] for run in runs] == [1e-3, 2e-3, 3e-3]


def test_every_run_of_a_pack_has_its_own_event_file(train_two: Callable[[str], list[Run]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for run in train_two("tensorboard"):
        (file,) = run.path.glob("events.out.tfevents.*")
        found = EventAccumulator(str(file)).Reload()
        for key, theirs in (("loss", "train/loss"), ("eval_loss", "eval/loss")):
            assert {point.step: point.value for point in found.Scalars(theirs)} == pytest.approx(events_of(run, key))


SPIKE = Finding("TW106", "spike", "warning", (3, 3), {}, "One batch cost 9 times its neighbours.", (), (7,))
READ = trackers.Told(4, "warning", (SPIKE,), {})
EXAMINED = trackers.Told(4, "warning", (), {"exam/variation": 0.9})


@pytest.mark.parametrize(("name", "fake"), [("wandb", FakeBoard), ("trackio", FakeBoard), ("mlflow", FakeMlflow)])
def test_findings_and_exam_go_to_the_run_the_tracker_knows(
    make_recipe: Callable[..., Recipe],
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fake: Callable[[str], Any],
) -> None:
    package = fake(name)
    monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setattr(trackers, "find_spec", lambda _: True)
    recipe, run = make_recipe(report_to=(name,)), make_run("run-1")
    for tracker in trackers.open_trackers(recipe, run.path)[0]:  # the run itself
        tracker.log(1, {"train/loss": 2.0})
        tracker.close()
    trackers.tell_trackers(recipe, run.path, READ)
    trackers.tell_trackers(recipe, run.path, EXAMINED)
    assert list(package.logged) == ["run-1"]
    assert package.logged["run-1"][-1] == (4, {"exam/variation": 0.9})
    if name == "mlflow":
        assert package.tags == {("run-1", "health"): "warning"}
        assert "TW106 spike, steps 3 to 3: One batch" in package.files[("run-1", "findings.txt")]
    else:
        assert package.alerts == [("run-1", "TW106 spike", "WARN")]
    if name == "wandb":
        summary = package.summaries["run-1"]
        assert (summary["health"], len(summary["findings"]), summary["exam/variation"]) == ("warning", 1, 0.9)


def test_findings_and_exam_are_in_the_event_files(
    make_recipe: Callable[..., Recipe], make_run: Callable[..., Run]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe, run = make_recipe(report_to=("tensorboard",)), make_run("run-1")
    trackers.tell_trackers(recipe, run.path, READ)
    trackers.tell_trackers(recipe, run.path, EXAMINED)
    found = EventAccumulator(str(run.path)).Reload()
    assert [point.value for point in found.Scalars("exam/variation")] == [pytest.approx(0.9)]
    assert found.Tags()["tensors"] == ["findings/text_summary"]


def test_a_run_without_findings_opens_no_tracker(
    make_recipe: Callable[..., Recipe], make_run: Callable[..., Run]
) -> None:
    run = make_run("run-1")
    trackers.tell_trackers(make_recipe(report_to=("tensorboard",)), run.path, trackers.Told(4, "healthy", (), {}))
    assert list(run.path.glob("events*")) == []
