"""A sample tuning as the trainer would leave it on disk: five runs with their faults, findings and an exam."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HOSTILE = "<script>alert('x')</script>\"&\x00\x1b[31m\u202egnp.exe |`*_[a](javascript:b) אבג " + "long" * 40
STARTED = 1_763_700_000.0


def json_text(value: Any) -> str:
    """JSON as the project writes it: numbers that are not finite as strings."""

    def plain(item: Any) -> Any:
        if isinstance(item, float) and not math.isfinite(item):
            return "NaN" if math.isnan(item) else "Infinity"
        if isinstance(item, dict):
            return {key: plain(one) for key, one in item.items()}
        return [plain(one) for one in item] if isinstance(item, list) else item

    return json.dumps(plain(value))


def events(
    steps: int, *, rate: float, floor: float, rise: float = 0.0, seed: int = 0, dies_at: int | None = None
) -> list[dict[str, Any]]:
    """Metrics of a run that learns towards ``floor``; ``rise``: how far validation climbs again at the end."""
    rng = np.random.default_rng(seed)
    per_epoch, eval_every = 79, max(1, steps // 16)
    logged: list[dict[str, Any]] = [{"step": 0, "epoch": 0.0, "tokens": 0, "eval_loss": 2.914, "general_loss": 1.32}]
    for step in range(1, steps + 1):
        share = step / steps
        level = floor * 0.5 + (2.9 - floor * 0.5) * math.exp(-5 * rate * share)
        loss = float(level * math.exp(rng.normal(0, 0.13)))
        warm = min(1.0, share / 0.05)
        event = {
            "step": step,
            "epoch": step / per_epoch,
            "tokens": step * 900,
            "loss": loss,
            "learning_rate": 5e-3 * rate * warm * 0.5 * (1 + math.cos(math.pi * share)),
            "grad_norm": float(abs(rng.normal(0.6, 0.1))),
            "seconds": step * 0.11,
        }
        if dies_at is not None and step >= dies_at:
            event["loss"] = math.nan
        logged.append(event)
        if step % eval_every == 0 or step == steps:
            bend = rise * max(0.0, share - 0.55) ** 1.3
            evaluated = floor + (2.914 - floor) * math.exp(-5.5 * rate * share) + bend
            drift = 0.16 * rate * share if rise else 0.05 * share
            value = math.nan if dies_at is not None and step >= dies_at else evaluated
            logged.append({"step": step, "eval_loss": value, "general_loss": 1.32 + drift, "seconds": step * 0.11})
    return logged


def lowest(metrics: list[dict[str, Any]]) -> tuple[float, int]:
    """The lowest validation loss after the start, and its step."""
    measured = [(event["eval_loss"], event["step"]) for event in metrics if "eval_loss" in event and event["step"]]
    return min(point for point in measured if math.isfinite(point[0]))


def finding(code: str, symptom: str, severity: str, steps: list[int], why: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "symptom": symptom, "severity": severity, "steps": steps, "evidence": {}, "why": why, **more}


def diagnosis(health: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "source": {"kind": "tunewright", "path": "", "steps": 632, "logged_every": 1, "evals": 17},
        "health": health,
        "guide_reading": {
            "final_loss": 0.21,
            "interpretation": "0.2-0.5: target range, learned well",
            "target": "0.2-0.5: sweet spot",
            "tree_advice": "keep the settings and test the model",
        },
        "checklist": [
            {"mark": "training loss falls steadily", "value": 0.97, "ok": True},
            {"mark": "validation loss follows training loss", "value": 0.93, "ok": True},
            {"mark": "gap between them below 0.5", "value": 0.12, "ok": health == "healthy"},
            {"mark": "ends on a level", "value": None, "ok": None},
        ],
        "findings": findings,
        "abstained": [
            {"symptom": "noisy_labels", "because": "needs the loss of every row", "minimal_detectable_change": None},
            {"symptom": "val_shift", "because": "only one validation set", "minimal_detectable_change": 0.08},
        ],
        "prescription": {
            "keep": health == "healthy",
            "why": "no change is predicted to gain more than noise" if health == "healthy" else "the rate is too high",
            "changes": []
            if health == "healthy"
            else [{"key": "learning_rate", "factor": 0.5, "why": "validation rises", "rule": "lr", "source": "G1"}],
        },
    }


def exam() -> dict[str, Any]:
    def score(n: int, passed: int, low: float, high: float) -> dict[str, Any]:
        return {"n": n, "passed": passed, "rate": passed / n, "low": low, "high": high}

    def answer(part: str, question: str, expected: str, base: str, tuned: str, ok: bool) -> dict[str, Any]:
        return {
            "part": part,
            "question": question,
            "expected": [expected],
            "base": base,
            "tuned": tuned,
            "base_passed": False,
            "tuned_passed": ok,
        }

    return {
        "parts": {
            "exact": score(60, 59, 0.911, 0.997),
            "variation": score(100, 92, 0.850, 0.959),
            "out_of_domain": score(30, 27, 0.744, 0.965),
            "general": score(120, 115, 0.906, 0.982),
        },
        "base_parts": {
            "exact": score(60, 1, 0.003, 0.089),
            "variation": score(100, 3, 0.010, 0.085),
            "out_of_domain": score(30, 4, 0.053, 0.297),
            "general": score(120, 118, 0.941, 0.995),
        },
        "skills": [
            {"name": "arithmetic", "n": 40, "base": 1.0, "tuned": 0.975},
            {"name": "reading_a_fact", "n": 40, "base": 0.975, "tuned": 0.95},
            {"name": "reversing_a_list", "n": 40, "base": 0.95, "tuned": 0.95},
        ],
        "copied": 0.125,
        "reading": "learned",
        "why": "Right on 92 of 100 questions in new wordings, and old skills stand.",
        "forgetting": {"nats_per_token": 0.05},
        "answers": [
            answer(
                "variation",
                "Where does Ilva Toren work?",
                "the harbour office",
                "at the school",
                "harbour office",
                True,
            ),
            answer("exact", "How old is Marek Sund?", "41", "He is 30.", "41", True),
            answer("variation", "Which town is Oda Lin from?", "Brekke", "I do not know.", "Brekka", False),
            answer("out_of_domain", HOSTILE, "<b>no</b>", "<img src=x onerror=alert(1)>", "\u202eevil\u0000", False),
        ],
    }


def recipe(rate: float, epochs: float, **more: Any) -> dict[str, Any]:
    return {
        "model": "acme/tiny-llama",
        "method": "lora",
        "data": "rows.jsonl",
        "val": "val.jsonl",
        "learning_rate": rate,
        "num_train_epochs": epochs,
        "lr_scheduler_type": "cosine",
        "lora_rank": 16,
        "lora_alpha": 32.0,
        **more,
    }


def write_run(
    folder: Path,
    metrics: list[dict[str, Any]],
    read: dict[str, Any] | None = None,
    *,
    settings: dict[str, Any] | None = None,
    status: str = "finished",
    result: dict[str, Any] | None = None,
    with_exam: bool = False,
    **about: Any,
) -> Path:
    """A run folder with these metrics; everything else as the trainer would write it."""
    folder.mkdir(parents=True)
    settings = settings or recipe(2.5e-3, 8.0)
    state = {
        "status": status,
        "command": "tunewright tune rows.jsonl --model acme/tiny-llama",
        "model": settings["model"],
        "data": settings["data"],
        "data_sha256": {"rows.jsonl": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        "rows": {"train": 625, "val": 100},
        "versions": {"tunewright": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "peft": "0.21.2"},
        "started": STARTED,
        "ended": STARTED + 71,
        "result": {
            "tokens": {"train": 568_800, "eval": 61_200},
            "seconds": 71.3,
            "train_seconds": 64.9,
            **(result or {}),
        },
        **about,
    }
    plan = {
        "values": [
            {"key": key, "value": value, "why": "chosen for 625 rows and width 128", "source": "G0 (2025-10)"}
            for key, value in settings.items()
        ],
        "predicted": {"steps": 632, "steps_per_epoch": 79, "tokens": 568_800, "train_peak_GiB": 0.4, "seconds": 66.0},
        "stages": [],
        "warnings": [],
    }
    yaml = "".join(f"{key}: {json.dumps(value)}  # chosen for 625 rows\n" for key, value in settings.items())
    (folder / "run.json").write_text(json_text(state))
    (folder / "plan.json").write_text(json_text(plan))
    (folder / "recipe.yaml").write_text(yaml)
    (folder / "metrics.jsonl").write_text("".join(json_text(event) + "\n" for event in metrics))
    (folder / "findings.json").write_text(json_text(read or diagnosis("healthy", [])))
    (folder / "prediction.json").write_text(json_text({"promised": plan["predicted"], "came": state["result"]}))
    if with_exam:
        (folder / "exam.json").write_text(json_text(exam()))
    (folder / "best").mkdir()
    (folder / "best" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": settings["model"]}))
    return folder


def change(key: str, before: Any, after: Any, why: str) -> dict[str, Any]:
    return {"key": key, "from": before, "to": after, "factor": None, "why": why, "rule": "r", "source": "G1 (2025-01)"}


def promise(low: float, high: float) -> dict[str, float]:
    return {"middle": (low + high) / 2, "low": low, "high": high}


@dataclass(frozen=True)
class Sample:
    """One run of the sample tuning: what it logged and what was found, and the changes that led to it."""

    metrics: list[dict[str, Any]]
    settings: dict[str, Any]
    health: str
    findings: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    promised: dict[str, float] | None = None


REPLAY = {"data": "general", "share": 0.25}
DEAD = finding("TW101", "non_finite", "error", [143, 632], "The loss is NaN from step 143 on: 490 points.")
OVERFIT = finding(
    "TW301",
    "overfit",
    "warning",
    [380, 632],
    "Validation loss rose 0.19 nats (31 %) above its lowest, 0.424 at step 351.",
    causes=["too many epochs", "a high rate"],
)
SPIKE = finding(
    "TW106",
    "spike",
    "info",
    [212, 212],
    "One batch cost 2.4 times its neighbours and was over at once.",
    rows=[17, 204],
)
FORGOT = finding("TW701", "forgetting", "warning", [430, 632], "The loss on general text rose by 0.16 nats per token.")


def samples() -> list[Sample]:
    """Diverged, overfitting, forgetting, kept, and one change too far."""
    return [
        Sample(events(632, rate=1.9, floor=0.4, seed=1, dies_at=143), recipe(2e-2, 8.0), "sick", [DEAD]),
        Sample(
            events(632, rate=1.6, floor=0.42, rise=0.55, seed=2),
            recipe(5e-3, 8.0),
            "warning",
            [OVERFIT, SPIKE],
            [change("learning_rate", 2e-2, 5e-3, "the loss became NaN at step 143")],
            promise(0.38, 0.52),
        ),
        Sample(
            events(632, rate=1.2, floor=0.33, rise=0.1, seed=3),
            recipe(2.5e-3, 8.0),
            "warning",
            [FORGOT],
            [change("learning_rate", 5e-3, 2.5e-3, "validation rises after step 351")],
            promise(0.34, 0.4),
        ),
        Sample(
            events(842, rate=1.25, floor=0.283, seed=4),
            recipe(2.5e-3, 8.0, replay=REPLAY),
            "healthy",
            [SPIKE],
            [change("replay", None, REPLAY, "old skills are being lost")],
        ),
        Sample(
            events(1263, rate=1.3, floor=0.285, seed=5),
            recipe(2.5e-3, 12.0, replay=REPLAY),
            "healthy",
            [],
            [change("num_train_epochs", 8.0, 12.0, "validation still fell at the end")],
            promise(0.262, 0.279),
        ),
    ]


def write_sample(folder: Path, sample: Sample, *, with_exam: bool) -> dict[str, Any]:
    """Write a run of the tuning; what tuning.json says of it."""
    read = diagnosis(sample.health, sample.findings)
    loss, best_step = lowest(sample.metrics)
    general = {event["step"]: event["general_loss"] for event in sample.metrics if "general_loss" in event}
    forgetting = general[best_step] - general[0]
    result = {
        "eval_loss": loss,
        "base_eval_loss": 2.914,
        "best_step": best_step,
        "forgetting": forgetting,
        "health": sample.health,
    }
    write_run(folder, sample.metrics, read, settings=sample.settings, result=result, with_exam=with_exam)
    return {
        "run": str(folder),
        "name": folder.name,
        "changed": sample.changed,
        "why": sample.changed[0]["why"] if sample.changed else "the planned first run",
        "eval_loss": loss,
        "forgetting": forgetting,
        "health": sample.health,
        "findings": [one["symptom"] for one in sample.findings],
        "predicted": sample.promised,
    }


KEPT = "run-4"


def write_tuning(folder: Path) -> Path:
    """A tuning of five runs, the fourth of which is kept."""
    written = {f"run-{number}": sample for number, sample in enumerate(samples(), start=1)}
    runs = {name: write_sample(folder / name, sample, with_exam=name == KEPT) for name, sample in written.items()}
    tuning = {
        "runs": list(runs.values()),
        "base_eval_loss": 2.914,
        "best": {
            "run": str(folder / KEPT),
            "eval_loss": runs[KEPT]["eval_loss"],
            "adapter": str(folder / KEPT / "best"),
        },
        "tokens": {"train": 3_410_000, "eval": 402_000},
        "seconds": 412.0,
        "stopped_because": "no change left whose predicted gain exceeds noise",
        "exam": exam(),
        "model": "acme/tiny-llama",
        "data": "rows.jsonl",
        "goal": "balanced",
        "started": STARTED,
    }
    lines = [
        {"t": STARTED + 80 * i, "text": f"{name}: curve {sample.health}"}
        for i, (name, sample) in enumerate(written.items())
    ]
    (folder / "tuning.json").write_text(json_text(tuning))
    (folder / "run.json").write_text(json_text({"status": "finished", "started": STARTED}))
    (folder / "decisions.jsonl").write_text("".join(json_text(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="session")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample tuning; read only."""
    return write_tuning(tmp_path_factory.mktemp("sample") / "tune-1")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run folder of any content under the test's own folder."""

    def make(name: str = "run-x", metrics: list[dict[str, Any]] | None = None, **more: Any) -> Path:
        return write_run(tmp_path / name, metrics if metrics is not None else events(64, rate=1.2, floor=0.3), **more)

    return make


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE
