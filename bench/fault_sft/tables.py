"""The tables of the benchmark as text."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from bench.fault_sft.dataset import Labelled, bases_of
from bench.fault_sft.paths import DESCRIPTORS, REFERENCES
from bench.fault_sft.score import Count, Score
from bench.table import table

READER_HEAD = (
    *("reader", "macro recall", "by fault", "as warning", "precision", "healthy with warning", "no fault, wrong one"),
    *("wrong way", "healthy told to change", "data fault, told a knob", "could not read"),
)


def describe_runs(runs: Sequence[Labelled]) -> dict[str, Any]:
    return {
        "count": len(runs),
        "status": Counter(run.truth.status for run in runs),
        "trainer": Counter(run.record.spec.trainer for run in runs),
        "faults": Counter(run.fault or "control" for run in runs),
    }


def _percent(count: Count) -> str:
    return "-" if math.isnan(count.rate) else f"{count.rate:.1%}"


def _of(count: Count) -> str:
    """``0 of 75 (<= 4.8 %)``: with the upper end of the exact interval."""
    return f"{count.right}/{count.of} (<= {count.interval()[1]:.1%})" if count.of else "-"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def bases_table(split: str, runs: Sequence[Labelled]) -> str:
    known = {entry["base"]: entry for entry in json.loads(DESCRIPTORS.read_text())}
    references = json.loads(REFERENCES.read_text())
    rows = []
    made = {run.record.spec.base for run in runs}
    for base in (base for base in bases_of(split) if base in made):
        entry, losses = known[base], [references[f"{base}/{method}"] for method in ("lora", "full")]
        mine = [run for run in runs if run.record.spec.base == base]
        rows.append(
            [
                base,
                entry["family"],
                f"{entry['parameters']:,}",
                f"{entry['tokenizer']} ({entry['vocabulary']})",
                entry["answer_tokens"],
                f"{losses[0]['base_eval_loss']:.2f}",
                " / ".join(f"{one['eval_loss']:.3f}" for one in losses),
                len(mine),
                sum(bool(run.record.spec.faults) for run in mine),
                sum(run.truth.visible for run in mine),
            ]
        )
    head = ["base", "architecture", "parameters", "tokenizer", "answer tokens", "loss before", "tuned: LoRA / full"]
    return table([*head, "runs", "with a fault", "to be seen"], rows)


def counts_text(runs: Sequence[Labelled]) -> str:
    told = describe_runs(runs)
    parts = [f"{told['count']} runs", *(f"{count} {status}" for status, count in told["status"].items())]
    return ", ".join(parts) + "; by " + ", ".join(f"{name} {count}" for name, count in told["trainer"].items())


def readers_table(scores: dict[str, Score]) -> str:
    rows = [
        [
            name,
            _figure(one.macro_recall),
            _figure(one.macro_by_fault),
            _percent(one.recall_firm),
            f"{_percent(one.warnings)} of {one.warnings.of}",
            _of(one.alarms),
            _of(one.alarms_all),
            f"{one.wrong_advice.right}/{one.wrong_advice.of}",
            f"{one.needless.right}/{one.needless.of}",
            f"{one.knob_on_data.right}/{one.knob_on_data.of}",
            one.refused.right,
        ]
        for name, one in scores.items()
    ]
    return table(READER_HEAD, rows)


def families_table(one: Score) -> str:
    families = sorted({*one.recall, *one.precision})
    rows = [
        [
            family,
            f"{one.recall[family].right}/{one.recall[family].of}" if family in one.recall else "-",
            f"{one.precision[family].right}/{one.precision[family].of}" if family in one.precision else "-",
        ]
        for family in families
    ]
    return "Ours, by family\n\n" + table(["family", "recall", "precision of warnings"], rows)


def severity_table(runs: Sequence[Labelled], one: Score) -> str:
    """For every fault and severity: how many did harm that a log shows, and how many of these were named."""
    missed = {case["run"] for case in one.cases if case["what"] == "missed"}
    groups: dict[tuple[str, str], list[Labelled]] = defaultdict(list)
    for run in runs:
        if len(run.record.spec.faults) == 1:
            groups[run.fault, run.record.spec.severity].append(run)
    rows = []
    for (fault, severity), group in sorted(groups.items(), key=lambda item: (item[0][0], float(item[0][1]))):
        status = Counter(run.truth.status for run in group)
        shown = [run.record.spec.id for run in group if run.truth.visible]
        named = sum(run not in missed for run in shown)
        told = f"{named}/{len(shown)}" if shown else "-"
        rows.append([fault, severity, len(group), status["harmless"], status["hidden"], len(shown), told])
    head = ["fault", "severity", "runs", "harmless", "hidden", "to be seen", "named"]
    return "By what was put in, and how strongly\n\n" + table(head, rows)


def views_table(views: dict[str, Score]) -> str:
    rows = [
        [
            name,
            _figure(one.macro_recall),
            _figure(one.macro_by_fault),
            f"{_percent(one.warnings)} of {one.warnings.of}",
            _of(one.alarms),
            f"{one.wrong_advice.right}/{one.wrong_advice.of}",
            f"{one.missed_but_abstained.right}/{one.missed_but_abstained.of}",
        ]
        for name, one in views.items()
    ]
    head = [
        "logged",
        "macro recall",
        "by fault",
        "precision",
        "healthy with warning",
        "wrong way",
        "missed, but abstained",
    ]
    return "Ours, with less in the log (asked for the same faults)\n\n" + table(head, rows)


def latency_table(found: dict[str, dict[str, Any]]) -> str:
    rows = [
        [family, f"{one['named']}/{one['runs']}", one["median_share_after_onset"], one["before_onset"]]
        for family, one in found.items()
    ]
    head = ["family", "named while it runs", "median wait (share of the run)", "named before it began"]
    return "Ours, read as the log grows\n\n" + table(head, rows)


def cases(one: Score) -> list[str]:
    lines = []
    for case in one.cases:
        right = "/".join(case["required"] or case["allowed"]) or "nothing"
        said = ", ".join(case["said"]) or "nothing"
        lines.append(f"- {case['what']}: {case['run']} ({case['status']}; right: {right}; said: {said})")
    return lines
