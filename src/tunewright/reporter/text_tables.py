"""The tables of ``runs``: a list of runs, the rules' records, a comparison; as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.reporter import load, typed
from tunewright.reporter.lines import hanging
from tunewright.reporter.text import table_text
from tunewright.reporter.tree import Cell, table
from tunewright.reporter.verdicts import HEALTH_TONE
from tunewright.reporter.words import duration, figure, moment, one_line, setting, signed


def runs_table(runs: Sequence[Mapping[str, Any]], width: int = 80, *, colour: bool = False) -> str:
    """The lines of ``runs ls`` as a table: mappings with name (or run), status, model, eval_loss, health, started.

    Tags have a column when any run has one.

    >>> print(runs_table([{"run": "/runs/a", "status": "finished", "eval_loss": 0.3}]).splitlines()[0].rstrip())
    run  status    model  validation loss  curve  started
    """
    if not runs:
        return "No runs yet.\n"
    tagged = any(run.get("tags") for run in runs)
    rows = [_run_cells(run, tagged) for run in runs]
    columns = "run|status|model|validation loss #|curve|started" + ("|tags" if tagged else "")
    return table_text(table("Runs", columns, rows), width, colour=colour) + "\n"


def _run_cells(run: Mapping[str, Any], tagged: bool) -> tuple[Cell | str, ...]:
    health = one_line(run.get("health") or "", 20)
    loss = load.number(run.get("eval_loss"))
    cells: tuple[Cell | str, ...] = (
        one_line(run.get("name") or Path(str(run.get("run", ""))).name, 120),
        one_line(run.get("status") or "unknown", 20),
        Path(one_line(run.get("model") or "", 200)).name,
        figure(loss) if loss is not None else "",
        Cell(health, tone=HEALTH_TONE.get(health, "")),
        moment(run["started"]) if run.get("started") is not None else "",
    )
    return (*cells, one_line(", ".join(map(str, run.get("tags") or ())), 120)) if tagged else cells


def rules_table(rules: Sequence[Mapping[str, Any]], width: int = 80, *, colour: bool = False) -> str:
    """The lines of ``runs rules`` as a table; rates stand with their 95 % interval, "none judged" where there are none.

    ``rules``: mappings with rule, used, hits and inside (each n, passed, rate, low, high) and mean_absolute_error.
    """
    rows: list[tuple[Cell | str, ...]] = []
    for one in rules:
        error = load.number(one.get("mean_absolute_error"))
        rows.append(
            (
                one_line(one["rule"]),
                figure(load.count(one["used"])),
                _rate(one["hits"], "none judged"),
                _rate(one["inside"], "none predicted"),
                figure(error) if error is not None else "",
            )
        )
    shown = table("Rules", "rule|used #|helped|loss came inside its range|mean error #", rows)
    return table_text(shown, width, colour=colour) + "\n"


def _rate(score: Mapping[str, Any], none: str) -> str:
    if not score["n"]:
        return none
    shares = (f"{100 * score[key]:.0f}" for key in ("low", "high"))
    return f"{score['passed']} of {score['n']} ({'-'.join(shares)} %)"


_RESULTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "eval_loss": ("validation loss", lambda value: figure(load.number(value))),
    "base_eval_loss": ("of the base", lambda value: figure(load.number(value))),
    "forgetting": ("forgetting", lambda value: signed(load.number(value))),
    "health": ("curve", one_line),
    "status": ("status", one_line),
    "steps": ("steps", lambda value: figure(load.count(value))),
    "tokens": ("training tokens", lambda value: figure(load.count(load.mapping(value).get("train")))),
    "seconds": ("time", lambda value: duration(load.number(value))),
}


def compare(answer: Mapping[str, Any], width: int = 80, *, colour: bool = False) -> str:
    """``runs compare`` as text: only the settings that differ, how each run ended, and how far apart they are.

    ``answer``: {"runs": paths, "differences": [{"key", "values"}], "results": [{...} per run], "apart": [...]}.
    """
    names = [one_line(Path(str(run)).name, 60) for run in answer["runs"]]
    columns = "|".join(["setting", *(name.replace("|", "/") for name in names)])
    settings: list[tuple[Cell | str, ...]] = [
        (one_line(one["key"]), *(setting(value) for value in one["values"])) for one in answer["differences"]
    ]
    same = "All settings are the same."
    parts = [table_text(table("Differences", columns, settings), width, colour=colour) if settings else same]
    results = _result_rows(answer["results"])
    if results:
        headed = columns.replace("setting", "result", 1)
        parts.append(table_text(table("Results", headed, results), width, colour=colour))
    said = [line for text in _apart_said(names, answer) for line in hanging("", text, width)]
    said += [line for text in answer.get("problems", ()) for line in hanging("not read: ", one_line(text), width)]
    return "\n\n".join([*parts, *(["\n".join(said)] if said else [])]) + "\n"


def _result_rows(results: Sequence[Any]) -> list[tuple[Cell | str, ...]]:
    rows: list[tuple[Cell | str, ...]] = []
    for key, (label, show) in _RESULTS.items():
        values = [load.mapping(result).get(key) for result in results]
        if any(value is not None for value in values):
            rows.append((label, *("" if value is None else show(value) for value in values)))
    return rows


def _apart_said(names: Sequence[str], answer: Mapping[str, Any]) -> list[str]:
    """One sentence for each run after the first: how far it is from that one, and how it came from another."""
    apart = answer.get("apart", ())[1:]
    said = [f"{name} against {names[0]}: {distance(one)}" for name, one in zip(names[1:], apart, strict=False)]
    from tunewright.reporter.curve_section import change_text

    for name, origin in zip(names, answer.get("lineage", ()), strict=False):
        changes = typed.as_changes(origin.get("changed"))
        if origin.get("parent") and changes:
            changed = "; ".join(map(change_text, changes))
            said.append(f"{name} came from {one_line(Path(str(origin['parent'])).name, 60)}: {changed}")
    return said


def distance(apart: Mapping[str, Any]) -> str:
    """How far two runs are apart in validation loss, and whether that is more than noise.

    >>> distance({"difference": -0.0412, "standard_error": 0.008, "paired": True, "within_noise": False})
    '-0.041 ± 0.008 nats per token over the same rows: more than noise'
    """
    difference = load.number(apart.get("difference"))
    if difference is None:
        return f"not comparable: {one_line(apart.get('because') or 'the losses are not known')}"
    error, sd = load.number(apart.get("standard_error")), load.number(apart.get("seed_sd"))
    curve = load.number(apart.get("curve_noise"))
    shown = f"{difference:+.3f}" + (f" ± {error:.3f}" if error is not None else "") + " nats per token"
    shown += " over the same rows" if apart.get("paired") else ""
    shown += f"; seeds alone differ by {sd:.3f} ({apart['seed_runs']} runs)" if sd is not None else ""
    shown += f"; one evaluation is uncertain by {curve:.3f}" if curve is not None else ""
    within = apart.get("within_noise")
    judged = "" if within is None else "within noise" if within else "more than noise"
    return f"{shown}: {judged or one_line(apart.get('because') or 'the noise is not known')}"
