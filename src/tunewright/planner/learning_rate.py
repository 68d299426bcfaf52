"""Where the learning rate starts: a prior with a x2 bracket around it, never a single truth.

LoRA: 5e-4 at alpha 32. On 26 models of a public sweep the best of {2.5e-4, 5e-4, 1e-3} was within 1 % of the best
learning rate tried on all 26. Narrow models want more: x (2000 / width)^0.78 below width 2000, which gives 4.3e-3 at
width 128, inside the optimum measured there. A first run alone starts half a bracket step lower: on the same models a
single run at 3e-4 lost 0.36 % on average and one at 5e-4 0.80 %, and too low is mended by epochs.
"""

from __future__ import annotations

import math

from tunewright.planner.draft import Draft
from tunewright.planner.guide_ranges import guides_on
from tunewright.planner.sources import LORA_WITHOUT_REGRET, MEASURED_SMALL, TENSOR_PROGRAMS, TINKER_SWEEP, TINKER_WIDTH
from tunewright.planner.words import figure, sentence, two_digits
from tunewright.schema.plan import PlannedValue

LORA_PRIOR = 5e-4
FULL_PRIOR = 3e-5
PRIOR_ALPHA = 32.0
WIDTH_WHERE_SCALING_STARTS = 2000
WIDTH_EXPONENT = 0.78
FULL_WIDTH_EXPONENT = 1.0
"""With Adam the best rate of a whole weight matrix goes with 1 / width (Tensor Programs V, 2022-03)."""
BRACKET = 2.0
"""The prior is trusted to this factor either way."""
FIRST_RUN = 1 / math.sqrt(BRACKET)
"""Where in the bracket a single run of adapters starts."""


def width_factor(hidden_size: int, method: str = "lora") -> float:
    """(2000 / width)^0.78 for models narrower than 2000, else 1: above, the sources disagree between 0 and 0.78.

    For full fine-tuning 2000 / width.

    >>> round(width_factor(128), 2), width_factor(4096), width_factor(128, "full")
    (8.53, 1.0, 15.625)
    """
    narrower = WIDTH_WHERE_SCALING_STARTS / max(1, hidden_size)
    return max(1.0, math.pow(narrower, FULL_WIDTH_EXPONENT if method == "full" else WIDTH_EXPONENT))


def alpha_factor(alpha: float) -> float:
    """How much another alpha than 32 moves the prior: 32 / alpha, at most x2 either way.

    Early in training the step in function space goes with alpha x learning rate (LoRA Without Regret, 2025-09); the
    bound keeps an unusual alpha inside the bracket.

    >>> alpha_factor(32.0), alpha_factor(16.0), alpha_factor(4.0)
    (1.0, 2.0, 2.0)
    """
    return min(BRACKET, max(1 / BRACKET, PRIOR_ALPHA / alpha))


def prior(method: str, hidden_size: int, *, alpha: float = PRIOR_ALPHA, stage: str = "sft") -> float:
    """The start for this method and width, two significant digits. Raw text (``pt``) takes the bracket's low end.

    >>> prior("lora", 128), prior("lora", 4096), prior("full", 4096)
    (0.0043, 0.0005, 3e-05)
    """
    base = FULL_PRIOR if method == "full" else LORA_PRIOR * alpha_factor(alpha)
    cautious = 1 / BRACKET if stage == "pt" else 1.0
    return two_digits(base * width_factor(hidden_size, method) * cautious)


def first_run(method: str, hidden_size: int, *, alpha: float = PRIOR_ALPHA, stage: str = "sft") -> float:
    """The learning rate of a run that is not one of several: for adapters the prior / sqrt(2).

    >>> first_run("lora", 128), first_run("lora", 4096), first_run("full", 4096)
    (0.003, 0.00035, 3e-05)
    """
    start = prior(method, hidden_size, alpha=alpha, stage=stage)
    return start if method == "full" or stage == "pt" else two_digits(start * FIRST_RUN)


def bracket(learning_rate: float) -> tuple[float, float, float]:
    """Half, the same, double: the three learning rates that are worth a probe.

    >>> bracket(5e-4)
    (0.00025, 0.0005, 0.001)
    """
    return two_digits(learning_rate / BRACKET), learning_rate, two_digits(learning_rate * BRACKET)


def learning_rate(draft: Draft) -> PlannedValue:
    """The planned learning rate; the guides' ranges for the method stand beside it."""
    method, stage, alpha = draft["method"], draft["stage"], draft["lora_alpha"]
    width = draft.facts.model.hidden_size
    value = first_run(method, width, alpha=alpha, stage=stage)
    low, _, high = bracket(prior(method, width, alpha=alpha, stage=stage))
    why = sentence(
        _prior_said(method, alpha),
        _width_said(width, method),
        "Raw text takes the low end of the bracket, to keep old abilities." if stage == "pt" else "",
        "" if method == "full" or stage == "pt" else FIRST_RUN_SAID,
        f"A start: the bracket that tune and next try goes from {figure(low)} to {figure(high)}.",
        guides_on("learning_rate", value, method=method, stage=stage, rows=draft.facts.data.rows),
    )
    narrow = width < WIDTH_WHERE_SCALING_STARTS
    source = LORA_WITHOUT_REGRET if method == "full" else TINKER_SWEEP
    widths = TENSOR_PROGRAMS if method == "full" else f"{TINKER_WIDTH}; {MEASURED_SMALL}"
    return PlannedValue("learning_rate", value, why, f"{source}; {widths}" if narrow else source)


FIRST_RUN_SAID = (
    "A single first run starts at 1 / sqrt(2) of that: alone, 3e-4 lost 0.36 % on average there and 5e-4 0.80 %."
)


def _prior_said(method: str, alpha: float) -> str:
    if method == "full":
        return (
            f"{figure(FULL_PRIOR)} for full fine-tuning: a tenth of LoRA's 5e-4 is where full training was best, "
            "taken a little lower because every weight moves."
        )
    said = "5e-4 at alpha 32 with a x2 bracket: within 1 % of the best learning rate on 26 of 26 public models."
    factor = alpha_factor(alpha)
    if factor == 1.0:
        return said
    return (
        f"{said} Alpha is {figure(alpha)} here, so x{figure(factor)} keeps alpha x learning rate near what was tested."
    )


def _width_said(width: int, method: str) -> str:
    factor = width_factor(width, method)
    if factor == 1.0:
        return ""
    power = "" if method == "full" else "^0.78"
    return f"The model is narrow (width {width:,}): x (2000 / {width:,}){power} = x{factor:.2f}."
