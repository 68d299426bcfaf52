"""How much faster K adapters train together than one after another, for growing K, on one device.

    python -m bench.engine.k_curve             a 0.6B-class Qwen3 of random weights in bf16; needs a GPU
    python -m bench.engine.k_curve --small     the same on a small model, sized for a CPU

One after another means plain PEFT with torch's fused AdamW, without any trainer around it. Both train the same rows of
one length, of which the second half is supervised. What was not run is said below the table.

MFU: useful operations per second as a share of the device's dense peak, counted as in "PaLM: Scaling Language
Modeling with Pathways" (Chowdhery et al., 2022-04), with a frozen base: two operations per weight and token forward,
two backward, none for weight gradients; causal attention; the output layer at supervised tokens only; adapters left
out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Qwen3Config

from bench.engine.compare import difference
from bench.engine.k_runs import (
    ONE_AFTER_ANOTHER,
    WARM_STEPS,
    Cell,
    Setting,
    make_model,
    make_rows,
    recipes,
    run_packed,
    run_peft,
)
from bench.peers import ROOT
from bench.records import machine
from bench.table import table
from tunewright.engine.base import Base
from tunewright.engine.step import is_out_of_memory
from tunewright.record.files import write_whole

PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "4090": 165, "3090": 71}
"""Dense bf16 peaks by a part of the device's name, from the makers' data sheets (SXM versions where there are two)."""


def flops_per_token(model: nn.Module, config: Any, setting: Setting) -> float:
    """Useful operations per input token, forward and backward, as the module's text counts them."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear) and m is not head)
    supervised = head.weight.numel() * setting.supervised / setting.length
    # scores and weighted sum, each two operations per pair of positions, half of the pairs being causal
    attention = 2 * setting.length * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return 4.0 * (linear + supervised) + 3.0 * attention


def peak_tflops(device_name: str, given: float | None) -> float | None:
    """The device's dense peak: what was given, or what is known of the name; None when neither."""
    if given is not None:
        return given
    return next((float(peak) for part, peak in PEAK_TFLOPS.items() if part in device_name), None)


def measure(
    base: Base, settings: Sequence[Setting], Ks: Sequence[int], steps: int, seed: int
) -> tuple[list[Cell], list[str]]:
    """Every setting: PEFT first, then every K; what does not fit in memory is left out and named."""
    cells: list[Cell] = []
    not_run: list[str] = []
    vocabulary = base.model.config.vocab_size
    for setting in settings:
        rows = make_rows(setting, steps, vocabulary, seed)
        first = recipes(1, setting, seed)[0]
        runs: list[tuple[str, Callable[[], Cell]]] = [
            ("PEFT", lambda r=rows, s=setting, f=first: run_peft(base, s, r, f))
        ]
        runs += [(f"K = {K}", lambda r=rows, s=setting, K=K: run_packed(base, s, r, K, seed)) for K in Ks]
        for name, run in runs:
            what = f"{setting.rows} x {setting.length} tokens, {name}"
            try:
                cells.append(run())
                print(f"{what}: {cells[-1].step_s * 1e3:.1f} ms a step", flush=True)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                not_run.append(f"{what}: out of memory")
    return cells, not_run


def check(base: Base, setting: Setting, K: int, steps: int, seed: int) -> float:
    """Largest relative difference of K packed slots' losses from those of K PEFT runs, over all steps."""
    rows = make_rows(setting, steps, base.model.config.vocab_size, seed)
    packed = run_packed(base, setting, rows, K, seed).losses
    alone = [run_peft(base, setting, rows, recipe).losses for recipe in recipes(K, setting, seed)]
    return max(difference([step[slot] for step in packed], [step[0] for step in run]) for slot, run in enumerate(alone))


def curve_table(cells: Sequence[Cell], flops: dict[Setting, float], peak: float | None) -> str:
    """Times: how many times more jobs per hour than PEFT trains one after another."""
    alone = {cell.setting: cell.tokens_per_s for cell in cells if cell.K == ONE_AFTER_ANOTHER}
    return table(
        ["rows x tokens", "K", "ms a step", "tokens/s", "times PEFT", "MFU", "peak GiB"],
        [
            [
                f"{cell.setting.rows} x {cell.setting.length}",
                "PEFT" if cell.K == ONE_AFTER_ANOTHER else cell.K,
                f"{cell.step_s * 1e3:.1f}",
                f"{cell.tokens_per_s:,.0f}",
                f"{cell.tokens_per_s / alone[cell.setting]:.2f}x" if cell.setting in alone else "-",
                f"{cell.tokens_per_s * flops[cell.setting] / peak / 1e12:.1%}" if peak else "-",
                "-" if cell.peak_GiB is None else f"{cell.peak_GiB:.2f}",
            ]
            for cell in cells
        ],
    )


def qwen3(small: bool) -> Qwen3Config:
    """The shape of Qwen3-0.6B, or one for a CPU."""
    if small:
        return Qwen3Config(
            vocab_size=2000, hidden_size=128, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=32, tie_word_embeddings=True,
        )  # fmt: skip
    return Qwen3Config(
        vocab_size=151_936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, tie_word_embeddings=True,
    )  # fmt: skip


def main() -> None:
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.small:
        raise SystemExit("k_curve: no GPU here; a small one runs on the CPU: python -m bench.engine.k_curve --small")
    config = qwen3(options.small)
    settings = [Setting(rows, length) for rows in options.rows for length in options.lengths]
    checked = {}
    for dtype in (torch.float32, torch.bfloat16):  # the last one is measured
        model = make_model(config, dtype, device, options.seed)
        base = Base(model, None, device, dtype, "random weights", "as the bench says")
        name = str(dtype).removeprefix("torch.")
        checked[name] = check(base, settings[0], options.check_slots, options.check_steps, options.seed)
        print(f"{name}: {options.check_slots} packed slots against PEFT: losses within {checked[name]:.1e}", flush=True)
    cells, not_run = measure(base, settings, options.K, options.steps, options.seed)
    flops = {setting: flops_per_token(base.model, config, setting) for setting in settings}
    device_name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    if options.small:
        not_run.append("the 0.6B-class model: needs a GPU, and this was --small")
    peak = peak_tflops(device_name, options.peak_tflops)
    if peak is None:
        not_run.append(f"MFU: the peak of {device_name!r} is not known; give it with --peak-tflops")
    print(f"\n{curve_table(cells, flops, peak)}\n")
    print("\n".join(f"not run: {what}" for what in not_run))
    _write(options.results, device_name, checked, cells, not_run)


def _write(
    folder: Path, device_name: str, checked: dict[str, float], cells: Sequence[Cell], not_run: Sequence[str]
) -> None:
    found = {
        "machine": {**machine(), "device": device_name, "torch": torch.__version__},
        "loss_difference_to_peft": checked,
        "cells": [{**asdict(cell), "tokens_per_s": cell.tokens_per_s} for cell in cells],
        "not_run": list(not_run),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "k_curve.json", json.dumps(found, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine.k_curve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--small", action="store_true", help="a model, lengths and K for a CPU, where none are given")
    add("--K", nargs="+", type=int, help="slots; default 1 2 4 8 16 32, small 1 2 4 8")
    add("--rows", nargs="+", type=int, help="rows per slot and step; default 1 4, small 1")
    add("--lengths", nargs="+", type=int, help="tokens of a row; default 512 2048, small 64")
    add("--steps", type=int, default=13, help=f"of each run; the first {WARM_STEPS} are not timed")
    add("--check-slots", type=int, default=4)
    add("--check-steps", type=int, default=8)
    add("--peak-tflops", type=float, help="dense peak of the device in the format computed in, where not known by name")
    add("--seed", type=int, default=0)
    add("--results", type=Path, default=ROOT / "bench/results/engine")
    options = parser.parse_args()
    options.K = options.K or ([1, 2, 4, 8] if options.small else [1, 2, 4, 8, 16, 32])
    options.rows = options.rows or ([1] if options.small else [1, 4])
    options.lengths = options.lengths or ([64] if options.small else [512, 2048])
    return options


if __name__ == "__main__":
    main()
