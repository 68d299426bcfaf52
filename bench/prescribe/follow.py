"""One case under one policy: up to three runs, each judged against the tuned reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.fault_sft.dataset import Labelled
from bench.fault_sft.outcome import OTHER_EVAL
from bench.fault_sft.record import Record
from bench.prescribe.cases import Reference, References, final_loss, with_seed
from bench.prescribe.policies import POLICIES, RUNS, diagnosis_of
from bench.prescribe.train import Trained

NEAR = 0.01
SOUND_SHARE, SOUND_NATS = 0.03, 0.04
"""What FAULT-SFT calls as good as a sound run."""
FORGOT = 0.05
WORSE = 0.01
HOPELESS = ("frozen", "no_step", "mask_all", "shift_valid")
"""While one of these lasts no setting mends a run: it is not trained again only to show that."""


@dataclass(frozen=True)
class Outcome:
    """One run that was prescribed.

    near    : its loss is within 1 % of the tuned reference, or within two standard deviations over its seeds
    sound   : the same, or within 3 % or 0.04 nats of it
    as_twin : its loss is within 1 % of the same run without the fault, or within the reference's two deviations
    clean   : no warning and no error in its log
    kept    : old skills: general text no more than 0.05 nats above the rise of any run without a fault
    worse   : its loss is more than 1 % above the faulty run's; None where the two are of other rows
    """

    run: str
    loss: float
    near: bool
    sound: bool
    as_twin: bool
    clean: bool
    kept: bool
    worse: bool | None
    changed: Mapping[str, Any]

    @property
    def fixed(self) -> bool:
        return self.near and self.clean and self.kept

    @property
    def mended(self) -> bool:
        return self.sound and self.clean and self.kept


@dataclass(frozen=True)
class Followed:
    """A case under a policy: the outcomes in order, fewer than three when it was fixed or nothing more was advised."""

    case: str
    fault: str
    seed: int
    policy: str
    start: float
    reference: float
    twin: float
    outcomes: tuple[Outcome, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def follow(
    case: Labelled, policy: str, seed: int, references: References, trained: Trained, most: int = RUNS
) -> Followed:
    """The runs a policy leads to, at most so many. It sees logs only; the reference decides when to stop asking."""
    reference, twin = references.of(case.record.spec), references.twin_loss(case.record.spec)
    runs, outcomes = [case.record], list[Outcome]()
    while len(outcomes) < most and not (outcomes and outcomes[-1].fixed):
        spec = POLICIES[policy](runs, seed)
        if spec is None or set(spec.ops) & set(HOPELESS):
            break
        record = trained.run(with_seed(spec, seed if len(runs) == 1 else 0))
        outcomes.append(judge(record, case.record, runs[-1], reference, twin))
        runs.append(record)
    return Followed(
        case.record.spec.id, case.fault, seed, policy, final_loss(case.record), reference.loss, twin, tuple(outcomes)
    )


def judge(record: Record, faulty: Record, before: Record, reference: Reference, twin: float) -> Outcome:
    loss, start = final_loss(record), final_loss(faulty)
    comparable = not set(faulty.spec.ops) & set(OTHER_EVAL)
    before_general, after_general = record.general
    bar = max(NEAR * reference.loss, 2 * reference.spread)
    return Outcome(
        run=record.spec.id,
        loss=loss,
        near=loss <= reference.loss + bar,
        sound=loss <= reference.loss + max(SOUND_SHARE * reference.loss, SOUND_NATS, bar),
        as_twin=loss <= twin + max(NEAR * twin, 2 * reference.spread),
        clean=not any(one.severity != "info" for one in diagnosis_of(record).findings),
        kept=after_general - before_general <= reference.general_rise + FORGOT,
        worse=loss > start * (1 + WORSE) if comparable else None,  # nothing is worse than infinite
        changed=changes(before, record),
    )


def changes(before: Record, after: Record) -> dict[str, Any]:
    """Field -> value of every setting that differs, and the faults that are gone."""
    old, new = asdict(before.spec.recipe), asdict(after.spec.recipe)
    gone = sorted(set(before.spec.ops) - set(after.spec.ops))
    return {**{key: new[key] for key in new if new[key] != old[key]}, **({"put right": gone} if gone else {})}
