"""What export, and next for another trainer, print."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from tunewright.reporter.words import one_line

STARTED_BY: Mapping[str, Callable[[str], str]] = {
    "trl": lambda folder: f"python {shlex.quote(folder + '/train.py')}",
    "unsloth": lambda folder: f"python {shlex.quote(folder + '/train.py')}",
    "axolotl": lambda folder: f"axolotl train {shlex.quote(folder + '/train.yaml')}",
    "llamafactory": lambda folder: f"cd {shlex.quote(folder)} && llamafactory-cli train train.yaml",
}
"""How each tool is told to run an exported folder, in the environment it lives in."""


def export_text(answer: Mapping[str, Any]) -> str:
    """The files, what they hold, what could not be said, and what the tool made of them where it was asked."""
    rows = answer["rows"]
    lines = [
        f"{answer['folder']}: {', '.join(answer['files'])}",
        f"{rows['train']} training rows ({answer['supervised_tokens']} tokens trained on), "
        f"{rows['val']} validation rows, {answer['steps']} steps",
    ]
    lines += [
        one_line(f"cannot be said to {answer['tool']}: {one['key']} = {one['value']}: {one['effect']}")
        for one in answer["cannot"]
    ]
    lines += _verified(answer["verified"]) if "verified" in answer else []
    return "\n".join([*lines, f"next: {STARTED_BY[answer['tool']](str(answer['folder']))}"])


def _verified(found: Mapping[str, Any]) -> list[str]:
    """Both sides of every figure, and each difference with its reason."""
    names = {"supervised": "trained tokens", "trainable": "trainable numbers", "loss": "first loss"}
    lines = [f"verified in {found['tool']} {found['version']}: {'the same run' if found['same'] else 'it differs'}"]
    for key in ("rows", "tokens", "supervised", "steps", "trainable", "loss"):
        ours, theirs = (_figure(found[key][side]) for side in ("ours", "theirs"))
        lines.append(f"  {names.get(key, key):<18} ours {ours:>12}  theirs {theirs:>12}")
    for one in found["differences"]:
        rows = f" (rows {', '.join(map(str, one['rows']))}{', ...' if one['count'] > len(one['rows']) else ''})"
        effect = "" if one["effect"] else "; no effect"
        lines.append(f"  {one['what']}: {one['why']}{rows if one['rows'] else ''}{effect}")
    return lines


def _figure(value: Any) -> str:
    return "-" if value is None else f"{value:.6f}" if isinstance(value, float) else f"{value:,}"


def edit_text(edit: Mapping[str, Any]) -> str:
    """The change to the user's own file as a patch, and what could not be written into it."""
    lines = [edit["diff"].rstrip("\n") or f"{edit['file']}: stays as it is"]
    lines += [
        one_line(f"not in {edit['file']}: {one['key']} = {one['value']}: {one['effect']}") for one in edit["cannot"]
    ]
    lines += [f"written: {edit['written']}"] if edit["written"] else []
    return "\n".join(lines)
