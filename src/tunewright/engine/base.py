"""Loading a base model: frozen, on one device, in a stated number format, or a clear reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunewright.data.model_folder import load_tokenizer, resolve_model
from tunewright.engine.frozen import freeze
from tunewright.engine.precision import choose_device, choose_dtype
from tunewright.schema.errors import EnvironmentMissing, ModelError
from tunewright.schema.recipe import Method, Precision


@dataclass
class Base:
    """A frozen model with its tokenizer. ``dtype`` is what it computes in; ``reason`` says why that and this device."""

    model: nn.Module
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    folder: str
    reason: str
    method: Method = "lora"
    template: str | None = None
    changed: bool = False  # full fine-tuning trained its weights: no base any more


def load_base(
    model: str, *, method: Method = "lora", precision: Precision = "auto", template: str | None = None
) -> Base:
    """Load a base model (a bundled name, a folder, a Hub name) and its tokenizer.

    lora: weights in the computing dtype; qlora: linear layers in 4-bit NF4; full: weights in float32 (updates of
    a learning rate's size vanish in bf16), computed in the lower dtype by autocast.
    Raises ModelError for a folder that is missing, damaged or of an unsupported architecture, EnvironmentMissing
    when the Hub cannot be reached or qlora lacks bitsandbytes.
    """
    device, why_device = choose_device()
    dtype, why_dtype = choose_dtype(precision, device)
    folder = resolve_model(model)
    network = load_model(folder, method=method, dtype=dtype, device=device)
    tokenizer = load_tokenizer(folder, template)
    return Base(network, tokenizer, device, dtype, folder, f"{why_device}; {why_dtype}", method, template)


def pristine(base: Base) -> Base:
    """The base as it was loaded: one whose weights full fine-tuning has changed is loaded again."""
    if base.changed:
        base.model = load_model(base.folder, method=base.method, dtype=base.dtype, device=base.device)
        base.changed = False
    return base


def load_model(folder: str, *, method: Method, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The bare model of a folder or Hub name, frozen; errors as in :func:`load_base`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": torch.float32 if method == "full" else dtype}
    if method == "qlora":
        options |= {"quantization_config": _nf4(dtype), "device_map": {"": device}}
    with _model_errors(folder), quiet():
        config = AutoConfig.from_pretrained(folder)
        network, report = AutoModelForCausalLM.from_pretrained(
            folder, config=config, output_loading_info=True, **options
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder}: damaged: {len(missing)} weights are missing, {missing[0]} among them",
            hint="download or copy the folder again",
        )
    if method != "qlora":
        network.to(device)
    freeze(network)
    return network  # type: ignore[no-any-return]


def _nf4(dtype: torch.dtype) -> Any:
    """4-bit NormalFloat with double quantization (Dettmers et al., "QLoRA", 2023-05); runs on CPUs too."""
    if find_spec("bitsandbytes") is None:
        raise EnvironmentMissing("method qlora needs bitsandbytes", hint='pip install "tunewright[qlora]"')
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


@contextmanager
def _model_errors(folder: str) -> Iterator[None]:
    """transformers' many errors as one line each."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ModelError(f"{folder}: damaged weights: {error}", hint="download or copy the folder again") from None
    except OSError as error:
        if not Path(folder).is_dir() and "not a valid model identifier" not in str(error):
            raise EnvironmentMissing(
                f"{folder}: not on this machine, and the Hub did not give it: {_first_line(error)}",
                hint="check the network, or give a folder with --model",
            ) from None
        raise ModelError(f"{folder}: no model could be loaded: {_first_line(error)}") from None
    except (ValueError, KeyError, RuntimeError, AttributeError, ImportError) as error:
        raise ModelError(
            f"{folder}: not a causal language model this transformers can load: {_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and load reports of transformers on stderr: what they say is said here in its own words."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    getLogger("bitsandbytes").setLevel(ERROR)  # warns of a faster CPU kernel that no package of ours brings
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
