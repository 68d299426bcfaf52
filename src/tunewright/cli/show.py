"""Answers as text for people: one function a verb, returning the text that is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.app.diagnose import Report
    from tunewright.schema.exam import ExamResult
    from tunewright.schema.plan import Plan
    from tunewright.schema.prescription import Prescription

SIGNS = {"error": "x", "warning": "!", "info": "-"}


def columns(rows: Sequence[Sequence[str]], *, gap: str = "  ", wide: int = 0) -> str:
    """Rows as aligned columns; the last one is wrapped at ``wide`` characters when that is given.

    >>> columns([["a", "1"], ["long", "2"]])
    'a     1\\nlong  2'
    """
    import textwrap

    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = []
    for row in rows:
        left = gap.join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True))
        indent = " " * len(left + gap)
        text = textwrap.wrap(row[-1], max(20, wide - len(indent))) if wide else [row[-1]]
        lines.append((left + gap + f"\n{indent}".join(text or [""])).rstrip())
    return "\n".join(lines)


def number(value: Any, form: str = ".4g") -> str:
    """A figure for people; what was not measured is a dash.

    >>> number(None), number(0.123456)
    ('-', '0.1235')
    """
    if value is None:
        return "-"
    return format(float(value), form) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def value_text(value: Any) -> str:
    if isinstance(value, float):
        return number(value, ".6g")
    if isinstance(value, Mapping):
        return " ".join(f"{key} {value_text(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "+".join(value_text(item) for item in value)
    return "none" if value is None else str(value)


def schema_text() -> str:
    from tunewright.schema.recipe_io import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def plan_text(made: Plan, out: str = "") -> str:
    """Every value with its reason, then the cost and the warnings."""
    rows = [[value.key, value_text(value.value), f"{value.why} [{value.source}]"] for value in made.values]
    cost = made.predicted
    time = "time unknown" if cost.seconds is None else f"about {duration(cost.seconds)}"
    lines = [columns(rows, wide=118), ""]
    lines.append(
        f"{cost.steps} steps ({cost.steps_per_epoch} an epoch), {cost.tokens:,} tokens, "
        f"peak {cost.train_peak_GiB:.2f} GiB training, {cost.eval_peak_GiB:.2f} GiB evaluating, {time}"
    )
    lines += [f"note: {warning}" for warning in made.warnings]
    target = out or "recipe.yaml"
    lines.append(
        f"next: tunewright train {target}"
        if out
        else "next: add --out recipe.yaml to keep it, then: tunewright train recipe.yaml"
    )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """
    >>> duration(42.0), duration(150.0), duration(8000.0)
    ('42 s', '2.5 min', '2.2 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def train_text(answer: Mapping[str, Any]) -> str:
    tokens = answer["tokens"]
    return "\n".join(
        [
            f"curve   {answer['health']}",
            f"loss    eval {fall(answer['base_eval_loss'], answer['eval_loss'])}, best at step {answer['best_step']}",
            f"ended   after {answer['steps']} steps: {answer['stopped_because']}",
            f"cost    {tokens['train']:,} tokens trained, {tokens['eval']:,} evaluated, {duration(answer['seconds'])}, "
            f"{answer['tokens_per_s']:,.0f} tok/s, {answer['peak_GiB']:.2f} GiB",
            f"adapter {answer['adapter']}",
            f"next    tunewright next {answer['run']}",
            f"        tunewright exam {answer['run']}",
        ]
    )


def fall(before: Any, after: Any) -> str:
    return f"{number(before)} -> {number(after)}"


def prescription_text(prescription: Prescription) -> str:
    if prescription.keep:
        return f"keep: {prescription.why}"
    lines = [f"change: {prescription.why}"]
    for change in prescription.changes:
        if change.after is None:
            step = f"x{number(change.factor)}" if change.factor is not None else ""
        else:
            step = f"{value_text(change.before)} -> {value_text(change.after)}"
        lines.append(f"  {change.key}  {step}   {change.why} [{change.rule}; {change.source}]")
        if change.predicted:
            expected = change.predicted
            lines.append(f"    expected eval loss {expected.middle:.4f} ({expected.low:.4f} to {expected.high:.4f})")
    lines += [f"  against it: {voice}" for voice in prescription.disagreements]
    return "\n".join(lines)


def diagnose_text(report: Report) -> str:
    """Health, findings with evidence, what the log cannot tell, the guides' reading, and the change."""
    diagnosis = report.diagnosis
    source = diagnosis.source
    lines = [
        f"{source.path}  ({source.kind})",
        f"{source.steps} steps, logged every {source.logged_every}, {source.evals} evaluations",
        f"health: {diagnosis.health}",
    ]
    for finding in diagnosis.findings:
        where = f"steps {finding.steps[0]}-{finding.steps[1]}"
        lines.append(f"{SIGNS[finding.severity]} {finding.code} {finding.symptom}, {where}: {finding.why}")
        lines += [f"    rows {', '.join(map(str, finding.rows[:12]))}"] if finding.rows else []
    lines += [f"? {item.symptom}: not enough evidence: {item.because}{_smallest(item)}" for item in diagnosis.abstained]
    guide = diagnosis.guide_reading
    if guide.final_loss is not None:
        lines.append(
            f"the guide reads {guide.final_loss:.3f} as: {guide.interpretation} | {guide.target} | {guide.tree_advice}"
        )
    lines += [f"  [{_tick(mark.ok)}] {mark.mark}: {number(mark.value, '.3g')}" for mark in diagnosis.checklist]
    return "\n".join([*lines, prescription_text(report.prescription)])


def _smallest(item: Any) -> str:
    change = item.minimal_detectable_change
    return "" if change is None else f" (smallest change it could show: {100 * change:.1f} %)"


def _tick(ok: bool | None) -> str:
    return {True: "x", False: " ", None: "?"}[ok]


def next_text(answer: Mapping[str, Any]) -> str:
    lines = [f"{verdict['run']}: {verdict['verdict']}" for verdict in answer.get("verdicts", ())]
    lines.append(prescription_text(answer["prescription"]))
    for option in answer["options"]:
        mark = "*" if option.recommended else " "
        lines.append(f"{mark} option {option.name}: {option.arithmetic}")
    lines += [f"next: tunewright train {answer['written']}"] if answer.get("written") else []
    return "\n".join(lines)


def exam_text(result: ExamResult) -> str:
    """Base beside tuned for every part and skill, with 95 % intervals."""
    rows = [["part", "questions", "base", "tuned", "95 % interval"]]
    for part, score in result.parts.items():
        if score.n:
            base = result.base_parts[part]
            rows.append(
                [
                    part,
                    str(score.n),
                    percent(base.rate),
                    percent(score.rate),
                    f"{percent(score.low)} - {percent(score.high)}",
                ]
            )
    rows += [[f"skill: {one.name}", str(one.n), percent(one.base), percent(one.tuned), ""] for one in result.skills]
    lines = [columns(rows), f"reading: {result.reading}. {result.why}"]
    if result.copied is not None:
        lines.append(f"{percent(result.copied)} of the wrong answers are copied from training rows")
    rise = result.forgetting.get("nats_per_token")
    lines += [f"forgetting: {rise:+.3f} nats per token on the base's own answers"] if rise is not None else []
    return "\n".join(lines)


def percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.0f} %"


def tune_text(answer: Mapping[str, Any]) -> str:
    """The story in a table, the exam, and where things are. ``answer`` is the tune JSON (plain values)."""
    rows = [["run", "eval loss", "forgetting", "curve", "changed"]]
    best = answer["best"]["run"]
    for run in answer["runs"]:
        changed = ", ".join(
            f"{change['key']} {value_text(change.get('from'))} -> {value_text(change.get('to'))}"
            for change in run["changed"]
        )
        mark = "*" if run["run"] == best else " "
        forgot = "-" if run["forgetting"] is None else f"{run['forgetting']:+.2f}"
        rows.append([mark + run["name"], number(run["eval_loss"]), forgot, run["health"], changed or "the plan"])
    tokens = answer["tokens"]
    return "\n".join(
        [
            "",
            columns(rows, wide=118),
            "",
            f"kept {best}: eval loss {fall(answer['base_eval_loss'], answer['best']['eval_loss'])}",
            f"stopped: {answer['stopped_because']}",
            "",
            exam_text_of_json(answer["exam"]),
            "",
            f"cost    {tokens['train']:,} tokens trained, {tokens['eval']:,} only forwarded, "
            f"{duration(answer['seconds'])}",
            f"adapter {answer['best']['adapter']}",
            f"report  {answer['report']}",
        ]
    )


def exam_text_of_json(exam: Mapping[str, Any]) -> str:
    """The exam table from its JSON form."""
    from tunewright.schema.exam import ExamResult, Score, Skill

    parts, base_parts = ({k: Score(**v) for k, v in exam[key].items()} for key in ("parts", "base_parts"))
    skills = tuple(Skill(**one) for one in exam["skills"])
    return exam_text(
        ExamResult(parts, base_parts, skills, exam["copied"], exam["reading"], exam["forgetting"], exam["why"])
    )


def check_text(answer: Mapping[str, Any]) -> str:
    lines = [
        f"{answer['rows']} rows, {answer['tokens']:,} tokens, {percent(answer['supervised_share'])} of them trained on",
        f"{answer['variations']['topics']} topics, {number(answer['variations']['per_topic_median'])} wordings each "
        f"(median), {answer['refusals']} refusals",
    ]
    for fault in answer["faults"]:
        named = ", ".join(map(str, fault["rows"][:10])) + (" ..." if fault["count"] > 10 else "")
        lines.append(f"{SIGNS[fault['severity']]} {fault['fault']} ({fault['count']}) rows {named}: {fault['why']}")
        lines.append(f"    {fault['fix']}")
    lines += [f"row {mask['row']}: {mask_text(mask['pieces'])}" for mask in answer.get("masks", ())]
    lines += [f"dropped row {one['row']}: {', '.join(one['faults'])}" for one in answer.get("dropped", ())]
    return "\n".join(
        [*lines, "ok" if answer["ok"] else "training should not start before the faults marked x are mended"]
    )


def mask_text(pieces: Sequence[Any]) -> str:
    """The row's text with what is trained on between brackets; line breaks are shown, not made."""
    marked = (f"\u27e6{piece.text}\u27e7" if piece.trained else piece.text for piece in pieces)
    return "".join(marked).replace("\n", "\u23ce")


def runs_text(runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return "no runs here yet; start one: tunewright tune demo"
    rows = [["run", "status", "eval loss", "curve", "model"]]
    for run in runs:
        rows.append(
            [
                run["run"],
                run["status"],
                number(run.get("eval_loss")),
                run.get("health") or "-",
                str(run.get("model") or "-"),
            ]
        )
    return columns(rows)


def run_text(run: Mapping[str, Any]) -> str:
    about = {**{key: run["about"].get(key) for key in ("model", "data", "command")}, "status": run["status"]}
    rows = [[key, value_text(value)] for key, value in {**about, **run["result"]}.items()]
    settings = [[key, value_text(value)] for key, value in run["recipe"].items() if value is not None]
    missing = [f"missing: {', '.join(run['missing'])}"] if run["missing"] else []
    found = [f"{SIGNS[one['severity']]} {one['symptom']}: {one['why']}" for one in run["findings"]]
    return "\n".join([run["run"], columns(rows), "", *found, "", columns(settings) if settings else "", *missing])


def compare_text(answer: Mapping[str, Any]) -> str:
    names = [path.rsplit("/", 1)[-1] for path in answer["runs"]]
    rows = [["", *names]]
    rows += [[one["key"], *map(value_text, one["values"])] for one in answer["differences"]]
    rows.append(["--", *["--"] * len(names)])
    for key in ("eval_loss", "base_eval_loss", "forgetting", "health", "steps", "seconds"):
        rows.append([key, *(number(result.get(key)) for result in answer["results"])])
    return columns(rows)


def env_text(answer: Mapping[str, Any]) -> str:
    machine = answer["machine"]
    rows = [[key, str(answer[key])] for key in ("tunewright", "python", "system")]
    rows.append(["machine", f"{machine.device}, {machine.memory_GiB:.1f} GiB, {machine.cores} cores"])
    rows += [[name, version or "not installed"] for name, version in answer["packages"].items()]
    return columns(rows)
