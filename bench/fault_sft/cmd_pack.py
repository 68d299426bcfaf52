"""Packs what was generated into logs/, one file a base: the numbers of every step, no text."""

from __future__ import annotations

from collections.abc import Sequence

from bench.fault_sft.dataset import bases_of, files_of
from bench.fault_sft.paths import LOGS_DIR
from bench.fault_sft.record import pack_lines, read_lines


def main(arguments: Sequence[str]) -> None:
    """Packs every base that has runs."""
    for base in bases_of("all"):
        lines = [line for path in files_of(base) for line in read_lines(path)]
        if lines:
            target = LOGS_DIR / f"{base}.jsonl.gz"
            pack_lines(target, sorted(lines, key=lambda line: str(line["id"])))
            print(f"{target}: {len(lines)} runs, {target.stat().st_size / 1024:.0f} KiB")
