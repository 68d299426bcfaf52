"""Tunes the reference recipe of every base and method that references.json does not have yet."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch

from bench.fault_sft.bases import BASES
from bench.fault_sft.paths import BASES_DIR, REFERENCES
from bench.fault_sft.refer import RATES, search


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and searches."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_sft refer", description=__doc__)
    parser.add_argument("names", nargs="*", help="bases (default: all that exist)")
    names = parser.parse_args(arguments).names or list(BASES)
    torch.set_num_threads(1)
    known = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    for base in names:
        for method in RATES:
            key = f"{base}/{method}"
            if key in known or not (BASES_DIR / base / "world.json").exists():
                continue
            known[key] = search(base, method, BASES_DIR)
            print(
                key,
                json.dumps({part: known[key][part] for part in ("recipe", "eval_loss", "base_eval_loss")}),
                flush=True,
            )
            REFERENCES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
