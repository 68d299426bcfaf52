"""Where the plan's numbers come from: each source by title and date, written once."""

from __future__ import annotations

from tunewright.schema import sources

UNDERSTANDING, KEY_HYPERPARAMETERS = sources.G0, sources.G1
TRAINING_PROCESS, MASTERING = sources.G2, sources.G3

GIVEN = "given by you"
TUNEWRIGHT = "Tunewright's own rule (2026)"
ARITHMETIC = "arithmetic from the counted rows (2026)"

LORA_WITHOUT_REGRET = sources.LORA_WITHOUT_REGRET
TINKER_SWEEP = "tinker-cookbook, 548 public LoRA runs on 35 models, read again (Thinking Machines Lab, 2026)"
TINKER_WIDTH = "tinker-cookbook, get_lr (Thinking Machines Lab, 2026)"
MEASURED_SMALL = "Tunewright, measured on its bundled small model (2026)"
STRAIGHT_TO_ZERO = "Straight to Zero: Why Linearly Decaying the Learning Rate to Zero Works Best for LLMs (2025-02)"
BATCH_BIAS = "Beware of the Batch Size: Hyperparameter Bias in Evaluating LoRA (2026-02)"
QLORA = "QLoRA: Efficient Finetuning of Quantized LLMs (2023-05)"
ADAM = "Adam: A Method for Stochastic Optimization (2014-12)"
ADAMW = sources.DECOUPLED
REPEATED_DATA = "Scaling Data-Constrained Language Models (2023-05)"
FIXED_DURATIONS = "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations (2024-05)"
CHECKPOINTING = "Training Deep Nets with Sublinear Memory Cost (2016-04)"
TENSOR_PROGRAMS = "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer (2022-03)"


def title(source: str) -> str:
    """The title without the date in brackets, for use inside a sentence.

    >>> title(TRAINING_PROCESS)
    'The Training Process'
    """
    return source.split(" (")[0]
