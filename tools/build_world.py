"""Builds a bundled world: its base model, its fine-tuning domain and, with the main world, the general material.

    python tools/build_world.py --out DIR                  # everything in src/tunewright/bundled (about 20 minutes)
    python tools/build_world.py --out DIR --world second   # everything in tests/assets/second_world
    python tools/build_world.py --out DIR --data-only      # the data files without the model (seconds)

The output is laid out as it is committed, so `--out src/tunewright/bundled` refreshes the bundled files in place.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformers import LlamaForCausalLM

from world.card import model_card
from world.corpus import build_corpus
from world.files import Files, demo_files, domain_files, general_files
from world.measure import skill_rates
from world.pretrain import pretrain, weights_hash
from world.save import save_model
from world.spec import WORLDS, WorldSpec
from world.tokenizer import train_tokenizer


def data_files(spec: WorldSpec) -> Files:
    """Every committed text file of a world, by its path below the output folder."""
    if spec.name != "main":
        return domain_files(spec)
    demo = {f"demo/{path}": text for path, text in demo_files(spec).items()}
    return demo | {f"general/{path}": text for path, text in general_files().items()}


def model_folder(spec: WorldSpec) -> Path:
    """Where the base model lies below the output folder."""
    return Path("models") / spec.model if spec.name == "main" else Path("model")


def write_files(out: Path, files: Files) -> None:
    """Writes texts with Unix line ends on every system."""
    for path, text in files.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())


def build_model(spec: WorldSpec, folder: Path) -> None:
    """Corpus, tokenizer, pre-training, measuring, card."""
    chats = build_corpus(spec, spec.rows)
    tokenizer = train_tokenizer(spec, chats)
    print(f"{len(chats)} chats, {len(tokenizer)} tokens in the vocabulary", flush=True)

    def measure(model: LlamaForCausalLM) -> dict[str, float]:
        rates = skill_rates(spec, model, tokenizer)
        print("  ".join(f"{kind} {rate:.1%}" for kind, rate in rates.items()), flush=True)
        return rates

    model = pretrain(spec, tokenizer, chats, spec.epochs, watch=measure)
    save_model(folder, model, tokenizer)
    print(f"weights {weights_hash(model)}")
    card = model_card(spec, sum(p.numel() for p in model.parameters()), measure(model))
    write_files(folder, {"README.md": card})


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(description="Build a bundled world.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--world", choices=sorted(WORLDS), default="main")
    parser.add_argument("--rows", type=int, help="chats in the corpus (default: the world's own number)")
    parser.add_argument("--epochs", type=int, help="passes over the corpus (default: the world's own number)")
    parser.add_argument("--data-only", action="store_true", help="leave the base model alone")
    given = parser.parse_args(arguments)
    spec = WORLDS[given.world]
    spec = replace(spec, rows=given.rows or spec.rows, epochs=given.epochs or spec.epochs)
    write_files(given.out, data_files(spec))
    if not given.data_only:
        build_model(spec, given.out / model_folder(spec))


if __name__ == "__main__":
    main()
