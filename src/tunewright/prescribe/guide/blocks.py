"""The four before/after blocks of the practical tuning guide: oscillation, under-fitting, over-fitting, stuck.

The blocks print absolute values of one example. As rules they keep the factors: asked about the guide's own
"before", each answers with the guide's own "after".
"""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.guide.bands import SWEET_HIGH
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import G3
from tunewright.prescribe.symptoms import STUCK, blow_up

PATIENCE_EPOCHS = 5
_FIRST_WARMUP_SHARE = 0.1


def fewer_epochs(case: Case, factor: float, floor: float = 1.0) -> tuple[Move, ...]:
    """Fewer epochs by ``factor``, but not below ``floor``; nothing when the run is that short already."""
    if case.duration_key == "max_steps":
        return (Move("duration", factor),)
    epochs = case.number("num_train_epochs")
    if epochs is None:
        return (Move("duration", factor),)
    return (Move("duration", max(factor, floor / epochs)),) if epochs > floor else ()


def longer_warmup(case: Case, factor: float = 2.0) -> tuple[Move, ...]:
    """The warm-up times ``factor``; a recipe that is known to have none gets a tenth of the run."""
    if case.number(case.warmup_key):
        return (Move("warmup", factor),)
    return (Move("warmup_ratio", to=_FIRST_WARMUP_SHARE) if case.knows_warmup else Move("warmup", factor),)


def patience(case: Case) -> int:
    """Evaluations without gain that make up five epochs; 5 when the evaluations per epoch are not known.

    The guide counts epochs, the recipe counts evaluations: patience = 5 x evaluations per epoch.
    """
    epochs = case.epochs
    per_epoch = round(len(case.evals) / epochs) if epochs else 0
    return PATIENCE_EPOCHS * max(1, per_epoch)


def _oscillation(case: Case) -> tuple[Rung, ...]:
    finding = blow_up(case) or case.first("oscillation")
    if finding is None:
        return ()
    says = f"{finding.symptom.replace('_', ' ')}: the steps are too large ({finding.why})"
    steadier = (Move("gradient_accumulation_steps", 2.0), *longer_warmup(case))
    rungs = (
        Rung("half the learning rate", says, (Move("learning_rate", 0.5), *steadier)),
        Rung("a fifth of the learning rate", says, (Move("learning_rate", 0.2), *steadier)),
    )
    # the guide offers 5e-5 or 2e-5; a run that blew up, not only wobbled, takes the lower one first
    return rungs if finding.symptom == "oscillation" else rungs[::-1]


OSCILLATION = Rule(
    name="guide.oscillation",
    family="stability",
    source=G3,
    says="loss oscillates: LR 1e-4 -> 5e-5 (or 2e-5), accumulation 8 -> 16, warm-up ratio 0.1 -> 0.2",
    generalises="factors 0.5 (or 0.2), 2 and 2; no warm-up becomes 0.1; a run that blew up takes 0.2 first",
    ask=_oscillation,
    before={"learning_rate": 1e-4, "gradient_accumulation_steps": 8, "warmup_ratio": 0.1},
    after={"learning_rate": 5e-5, "gradient_accumulation_steps": 16, "warmup_ratio": 0.2},
)


def _underfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("underfit")
    loss = case.final_loss
    # "model not learning": within the guides' target band the block would undo a good run
    if finding is None or (loss is not None and loss <= SWEET_HIGH):
        return ()
    moves = (Move("learning_rate", 4.0), Move("duration", 3.0), Move("lora_rank", 2.0), Move("lora_alpha", 2.0))
    return (Rung("block", f"under-fitting ({finding.why})", moves),)


UNDERFIT = Rule(
    name="guide.underfit",
    family="duration",
    source=G3,
    says="under-fitting: LR 5e-5 -> 2e-4, epochs 1 -> 3, rank 4 -> 8, alpha 8 -> 16; verify the data",
    generalises="factors 4, 3, 2 and 2; silent while the training loss is at or below 0.5",
    ask=_underfit,
    before={"learning_rate": 5e-5, "num_train_epochs": 1.0, "lora_rank": 4, "lora_alpha": 8.0},
    after={"learning_rate": 2e-4, "num_train_epochs": 3.0, "lora_rank": 8, "lora_alpha": 16.0},
)


def _overfit(case: Case) -> tuple[Rung, ...]:
    finding = case.first("overfit")
    if finding is None:
        return ()
    says = f"over-fitting ({finding.why})"
    # a validation file of its own cannot be grown by val_size
    grow = () if case.value("val") else (Move("val_size", 2.0),)
    stop = () if case.number("early_stopping_patience") else (Move("early_stopping_patience", to=patience(case)),)
    block = (Move("lora_alpha", 0.5), *fewer_epochs(case, 0.4), *grow, *stop)
    return (Rung("block", says, block), Rung("learning rate", says, (Move("learning_rate", 0.5),)))


OVERFIT = Rule(
    name="guide.overfit",
    family="regularisation",
    source=G3,
    says="validation loss rises: alpha 16 -> 8, epochs 5 -> 2, val_size 0.1 -> 0.2, early stopping; maybe lower LR",
    generalises=(
        "factors 0.5, 0.4 (never below one epoch) and 2; early stopping after five epochs without gain, "
        "counted in evaluations; the optional LR is x0.5"
    ),
    ask=_overfit,
    before={"lora_alpha": 16.0, "num_train_epochs": 5.0, "val_size": 0.1},
    after={"lora_alpha": 8.0, "num_train_epochs": 2.0, "val_size": 0.2, "early_stopping_patience": 5},
)


def check_moves(reason: str) -> tuple[Move, ...]:
    """The two looks that come before any learning-rate probe."""
    return (
        Move("template", why=f"{reason}: first check that the chat template is the model's own"),
        Move("data", why=f"{reason}: first check that the columns are mapped to the right fields"),
    )


def _stuck(case: Case) -> tuple[Rung, ...]:
    finding = case.first(*STUCK)
    if finding is None:
        return ()
    says = f"the loss is stuck ({finding.why})"
    looks = check_moves("the loss is stuck")
    probe = "a probe for a short run: does the loss move at all?"
    sanity = "train on 100-200 rows for 3-5 epochs: that must drive the loss down"
    return (
        Rung("LR x 5 probe", says, (*looks, Move("learning_rate", 5.0, why=f"{says}; {probe}"))),
        Rung("LR x 10 probe", says, (*looks, Move("learning_rate", 10.0, why=f"{says}; {probe}"))),
        Rung("scheduler", says, (Move("lr_scheduler_type", to="cosine"),)),
        Rung("sanity run", says, (Move("data", why=f"{says}; {sanity}"),)),
    )


STUCK_RULE = Rule(
    name="guide.stuck",
    family="stability",
    source=G3,
    says="stuck: check template and field mapping; LR x5-10 for a moment; a sensible scheduler; a run on 100-200 rows",
    generalises="the looks come with the probe; x5 before x10, then the scheduler, then the sanity run",
    ask=_stuck,
    before={"learning_rate": 1e-5},
    after={"learning_rate": 5e-5},
)
