"""What is true about a run, from how it was made and from how it came out; never from what any reader says.

A fault counts only where its outcome shows it: a learning rate times three that does no harm is "harmless". And it
is asked for ("required") only where a log can show it: a loss 8 % worse than the reference's, on a smooth curve that
has flattened, needs the reference to be seen. The figures are those of outcome.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.fault_sft.families import DOWN, UP
from bench.fault_sft.injections import INJECTIONS
from bench.fault_sft.outcome import RISE_NATS, outcome
from bench.fault_sft.record import Record

# Close to the reference: 3 % of its loss, or 0.04 nats (a loss of 0.12 against 0.10 says little where the untouched
# model has 2.8); and most of the gain, where the gain itself is only a few percent
HEALTHY_SHARE, HEALTHY_NATS, HEALTHY_GAIN = 0.03, 0.04, 0.7
# Above the untouched model
WORSE_SHARE, WORSE_NATS = 0.05, 0.02
BLOWN_UP = 1.25
# Above its own minimum: clear, and mild (true, but not asked for)
RISE_SHARE, RISE_ALLOWED = 0.10, 0.01
# The validation loss goes up by SWING and comes back, several times or far
SWINGS, LONE_SWING = 3, 0.25
SPIKE_FACTOR = 1.6
# Of the run without a learning rate at its end, whoever's setting that was
ZERO_TAIL = 0.15
SHIFT_FACTOR = 1.25
NOISE_FACTOR = 1.2
LITTLE_PROGRESS, STILL_FALLING, HARDLY_ANY = 0.5, 0.02, 0.01
STEEP, STEEP_NATS = 0.10, 0.1


@dataclass(frozen=True)
class Truth:
    """status   : healthy, control (no fault, but further from the reference), fault, harmless, hidden
    required : families any of which is the right answer; empty where the log shows nothing
    allowed  : families that are true as well, or a matter of degree here: never counted against a reader
    harmful  : (knob, direction) that makes this run worse
    figures  : what it was decided by
    """

    status: str
    required: frozenset[str]
    allowed: frozenset[str]
    harmful: frozenset[tuple[str, int]]
    figures: Mapping[str, float]

    @property
    def visible(self) -> bool:
        return bool(self.required)


def truth_of(record: Record, reference: float) -> Truth:
    """The truth about one run; ``reference``: the best evaluation loss known for its base and method."""
    figures = outcome(record, reference)
    shown, degree = _shown(figures)
    faults = record.spec.faults
    if not faults:
        return _control(figures, shown, degree)
    families = {family for fault in faults for family in INJECTIONS[fault].families}
    required: set[str] = set()
    for fault in faults:
        required |= _required(fault, figures, shown)
    if not required and not any(INJECTIONS[fault].visible == "never" for fault in faults):
        required = shown - {"not_learning"}
        required |= families if required else set()
    harmless = not required and near_reference(figures)
    status = "fault" if required else ("harmless" if harmless else "hidden")
    allowed = frozenset(required | degree | (families if status != "harmless" else set()))
    return Truth(status, frozenset(required), allowed, _harmful(faults, required, figures), figures)


def near_reference(figures: Mapping[str, float]) -> bool:
    """Whether the run ended as well as a sound recipe does; False where the two cannot be compared."""
    if not math.isfinite(figures["excess"]):
        return False
    close = figures["excess"] <= HEALTHY_SHARE or figures["excess_nats"] <= HEALTHY_NATS
    return close and figures["progress"] >= HEALTHY_GAIN


def _control(figures: Mapping[str, float], shown: set[str], degree: set[str]) -> Truth:
    near = near_reference(figures) and figures["rise"] <= HEALTHY_SHARE
    near = near and not (shown | degree) & {"instability", "numeric", "schedule"}
    harmful = _harmful((), shown, figures)
    if near:
        return Truth("healthy", frozenset(), frozenset(degree), harmful, figures)
    return Truth("control", frozenset(), frozenset(shown | degree), harmful, figures)


# --- what the outcome shows ------------------------------------------------------------------------------------------


def _shown(figures: Mapping[str, float]) -> tuple[set[str], set[str]]:
    """Families the outcome shows whatever was injected, and those that are a matter of degree."""
    if figures["non_finite"]:
        return {"numeric"}, {"numeric", "instability", "not_learning", "data"}
    start, end = figures["eval_start"], figures["eval_end"]
    worse = end > start * (1 + WORSE_SHARE) and end > start + WORSE_NATS
    train_fell = figures["train_end"] < 0.93 * min(figures["train_start"], start)
    shown: set[str] = set()
    degree: set[str] = set()
    if figures["eval_max"] > BLOWN_UP * start and not train_fell:
        shown.add("instability")
    if figures["train_peak"] > 1.5 * max(figures["train_start"], start) and figures["spike"] < SPIKE_FACTOR:
        shown.add("instability")
    if worse:
        shown.add("overfit" if train_fell else "instability")
        degree |= {"overfit", "instability"}
    rose = figures["rise"] > RISE_SHARE and end - figures["eval_min"] > RISE_NATS
    if rose and figures["train_fell_since_min"] > 0.02:
        shown.add("overfit")
    if figures["swings"]:
        degree.add("instability")
    if figures["zero_tail"] > ZERO_TAIL:
        shown.add("schedule")
    if figures["rise"] > RISE_ALLOWED:
        degree |= {"overfit"} | ({"instability"} if figures["rise"] > RISE_SHARE else set())
    if figures["eval_max"] > start or figures["train_peak"] > 1.15 * max(figures["train_start"], start):
        degree.add("instability")
    if not shown - {"schedule"} and _starved(figures):
        shown.add("not_learning")
    if not figures["excess"] <= HEALTHY_SHARE / 3:
        degree.add("not_learning")
    return shown, degree | shown


def _starved(figures: Mapping[str, float]) -> bool:
    """Far from the reference, and the curve says so: steep to the very end; or less than half of the gain, and either
    flat all along or still falling."""
    if near_reference(figures) or math.isnan(figures["progress"]):
        return False
    fall = figures["last_third"]
    steep = fall > STEEP and figures["eval_end"] * fall / (1 - fall) > STEEP_NATS
    poor = figures["progress"] < LITTLE_PROGRESS
    return steep or (poor and (figures["fell"] < HARDLY_ANY or figures["last_third"] > STILL_FALLING))


def _required(fault: str, figures: Mapping[str, float], shown: set[str]) -> set[str]:
    """What a right reading of this fault names, where the log shows it."""
    injection = INJECTIONS[fault]
    if injection.visible == "never":
        return set()
    if injection.visible == "always":
        masked_by_nan = figures["non_finite"] and fault in ("schedule_short", "warmup_all", "lr_restart")
        return set() if masked_by_nan else set(injection.families)
    if figures["non_finite"]:
        # rows without one supervised token give NaN too, and saying either is right
        return {"numeric"} | (set(injection.families) & {"data"} if fault in ("rows_masked", "truncated") else set())
    seen = {
        "label_noise": figures["train_end"] > NOISE_FACTOR * figures["eval_end"]
        or figures["train_first"] > SHIFT_FACTOR * figures["eval_start"],
        "rows_masked": figures["lost"] >= 2,
        "truncated": figures["lost"] >= 2,
        "garbage_batch": figures["spike"] > SPIKE_FACTOR,
        "garbage_batches": figures["spike"] > SPIKE_FACTOR or figures["shift"] > SHIFT_FACTOR,
        "data_switch": figures["shift"] > SHIFT_FACTOR,
        "val_shift": figures["eval_start"] > SHIFT_FACTOR * figures["train_first"],
    }
    if fault in seen:
        return set(injection.families) | (shown - {"not_learning"}) if seen[fault] else set()
    swinging = {"instability"} if figures["swings"] >= SWINGS or figures["swing"] > LONE_SWING else set()
    return set(injection.families) & (shown | swinging)


def _harmful(faults: Iterable[str], shown: Iterable[str], figures: Mapping[str, float]) -> frozenset[tuple[str, int]]:
    """Directions that make it worse, by what the run suffers from."""
    worse: set[tuple[str, int]] = set()
    names, seen = set(faults), set(shown)
    if "instability" in seen and names & {"lr_high", "no_warmup", "constant_lr", "optimizer", "full_high_lr"}:
        worse |= {("learning_rate", UP)}
    if "overfit" in seen:
        worse |= {("epochs", UP), ("learning_rate", UP), ("rank", UP)}
    if "not_learning" in seen and names & {"lr_low", "few_steps", "batch_huge", "rank_one"}:
        worse |= {("learning_rate", DOWN), ("epochs", DOWN)}
    if names & {"frozen", "no_step", "schedule_short", "warmup_all"} and "overfit" not in seen:
        worse |= {("learning_rate", DOWN), ("epochs", DOWN)}
    if "numeric" in seen and names & {"nan_weights", "nan_unfiltered", "overflow"}:
        worse |= {("learning_rate", UP)}
    return frozenset(worse)


# --- references --------------------------------------------------------------------------------------------------


def best_losses(records: Iterable[Record], references: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """ "base/method" -> the lowest last evaluation of the search and of every run without a fault."""
    best = {key: float(entry["eval_loss"]) for key, entry in references.items()}
    for record in records:
        spec = record.spec
        loss = record.log.evals[-1][1] if record.log.evals else math.nan
        if spec.faults or spec.trainer != "hf" or not math.isfinite(loss) or spec.recipe.valid_rows < 64:
            continue
        key = f"{spec.base}/{spec.recipe.method}"
        best[key] = min(best.get(key, math.inf), loss)
    return best
