"""A rule: a named voice with a source that, asked about a case, answers with a ladder of proposals.

    rule.ask(case)      -> rungs     pure: what to move and why, as factors or values
    rule.propose(case)  -> proposals the same as changes of this case's recipe; rungs that change nothing fall out

The first rung is the conservative one; the others are the "or" of the guides and the next steps when the first
was tried without success. A rung belongs to one attempt: all its changes are made together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunewright.prescribe.case import Case
from tunewright.prescribe.values import factor_of, is_number, scaled, show
from tunewright.schema.prescription import Change, Range

Family = Literal["data", "memory", "stability", "forgetting", "regularisation", "duration", "capacity"]
FAMILIES: tuple[Family, ...] = (
    "data",
    "memory",
    "stability",
    "forgetting",
    "regularisation",
    "duration",
    "capacity",
)


@dataclass(frozen=True)
class Move:
    """One knob to move: by ``factor``, to the value ``to``, or neither: then it is a step for a person to take.

    key "duration" means epochs or max_steps, whichever rules the run; "warmup" means the kind of warm-up in use.
    """

    key: str
    factor: float | None = None
    to: Any = None
    why: str = ""
    predicted: Range | None = None


@dataclass(frozen=True)
class Rung:
    """One attempt: moves made together, and the sentence that says why; ``keep`` = this rule wants no change."""

    label: str
    says: str
    moves: tuple[Move, ...] = ()
    keep: bool = False


@dataclass(frozen=True)
class Proposal:
    """A rung as changes of this case's recipe."""

    rule: str
    source: str
    label: str
    says: str
    changes: tuple[Change, ...]
    keep: bool = False


@dataclass(frozen=True)
class Rule:
    """A named voice.

    name        : "guide.oscillation"
    family      : which kind of change it is about; families are treated one at a time
    source      : title and date
    says        : the source's rule, close to its own words
    generalises : how absolute example values were turned into a rule for any recipe
    before/after: the source's own example; asked about ``before``, the rule answers ``after`` (tests hold it to that)
    """

    name: str
    family: Family
    source: str
    says: str
    generalises: str
    ask: Callable[[Case], tuple[Rung, ...]]
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    def propose(self, case: Case) -> tuple[Proposal, ...]:
        """The rungs as changes; empty when the rule has nothing to say about this case."""
        proposals = []
        for rung in self.ask(case):
            changes = tuple(change for move in rung.moves if (change := self._change(case, move, rung)) is not None)
            if changes or rung.keep:
                proposals.append(Proposal(self.name, self.source, rung.label, rung.says, changes, rung.keep))
        return tuple(proposals)

    def _change(self, case: Case, move: Move, rung: Rung) -> Change | None:
        key = {"duration": case.duration_key, "warmup": case.warmup_key}.get(move.key, move.key)
        if key.startswith("lora_") and case.value("method") == "full":
            return None  # full fine-tuning has no adapter to resize
        before = case.value(key)
        why = move.why or rung.says
        if move.factor is None and move.to is None:
            return Change(key, before, None, None, why, self.name, self.source)
        if move.to is not None:
            after, factor = move.to, factor_of(before, move.to)
        elif is_number(before):
            after = scaled(key, before, move.factor or 1.0)
            factor = factor_of(before, after)
        else:
            # the recipe is not known: the change can only be told as a factor
            return Change(key, None, None, move.factor, why, self.name, self.source, move.predicted)
        if key == "lora_rank" and case.usual.get("narrowest", after) < after:
            after = int(case.usual["narrowest"])  # a product of a higher rank says nothing that this one could not
            factor = factor_of(before, after)
        if after == before:
            return None
        return Change(key, before, after, factor, why, self.name, self.source, move.predicted)


def is_step(change: Change) -> bool:
    """Whether a change is a step for a person (fix the data, check the template) rather than a new value."""
    return change.after is None and change.factor is None


def describe_changes(changes: tuple[Change, ...]) -> str:
    """The before/after diff in one line.

    >>> describe_changes((Change("learning_rate", 1e-4, 5e-5, 0.5, "", "r", "s"),))
    'learning_rate 1e-4 -> 5e-5'
    """
    parts = []
    for change in changes:
        if change.from_unknown:
            parts.append(f"{change.key} set to {show(change.after)}")
        elif change.after is not None:
            parts.append(f"{change.key} {show(change.before)} -> {show(change.after)}")
        elif change.factor is not None:
            parts.append(f"{change.key} x {show(change.factor)}")
        else:
            parts.append(f"a look at {change.key}")
    return ", ".join(dict.fromkeys(parts)) or "no change"  # two reasons to look at the same thing are one look


def direction(change: Change) -> int:
    """+1 when the change raises its key, -1 when it lowers it, 0 when it is neither (a step, a new mixture)."""
    if change.factor is None:
        if is_number(change.before) and is_number(change.after):
            return int(change.after > change.before) - int(change.after < change.before)
        return 1 if change.before is None and is_number(change.after) else 0
    return int(change.factor > 1) - int(change.factor < 1)


def describe(rule: Rule) -> str:
    """All about a rule, in plain lines: what it says, how it was generalised, its example, its source."""
    lines = [f"{rule.name} ({rule.family})", f"says: {rule.says}", f"as a rule: {rule.generalises}"]
    if rule.after:
        keys = [f"{key} {show(rule.before.get(key))} -> {show(value)}" for key, value in rule.after.items()]
        lines.append("example: " + ", ".join(keys))
    return "\n".join([*lines, f"source: {rule.source}"])
