"""merge: a tuned model as one folder that needs no adapter, read back before it is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.app.tuned import Source, find_tuned, tokenizer_of
from tunewright.app.watch import Silent, Watch
from tunewright.probes.general import bundled_text
from tunewright.record.files import write_folder
from tunewright.schema.errors import ModelError, RunFailed, UsageError
from tunewright.schema.recipe import Precision

if TYPE_CHECKING:
    import torch

CHECKED_TOKENS = 64
MOST_LOST = 0.1
"""Of what the adapter changed (nats per token between base and tuned model), so much may get lost in the merge: a
wrong one (a forgotten scale, a table tied to the wrong one) loses about all of it."""
ROUNDING_KL = 1e-4
"""Nats per token that are rounding, however little the adapter changed."""
STEPS = ("loading the base", "putting the adapter on", "merging", "writing", "reading back")


def merge(
    source: str | Path, *, out: str | Path, model: str = "", precision: Precision = "auto", watch: Watch | None = None
) -> dict[str, Any]:
    """Write a folder that transformers loads as it is and that answers as base and adapter do together.

    source: a run, or any PEFT adapter folder; model: its base, where that is not recorded or has moved;
    precision: number format of the weights, ``auto`` is the format the base is stored in.
    The folder is loaded again before it is kept: ``kl`` is how far its next-token distributions are from the tuned
    model's on a short text, in nats per token (``adapter_kl``: how far the base's are), and ``largest_difference``
    the largest of a log-probability.
    A QLoRA run's base is taken back from 4 bits to ``precision``: those are the weights the adapter was trained on.

    Raises UsageError when the folder exists or there is no adapter to merge, ModelError when base and adapter do not
    belong together, RunFailed when the merged model answers otherwise; then nothing is left behind.

    ``tw.merge("runs/train-1", out="merged")``
    """
    watch = watch or Silent()
    folder = Path(out).absolute()
    if not str(out).strip():
        raise UsageError("no folder to write to: expected -o DIR", hint=f"tunewright merge {source} -o merged")
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            f"{out}: is already there; a merge never writes over a folder", hint="choose another --out DIR"
        )
    tuned = find_tuned(source, model)
    if tuned.method == "full":
        raise UsageError(
            f"{tuned.folder}: the whole model was tuned, there is no adapter to merge",
            hint=f"load it as it is: {tuned.folder}",
        )
    return _Merging(tuned, precision, watch).into(folder)


class _Merging:
    """One merge at work."""

    def __init__(self, tuned: Source, precision: Precision, watch: Watch) -> None:
        self.tuned, self.watch = tuned, watch
        self.dtype = _dtype(tuned.model, precision)
        self.tokenizer = tokenizer_of(tuned)
        self.dequantised = False
        self._done = 0

    def into(self, folder: Path) -> dict[str, Any]:
        from tunewright.engine.peft_folder import merged, put_on

        self._step()
        network = self._base()
        self._step()
        worn = put_on(network, self.tuned.folder)
        expected_TV = self._log_probabilities(worn)
        with worn.disable_adapter():
            change = _kl(expected_TV, self._log_probabilities(worn))
        self._step()
        network = merged(worn, self.tuned.folder)
        self._end_tokens(network)
        found: dict[str, float] = {}
        write_folder(folder, lambda inside: found.update(self._write(network, inside, expected_TV, change)))
        return {
            "folder": str(folder),
            "adapter": str(self.tuned.folder),
            "model": self.tuned.model,
            "precision": str(self.dtype).removeprefix("torch."),
            "dequantised": self.dequantised,
            "tied": bool(getattr(network.config, "tie_word_embeddings", False)),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            **found,
        }

    def _step(self) -> None:
        self.watch.working(f"merging: {STEPS[self._done]}", self._done, len(STEPS))
        self._done += 1

    def _base(self) -> Any:
        """On the CPU: a card that trained the adapter in 4 bits may not hold the base in 16."""
        import torch

        from tunewright.engine.base import load_model, quiet

        network: Any = load_model(
            self.tuned.model, method=self.tuned.method, dtype=self.dtype, device=torch.device("cpu")
        )
        if getattr(network, "is_quantized", False):
            with quiet():
                network = network.dequantize(self.dtype)
            self.dequantised = True
        return network

    def _log_probabilities(self, network: Any) -> torch.Tensor:
        import torch

        ids_1T = torch.tensor([_some_tokens(self.tokenizer, network.config)])
        with torch.no_grad():
            logits_TV: torch.Tensor = network(input_ids=ids_1T, use_cache=False).logits[0]
        return logits_TV.float().log_softmax(-1)

    def _end_tokens(self, network: Any) -> None:
        """``generate`` of transformers, and servers, end answers where the chat template does."""
        from tunewright.examiner.ask import end_tokens

        if getattr(network, "generation_config", None) is None:
            return
        stops = sorted(end_tokens(network, self.tokenizer))
        if stops:
            network.generation_config.eos_token_id = stops[0] if len(stops) == 1 else stops
        sampled = ("temperature", "top_p", "top_k", "min_p", "typical_p")
        if not network.generation_config.do_sample and any(
            getattr(network.generation_config, key, None) is not None for key in sampled
        ):
            network.generation_config.do_sample = True  # what its makers meant; else it cannot be saved

    def _write(self, network: Any, inside: Path, expected_TV: torch.Tensor, change: float) -> dict[str, float]:
        """Save, load what was saved, compare. Raises RunFailed when it answers otherwise than the tuned model."""
        import torch

        from tunewright.engine.base import load_model, quiet
        from tunewright.engine.tensor_files import os_errors

        self._step()
        with quiet(), os_errors():
            network.save_pretrained(inside)
            self.tokenizer.save_pretrained(inside)
        self._step()
        read_back = load_model(str(inside), method="lora", dtype=self.dtype, device=torch.device("cpu"))
        got_TV = self._log_probabilities(read_back)
        kl = _kl(expected_TV, got_TV)
        largest = float((expected_TV - got_TV).abs().max())
        if not kl <= max(ROUNDING_KL, MOST_LOST * change):  # NaN is no agreement
            raise RunFailed(
                f"{self.tuned.folder}: the merged model answers otherwise than base and adapter: {kl:.3g} nats per "
                f"token apart, the base itself {change:.3g}; nothing was written",
                hint="try --precision fp32",
            )
        self.watch.working("merging: done", len(STEPS), len(STEPS))
        return {"kl": kl, "adapter_kl": change, "largest_difference": largest}


def _kl(p_TV: torch.Tensor, q_TV: torch.Tensor) -> float:
    """KL(p || q) of log-probabilities, the mean over T positions, in nats; rounding below 0 is 0."""
    return max(0.0, float((p_TV.exp() * (p_TV - q_TV)).sum(-1).mean())) if p_TV.isfinite().all() else math.nan


def _some_tokens(tokenizer: Any, config: Any) -> list[int]:
    """The start of the bundled text; a tokenizer that makes nothing of it gives its end token."""
    ids = list(tokenizer(bundled_text()[: 8 * CHECKED_TOKENS], add_special_tokens=False)["input_ids"])
    context = getattr(config.get_text_config(), "max_position_embeddings", None) or CHECKED_TOKENS
    return ids[: min(CHECKED_TOKENS, int(context))] or [tokenizer.eos_token_id or 0]


def _dtype(model: str, precision: Precision) -> torch.dtype:
    """The number format asked for, else the one the base is stored in."""
    import torch
    from transformers import AutoConfig

    asked = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision != "auto":
        return asked[precision]
    try:
        stored = getattr(AutoConfig.from_pretrained(model).get_text_config(), "dtype", None)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{model}: no model could be loaded: {reason}", hint="name the base: --model NAME") from None
    return stored if isinstance(stored, torch.dtype) and stored in asked.values() else torch.float32
