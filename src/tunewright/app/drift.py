"""What tuning moved besides the answers: the loss on what the base could do, and the distributions on the new task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.app.general import MOST_TOKENS, PROBE_ROWS, with_short_text
from tunewright.app.tuned import Source, Voice
from tunewright.app.watch import Watch
from tunewright.data.dataset import Dataset
from tunewright.data.encode import encode_rows
from tunewright.data.model_folder import model_facts
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow, default_max_length
from tunewright.probes.general import general_material
from tunewright.schema import jsonio

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.examiner.shift import Look, Shift

MOST_ROWS = 200
"""Rows of the new task that the two models are compared on."""


@dataclass(frozen=True)
class _Reading:
    """How rows become tokens, as the run read them."""

    loss_on: str
    max_length: int
    stage: str
    seed: int


@dataclass(frozen=True)
class Drift:
    """rise: of the loss on what the base could do; kl: KL(tuned || base) on the new task; both in nats per token, None
    where not measured. tokens: forwarded for it."""

    rise: float | None
    kl: float | None
    tokens: int


def moved(tuned: Source, dataset: Dataset | None, base: Voice, other: Voice, watch: Watch) -> Drift:
    """Forgetting as the run recorded it, else measured here; KL on the rows held out."""
    recipe = tuned.recipe
    longest = default_max_length(model_facts(tuned.model).context)
    how = _Reading(
        loss_on=recipe.loss_on if recipe else "assistant",
        max_length=(recipe.max_length if recipe else None) or longest,
        stage=recipe.stage if recipe else "sft",
        seed=recipe.seed if recipe else 0,
    )
    recorded = _recorded_forgetting(tuned.run.read()) if tuned.run else None
    rise, spent = (jsonio.number(recorded), 0) if recorded is not None else _general_rise(base, other, how, watch)
    kl, more = _kl_on(dataset.val, base, other, how) if dataset else (None, 0)
    return Drift(rise, kl, spent + more)


def _recorded_forgetting(about: Mapping[str, Any]) -> Any:
    """Of the weights that are kept: the run's own, or their mean with other runs'."""
    return about.get("blend", about.get("result", {})).get("forgetting")


def _kl_on(rows: Sequence[Row], base: Voice, tuned: Voice, how: _Reading) -> tuple[float | None, int]:
    """KL(tuned || base) in nats per token on the answers of rows, None without any; and the tokens it took."""
    every = -(-len(rows) // MOST_ROWS) or 1
    encoded = encode_rows(
        rows[::every], tuned.tokenizer, loss_on=how.loss_on, max_length=how.max_length, stage=how.stage
    )
    found = _compared(encoded.rows, base, tuned)
    return found.kl, found.tokens


def _general_rise(base: Voice, tuned: Voice, how: _Reading, watch: Watch) -> tuple[float | None, int]:
    """Rise of the loss on the base's own answers to bundled prompts and on a plain text, nats per token; and tokens.

    None for a base without a chat template, whose answers to prompts say nothing.
    """
    from tunewright.examiner.ask import answer_all

    if not base.tokenizer.chat_template:
        return None, 0
    spent = 0

    def ask(prompts: Sequence[str]) -> Sequence[str | None]:
        nonlocal spent
        with base.worn():
            said = answer_all(
                base.model,
                base.tokenizer,
                prompts,
                max_new_tokens=MOST_TOKENS,
                on_progress=lambda done, total: watch.working("asking the base what it knows", done, total),
            )
        spent += said.tokens
        return said.finished if 2 * sum(said.ended) >= len(said.ended) else said.texts

    material = general_material(ask, probe_count=PROBE_ROWS, replay_count=0, seed=how.seed)
    rows = encode_rows(material.probe, base.tokenizer, loss_on="assistant", max_length=how.max_length).rows
    found = _compared(with_short_text(rows), base, tuned)
    return found.rise, spent + found.tokens


def _compared(rows: Sequence[TokenRow], base: Voice, tuned: Voice) -> Shift:
    from tunewright.examiner.shift import shift

    return shift(_looking(tuned), _looking(base), rows)


def _looking(voice: Voice) -> Look:
    from tunewright.examiner.shift import log_probabilities

    def look(row: TokenRow) -> Tensor:
        with voice.worn():
            return log_probabilities(voice.model, row)

    return look
