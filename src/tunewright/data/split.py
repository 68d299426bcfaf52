"""Splits rows into training and validation so that no question is on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from tunewright.data.rows import Row
from tunewright.schema.errors import DataError


def split(rows: Sequence[Row], val_size: float, seed: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Training and validation rows, each in the file's order.

    val_size: below 1 a share of the rows, from 1 a number of rows, 0 none. Rows with an equal ``key`` (the same
    question) stay together, so the count is met from below where groups are large; a share above 0 gives at least
    one validation row when there are two questions. The draw depends on the seed and each question only, not on the
    order of the file: when the file grows, most validation rows stay validation rows.
    Raises DataError when val_size asks for as many rows as there are.
    """
    wanted = round(val_size * len(rows)) if val_size < 1 else int(val_size)
    if val_size >= 1 and wanted >= len(rows):
        raise DataError(
            f"val_size = {wanted} would leave nothing of {len(rows)} rows to train on",
            hint="--set val_size=0.1",
        )
    groups = _groups(rows)
    if val_size == 0 or len(groups) < 2:
        return tuple(rows), ()
    chosen = _draw(groups, max(wanted, 1), seed)
    return (
        tuple(row for row in rows if row.key not in chosen),
        tuple(row for row in rows if row.key in chosen),
    )


def _groups(rows: Sequence[Row]) -> dict[str, int]:
    """Question -> number of its rows."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.key] = sizes.get(row.key, 0) + 1
    return sizes


def _draw(groups: Mapping[str, int], wanted: int, seed: int) -> set[str]:
    """Questions of at most ``wanted`` rows together, never all; the smallest one if none is small enough."""
    order = sorted(groups, key=lambda key: draw_order(key, seed))
    chosen: set[str] = set()
    taken = 0
    for key in order[:-1]:
        if taken + groups[key] <= wanted:
            chosen.add(key)
            taken += groups[key]
    return chosen or {min(order, key=lambda key: groups[key])}


def draw_order(key: str, seed: int) -> bytes:
    """A random but reproducible place in line for this key: its keyed hash."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, salt=seed.to_bytes(8, "big")).digest()
