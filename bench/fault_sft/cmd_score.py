"""The score of Tunewright on one half, with every case that went wrong.

python -m bench.fault_sft score --split dev                 counts, then the cases
python -m bench.fault_sft score --split dev --json          the same for a program
python -m bench.fault_sft score --split dev --show RUN      writes that run's trainer_state.json to stdout
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence

from bench.fault_sft import ours
from bench.fault_sft.dataset import load
from bench.fault_sft.relog import VIEWS, trainer_state
from bench.fault_sft.score import Score, score


def main(arguments: Sequence[str]) -> None:
    """Parses the command line, reads and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_sft score", description=__doc__)
    parser.add_argument("--split", choices=("dev", "heldout", "all"), default="dev")
    parser.add_argument("--view", choices=[view.name for view in VIEWS], default="full", help="how much is logged")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="the runs under build/, not the committed ones")
    parser.add_argument("--show", default="", metavar="RUN", help="print the log of the run whose id ends in this")
    given = parser.parse_args(arguments)
    runs = load(given.split, fresh=given.fresh)
    view = next(view for view in VIEWS if view.name == given.view)
    if given.show:
        chosen = next(run.record for run in runs if run.record.spec.id.endswith(given.show))
        print(json.dumps(trainer_state(chosen, view), indent=1))
        return
    result = score(runs, [ours.read(run.record, view) for run in runs])
    print(json.dumps(as_json(result), indent=1) if given.json else as_text(result, len(runs)))


def as_json(result: Score, *, cases: bool = True) -> dict[str, object]:
    """All counts with their intervals, and the cases that went wrong."""
    return {
        "macro_recall": _figure(result.macro_recall),
        "macro_recall_by_fault": _figure(result.macro_by_fault),
        "recall": {name: count.to_json() for name, count in sorted(result.recall.items())},
        "recall_as_warning": result.recall_firm.to_json(),
        "recall_by_fault": {name: count.to_json() for name, count in sorted(result.by_fault.items())},
        "precision": result.warnings.to_json(),
        "precision_by_family": {name: count.to_json() for name, count in sorted(result.precision.items())},
        "precision_by_symptom": {name: count.to_json() for name, count in sorted(result.by_symptom.items())},
        "precision_with_advice": result.advice.to_json(),
        "healthy_alarms": result.alarms.to_json(),
        "alarms_without_fault": result.alarms_all.to_json(),
        "wrong_advice": result.wrong_advice.to_json(),
        "healthy_changes": result.needless.to_json(),
        "knob_on_data_fault": result.knob_on_data.to_json(),
        "refused": result.refused.to_json(),
        "missed_but_abstained": result.missed_but_abstained.to_json(),
        **({"cases": result.cases} if cases else {}),
    }


def _figure(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def as_text(result: Score, count: int) -> str:
    """For people."""
    lines = [f"{count} runs; macro recall {result.macro_recall:.3f} (by fault {result.macro_by_fault:.3f})"]
    for title, counts in (
        ("recall", result.recall),
        ("recall by fault", result.by_fault),
        ("precision", result.precision),
        ("precision by symptom", result.by_symptom),
    ):
        lines += [f"{title}:", *(f"  {name:22s} {c.right:4d} of {c.of}" for name, c in sorted(counts.items()))]
    for title, one in (
        ("recall as warnings", result.recall_firm),
        ("precision of warnings", result.warnings),
        ("precision with advice", result.advice),
        ("healthy runs with a warning", result.alarms),
        ("runs without a fault with a wrong warning", result.alarms_all),
        ("wrong advice", result.wrong_advice),
        ("healthy runs told to change a knob", result.needless),
        ("data faults answered with a knob", result.knob_on_data),
    ):
        low, high = one.interval()
        lines.append(f"{title}: {one.right} of {one.of} ({low:.1%} - {high:.1%})")
    lines += ["cases:", *(f"  {json.dumps(case)}" for case in result.cases)]
    return "\n".join(lines)
