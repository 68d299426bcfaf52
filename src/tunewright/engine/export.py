"""Slots out and in: PEFT adapter folders for adapters, transformers folders for fully tuned models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch

from tunewright.engine.adapter import SlotSpec, is_conv1d
from tunewright.engine.attach import attach_lora
from tunewright.engine.base import Base, quiet
from tunewright.engine.pack import Pack
from tunewright.engine.targets import leaf_names
from tunewright.engine.tensor_files import os_errors, save_tensors
from tunewright.schema import jsonio
from tunewright.schema.errors import ModelError

PREFIX = "base_model.model."
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def save_peft(pack: Pack, slot: int, folder: Path, *, base_name: str | None = None) -> None:
    """Write one slot into an existing folder so that ``PeftModel.from_pretrained(base, folder)`` loads it.

    ``base_name``: what the adapter says it belongs to. Weights are float32, cut to the slot's own rank.
    """
    save_tensors(peft_tensors(pack, slot), folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_bytes(jsonio.dumps(_peft_config(pack, slot, base_name), indent=True))


def peft_tensors(pack: Pack, slot: int) -> dict[str, torch.Tensor]:
    """A slot's tensors under PEFT's names: lora_A [r, in], lora_B [out, r], modules_to_save as they are."""
    rank = pack.specs[slot].rank
    tensors = {}
    for path in pack.paths(slot):
        A_ri = pack.leaf(f"{path}.A").of(pack.params_KP)[slot, :rank]
        B_ro = pack.leaf(f"{path}.B").of(pack.params_KP)[slot, :rank]
        tensors[f"{PREFIX}{path}.lora_A.weight"] = A_ri.clone().cpu()
        tensors[f"{PREFIX}{path}.lora_B.weight"] = B_ro.T.contiguous().cpu()
    for name in pack.whole():
        value = pack.leaf(name).of(pack.params_KP)[slot].clone().cpu()
        for same in _tied_names(pack, name):  # PEFT copies modules, which unties them: both get the value
            tensors[PREFIX + same] = value.clone()
    return tensors


def _peft_config(pack: Pack, slot: int, base_name: str | None) -> dict[str, Any]:
    spec, paths = pack.specs[slot], pack.paths(slot)
    saved = sorted({same.rpartition(".")[0] for name in pack.whole() for same in _tied_names(pack, name)})
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": spec.rank,
        "lora_alpha": spec.alpha,
        "lora_dropout": spec.dropout,
        "use_rslora": spec.rslora,
        "target_modules": leaf_names(paths, pack.model),
        "modules_to_save": saved or None,
        "fan_in_fan_out": any(is_conv1d(pack.layers[path].base) for path in paths),
        "bias": "none",
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _tied_names(pack: Pack, name: str) -> list[str]:
    parameter = pack.model.get_parameter(name)
    return [other for other, p in pack.model.named_parameters(remove_duplicate=False) if p is parameter]


def save_full(pack: Pack, folder: Path, tokenizer: Any = None) -> None:
    """Write a fully tuned model into an existing folder as transformers does, float32, with its tokenizer."""
    with quiet(), os_errors():
        pack.model.save_pretrained(folder)  # type: ignore[operator]
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class AdapterFile:
    """What an adapter folder says about itself."""

    folder: Path
    spec: SlotSpec
    target: tuple[str, ...] | str
    modules_to_save: tuple[str, ...]


def read_adapter(folder: Path) -> AdapterFile:
    """The configuration of a PEFT LoRA folder. Raises ModelError when it is missing, damaged or of another kind."""
    config = peft_config(folder)
    kind = config.get("peft_type")
    odd = [key for key in ("use_dora", "rank_pattern", "alpha_pattern") if config.get(key)]
    if kind != "LORA" or odd or config.get("bias", "none") != "none":
        raise ModelError(f"{folder}: a plain LoRA adapter was expected, found {kind} {' '.join(odd)}".rstrip())
    target = config["target_modules"]
    spec = SlotSpec(
        rank=int(config["r"]),
        alpha=float(config["lora_alpha"]),
        dropout=float(config.get("lora_dropout") or 0.0),
        rslora=bool(config.get("use_rslora")),
    )
    return AdapterFile(
        folder=folder,
        spec=spec,
        target="all" if target == "all-linear" else target if isinstance(target, str) else tuple(target),
        modules_to_save=tuple(config.get("modules_to_save") or ()),
    )


def peft_config(folder: Path) -> dict[str, Any]:
    """What a PEFT folder's configuration says, unchecked; empty when it is no JSON object.

    Raises ModelError when it is missing or no JSON.
    """
    try:
        config = orjson.loads((folder / CONFIG).read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {CONFIG}: expected a PEFT adapter folder, like a run's best/") from None
    except orjson.JSONDecodeError as error:
        raise ModelError(f"{folder / CONFIG}: damaged: {error}") from None
    return config if isinstance(config, dict) else {}


def load_adapter(pack: Pack, slot: int, folder: Path) -> None:
    """Put a PEFT adapter's weights into a slot, whose rank and scale must be the adapter's.

    Raises ModelError for weights that are damaged or do not fit this base, these targets or this slot.
    """
    found, spec = read_adapter(folder).spec, pack.specs[slot]
    if (found.rank, found.scale) != (spec.rank, spec.scale):
        raise ModelError(
            f"{folder}: rank {found.rank} and alpha {found.alpha:g}, but the slot has {spec.rank} and {spec.alpha:g}"
        )
    load_tensors(pack, slot, read_tensors(folder), where=str(folder))


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """An adapter's tensors under PEFT's names. Raises ModelError when the file is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {WEIGHTS}") from None
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS}: damaged: {error}") from None
    return tensors


def load_tensors(pack: Pack, slot: int, tensors: dict[str, torch.Tensor], *, where: str) -> None:
    """Put tensors under PEFT's names into a slot. Raises ModelError when names or shapes differ."""
    expected = peft_tensors(pack, slot)
    unlike = sorted(set(expected) ^ set(tensors))
    unlike += [name for name in set(expected) & set(tensors) if expected[name].shape != tensors[name].shape]
    if unlike:
        raise ModelError(
            f"{where}: the adapter does not fit this base and these target layers: {len(unlike)} tensors differ, "
            f"{unlike[0]} among them"
        )
    rank = pack.specs[slot].rank
    with torch.no_grad():
        for path in pack.paths(slot):
            A_ri = pack.leaf(f"{path}.A").of(pack.params_KP)[slot]
            B_ro = pack.leaf(f"{path}.B").of(pack.params_KP)[slot]
            A_ri[:rank] = tensors[f"{PREFIX}{path}.lora_A.weight"]
            B_ro[:rank] = tensors[f"{PREFIX}{path}.lora_B.weight"].T
        for name in pack.whole():
            pack.leaf(name).of(pack.params_KP)[slot] = tensors[PREFIX + name]


def load_tuned(base: Base, folder: Path) -> Pack:
    """The base with a saved adapter on it, ready to be asked; ``pack.adapters_off()`` gives the base's own answers."""
    found = read_adapter(folder)
    pack = attach_lora(base.model, [found.spec], target=found.target, modules_to_save=found.modules_to_save)
    load_adapter(pack, 0, folder)
    return pack
