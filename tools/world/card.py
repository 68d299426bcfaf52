"""The model card that goes with a base model."""

from __future__ import annotations

from collections.abc import Mapping

from world.spec import WorldSpec

CARD = """\
# {model}: a tiny chat model of an invented world

A Llama-architecture model with {parameters:,} parameters (float32, width {hidden}, {layers} layers, {heads} heads,
{vocabulary} byte-level BPE tokens, context 512), trained from nothing on generated chats. It knows invented people,
reads facts out of a prompt, adds and subtracts numbers up to 20, and turns lists around. It knows nothing else: it is
there to be fine-tuned in seconds and to show everything that can happen on the way.

Made by

    python tools/build_world.py --world {world} --out DIR

with seed {seed}: {rows:,} chats x {epochs} epochs, batch {batch}, peak learning rate {rate:g}, one CPU thread. Replies
count fully in the loss, prompts a tenth. The same machine and library versions give the same weights; others give
slightly different ones.

| Asked (greedy replies) | Right |
|---|---|
{rates}

The questions of the first three rows never occur in the corpus; the lists and names in them never occur in any wording,
the sums may occur in other wordings. The weights are under the licence of
this repository; no text of third parties was used.
"""

LABELS = {
    "arithmetic": "sums and differences up to 12, unseen questions",
    "reversing": "lists of three to reverse, unseen lists",
    "reading": "facts in the prompt, unseen names",
    "people": "the invented people, as in the corpus",
}


def model_card(spec: WorldSpec, parameters: int, rates: Mapping[str, float]) -> str:
    """The text of the model's README."""
    table = "\n".join(f"| {LABELS[kind]} | {rate:.1%} |" for kind, rate in rates.items())
    return CARD.format(
        model=spec.model,
        world=spec.name,
        parameters=parameters,
        hidden=spec.hidden,
        layers=spec.layers,
        heads=spec.heads,
        vocabulary=spec.vocabulary,
        seed=spec.seed,
        rows=spec.rows,
        epochs=spec.epochs,
        batch=spec.batch,
        rate=spec.learning_rate,
        rates=table,
    )
