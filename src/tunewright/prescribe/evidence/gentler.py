"""Moves that make steps gentler: a longer warm-up, tighter clipping."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.evidence.probed import WARMUP_SHARE
from tunewright.prescribe.rule import Move

MOST_WARMUP_SHARE = 0.2
TIGHT_CLIP, USUAL_CLIP, LOOSE_CLIP = 0.3, 1.0, 10.0


def more_warmup(case: Case, why: str = "") -> tuple[Move, ...]:
    """Twice the warm-up up to a fifth of the run; 5 % where there is none; a factor where it is not known."""
    warmup = case.number(case.warmup_key)
    if warmup and (case.warmup_key == "warmup_steps" or warmup < MOST_WARMUP_SHARE):
        limit = 2.0 if case.warmup_key == "warmup_steps" else min(2.0, MOST_WARMUP_SHARE / warmup)
        return (Move("warmup", limit, why=why),)
    if warmup:
        return ()
    return (Move("warmup_ratio", to=WARMUP_SHARE, why=why) if case.knows_warmup else Move("warmup", 2.0, why=why),)


def clip_to(case: Case, wanted: float) -> tuple[Move, ...]:
    """Clipping at ``wanted``, unless gradients are clipped at that or lower already; 0 means no clipping."""
    clip = case.number("max_grad_norm")
    return () if clip and clip <= wanted else (Move("max_grad_norm", to=wanted),)


def clipped_at_all(case: Case) -> tuple[Move, ...]:
    """The usual clipping for a run that is known to have none, or none that would ever act."""
    clip = case.number("max_grad_norm")
    return (Move("max_grad_norm", to=USUAL_CLIP),) if clip is not None and (clip == 0 or clip >= LOOSE_CLIP) else ()
