"""What comes before any tuning: faults of the data, and runs that did not fit the memory."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.data_faults import clouds_only, data_moves
from tunewright.prescribe.evidence.usual import back_to_usual
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0, G3
from tunewright.prescribe.symptoms import rate_by_mistake


def _data(case: Case) -> tuple[Rung, ...]:
    moves = data_moves(case)
    if not moves:
        return ()
    says = "a fault of the data comes first: any knob would be tuned to the fault"
    alone = Rung("data", says, moves)
    if clouds_only(case) or not rate_by_mistake(case):
        return (alone,)
    says = f"{says}; the LR is put right with it, as no curve is needed to see that one"
    return (*back_to_usual(case, says, *moves), alone)


DATA = Rule(
    name="evidence.data",
    family="data",
    source=G3,
    says="template, mapping, masks, leaks and labels are put right before any knob",
    generalises=(
        "every data fault found becomes a step on the data; no value is changed, but an LR ten times off the planned "
        "one, which is a slip whatever the curve shows; evaluations alone that are no numbers are a fault of the "
        "validation rows"
    ),
    ask=_data,
)


def _memory(case: Case) -> tuple[Rung, ...]:
    batch = int(case.number("per_device_train_batch_size") or 0)
    if not case.out_of_memory or batch == 1:
        return ()
    if not batch:
        halved = (Move("per_device_train_batch_size", 0.5), Move("gradient_accumulation_steps", 2.0))
        return (
            Rung("half the batch", "out of memory: half the rows at a time, twice as often, train the same", halved),
        )
    total = batch * int(case.number("gradient_accumulation_steps") or 1)
    smaller = next(size for size in range(max(1, batch // 2), 0, -1) if total % size == 0)
    sizes = dict.fromkeys((smaller, 1))
    return tuple(
        Rung(
            f"batch {size}",
            f"out of memory at batch {batch}: {size} x {total // size} keeps the effective batch of {total}",
            (
                Move("per_device_train_batch_size", to=size),
                Move("gradient_accumulation_steps", to=total // size),
            ),
        )
        for size in sizes
    )


MEMORY = Rule(
    name="evidence.out_of_memory",
    family="memory",
    source=G0,
    says="out of memory: a smaller batch and more accumulation, the effective batch unchanged",
    generalises=(
        "the largest batch up to half the old one that divides the effective batch, then batch 1; half of one that is "
        "not known"
    ),
    ask=_memory,
    before={"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1},
    after={"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
)
