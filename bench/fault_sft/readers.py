"""All readers by name: ours, the rules of industrial monitors made again here, and the peers in their environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.fault_sft import ours
from bench.fault_sft.families import Reading
from bench.fault_sft.peers import rules
from bench.fault_sft.peers.outside import PEERS, read_outside
from bench.fault_sft.record import Record
from bench.fault_sft.relog import View

Reader = Callable[[Sequence[Record], View], list[Reading]]


def _each(read: Callable[[Record, View], Reading]) -> Reader:
    return lambda records, view: [read(record, view) for record in records]


def _outside(name: str) -> Reader:
    return lambda records, view: read_outside(name, records, view)


READERS: dict[str, Reader] = {
    "tunewright": _each(ours.read),
    **{name: _outside(name) for name in PEERS},
    "SageMaker rules": _each(rules.sagemaker),
    "W&B z-score": _each(rules.wandb_zscore),
    "always healthy": _each(lambda record, view: Reading()),
    "always: LR too high": _each(rules.always_lr_high),
}
