"""Making a base hold still: no gradients, no dropout, and what its layers must be told for that."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from tunewright.schema.errors import ModelError


def freeze(model: nn.Module) -> None:
    """No gradients, no dropout anywhere in the base: its randomness would couple slots and break resuming."""
    model.requires_grad_(False)
    model.eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            # in eval mode on a CPU bitsandbytes repacks 4-bit weights for inference, rounding their scales to bf16
            # and losing the way back; training mode is only a flag to this layer
            module.training = True


RECOMPUTES = "_tunewright_recomputes"


def recomputes(model: nn.Module) -> bool:
    """Whether activations are recomputed in the backward pass, which changes the layers' mode while it lasts."""
    return bool(model.__dict__.get(RECOMPUTES))


def checkpoint_activations(model: nn.Module, on: bool) -> None:
    """Recompute activations in the backward pass: less memory, about a third more time, the same numbers.

    transformers' layers do so when a flag and a function are set on them and they are in training mode. That mode is
    set on these layers alone, and off again while they compute, so that no dropout in or below them wakes up.
    Raises ModelError for a model without them.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if on and not layers:
        raise ModelError(f"{type(model).__name__} has no gradient checkpointing: leave gradient_checkpointing off")
    model.__dict__[RECOMPUTES] = on
    for layer in layers:
        layer.gradient_checkpointing = on
        layer._gradient_checkpointing_func = _recomputed
        layer.training = on


def _recomputed(forward: partial[Any], *args: Any) -> Any:
    """A layer's ``partial(forward, layer, **options)`` on its inputs, once now and once more in the backward pass."""
    layer: nn.Module = forward.args[0] if forward.args else forward.func.__self__  # type: ignore[attr-defined]

    def in_eval_mode(*args: Any) -> Any:
        layer.training = False
        try:
            return forward(*args)
        finally:
            layer.training = True

    return checkpoint(in_eval_mode, *args, use_reentrant=False, preserve_rng_state=False)
