"""The tables as they are printed."""

from __future__ import annotations

from collections.abc import Sequence

from bench.engine.compare import Ratios
from bench.engine.single import MemoryRow, SingleRow
from bench.engine.sweep import SweepRow
from bench.table import table


def single_table(rows: Sequence[SingleRow]) -> str:
    """Speed and losses of one run."""
    return "One run (tokens without pads; times: ours / theirs, median of the rounds and worst)\n\n" + table(
        [
            "work",
            "against",
            "ours tok/s",
            "theirs",
            "ours sup. tok/s",
            "theirs",
            "times",
            "by CPU s",
            "loss diff.",
            "same tokens",
        ],
        [
            [
                row.work,
                row.peer,
                f"{row.ours.tokens_per_s:,.0f}",
                f"{row.theirs.tokens_per_s:,.0f}",
                f"{row.ours.supervised_per_s:,.0f}",
                f"{row.theirs.supervised_per_s:,.0f}",
                times(row.ratio),
                f"{row.cpu_ratio.median:.2f}x",
                "-" if row.loss_difference is None else f"{row.loss_difference:.1e}",
                "yes" if row.same_tokens else "NO",
            ]
            for row in rows
        ],
    )


def memory_table(rows: Sequence[MemoryRow]) -> str:
    """Memory of one run."""
    return "Memory of one run (peak above the loaded libraries)\n\n" + table(
        ["work", "against", "ours GiB", "theirs", "share"],
        [[row.work, row.peer, f"{row.ours_GiB:.3f}", f"{row.peer_GiB:.3f}", f"{row.ratio:.2f}"] for row in rows],
    )


def sweep_table(rows: Sequence[SweepRow]) -> str:
    """Seconds of a sweep; loading and preparing in brackets."""
    return "Sweep on the bundled base, short rows (seconds of training; loading and preparing in brackets)\n\n" + table(
        [
            "adapters",
            "slots",
            "TRL",
            "ours in turn",
            "ours packed",
            "over TRL",
            "over ours",
            "end loss diff.",
            "tamest",
        ],
        [
            [
                row.adapters,
                row.slots,
                f"{row.trl_train_s:.1f} (+{row.trl_setup_s:.1f})",
                f"{row.ours_train_s:.1f} (+{row.ours_setup_s:.1f})",
                f"{row.packed_train_s:.1f} (+{row.packed_setup_s:.1f})",
                times(row.over_trl),
                times(row.over_ours),
                f"{row.end_loss_difference:.1e}",
                f"{row.tamest_difference:.1e}",
            ]
            for row in rows
        ],
    )


def times(ratio: Ratios) -> str:
    """
    >>> times(Ratios(2.5, 2.0, 3))
    '2.50x (worst 2.00x)'
    """
    return f"{ratio.median:.2f}x (worst {ratio.worst:.2f}x)"
