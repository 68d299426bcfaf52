"""What a run leaves is read by PEFT and transformers themselves, and read back into a slot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunewright.data.tokens import TokenRow
from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora, open_full
from tunewright.engine.base import Base
from tunewright.engine.evaluate import row_losses
from tunewright.engine.export import load_adapter, load_tuned, save_full, save_peft
from tunewright.engine.job import Job
from tunewright.engine.loop import run_job
from tunewright.engine.pack import Pack
from tunewright.record.run import Run
from tunewright.schema.errors import ModelError, UsageError
from tunewright.schema.recipe import Recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in random:UserWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning"),
]
MakeModel = Callable[..., nn.Module]
IDS = torch.arange(3, 33).view(2, 15)


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def trained(pack: Pack) -> Pack:
    """A pack whose numbers are all far from where they started; padding of smaller ranks stays zero."""
    generator = torch.Generator().manual_seed(7)
    for slot, spec in enumerate(pack.specs):
        for path in pack.layers:
            for name in ("A", "B"):
                tensor = pack.leaf(f"{path}.{name}").of(pack.params_KP)[slot][: spec.rank]
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.08)
        for name in pack.whole():
            tensor = pack.leaf(name).of(pack.params_KP)[slot]
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.02)
    return pack


@pytest.mark.parametrize("family", ["llama", "llama-tied", "qwen3", "gemma3", "gpt2"])
@pytest.mark.parametrize("target", ["all", ("q_proj", "down_proj"), "model.layers.1.mlp.up_proj"])
def test_peft_loads_a_slot_to_the_same_logits(
    make_model: MakeModel, tmp_path: Path, family: str, target: str | tuple[str, ...]
) -> None:
    from peft import PeftModel

    if family == "gpt2":
        target = {"all": "all", ("q_proj", "down_proj"): ("c_attn", "c_proj")}.get(target, "transformer.h.1.mlp.c_fc")
    pack = trained(attach_lora(make_model(family), [SlotSpec(2, 4.0), SlotSpec(4, 32.0)], target=target))
    for slot in (0, 1):
        folder = tmp_path / str(slot)
        folder.mkdir()
        save_peft(pack, slot, folder)
        with pack.only(slot):
            ours = logits(pack.model)
        theirs = logits(PeftModel.from_pretrained(make_model(family), folder))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    with pack.adapters_off():
        assert torch.equal(logits(pack.model), logits(make_model(family)))
    assert not torch.allclose(ours, logits(make_model(family)), atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "llama-tied"])
@pytest.mark.parametrize("saved", [("embed_tokens",), ("lm_head", "norm"), ("layers.0.mlp",)])
def test_modules_to_save(make_model: MakeModel, tmp_path: Path, family: str, saved: tuple[str, ...]) -> None:
    from peft import PeftModel

    base_logits = logits(make_model(family))
    pack = trained(attach_lora(make_model(family), [SlotSpec(2, 4.0)], modules_to_save=saved))
    save_peft(pack, 0, tmp_path)
    ours = logits(pack.model)
    theirs = logits(PeftModel.from_pretrained(make_model(family), tmp_path))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    with pack.adapters_off():
        assert torch.equal(logits(pack.model), base_logits)
    assert torch.equal(logits(pack.model), ours)
    again = attach_lora(make_model(family), [SlotSpec(2, 4.0)], modules_to_save=saved)
    load_adapter(again, 0, tmp_path)
    assert torch.equal(logits(again.model), ours)
    pack.detach()
    assert torch.equal(logits(pack.model), base_logits)


def test_modules_to_save_are_trained(
    make_base: Callable[..., Base], make_rows: Callable[..., list[TokenRow]], make_recipe: Callable[..., Recipe]
) -> None:
    base = make_base("llama-tied")
    head = base.model.lm_head.weight.clone()
    recipe = make_recipe(modules_to_save=["embed_tokens"], max_steps=5)
    pack = run_job(base, Job(recipe, make_rows(20))).pack
    assert not torch.equal(base.model.lm_head.weight, head)
    assert base.model.lm_head.weight is base.model.model.embed_tokens.weight
    pack.detach()
    assert torch.equal(base.model.lm_head.weight, head)


def test_an_adapter_reads_back_bit_for_bit(make_model: MakeModel, tmp_path: Path) -> None:
    pack = trained(attach_lora(make_model(), [SlotSpec(4, 8.0), SlotSpec(2, 8.0), SlotSpec(4, 8.0, seed=3)]))
    save_peft(pack, 1, tmp_path)
    other = attach_lora(make_model(), [SlotSpec(4, 8.0), SlotSpec(2, 8.0)])
    load_adapter(other, 1, tmp_path)
    assert torch.equal(pack.params_KP[1], other.params_KP[1])
    with pack.only(1), other.only(1):
        assert torch.equal(logits(pack.model), logits(other.model))
    with pytest.raises(ModelError, match="rank 2 and alpha 8, but the slot has 4 and 8"):
        load_adapter(other, 0, tmp_path)


def test_packs_take_turns_on_one_base(make_model: MakeModel) -> None:
    model = make_model()
    first = trained(attach_lora(model, [SlotSpec(2, 4.0)]))
    with_first = logits(model)
    second = trained(attach_lora(model, [SlotSpec(4, 4.0)]))
    assert not first.attached
    assert not torch.equal(logits(model), with_first)
    first.put_on()
    assert not second.attached
    assert torch.equal(logits(model), with_first)
    first.detach()
    assert torch.equal(logits(model), logits(make_model()))


def test_full_fine_tuning_leaves_a_transformers_folder(make_model: MakeModel, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    pack = open_full(make_model("llama-tied"))
    pack.params_KP.add_(torch.randn(pack.params_KP.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    save_full(pack, tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path)), logits(pack.model))
    with pytest.raises(UsageError, match="changed the base"), pack.adapters_off():
        pass


def test_a_run_continues_an_adapter(
    make_base: Callable[..., Base],
    make_rows: Callable[..., list[TokenRow]],
    make_recipe: Callable[..., Recipe],
    make_run: Callable[..., Run],
) -> None:
    run, rows, val = make_run(), make_rows(40), make_rows(10, seed=1)
    first = run_job(make_base(), Job(make_recipe(lora_target=["q_proj", "v_proj"]), rows, val, run=run))
    onward = make_recipe(init_adapter=str(run.best), lora_rank=32, max_steps=1)
    second = run_job(make_base(), Job(onward, rows, val))
    assert second.base_eval_loss == pytest.approx(first.eval_loss, rel=1e-6)
    assert len(second.pack.layers) == 4
    assert any("init_adapter has rank 4 and alpha 8" in note for note in second.notes)
    asked = load_tuned(make_base(), run.best)
    nll, tokens = row_losses(asked, val, 4)
    assert nll.sum() / tokens.sum() == pytest.approx(first.eval_loss, rel=1e-6)


def _edit(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "no adapter_config.json"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"\x10" * 40), "damaged"),
        (lambda folder: _edit(folder, peft_type="IA3"), "found IA3"),
        (lambda folder: _edit(folder, use_dora=True), "use_dora"),
        (lambda folder: _edit(folder, target_modules=["q_proj"]), "does not fit"),
        (lambda folder: _edit(folder, target_modules=["query"]), "no such linear layer"),
    ],
)
def test_adapters_that_cannot_be_used_are_named(
    make_base: Callable[..., Base], make_model: MakeModel, tmp_path: Path, harm: Callable[[Path], Any], said: str
) -> None:
    save_peft(attach_lora(make_model(), [SlotSpec(2, 4.0)]), 0, tmp_path)
    harm(tmp_path)
    with pytest.raises(ModelError, match=said):
        load_tuned(make_base(), tmp_path)


def test_an_unknown_target_names_those_there_are(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="did you mean 'q_proj'") as caught:
        attach_lora(make_model(), [SlotSpec(2, 4.0)], target=("q_prj",))
    assert "down_proj" in caught.value.hint
    with pytest.raises(ModelError, match="'wte2'"):
        attach_lora(make_model(), [SlotSpec(2, 4.0)], modules_to_save=("wte2",))
    with pytest.raises(UsageError, match="pack of one slot"):
        attach_lora(make_model(), [SlotSpec(2, 4.0)] * 2, modules_to_save=("lm_head",))


def test_row_losses_are_each_rows_own(make_model: MakeModel, make_rows: Callable[..., list[TokenRow]]) -> None:
    rows = make_rows(13)
    masked = TokenRow(number=14, ids=rows[0].ids, supervised=np.zeros(len(rows[0].ids), dtype=bool))
    model = make_model()
    nll, tokens = row_losses(model, [*rows, masked], batch_size=4)
    assert (nll[-1], tokens[-1]) == (0.0, 0)
    for row, value, count in zip(rows, nll, tokens, strict=False):
        ids = torch.tensor(row.ids).long()[None]
        labels = torch.where(torch.tensor(row.supervised)[None], ids, -100)
        with torch.no_grad():
            mean = model(input_ids=ids, labels=labels).loss.item()
        assert count == row.supervised.sum()
        assert value / count == pytest.approx(mean, rel=1e-5)
    with pytest.raises(ValueError, match="shows 2 slots"):
        row_losses(attach_lora(model, [SlotSpec(2, 4.0)] * 2), rows, 4)
