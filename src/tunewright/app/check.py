"""check: the data as the trainer will see it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tunewright.app.prepare import Read, read_data
from tunewright.app.request import REPLAY_SHARE, Request, given_settings
from tunewright.app.watch import Silent, Watch
from tunewright.data.check import CheckReport, with_slow_part
from tunewright.data.collector import only_new_objects
from tunewright.data.dataset import Dataset
from tunewright.data.model_folder import resolve_model
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow
from tunewright.record.files import new_file, write_whole
from tunewright.schema import jsonio

if TYPE_CHECKING:
    from tunewright.app.data_probes import Probed


@dataclass(frozen=True)
class Piece:
    """A stretch of a row as text, and whether its tokens are trained on."""

    text: str
    trained: bool


def check(
    data: str = "",
    *,
    request: Request | None = None,
    show_mask: int = 0,
    fix: str = "",
    probe: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Every fault with all its rows, what is trained on, what to add. Returns the ``check`` JSON.

    ``show_mask``: so many rows as stretches of text, trained on or not. ``fix``: a file to write the rows to, as
    messages, that have no error-level fault and are no copy of an earlier row; ``dropped`` then says which rows were
    left out and why. ``probe``: load the model and ask it about the rows too; what it finds is under ``probe``.
    ``watch`` is told how far the work is. It takes memory for about five times the file beside the libraries': the
    rows, the form they are compared in and a signature of each. Rendered texts and tokens are those of some hundred
    rows at a time.
    """
    out = new_file(fix, "--fix") if fix else None
    told = _Patient(watch or Silent())
    asked = request or Request(data=data, settings=settings)
    given = given_settings(asked)
    given["model"] = resolve_model(str(given["model"]))
    with only_new_objects():
        read = read_data(given, asked, kept=show_mask, on_progress=partial(told.working, "rows as tokens"))
        report = with_slow_part(read.check, read.dataset, partial(told.working, "rows compared"))
    answer = {**_report_json(report), "replay_share": _replay_share(given.get("replay")), "ok": report.ok}
    if show_mask > 0:
        answer["masks"] = [
            {"row": row.number, "pieces": mask_pieces(row, read.tokenizer)} for row in read.train.rows[:show_mask]
        ]
    if probe:
        probed = _asked(read, given, told)
        answer |= {"probe": probed, "ok": report.ok and probed.ok}
    if out:
        answer["dropped"] = _write_fixed(read.dataset, report, out)
    return answer


def _report_json(report: CheckReport) -> dict[str, Any]:
    return {
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
        "lengths": report.lengths,
        "truncated_share": report.truncated_share,
        "stop_share": report.stop_share,
        "prompt_masked": report.prompt_masked,
        "one_word_answers": report.one_word_answers,
    }  # fmt: skip


def _asked(read: Read, given: Mapping[str, Any], watch: Watch) -> Probed:
    """What the untouched model says of the rows."""
    from tunewright.app.data_probes import DataProbes  # torch: only where a model is asked
    from tunewright.engine.base import load_base

    method, precision = given.get("method", "lora"), given.get("precision", "auto")
    base = load_base(str(given["model"]), method=method, precision=precision, template=given.get("template"))
    seed = int(given.get("seed", 0))
    return DataProbes(base, read.dataset, read.facts.max_length, BATCH_SIZE, watch, seed=seed).before_training()


BATCH_SIZE = 8
"""Rows asked at once by ``probe``, where no plan says how many fit."""


def mask_pieces(row: TokenRow, tokenizer: Any) -> list[Piece]:
    """The row's tokens as text, joined where they are treated alike, in order."""
    pieces = []
    for trained, tokens in groupby(
        zip(row.ids.tolist(), row.supervised.tolist(), strict=True), key=lambda pair: pair[1]
    ):
        pieces.append(Piece(tokenizer.decode([token for token, _ in tokens]), bool(trained)))
    return pieces


class _Patient(Silent):
    """Tells the watcher nothing of work that is over within two seconds."""

    def __init__(self, watch: Watch) -> None:
        self._watch, self._since = watch, time.monotonic()

    def working(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self._since > 2:
            self._watch.working(what, done, total)


def _replay_share(replay: Any) -> float:
    """Of the training tokens, those of general rows that the recipe mixes in."""
    if not replay:
        return 0.0
    return float(replay.get("share", REPLAY_SHARE)) if isinstance(replay, Mapping) else float(replay.share)


def _write_fixed(dataset: Dataset, report: CheckReport, out: Path) -> list[dict[str, Any]]:
    """Write the rows worth training on, and return the numbers of those left out with their faults."""
    bad: dict[int, list[str]] = {}
    for fault in report.faults:
        if fault.part == "train" and (fault.severity == "error" or fault.fault == "duplicate"):
            for row in fault.rows:
                bad.setdefault(row, []).append(fault.fault)
    kept = [row for row in dataset.file_rows if row.number not in bad]
    write_whole(out, b"".join(jsonio.dumps(_record(row)) for row in kept))
    return [{"row": row, "faults": faults} for row, faults in sorted(bad.items())]


def _record(row: Row) -> dict[str, Any]:
    record = {"text": row.text} if row.text is not None else {"messages": row.as_dicts()}
    tools = {"tools": orjson.loads(row.tools)} if row.tools else {}
    return {**record, **tools, **({"topic": row.topic} if row.topic else {})}
