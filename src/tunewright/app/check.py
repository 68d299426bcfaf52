"""check: the data as the trainer will see it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tunewright.app.prepare import Prepared, prepare
from tunewright.app.request import Request
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow
from tunewright.record.files import write_whole
from tunewright.schema import jsonio
from tunewright.schema.errors import UsageError


@dataclass(frozen=True)
class Piece:
    """A stretch of a row as text, and whether its tokens are trained on."""

    text: str
    trained: bool


def check(
    data: str = "", *, request: Request | None = None, show_mask: int = 0, fix: str = "", **settings: Any
) -> dict[str, Any]:
    """Every fault with all its rows, what is trained on, what to add. Returns the ``check`` JSON.

    ``show_mask``: so many rows as stretches of text, trained on or not. ``fix``: a file to write the rows that have
    no error-level fault to, as messages; ``dropped`` then says which rows were left out and why.
    """
    prepared = prepare(request or Request(data=data, settings=settings), refuse_faults=False)
    report = prepared.check
    answer: dict[str, Any] = {
        "rows": report.rows,
        "tokens": report.tokens,
        "supervised_share": report.supervised_share,
        "faults": [
            {"fault": one.fault, "severity": one.severity, "rows": one.rows, "count": one.count, "part": one.part,
             "why": one.why, "fix": one.fix}
            for one in report.faults
        ],
        "variations": report.variations,
        "refusals": report.refusals,
        "ok": report.ok,
    }  # fmt: skip
    if show_mask > 0:
        answer["masks"] = [
            {"row": row.number, "pieces": mask_pieces(row, prepared.tokenizer)}
            for row in prepared.train.rows[:show_mask]
        ]
    if fix:
        answer["dropped"] = _write_fixed(prepared, Path(fix))
    return answer


def mask_pieces(row: TokenRow, tokenizer: Any) -> list[Piece]:
    """The row's tokens as text, joined where they are treated alike, in order."""
    pieces = []
    for trained, tokens in groupby(
        zip(row.ids.tolist(), row.supervised.tolist(), strict=True), key=lambda pair: pair[1]
    ):
        pieces.append(Piece(tokenizer.decode([token for token, _ in tokens]), bool(trained)))
    return pieces


def _write_fixed(prepared: Prepared, out: Path) -> list[dict[str, Any]]:
    """Write the rows without an error-level fault, and return the row numbers left out with their faults."""
    if out.exists():
        raise UsageError(
            f"{out}: exists already, nothing was written",
            hint="give --fix another file name",
        )
    bad: dict[int, list[str]] = {}
    for fault in prepared.check.faults:
        if fault.severity == "error" and fault.part == "train":
            for row in fault.rows:
                bad.setdefault(row, []).append(fault.fault)
    kept = [row for row in prepared.dataset.file_rows if row.number not in bad]
    write_whole(out, b"".join(jsonio.dumps(_record(row)) for row in kept))
    return [{"row": row, "faults": faults} for row, faults in sorted(bad.items())]


def _record(row: Row) -> dict[str, Any]:
    record = {"text": row.text} if row.text is not None else {"messages": row.messages}
    return {**record, **({"topic": row.topic} if row.topic else {})}
