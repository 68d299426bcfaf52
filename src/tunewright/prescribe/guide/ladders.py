"""Rules whose guide names several remedies without figures: over-fitting, forgetting, memory, faulty data."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.data_faults import data_moves
from tunewright.prescribe.guide.bands import SWEET_LOW
from tunewright.prescribe.guide.blocks import fewer_epochs
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G0, G2, G3
from tunewright.prescribe.values import show

REPLAY_SHARE = 0.25


def _check_data(case: Case) -> tuple[Rung, ...]:
    moves = data_moves(case)
    return (Rung("data", "check the data before any knob", moves),) if moves else ()


CHECK_DATA = Rule(
    name="guide.check_data",
    family="data",
    source=G3,
    says="check the data pipeline first: template, field mapping, labels; a spike may be an anomalous batch",
    generalises="every data fault found becomes a step on the data, never a knob",
    ask=_check_data,
)


def memory_rungs(case: Case) -> tuple[Rung, ...]:
    """Batch 1 with as much more accumulation as keeps the effective batch size."""
    batch = case.number("per_device_train_batch_size")
    if not case.out_of_memory or batch is None or batch <= 1:
        return ()
    accumulation = int(case.number("gradient_accumulation_steps") or 1)
    total = int(batch) * accumulation
    says = f"out of memory at batch {int(batch)}: batch 1 x {total} keeps the effective batch of {total}"
    moves = (Move("per_device_train_batch_size", to=1), Move("gradient_accumulation_steps", to=total))
    return (Rung("batch 1", says, moves),)


OUT_OF_MEMORY = Rule(
    name="guide.out_of_memory",
    family="memory",
    source=G0,
    says="out of memory: batch size to 1, more accumulation to compensate",
    generalises="accumulation is multiplied by the old batch, so that the effective batch stays the same",
    ask=memory_rungs,
    before={"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    after={"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
)


def _overfit_ladder(case: Case) -> tuple[Rung, ...]:
    loss = case.final_loss
    memorised = case.has("memorising") and loss is not None and loss < SWEET_LOW
    if not case.has("overfit") and not memorised:
        return ()
    finding = case.first("overfit", "memorising")
    says = f"training answers are memorised ({finding.why if finding else ''})"
    epochs = case.epochs
    fewer = 3 / epochs if epochs is not None and epochs > 3 else 0.8
    dropout = case.number("lora_dropout")
    batch = case.number("per_device_train_batch_size")
    small = " A small batch raises the risk too." if batch is not None and batch <= 2 else ""
    return (
        Rung("fewer epochs", says + small, fewer_epochs(case, fewer)),
        Rung("more data", says, (Move("data", why=f"{says}; add rows, above all other wordings of each question"),)),
        Rung("dropout", says, () if dropout is None else (Move("lora_dropout", to=min(0.5, dropout + 0.05)),)),
        Rung("learning rate", says, (Move("learning_rate", 0.5),)),
        Rung("smaller rank", says, (Move("lora_rank", 0.5),)),
    )


OVERFIT_LADDER = Rule(
    name="guide.overfit_ladder",
    family="regularisation",
    source=G2,
    says="over-fitting: fewer epochs, more data, higher dropout, lower LR, smaller rank",
    generalises=(
        "the guide gives no figures: down to its 3 epochs (x0.8 from there), dropout +0.05 (its quick start's value), "
        "LR x0.5, rank x0.5; one rung at a time, in its order"
    ),
    ask=_overfit_ladder,
    before={"num_train_epochs": 8.0},
    after={"num_train_epochs": 3.0},
)


def replay_moves(case: Case, share: float, why: str = "") -> tuple[Move, ...]:
    """General rows mixed in at ``share``; the user's own general rows are kept when the recipe names some."""
    now = case.value("replay")
    data = now.get("data", "general") if isinstance(now, dict) else "general"
    return (Move("replay", to={"data": data, "share": share}, why=why),)


def replay_share(case: Case) -> float:
    """The share of general rows in the recipe, 0 when there are none or it is not known."""
    now = case.value("replay")
    return float(now["share"]) if isinstance(now, dict) and "share" in now else 0.0


def _forgetting(case: Case) -> tuple[Rung, ...]:
    finding = case.first("forgetting")
    if finding is None:
        return ()
    says = f"old skills are lost ({finding.why})"
    mixed = replay_share(case) > 0
    to_lora = case.value("method") == "full"
    return (
        Rung("mix general data", says, () if mixed else replay_moves(case, REPLAY_SHARE)),
        Rung("lower learning rate", says, (Move("learning_rate", 0.5),)),
        Rung("fewer epochs", says, fewer_epochs(case, 0.8)),
        Rung("LoRA instead of full", says, (Move("method", to="lora"),) if to_lora else ()),
    )


FORGETTING = Rule(
    name="guide.forgetting",
    family="forgetting",
    source=G2,
    says="forgetting: mix general data in, lower LR, fewer epochs, LoRA instead of full fine-tuning",
    generalises=f"the guide gives no figures: a share of {show(REPLAY_SHARE)}, LR x0.5, epochs x0.8; one at a time",
    ask=_forgetting,
    before={},
    after={"replay": {"data": "general", "share": REPLAY_SHARE}},
)
