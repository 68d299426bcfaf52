"""What ``check`` found, for people: faults and figures as text, rows with what is trained on made to stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.cli.show import SIGNS, width
from tunewright.record.files import write_whole
from tunewright.reporter.html import GENERATOR, esc
from tunewright.reporter.lines import hanging
from tunewright.reporter.words import figure, one_line, safe

LONGEST_ROW = 4000
"""Characters of a row that are shown."""
_TRAINED, _PLAIN = "\x1b[1;32m", "\x1b[0m"


def check_text(answer: Mapping[str, Any], *, coloured: bool = False) -> str:
    """Figures, faults with what to do, then masks and dropped rows where they were asked for."""
    lines, told = _figures(answer), set[str]()
    for fault in answer["faults"]:
        part = "" if fault["part"] == "train" else f" in the {fault['part']} rows"
        head = f"{SIGNS[fault['severity']]} {fault['fault']}{part} ({fault['count']}): "
        lines += hanging(head, one_line(fault["why"]), width())
        lines += hanging("    ", fault["fix"], width()) if fault["fix"] not in told else []
        told.add(fault["fix"])
    lines += _probed(answer["probe"]) if "probe" in answer else []
    lines += [f"row {mask['row']}: {mask_text(mask['pieces'], coloured=coloured)}" for mask in answer.get("masks", ())]
    lines += [f"dropped row {one['row']}: {', '.join(one['faults'])}" for one in answer.get("dropped", ())]
    return "\n".join([*lines, "ok" if answer["ok"] else "not ready: mend what is marked x before training"])


def _probed(probe: Any) -> list[str]:
    """What the model says of the rows: figures first, then what they mean."""
    gain, gap, shift = probe.gain, probe.template, probe.shift
    lines = []
    if gain:
        lines.append(
            f"asked {gain.rows} rows: {gain.loss:.3f} nats a token; behind another row's prompt "
            f"{gain.nats:+.3f} \u00b1 {gain.error:.3f}"
        )
    if shift:
        lines.append(f"validation rows: {shift.val:.3f} nats a token, {shift.relative:+.1%} (z {shift.z:.1f})")
    if gap:
        lines.append(f"template in use: {gap.nats:+.3f} \u00b1 {gap.error:.3f} nats a token over {gap.other}")
    for finding in probe.findings:
        lines += hanging(f"{SIGNS[finding.severity]} {finding.symptom}: ", one_line(finding.why), width())
    return lines + [f"cannot tell: {one.symptom}: {one_line(one.because)}" for one in probe.abstained]


def _figures(answer: Mapping[str, Any]) -> list[str]:
    share, lengths, variations = answer["supervised_share"], answer["lengths"], answer["variations"]
    trained = f"{100 * share:.0f} % of them trained on" if share == share else "none"
    masked = "prompts masked" if answer["prompt_masked"] else "some prompts are trained on"
    replay = answer["replay_share"]
    general = f"{100 * replay:.0f} % general rows are mixed in" if replay else "no general rows are mixed in (--replay)"
    return [
        f"{answer['rows']} rows, {answer['tokens']:,} tokens, {trained}; {masked}",
        f"tokens a row: median {lengths['median']:,}, 90 % up to {lengths['p90']:,}, 99 % up to {lengths['p99']:,}, "
        f"longest {lengths['max']:,}; {_percent(answer['truncated_share'])} cut, "
        f"{_percent(answer['stop_share'])} learn where to stop",
        f"{variations['topics']:g} topics with {figure(variations['per_topic_median'])} wordings each (median), "
        f"{answer['refusals']} refusals, {answer['one_word_answers']} answers of one word; {general}",
    ]


def _percent(share: float) -> str:
    """A share that is not quite all or none is never said to be.

    >>> _percent(0.9999), _percent(0.5), _percent(1.0)
    ('99.99 %', '50 %', '100 %')
    """
    return f"{100 * share:.4g} %"


def mask_text(pieces: Sequence[Any], *, coloured: bool = False) -> str:
    """The row's text on one line, with what is trained on between brackets, and green where colours can be shown.

    Nothing in the row can steer the terminal: its own control characters are shown, not obeyed.
    """
    text = one_line("".join(_bracketed(piece) for piece in pieces).replace("\n", "\u23ce"), LONGEST_ROW)
    if not coloured:
        return text
    return text.replace("\u27e6", _TRAINED + "\u27e6").replace("\u27e7", "\u27e7" + _PLAIN) + _PLAIN


def _bracketed(piece: Any) -> str:
    plain = piece.text.replace("\u27e6", "[").replace("\u27e7", "]")  # the brackets are ours alone
    return f"\u27e6{plain}\u27e7" if piece.trained else plain


def write_masks(path: Path, masks: Sequence[Mapping[str, Any]]) -> None:
    """The rows as a page that loads nothing and runs nothing; written whole or not at all."""
    write_whole(path, masks_html(masks).encode())


def masks_html(masks: Sequence[Mapping[str, Any]]) -> str:
    """One paragraph a row, trained text marked; everything from the data is escaped."""
    rows = "\n".join(
        f"<h2>Row {int(mask['row'])}</h2>\n<pre>{''.join(map(_marked, mask['pieces']))}</pre>" for mask in masks
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
{GENERATOR}
<title>What is trained on</title>
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere}}mark{{background:#b9e8c0;color:#00220a}}</style>
</head>
<body>
<h1>What is trained on</h1>
<p>Marked text is what the model learns to produce; the rest it only reads.</p>
{rows}
</body>
</html>
"""


def _marked(piece: Any) -> str:
    text = esc(safe(piece.text, LONGEST_ROW))
    return f"<mark>{text}</mark>" if piece.trained else text
