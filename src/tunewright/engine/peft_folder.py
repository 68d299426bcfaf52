"""Adapter folders of any trainer, read by PEFT itself: put on their base, taken off for a moment, merged into it.

Runs of our own are put on by :func:`tunewright.engine.export.load_tuned`, which knows plain LoRA only. TRL, Unsloth,
LLaMA-Factory and Axolotl write whatever PEFT has: DoRA, rsLoRA, ranks by layer, trained embeddings, new tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunewright.engine.base import quiet
from tunewright.engine.export import CONFIG, WEIGHTS, peft_config
from tunewright.schema.errors import EnvironmentMissing, ModelError


def base_name(folder: Path) -> str | None:
    """The base model that an adapter folder says it belongs to; None when it does not say.

    Raises ModelError when the folder holds no PEFT configuration, or its weights are missing or pickled.
    """
    config = peft_config(folder)
    if not isinstance(config.get("peft_type"), str):
        raise ModelError(f"{folder / CONFIG}: no peft_type in it: expected the configuration of a PEFT adapter")
    if not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"{folder}: no {WEIGHTS}" + ("; pickled weights are not read" if _pickled(folder) else ""),
            hint="save the adapter again as safetensors: model.save_pretrained(DIR)",
        )
    name = config.get("base_model_name_or_path")
    return name if isinstance(name, str) and name.strip() else None


def _pickled(folder: Path) -> bool:
    return (folder / "adapter_model.bin").is_file()


def put_on(network: nn.Module, folder: Path) -> Any:
    """The PeftModel of an adapter on its base, which it changes in place; ``disable_adapter()`` asks the base.

    A base whose vocabulary is smaller than the adapter's own embeddings gets the missing places first.
    Raises ModelError when the adapter is damaged, of an unknown kind, or made for another base.
    """
    from peft import PeftModel

    with _peft_errors(folder):
        _fit_vocabulary(network, folder)
        worn = PeftModel.from_pretrained(network, str(folder))
    _refuse_missing(worn, folder)
    worn.eval()
    for parameter in worn.parameters():
        parameter.requires_grad_(False)
    return worn


def merged(worn: Any, folder: Path) -> Any:
    """The base with the adapter's change in its own weights; ``worn`` is used up.

    Raises ModelError for adapters that are no change of weights (prompt tuning and its kin).
    """
    if worn.active_peft_config.is_prompt_learning:
        raise ModelError(f"{folder}: a {worn.active_peft_config.peft_type.value} adapter has no weights to merge")
    with _peft_errors(folder):
        network = worn.merge_and_unload(safe_merge=True)
    _tie_again(network)
    return network


def _tie_again(network: Any) -> None:
    """One table for both ends where they hold the same numbers, as before; said in the config where they do not."""
    head, table = network.get_output_embeddings(), network.get_input_embeddings()
    if head is None or head.weight is table.weight:
        return
    if head.weight.shape == table.weight.shape and torch.equal(head.weight, table.weight):
        if _was_tied(network):
            head.weight = table.weight
            network.config.tie_word_embeddings = True
    else:
        network.config.tie_word_embeddings = False


def _was_tied(network: Any) -> bool:
    """Whether the architecture can share the two tables; equal tables of another kind stay two."""
    return bool(getattr(network, "_tied_weights_keys", None))


def _fit_vocabulary(network: Any, folder: Path) -> None:
    """Room for tokens that the adapter's trainer added to the base."""
    from safetensors import safe_open

    table = network.get_input_embeddings()
    path = next(name for name, module in network.named_modules() if module is table)
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        own = [key for key in file.keys() if f".{path}." in key and "lora_" not in key]  # noqa: SIM118
        rows = max((file.get_slice(key).get_shape()[0] for key in own if key.endswith("weight")), default=0)
    if rows > table.weight.shape[0]:
        network.resize_token_embeddings(rows, mean_resizing=False)


def _refuse_missing(worn: Any, folder: Path) -> None:
    """PEFT only warns of layers that the file has no weights for, and leaves them untrained."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    expected = set(get_peft_model_state_dict(worn, save_embedding_layers=False))
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        held = set(file.keys())
    # A resized vocabulary is stored a second time, under names of its own.
    unlike = sorted(expected - held) + sorted(key for key in held - expected if ".lora_" in key)
    if unlike:
        raise ModelError(
            f"{folder}: the adapter does not fit this base: {len(unlike)} tensors differ, {unlike[0]} among them",
            hint="name the base it was trained on: --model NAME",
        )


@contextmanager
def _peft_errors(folder: Path) -> Iterator[None]:
    """PEFT's many errors as one line each; its warnings are said here in our own words, or checked."""
    from safetensors import SafetensorError

    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise EnvironmentMissing(f"{folder}: {_first_line(error)}", hint='pip install "tunewright[qlora]"') from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ModelError(
            f"{folder}: PEFT cannot use this adapter on this base: {_first_line(error)}",
            hint="name the base it was trained on: --model NAME",
        ) from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The first line of a mismatch only announces the list of what does not fit.
    return (
        (lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0])[:300] if lines else type(error).__name__
    )
