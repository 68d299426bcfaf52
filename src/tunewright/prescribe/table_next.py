"""The next recipe from runs typed by hand.

The rule: judge the last run by the guide's bands. If its data grew since a run that had trained enough, that run's
amount of training is carried over to the new rows (options A, B, C), as long as it goes the way the verdict asks;
otherwise the decision tree speaks about the last run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.prescribe.grown import RULE, grown_data, why_they_differ
from tunewright.prescribe.guide.bands import Band
from tunewright.prescribe.guide.final_loss import DECISION_TREE
from tunewright.prescribe.prescribe import Policy
from tunewright.prescribe.rule import describe_changes
from tunewright.prescribe.sources import G0
from tunewright.prescribe.table import TypedRun, Verdict, judge
from tunewright.prescribe.values import factor_of, scaled, show
from tunewright.schema.errors import UsageError
from tunewright.schema.prescription import Change, Option, Prescription

# "The Correct Settings for Run 3" of the guide, beside its epochs and learning rate, under Tunewright's names.
GUIDE_SETTINGS: Mapping[str, Any] = {
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "warmup_steps": 10,
    "logging_steps": 1,
    "optim": "adamw_8bit",
    "weight_decay": 0.01,
    "lr_scheduler_type": "cosine",
    "seed": 3407,
    "loss_on": "assistant",
    "max_length": 2048,
}
GUIDE_EXPECTS = "final loss around 0.2-0.4 (the guide's expectation for its own data, not a prediction)"


@dataclass(frozen=True)
class TableNext:
    """verdicts: one for each run. base: the run whose training is carried over (None: the last run itself).
    settings: the guide's other corrected settings, named under policy guide; not changes of a known recipe."""

    prescription: Prescription
    options: tuple[Option, ...]
    verdicts: tuple[Verdict, ...]
    base: TypedRun | None
    rows: int
    settings: Mapping[str, Any]
    expects: str = ""


def next_from_table(runs: Sequence[TypedRun], policy: Policy = "evidence", new_rows: int | None = None) -> TableNext:
    """What to run next after ``runs`` (oldest first), on ``new_rows`` rows or else on the last run's.

    Changes are told against the last run. No evaluation loss can be typed, so policy evidence treats the bands as
    weak evidence: it changes the epochs only and leaves the learning rate. Raises UsageError without runs.
    """
    if not runs:
        raise UsageError("no runs in the table", hint="tunewright next --table runs.csv")
    verdicts = tuple(judge(run) for run in runs)
    last = verdicts[-1]
    rows = last.run.rows if new_rows is None else new_rows
    base = last.run if rows != last.run.rows else _base(verdicts)
    options: tuple[Option, ...] = ()
    prescription = None
    if base is not None:
        options = grown_data(base.rows, rows, _config(base), policy)
        prescription = _carried_over(last, base, rows, options, policy)
    if prescription is None:
        base, options = None, _tree_options(last)
        prescription = _by_tree(last, options)
    settings = GUIDE_SETTINGS if policy == "guide" and not prescription.keep else {}
    return TableNext(prescription, options, verdicts, base, rows, settings, GUIDE_EXPECTS if settings else "")


def _config(run: TypedRun) -> dict[str, Any]:
    return {"num_train_epochs": run.epochs, "learning_rate": run.learning_rate}


def _base(verdicts: Sequence[Verdict]) -> TypedRun | None:
    """The latest earlier run on fewer rows that had trained enough (no band above the target), else the latest one."""
    last = verdicts[-1].run
    earlier = [verdict for verdict in verdicts[:-1] if verdict.run.rows < last.rows]
    enough = [verdict for verdict in earlier if all(_side(band) <= 0 for band in verdict.bands)]
    found = enough or earlier
    return found[-1].run if found else None


def _side(band: Band) -> int:
    """-1 trained too much, 0 on target, +1 trained too little."""
    return int(band.epochs_factor > 1) - int(band.epochs_factor < 1)


def _asks(verdict: Verdict) -> int:
    """The way a verdict asks to go: the common side of its bands; 0 on target or when they straddle it."""
    sides = {_side(band) for band in verdict.bands}
    return sides.pop() if len(sides) == 1 else 0


def _carried_over(
    last: Verdict, base: TypedRun, rows: int, options: tuple[Option, ...], policy: Policy
) -> Prescription | None:
    """The recommended option told as changes of the last run; None when it would not go the way the verdict asks."""
    chosen = next(option for option in options if option.recommended)
    wanted = {change.key: change.after for change in chosen.changes}
    # carrying over to other rows than the last run's is wanted in itself; on its own rows it must be a correction
    on_own_rows = rows == last.run.rows
    changes = tuple(_against(last.run, key, value, chosen) for key, value in wanted.items())
    changes = tuple(change for change in changes if change.before != change.after)
    if on_own_rows and (_asks(last) == 0 or not all(_goes(change, _asks(last)) for change in changes) or not changes):
        return None
    weak = "" if policy == "guide" else " Weak evidence: a typed table has no evaluation loss, so only epochs move."
    why = (
        f"the last run (line {last.run.line}): {last.text}. The run of line {base.line} ({base.rows} rows, "
        f"{show(base.epochs)} epochs, {show(base.learning_rate)}, final loss {base.loss_text}) is carried over to "
        f"{rows} rows by option {chosen.name}: {chosen.arithmetic}.{weak} Change: {describe_changes(changes)}."
    )
    return Prescription(not changes, changes, why, (why_they_differ(options), *_tree_voice(last, on_own_rows)))


def _against(run: TypedRun, key: str, after: Any, option: Option) -> Change:
    before = _config(run)[key]
    return Change(key, before, after, factor_of(before, after), option.arithmetic, RULE, G0)


def _goes(change: Change, way: int) -> bool:
    return (change.factor or 1.0) > 1 if way > 0 else (change.factor or 1.0) < 1


def _tree_options(verdict: Verdict) -> tuple[Option, ...]:
    """The tree's two ways out of the band, for a verdict that is clear; none on target or when bands straddle."""
    if _asks(verdict) == 0:
        return ()
    # a range within one side takes the band nearer the target: the smaller step
    band = min(verdict.bands, key=lambda item: abs(item.epochs_factor - 1))
    ways = (("epochs", "num_train_epochs", band.epochs_factor), ("LR", "learning_rate", band.learning_rate_factor))
    options = []
    for name, key, factor in ways:
        before = _config(verdict.run)[key]
        after = scaled(key, before, factor)
        change = Change(key, before, after, factor_of(before, after), verdict.text, DECISION_TREE.name, G0)
        options.append(Option(name, (change,), f"{show(before)} x {factor:g} = {show(after)}", name == "epochs"))
    return tuple(options)


def _tree_voice(last: Verdict, on_own_rows: bool) -> tuple[str, ...]:
    options = _tree_options(last)
    if not options:
        return ()
    ways = " or ".join(describe_changes(option.changes) for option in options)
    reason = "the grown data explain it better" if on_own_rows else "the number of rows changes too, and comes first"
    return (f"G0 ({DECISION_TREE.name}) alone would make this change: {ways}, because {last.text}; {reason}",)


def _by_tree(last: Verdict, options: tuple[Option, ...]) -> Prescription:
    if not options:
        ends = "run it again and note the loss of its last tenth" if last.straddles else "test the model"
        return Prescription(True, (), f"Keep (line {last.run.line}): {last.text}; {ends}.")
    changes = options[0].changes
    why = f"line {last.run.line}: {last.text}; epochs before learning rate. Change: {describe_changes(changes)}."
    other = f"G0 ({DECISION_TREE.name}) offers {describe_changes(options[1].changes)} instead; epochs come first"
    return Prescription(False, changes, why, (other,))
