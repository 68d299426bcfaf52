"""The mean of adapters changes the base by the mean of their changes, in an adapter that PEFT reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora
from tunewright.engine.blend import attach_mean, can_be_averaged, cut_to_rank
from tunewright.engine.export import save_peft
from tunewright.schema.errors import ModelError

MakeModel = Callable[..., nn.Module]


def saved(model: nn.Module, folder: Path, spec: SlotSpec, seed: int | None, **target: Any) -> Path:
    """An adapter of random numbers, all of its rank in use; without a seed one that changes nothing yet."""
    pack = attach_lora(model, [spec], **target)
    generator = torch.Generator().manual_seed(seed or 0)
    for path in pack.layers if seed is not None else ():
        for name in ("A", "B"):
            tensor = pack.leaf(f"{path}.{name}").of(pack.params_KP)[0]
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    folder.mkdir()
    save_peft(pack, 0, folder)
    pack.detach()
    return folder


def changes(folder: Path) -> dict[str, torch.Tensor]:
    """What PEFT itself would add to each weight."""
    from peft import PeftConfig
    from safetensors.torch import load_file

    config, tensors = PeftConfig.from_pretrained(str(folder)), load_file(folder / "adapter_model.safetensors")
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    return {
        name: scale * tensors[name.replace("lora_A", "lora_B")] @ tensors[name] for name in tensors if "lora_A" in name
    }


def mean_of(model: nn.Module, tmp_path: Path, folders: list[Path]) -> Path:
    pack = attach_mean(model, folders)
    written = tmp_path / "mean"
    written.mkdir()
    save_peft(pack, 0, written)
    pack.detach()
    return written


def test_where_the_rank_holds_it_the_mean_is_exact(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model("llama")
    one = saved(model, tmp_path / "one", SlotSpec(rank=2, alpha=4.0), 1)
    big = saved(model, tmp_path / "big", SlotSpec(rank=2, alpha=16.0, rslora=True), 2)
    wide = saved(model, tmp_path / "wide", SlotSpec(rank=8, alpha=32.0), None)  # has the room
    found = changes(mean_of(model, tmp_path, [wide, one, big]))
    assert found
    for name, change in found.items():
        expected = (changes(one)[name] + changes(big)[name]) / 3
        torch.testing.assert_close(change, expected, atol=1e-5, rtol=1e-4)


def test_the_mean_of_an_adapter_with_itself_is_that_adapter(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model("qwen3")
    one = saved(model, tmp_path / "one", SlotSpec(rank=4, alpha=8.0), 1)
    found = changes(mean_of(model, tmp_path, [one, one]))
    for name, change in found.items():
        torch.testing.assert_close(change, changes(one)[name], atol=1e-5, rtol=1e-4)


def test_a_cut_keeps_the_largest_singular_values() -> None:
    generator = torch.Generator().manual_seed(0)
    A_Ri, B_oR = torch.randn(12, 7, generator=generator), torch.randn(9, 12, generator=generator)
    A_ri, B_or = cut_to_rank(A_Ri, B_oR, 3)
    left = torch.linalg.matrix_norm(B_oR @ A_Ri - B_or @ A_ri)
    expected = torch.linalg.svdvals(B_oR @ A_Ri)[3:].square().sum().sqrt()
    assert (A_ri.shape, B_or.shape) == ((3, 7), (9, 3))
    assert left == pytest.approx(float(expected), rel=1e-4)


def test_adapters_of_other_layers_or_with_whole_layers_are_not_averaged(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model("llama")
    one = saved(model, tmp_path / "one", SlotSpec(rank=2, alpha=4.0), 1)
    other = saved(model, tmp_path / "other", SlotSpec(rank=2, alpha=4.0), 1, target=("q_proj",))
    whole = saved(model, tmp_path / "whole", SlotSpec(rank=2, alpha=4.0), 1, modules_to_save=("lm_head",))
    assert can_be_averaged([one, one])
    assert not can_be_averaged([one, other])
    assert not can_be_averaged([whole, whole])
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        can_be_averaged([one, tmp_path])
