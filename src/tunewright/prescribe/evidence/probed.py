"""What a probe has settled is acted on: a measurement on the run's own rows goes before any reading of the curve."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G3
from tunewright.schema.probe import ProbeAnswer

WARMUP_SHARE = 0.05


def _probed(case: Case) -> tuple[Rung, ...]:
    return tuple(_rung(answer) for answer in case.probes if answer.verdict == "fault")


def _rung(answer: ProbeAnswer) -> Rung:
    says = f"a probe asked: {answer.question} {answer.answer}"
    return Rung(answer.probe.replace("_", " "), says, _moves(answer, says))


def _moves(answer: ProbeAnswer, says: str) -> tuple[Move, ...]:
    evidence = answer.evidence
    if answer.probe == "learning_rate":
        return (Move("learning_rate", float(evidence["factor"])),)
    if answer.probe == "schedule":
        return (
            (Move("warmup_ratio", to=WARMUP_SHARE),)
            if evidence["shorter_warmup"]
            else (_look("lr_scheduler_type", says),)
        )
    if answer.probe == "sanity" and evidence["rate"] is not None:
        return (Move("learning_rate", to=float(f"{evidence['rate']:.3g}")),)
    if answer.probe == "sanity":
        return (_look("method", says), _look("template", says), _look("loss_on", says))
    if answer.probe in ("rows", "validation"):
        return (_look("data", says),)
    return (_look("template", says), _look("data", says))  # which of the two, a person sees in a row


def _look(key: str, says: str) -> Move:
    return Move(key, why=says)


PROBED = Rule(
    name="evidence.probed",
    family="stability",
    source=G3,
    says="stuck: check template and mapping, a short run at 5-10 times the LR, the scheduler, a run on 100-200 rows",
    generalises="the cause that a probe found is put right, and nothing else in the same run",
    ask=_probed,
)


def rate_is_not_it(case: Case) -> bool:
    """Whether a probe ruled the learning rate out."""
    answer = case.probed("learning_rate")
    return answer is not None and answer.verdict == "fine"
