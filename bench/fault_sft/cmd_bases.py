"""Makes the base models that are not there yet, and describes them in bases.json."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch

from bench.fault_sft.bases import BASES, pretrain
from bench.fault_sft.paths import BASES_DIR, DESCRIPTORS


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and trains; a base that exists is left alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.fault_sft bases", description=__doc__)
    parser.add_argument("names", nargs="*", help="bases to make (default: all)")
    names = parser.parse_args(arguments).names or list(BASES)
    torch.set_num_threads(1)
    known = {entry["base"]: entry for entry in json.loads(DESCRIPTORS.read_text())} if DESCRIPTORS.exists() else {}
    for name in names:
        folder = BASES_DIR / name
        if (folder / "world.json").exists():
            continue
        known[name] = pretrain(BASES[name], folder)
        print(json.dumps(known[name]), flush=True)
        ordered = [known[base] for base in BASES if base in known]
        DESCRIPTORS.write_text(json.dumps(ordered, indent=1) + "\n")
