"""Which number format a base is computed in, and why: every answer comes with its reason."""

from __future__ import annotations

import os

import torch

from tunewright.schema.errors import UsageError
from tunewright.schema.recipe import Precision

FP16_LOSS_SCALE = 1024.0
"""Gradients of float16 activations fall below 6e-8 without it; a fixed power of two changes no other bit."""


def choose_device() -> tuple[torch.device, str]:
    """The device to train on and why: the first CUDA GPU, else the CPU.

    Raises UsageError under a launcher of several processes: the engine trains on one device.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            f"started as one of {os.environ['WORLD_SIZE']} processes: training on several devices is not supported",
            hint="start it once, without torchrun or accelerate launch",
        )
    if torch.cuda.is_available():
        return torch.device("cuda", 0), f"the first GPU: {torch.cuda.get_device_name(0)}"
    return torch.device("cpu"), "no CUDA GPU here"


def choose_dtype(asked: Precision, device: torch.device) -> tuple[torch.dtype, str]:
    """The dtype of the base's weights and activations, and why. Adapters and optimizer stay float32 in any case.

    >>> choose_dtype("fp16", torch.device("cpu"))
    (torch.float32, 'fp16 was asked for, but CPUs have no fast float16: fp32')
    """
    on_gpu = device.type == "cuda"
    has_bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "fp32":
        return torch.float32, "fp32 was asked for"
    if asked == "fp16":
        if not on_gpu:
            return torch.float32, "fp16 was asked for, but CPUs have no fast float16: fp32"
        return torch.float16, "fp16 was asked for"
    if asked == "bf16":
        if on_gpu and not has_bf16:
            return torch.float32, "bf16 was asked for, but this GPU computes it only in emulation: fp32"
        return torch.bfloat16, "bf16 was asked for"
    if has_bf16:
        return torch.bfloat16, "auto: this GPU computes bf16, half the memory at the range of fp32"
    return torch.float32, "auto: fp32, " + ("this GPU has no bf16" if on_gpu else "exact and as fast as any on a CPU")
