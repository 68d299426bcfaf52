"""The resolver: many voices, one prescription, every overruled voice named.

    prescribe(case)                    evidence policy: what was measured decides
    prescribe(case, policy="guide")    the guides alone: the first of their rules that speaks decides

Order of both: faults of the data before any knob, one attempt at a time, epochs before learning rate. One proposal
is chosen whole, so a prescription never pulls the same knob two ways. Pure: no clock, file, network or torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from tunewright.prescribe.apply import apply, recipe_changes
from tunewright.prescribe.case import Case
from tunewright.prescribe.data_faults import clouds_only, goes_with
from tunewright.prescribe.evidence import EVIDENCE_RULES
from tunewright.prescribe.fit import least_gain
from tunewright.prescribe.guide import GUIDE_RULES
from tunewright.prescribe.history import failed_trial, from_history, from_record, good_trial
from tunewright.prescribe.rule import Proposal, Rule, describe_changes, direction, is_step
from tunewright.prescribe.sources import title
from tunewright.prescribe.symptoms import untold_learning
from tunewright.prescribe.values import show
from tunewright.schema.errors import UsageError
from tunewright.schema.prescription import Change, Option, Prescription

__all__ = ["Policy", "Resolution", "all_rules", "apply", "prescribe", "recipe_changes", "resolve", "rule_named"]

Policy = Literal["evidence", "guide"]
_RULES: dict[str, tuple[Rule, ...]] = {"evidence": EVIDENCE_RULES, "guide": GUIDE_RULES}


@dataclass(frozen=True)
class Resolution:
    """The prescription and every other way that a rule offered, the chosen one marked as recommended."""

    prescription: Prescription
    options: tuple[Option, ...]


def all_rules() -> tuple[Rule, ...]:
    """Every rule of both policies, in the order in which they are asked."""
    return (*EVIDENCE_RULES, *GUIDE_RULES)


def rule_named(name: str) -> Rule | None:
    """The rule of that name, or None."""
    return next((rule for rule in all_rules() if rule.name == name), None)


def prescribe(case: Case, policy: Policy = "evidence") -> Prescription:
    """What to change for the next run, and why. Raises UsageError for an unknown policy."""
    return resolve(case, policy).prescription


def resolve(case: Case, policy: Policy = "evidence") -> Resolution:
    """The prescription with its options. Raises UsageError for an unknown policy."""
    if policy not in get_args(Policy):
        raise UsageError(f"policy {policy!r}: expected evidence or guide", hint="tunewright next --policy evidence")
    asked = [(rule, _untried(rule, case)) for rule in _RULES[policy]]
    others = [(rule, _untried(rule, case)) for rule in _RULES["guide" if policy == "evidence" else "evidence"]]
    chosen, notes = _choose(case, asked)
    prescription = _prescription(case, policy, chosen, notes, [*asked, *others])
    return Resolution(prescription, tuple(_options([*asked, *others], chosen)))


@dataclass(frozen=True)
class _Untried:
    """A rule's proposals less those that past runs tried in vain, with a note for each of these."""

    proposals: tuple[Proposal, ...]
    notes: tuple[str, ...]


def _untried(rule: Rule, case: Case) -> _Untried:
    proposals, notes = [], []
    for proposal in rule.propose(case):
        failed = failed_trial(case, proposal)
        if failed:
            notes.append(f"{describe_changes(proposal.changes)} is not repeated: {failed}")
        else:
            proposals.append(proposal)
    return _Untried(tuple(proposals), tuple(notes))


def _choose(case: Case, asked: list[tuple[Rule, _Untried]]) -> tuple[Proposal | None, list[str]]:
    """The first rule's first proposal whose predicted gain, where there is a prediction, exceeds noise.

    When it does not, the rule is left altogether: its next rungs are guesses about the same missing gain. A look at
    what only clouds the figures takes the first change with it that is not clouded.
    """
    notes: list[str] = []
    look: Proposal | None = None
    for rule, untried in asked:
        notes += untried.notes
        if not untried.proposals or (look is not None and not goes_with(case, rule.family)):
            continue
        too_small = _gain_within_noise(case, untried.proposals[0])
        if too_small:
            notes.append(too_small)
        elif rule.family == "data" and clouds_only(case):
            look = untried.proposals[0]
        else:
            return _together(look, untried.proposals[0]), notes
    return look, notes


def _together(look: Proposal | None, proposal: Proposal) -> Proposal:
    if look is None or proposal.keep:
        return look or proposal
    where = " and ".join(dict.fromkeys(change.key for change in look.changes))
    why = f"{proposal.says}; a look at {where} goes with it, which clouds the figures but not this"
    return replace(proposal, says=why, changes=(*look.changes, *proposal.changes))


def _gain_within_noise(case: Case, proposal: Proposal) -> str:
    """A clause with both figures when the predicted gain does not exceed noise; "" otherwise."""
    predicted = next((change.predicted for change in proposal.changes if change.predicted is not None), None)
    if predicted is None or case.last_eval is None or case.curve is None:
        return ""
    gain, least = case.last_eval - predicted.middle, least_gain(case.curve) or 0.0
    if gain > least:
        return ""
    changes = describe_changes(proposal.changes)
    return f"{changes} is predicted to gain {show(gain)}, not more than the noise and 1 % bar of {show(least)}"


def _prescription(
    case: Case,
    policy: Policy,
    chosen: Proposal | None,
    notes: list[str],
    voices: list[tuple[Rule, _Untried]],
) -> Prescription:
    overruled = tuple(_disagreements(case, policy, chosen, voices))
    if chosen is None or chosen.keep:
        fine = case.diagnosis.health not in {"sick", "unknown"} and (bool(notes) or not untold_learning(case))
        keep = (fine and not _broke_off(case)) or chosen is not None
        return Prescription(keep, (), _why_nothing(case, policy, chosen, notes, keep), overruled)
    changes = tuple(_with_history(case, chosen))
    notes = [*notes, *filter(None, [good_trial(case, changes)])]
    why = f"{_name(chosen.rule, chosen.source)}: {chosen.says}. Change: {describe_changes(changes)}."
    return Prescription(
        False, changes, " ".join([why, *(f"{note[0].upper()}{note[1:]}." for note in notes)]), overruled
    )


def _with_history(case: Case, chosen: Proposal) -> Iterable[Change]:
    """The changes with what they are expected to give: what a past run with exactly this change gave, else the fit,
    else what the rule gave wherever it was used."""
    fitted = any(change.predicted is not None for change in chosen.changes)
    for place, change in enumerate(chosen.changes):
        predicted = from_history(case, change) if len(chosen.changes) == 1 else None
        if predicted is None and place == 0 and not fitted:
            predicted = from_record(case, chosen.rule)
        yield change if predicted is None else replace(change, predicted=predicted)


def _why_nothing(case: Case, policy: Policy, chosen: Proposal | None, notes: list[str], keep: bool) -> str:
    broke_off = _broke_off(case)
    if chosen is not None:
        reasons = [chosen.says]
    elif broke_off:
        reasons = [broke_off]
    elif notes:
        reasons = [f"no change is left whose gain would exceed noise: {'; '.join(notes)}"]
    elif not keep and case.diagnosis.health == "unknown":
        because = "; ".join(finding.why for finding in case.diagnosis.findings) or "there is too little in this log"
        reasons = [f"this run cannot be judged: {because}"]
    elif not keep and case.diagnosis.health != "sick":
        reasons = [untold_learning(case)]
    else:
        reasons = [f"no finding asks for a change; {case.eval_story()}"]
        if policy == "evidence" and not case.has_eval and case.final_loss is not None:
            reasons.append(
                "the guides' bands of the training loss alone are weak evidence: hold out rows (val_size 0.1)"
            )
    if case.has("prefix_log") and not broke_off:
        low, last = case.lowest_eval, case.last_eval
        ended = low is not None and low[1] != last  # where validation was lower before, a callback may have stopped it
        then = ", by early stopping or because it still runs" if ended else ": let the run finish"
        reasons.append(f"the log stops before the planned end{then}")
    return f"{'Keep' if keep else 'No change'}: {'; '.join(reasons)}."


def _broke_off(case: Case) -> str:
    """What ended a run before its time; "" for one that no error ended, or after its end."""
    curve = case.curve
    if curve is None or not curve.failure or (curve.total_steps is not None and not case.has("prefix_log")):
        return ""
    return f"the run broke off with an error its curve does not explain: {curve.failure}"


def _disagreements(
    case: Case, policy: Policy, chosen: Proposal | None, voices: list[tuple[Rule, _Untried]]
) -> Iterable[str]:
    """One sentence for each other voice whose first proposal asks for something else."""
    for rule, untried in voices:
        voice = next(iter(untried.proposals), None)
        if voice is None or (chosen is not None and voice.rule == chosen.rule) or not _differs(voice, chosen):
            continue
        asks = "keep the recipe" if voice.keep else f"make this change: {describe_changes(voice.changes)}"
        reason = _overruled_because(case, policy, chosen, rule, voice)
        yield f"{_name(rule.name, rule.source)} would {asks}, because {voice.says}; {reason}."


def _name(rule: str, source: str) -> str:
    """How a rule is called in a sentence: a guide's by the guide too, the others by their own name."""
    return f"{title(source)} ({rule})" if rule.startswith("guide.") else rule


def _differs(voice: Proposal, chosen: Proposal | None) -> bool:
    if chosen is None or chosen.keep:
        return not voice.keep
    if voice.keep:
        return True
    wanted = {change.key: direction(change) for change in chosen.changes}
    return not any(change.key in wanted and wanted[change.key] == direction(change) for change in voice.changes)


def _overruled_because(case: Case, policy: Policy, chosen: Proposal | None, rule: Rule, voice: Proposal) -> str:
    if chosen is None:
        small = _gain_within_noise(case, voice)
        return f"not followed: {small}" if small else f"not followed: {case.eval_story()}"
    if chosen.changes and all(is_step(change) for change in chosen.changes):
        if chosen.rule.endswith("bands"):
            return "it waits: only held-out rows tell what was learned by heart"
        return "it waits: faults of the data come before any knob"
    followed = _RULES[policy]
    if rule in followed and policy == "evidence":
        more = ", and more training would forget more" if chosen.rule.endswith("forgetting") else ""
        return f"it waits: one family of changes at a time, {chosen.rule} first{more}"
    if policy == "guide":
        return f"overruled: under policy guide {chosen.rule} speaks first"
    if chosen.rule.endswith("forgetting"):
        return f"it waits: {chosen.says}, and that comes first"
    return f"overruled by {chosen.rule}: {case.eval_story()}"


def _options(voices: list[tuple[Rule, _Untried]], chosen: Proposal | None) -> Iterable[Option]:
    for rule, untried in voices:
        for proposal in untried.proposals:
            if proposal.changes:
                name = f"{rule.name}: {proposal.label}"
                yield Option(name, proposal.changes, _arithmetic(proposal.changes), proposal == chosen)


def _arithmetic(changes: tuple[Change, ...]) -> str:
    parts = []
    for change in changes:
        if change.factor is not None and change.after is not None:
            parts.append(f"{change.key}: {show(change.before)} x {show(change.factor)} = {show(change.after)}")
        else:
            parts.append(describe_changes((change,)))
    return "; ".join(parts)
