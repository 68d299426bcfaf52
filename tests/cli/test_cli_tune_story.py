"""``tune --explain``: the story of a tuning from its folder, without torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.app.tuning_story import explain_tuning
from tunewright.cli.show_tuning import story_text
from tunewright.schema.errors import UsageError

LINES = ((0.0, "plan: lora"), (75.0, "run-1: curve healthy"), (3700.0, "stopped: no change left"))


def tuning(folder: Path, name: str, started: float, ended: bool = True) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    about = {
        "kind": "tune",
        "goal": "eval",
        "started": started,
        "runs": [],
        "best": {"run": "r/run-1", "eval_loss": 0.5},
    }
    (path / "tuning.json").write_text(json.dumps({**about, **({"stopped_because": "no change left"} if ended else {})}))
    (path / "run.json").write_text(json.dumps({"started": started}))
    lines = [json.dumps({"t": started + seconds, "text": text}) for seconds, text in LINES]
    (path / "decisions.jsonl").write_text("\n".join(lines) + '\n{"t": 1, "te')
    return path


def test_every_decision_is_told_with_its_time(tmp_path: Path) -> None:
    story = explain_tuning(tuning(tmp_path, "tune-1", 1000.0))
    assert [(line["seconds"], line["text"]) for line in story["decisions"]] == list(LINES)
    said = story_text(story)
    assert "    1:15  run-1: curve healthy" in said
    assert " 1:01:40  stopped" in said
    assert "--resume" not in said


def test_the_newest_is_told_when_none_is_named(tmp_path: Path) -> None:
    tuning(tmp_path, "tune-1", 1000.0)
    newest = tuning(tmp_path, "tune-2", 2000.0, ended=False)
    story = explain_tuning(runs_dir=tmp_path)
    assert story["tuning"] == str(newest)
    assert "It has not ended" in story_text(story)


def test_what_is_no_tuning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tuning to explain"):
        explain_tuning(runs_dir=tmp_path)
    with pytest.raises(UsageError, match="not a tuning"):
        explain_tuning(tmp_path)


def test_a_mean_that_is_kept_is_named_with_its_runs(tmp_path: Path) -> None:
    path = tuning(tmp_path, "tune-1", 1000.0)
    about = json.loads((path / "tuning.json").read_text())
    about["best"]["blend"] = {"names": ["run-1", "run-4"], "eval_loss": 0.5, "forgetting": None}
    (path / "tuning.json").write_text(json.dumps(about))
    assert "kept     r/run-1/blend, the mean of run-1, run-4, validation loss 0.5" in story_text(explain_tuning(path))
