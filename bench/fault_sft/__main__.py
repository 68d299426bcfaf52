"""The commands of the benchmark.

python -m bench.fault_sft bases      the eight base models (about ten minutes on one core)
python -m bench.fault_sft refer      the tuned reference recipes, written to references.json
python -m bench.fault_sft generate   the runs; killed at any time, the same command goes on
python -m bench.fault_sft pack       what was generated, into logs/
python -m bench.fault_sft score      the score of ours on one half
python -m bench.fault_sft table      the whole table, ours and the peers
"""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = ("bases", "refer", "generate", "pack", "score", "table")


def main(arguments: list[str]) -> None:
    """Hands over to the command's module."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.exit(f"usage: python -m bench.fault_sft {{{','.join(COMMANDS)}}}")
    import_module(f"bench.fault_sft.cmd_{arguments[0]}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
