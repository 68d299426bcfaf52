"""The packed step against separate PEFT + torch runs, and the properties a pack must have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, OPTConfig

from tunewright.data.tokens import TokenRow
from tunewright.engine.adapter import SlotSpec
from tunewright.engine.attach import attach_lora, open_full
from tunewright.engine.batcher import Rows, Window, step_window
from tunewright.engine.frozen import checkpoint_activations
from tunewright.engine.losses import token_nll
from tunewright.engine.optimizer import FlatOptimizer, SlotRates
from tunewright.engine.pack import Pack
from tunewright.engine.step import forward_backward

# PEFT still asks transformers under a name that is going away
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

STEPS = 20
SPECS = (SlotSpec(2, 32.0, seed=1), SlotSpec(8, 32.0, seed=2), SlotSpec(16, 16.0, seed=3), SlotSpec(4, 8.0, seed=4))
RATES = (SlotRates(0.0, 1.0), SlotRates(0.1, 1.0), SlotRates(0.01, 0.1), SlotRates(0.0, 0.0))
LEARNING_RATES = (1e-3, 3e-3, 5e-4, 1e-2)
MakeModel = Callable[..., nn.Module]
MakeRows = Callable[..., list[TokenRow]]


def optimizer_of(pack: Pack, rates: Sequence[SlotRates], kind: str = "adamw") -> FlatOptimizer:
    return FlatOptimizer(pack.params_KP, pack.grads_KP, rates, kind=kind, decayed=pack.decayed)  # type: ignore[arg-type]


def run_pack(
    pack: Pack,
    rates: Sequence[SlotRates],
    learning_rates: Sequence[float],
    rows: Rows,
    *,
    steps: int = STEPS,
    micro_rows: int = 8,
) -> np.ndarray:
    """Losses [steps, K] of all slots on the same batches."""
    optimizer = optimizer_of(pack, rates)
    losses = []
    for step in range(steps):
        window = step_window(rows, seed=0, step=step, rows_per_step=8)
        loss_K = forward_backward(pack, [window] * pack.K, step=step, micro_rows=micro_rows)
        optimizer.update(learning_rates, loss_K)
        losses.append(loss_K.tolist())
    return np.array(losses)


def labelled(window: Window, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
    """A batch as Trainer makes it: labels of -100 where nothing is trained, an attention mask, right padding."""
    T = int(window.rows.lengths[window.indexes].max())
    ids, mask = torch.zeros(len(window.indexes), T, dtype=torch.long), torch.zeros(len(window.indexes), T).long()
    labels = torch.full_like(ids, -100)
    for place, index in enumerate(window.indexes):
        row = rows[index]
        n = len(row.ids)
        ids[place, :n], mask[place, :n] = torch.tensor(row.ids), 1
        labels[place, :n] = torch.where(torch.tensor(row.supervised), ids[place, :n], -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def run_peft(
    model: nn.Module,
    spec: SlotSpec,
    rate: SlotRates,
    learning_rate: float,
    rows: Sequence[TokenRow],
    start: dict[str, torch.Tensor],
) -> list[float]:
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    config = LoraConfig(r=spec.rank, lora_alpha=spec.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    peft = get_peft_model(model, config)
    set_peft_model_state_dict(peft, start)
    trained = [p for p in peft.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=rate.weight_decay)
    table = Rows(rows)
    losses = []
    for step in range(STEPS):
        batch = labelled(step_window(table, seed=0, step=step, rows_per_step=8), rows)
        loss = peft(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, rate.clip or math.inf)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_four_unlike_slots_equal_four_separate_peft_runs(make_model: MakeModel, make_rows: MakeRows) -> None:
    from tunewright.engine.export import peft_tensors

    rows = make_rows(60)
    pack = attach_lora(make_model(), SPECS)
    starts = [peft_tensors(pack, slot) for slot in range(4)]
    packed = run_pack(pack, RATES, LEARNING_RATES, Rows(rows))
    for slot in range(4):
        alone = run_peft(make_model(), SPECS[slot], RATES[slot], LEARNING_RATES[slot], rows, starts[slot])
        np.testing.assert_allclose(packed[:, slot], alone, rtol=1e-5)
    assert (packed[-1, [1, 3]] < packed[0, [1, 3]] - 0.5).all()


def test_padding_of_smaller_ranks_stays_exactly_zero(make_model: MakeModel, make_rows: MakeRows) -> None:
    pack = attach_lora(make_model(), SPECS)
    run_pack(pack, RATES, LEARNING_RATES, Rows(make_rows(60)))
    for path in pack.layers:
        assert not pack.leaf(f"{path}.A").of(pack.params_KP)[0, 2:].any()
        assert not pack.leaf(f"{path}.B").of(pack.params_KP)[0, 2:].any()


def test_a_slot_that_explodes_is_left_alone_and_touches_nobody(make_model: MakeModel, make_rows: MakeRows) -> None:
    rows = Rows(make_rows(60))
    healthy = attach_lora(make_model(), SPECS)
    losses = run_pack(healthy, RATES, LEARNING_RATES, rows)
    sick = attach_lora(make_model(), SPECS)
    blown = run_pack(sick, RATES, (1e-3, 1e30, 5e-4, 1e-2), rows)
    others = [0, 2, 3]
    assert not np.isfinite(blown[5:, 1]).any()
    assert (blown[:, others] == losses[:, others]).all()
    assert torch.equal(sick.params_KP[others], healthy.params_KP[others])
    frozen = sick.params_KP[1].clone()
    run_pack(sick, RATES, LEARNING_RATES, rows, steps=2)
    assert torch.equal(sick.params_KP[1], frozen)


def test_a_nan_slot_keeps_its_optimizer_state(make_model: MakeModel, make_rows: MakeRows) -> None:
    rows = Rows(make_rows(60))
    pack = attach_lora(make_model(), SPECS)
    optimizer = optimizer_of(pack, RATES)
    for step in range(4):
        window = step_window(rows, seed=0, step=step, rows_per_step=8)
        loss_K = forward_backward(pack, [window] * 4, step=step, micro_rows=8)
        before = [pack.params_KP.clone(), *(tensor.clone() for tensor in optimizer.state().values())]
        if step == 3:
            pack.grads_KP[2, 17] = torch.nan
        optimizer.update(LEARNING_RATES, loss_K)
        after = [pack.params_KP, *optimizer.state().values()]
    for was, now in zip(before, after, strict=True):
        assert torch.equal(was[2], now[2])
        assert not torch.equal(was[1], now[1])


@pytest.mark.parametrize("K", [2, 3])
def test_a_slot_does_not_depend_on_the_pack_it_is_in(make_model: MakeModel, make_rows: MakeRows, K: int) -> None:
    rows = Rows(make_rows(60))
    specs = (SlotSpec(2, 4.0, dropout=0.2, seed=9), *SPECS[:2])
    alone = attach_lora(make_model(), specs[:1])
    expected = run_pack(alone, RATES[:1], [2e-3], rows)[:, 0]
    order = [*range(1, K), 0]  # last among its neighbours, and of the smallest rank
    pack = attach_lora(make_model(), [specs[slot] for slot in order])
    packed = run_pack(pack, [RATES[0]] * K, [2e-3] * K, rows)[:, -1]
    np.testing.assert_allclose(packed, expected, rtol=1e-5)


@pytest.mark.parametrize("micro_rows", [1, 3, 8])
def test_one_row_eight_times_is_eight_rows_once(make_model: MakeModel, make_rows: MakeRows, micro_rows: int) -> None:
    rows = Rows(make_rows(60))
    whole = run_pack(attach_lora(make_model(), SPECS[:1]), RATES[:1], [3e-3], rows, micro_rows=8)
    split = run_pack(attach_lora(make_model(), SPECS[:1]), RATES[:1], [3e-3], rows, micro_rows=micro_rows)
    np.testing.assert_allclose(split, whole, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "llama-tied", "qwen3", "gemma2", "gemma3", "gpt2"])
def test_loss_at_supervised_positions_is_the_models_own(
    make_model: MakeModel, make_rows: MakeRows, family: str
) -> None:
    rows = make_rows(12)
    model = make_model(family)
    window = step_window(Rows(rows), seed=0, step=0, rows_per_step=8)
    with torch.no_grad():
        own = model(**labelled(window, rows)).loss.item()
    pack = attach_lora(model, SPECS[:1])
    ours = forward_backward(pack, [window], step=0, micro_rows=8).item()
    assert ours == pytest.approx(own, rel=1e-5)


def test_chunked_cross_entropy_is_torchs_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.engine import losses

    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", 50)  # chunks of 3 rows
    logits = torch.randn(10, 16, dtype=torch.float64).float().requires_grad_()
    targets, weights = torch.randint(16, (10,)), torch.rand(10)
    ours = losses._ChunkedNLL.apply(logits, targets)
    (grad,) = torch.autograd.grad((ours * weights).sum(), logits)
    theirs = nn.functional.cross_entropy(logits, targets, reduction="none")
    (expected,) = torch.autograd.grad((theirs * weights).sum(), logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("family", ["llama", "llama-tied"])
@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_full_fine_tuning_equals_torch(make_model: MakeModel, make_rows: MakeRows, family: str, kind: str) -> None:
    rows = make_rows(60)
    table = Rows(rows)
    rate, learning_rate = SlotRates(weight_decay=0.1, clip=1.0), {"adamw": 1e-3, "sgd": 0.1}[kind]
    pack = open_full(make_model(family))
    optimizer = optimizer_of(pack, [rate], kind)
    reference = make_model(family)
    decayed = [p for p in reference.parameters() if p.dim() > 1]  # norms and biases are left out, as Trainer does
    other = [p for p in reference.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": other, "weight_decay": 0.0}]
    theirs = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[kind](groups, lr=learning_rate)
    for step in range(STEPS):
        window = step_window(table, seed=0, step=step, rows_per_step=8)
        loss_K = forward_backward(pack, [window], step=step, micro_rows=8)
        optimizer.update([learning_rate], loss_K)
        loss = reference(**labelled(window, rows)).loss
        loss.backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        theirs.step()
        theirs.zero_grad()
        assert loss_K.item() == pytest.approx(loss.item(), rel=1e-5)
    if family == "llama-tied":
        assert pack.model.lm_head.weight is pack.model.model.embed_tokens.weight  # type: ignore[union-attr]


def test_gradient_checkpointing_changes_no_bit(make_model: MakeModel, make_rows: MakeRows) -> None:
    rows = Rows(make_rows(60))
    spec = SlotSpec(4, 8.0, dropout=0.3, seed=5)  # dropout must be drawn the same when it is drawn again
    plain = run_pack(attach_lora(make_model(), [spec]), RATES[:1], [3e-3], rows, steps=4)
    model = make_model()
    pack = attach_lora(model, [spec])
    checkpoint_activations(model, True)
    calls = []
    handle = model.model.layers[0].self_attn.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    again = run_pack(pack, RATES[:1], [3e-3], rows, steps=4)
    handle.remove()
    assert (again == plain).all()
    assert len(calls) == 8  # once forward, once more in each backward


def test_gradient_checkpointing_wakes_no_dropout_of_the_base(make_rows: MakeRows) -> None:
    """OPT's layers drop by their own mode, not by that of a module below them."""
    rows, results = Rows(make_rows(60)), []
    for recompute in (False, True):
        torch.manual_seed(0)
        config = OPTConfig(
            vocab_size=64,
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            word_embed_proj_dim=32,
        )
        assert config.dropout > 0
        model = AutoModelForCausalLM.from_config(config)
        pack = attach_lora(model, SPECS[:2])
        checkpoint_activations(model, recompute)
        results.append(run_pack(pack, RATES[:2], LEARNING_RATES[:2], rows, steps=4))
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_weights_trained_whole_in_float32_beside_adapters_on_bf16(
    make_model: MakeModel, make_rows: MakeRows, dropout: float
) -> None:
    rows = Rows(make_rows(60))
    exact = attach_lora(make_model(), [SlotSpec(4, 8.0, dropout, seed=5)], modules_to_save=["norm"])
    low = attach_lora(make_model().to(torch.bfloat16), [SlotSpec(4, 8.0, dropout, seed=5)], modules_to_save=["norm"])
    losses = [run_pack(pack, RATES[:1], [3e-3], rows, steps=6) for pack in (exact, low)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)


@pytest.mark.parametrize("flat", [True, False])
def test_dropout_is_of_the_slot_alone_and_keeps_the_mean(make_model: MakeModel, flat: bool) -> None:
    p, lengths = 0.25, np.array([40, 25, 3])
    ours = SlotSpec(2, 4.0, dropout=p, seed=9)

    def kept(lengths_KR: Sequence[np.ndarray], N: int) -> torch.Tensor:
        pack = attach_lora(make_model(), [SlotSpec(2, 4.0, dropout=0.5, seed=1)] * (len(lengths_KR) - 1) + [ours])
        switch, layer = pack.switch, next(iter(pack.layers.values()))
        switch.lengths_KR, switch.step_K, switch.micro, switch.flat = lengths_KR, [3] * pack.K, 1, flat
        return layer._kept(torch.zeros(pack.K, N, layer.features_in))[-1]

    alone = kept([lengths], int(lengths.sum()) if flat else 3 * 40)
    longer = np.array([50, 50, 50, 7])
    beside = kept([longer, longer, lengths], int(longer.sum()) if flat else 4 * 50)
    width = 0 if flat else 10  # how much wider the neighbours make its rows
    starts = [0, 40, 65] if flat else [0, 40, 80]
    for place, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        there = start + place * width
        assert torch.equal(beside[there : there + length], alone[start : start + length])
    dropped = float((alone == 0).sum()) / (int(lengths.sum()) * alone.shape[1])
    assert alone.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)] if flat else [0.0, 1.0, 1 / (1 - p)])
    assert dropped == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / (int(lengths.sum()) * alone.shape[1])))


def test_a_layer_used_twice_gets_the_sum_of_its_gradients() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.head = nn.Linear(6, 6), nn.Linear(6, 6)

        def get_output_embeddings(self) -> nn.Module:
            return self.head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.shared(self.shared(x).tanh()).square().sum()

    torch.manual_seed(0)
    model, x = Twice(), torch.randn(3, 4, 6)
    pack = attach_lora(model, [SlotSpec(2, 4.0, seed=1), SlotSpec(3, 1.0, seed=2), SlotSpec(1, 2.0, seed=3)])
    pack.params_KP.normal_(std=0.3)
    A, B = (pack.leaf(f"shared.{name}").of(pack.params_KP).clone().requires_grad_() for name in "AB")
    scale = torch.tensor([spec.scale for spec in pack.specs])[:, None, None]

    def tuned(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, model.shared.base.weight, model.shared.base.bias) + x @ A.mT @ B * scale

    expected = torch.autograd.grad(tuned(tuned(x).tanh()).square().sum(), (A, B))
    model(x).backward()
    for name, gradient in zip("AB", expected, strict=True):
        torch.testing.assert_close(pack.leaf(f"shared.{name}").of(pack.grads_KP), gradient)
    pack.grads_KP.zero_()
    with pack.only(1):  # one slot's gradient goes to its own row
        model(x[1:2]).backward()
    torch.testing.assert_close(pack.leaf("shared.A").of(pack.grads_KP)[1], expected[0][1])
    assert not pack.grads_KP[[0, 2]].any()


def test_a_loss_scale_cancels_out(make_model: MakeModel, make_rows: MakeRows) -> None:
    rows = Rows(make_rows(60))
    window = step_window(rows, seed=0, step=0, rows_per_step=8)
    norms = []
    for scale in (1.0, 1024.0):
        pack = attach_lora(make_model(), SPECS[:1])
        optimizer = FlatOptimizer(pack.params_KP, pack.grads_KP, RATES[:1], loss_scale=scale)
        loss_K = forward_backward(pack, [window], step=0, micro_rows=8, loss_scale=scale)
        norms.append((optimizer.update([1e-3], loss_K), pack.params_KP))
    assert norms[0][0].item() == pytest.approx(norms[1][0].item(), rel=1e-6)
    torch.testing.assert_close(norms[0][1], norms[1][1], rtol=1e-6, atol=1e-7)


def test_padding_never_reaches_a_loss(make_model: MakeModel, make_rows: MakeRows) -> None:
    """A row's loss alone is its loss beside a much longer one: pads are looked at by nobody."""
    from tunewright.engine.batcher import collate

    rows = Rows(make_rows(30, longest=40))
    shortest, longest = int(rows.lengths.argmin()), int(rows.lengths.argmax())
    model, device = make_model(), torch.device("cpu")
    with torch.no_grad():
        alone = token_nll(model, collate([(rows, np.array([shortest]))], device))
        beside = token_nll(model, collate([(rows, np.array([shortest, longest]))], device))
    torch.testing.assert_close(beside[: len(alone)], alone, rtol=1e-5, atol=1e-6)
