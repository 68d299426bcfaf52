"""Makes the reference pages anew from the code they describe: ``python -m tools.make_docs``.

docs/findings.md from the detectors' pages and thresholds, docs/rules.md from the rules, docs/recipe.md from the
schema, and the tables of docs/trainers.md from the translations. A test holds the committed pages to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from tunewright.doctor.codes import CODES, Code
from tunewright.doctor.explain import limit_text, page
from tunewright.planner.guide_ranges import RANGES
from tunewright.planner.sources import title
from tunewright.prescribe.prescribe import all_rules
from tunewright.prescribe.rule import FAMILIES, Rule
from tunewright.prescribe.values import show
from tunewright.reporter.markdown import inline
from tunewright.reporter.words import sentence, setting
from tunewright.schema.recipe_io import json_schema
from tunewright.trainers import tables

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- made from the code by: python -m tools.make_docs -->"
GUIDES_HEAD = (
    "The ranges that four guides print. A plan shows them beside its own value and says where they differ; the presets "
    "obey them."
)
GROUPS = {
    "1": "The optimisation broke",
    "2": "Nothing is learned",
    "3": "Too little, too much",
    "4": "The data",
    "5": "The schedule",
    "6": "The log itself",
    "7": "Skills",
}


def _text(paragraph: str) -> str:
    """A paragraph in lines of the pages' width."""
    return fill(paragraph, 118, break_long_words=False, break_on_hyphens=False)


def findings_page() -> str:
    """Every symptom with its code, how it is computed, what looks alike, what to do, and the limits it goes by."""
    head = (
        "Every symptom has a code that never changes its meaning. `tunewright explain CODE` prints the same page. "
        "Severity is the usual one: an error makes a run sick, a warning is worth a look, info is normal but good to "
        "know. TW4xx but for `rows_masked` come from probes of the rows, never from a curve."
    )
    parts = [MADE, "# Findings", _text(head), _contents()]
    for digit, heading in GROUPS.items():
        parts.append(f"## {heading}")
        parts += [_finding(one) for one in CODES.values() if one.code[2] == digit]
    return "\n\n".join(parts) + "\n"


def _contents() -> str:
    ordered = sorted(CODES.values(), key=lambda one: one.code)
    rows = [[f"[{one.code}](#{one.code.lower()}-{one.symptom})", f"`{one.symptom}`", one.severity] for one in ordered]
    return tables.markdown(["code", "symptom", "severity"], rows)


def _finding(one: Code) -> str:
    told = page(one.symptom)
    said = [
        f"### {one.code} {one.symptom}",
        _text(f"*{one.severity}.* {inline(told.what)}"),
        _text(f"**How it is computed.** {inline(told.how)}"),
        _text(f"**Looks alike.** {inline(told.lookalikes)}"),
        _text(f"**What to do.** {inline(told.do)}"),
    ]
    if told.thresholds:
        said.append("**Limits.**\n\n" + "\n".join(f"- {inline(limit_text(name))}" for name in told.thresholds))
    return "\n\n".join([*said, _text(f"**Sources.** {inline('; '.join(told.sources))}")])


def rules_page() -> str:
    """Every rule that can ask for a change: what it says, how it was generalised, its own example, its source."""
    head = (
        "A rule answers findings with changes of the recipe. `guide.` rules follow the guides to the letter, the "
        "others decide by evidence (`next --policy guide|evidence`). Families are treated one at a time, in this "
        "order. What came of each rule on your own runs: `tunewright runs rules`. `tunewright explain RULE` prints the "
        "same page."
    )
    parts = [MADE, "# Rules", _text(head)]
    for family in FAMILIES:
        rules = [rule for rule in all_rules() if rule.family == family]
        parts += [f"## {family.capitalize()}", *map(_rule, rules)] if rules else []
    return "\n\n".join(parts) + "\n"


def _rule(rule: Rule) -> str:
    says, means = inline(sentence(rule.says)), inline(sentence(rule.generalises))
    said = [f"### {rule.name}", _text(says), _text(f"**As a rule.** {means}")]
    if rule.after:
        moves = [f"`{key}` {show(rule.before.get(key))} to {show(value)}" for key, value in rule.after.items()]
        said.append(_text(f"**Its own example.** {', '.join(moves)}."))
    return "\n\n".join([*said, _text(f"**Source.** {inline(rule.source)}")])


def recipe_page() -> str:
    """Every key of a recipe: what it takes, its default, what it is, and what the guides say."""
    head = (
        "A recipe is YAML. The planner fills in what is left out, so a default below is what holds when nothing else "
        "speaks, as for a recipe without a plan. Unknown keys are refused with the nearest name. For editors: "
        "`tunewright plan --schema` prints the JSON Schema. What other trainers call each key: "
        "[Other trainers](trainers.md#keys)."
    )
    schema = json_schema()
    rows = [
        [f"`{key}`", _takes(entry, schema), _default(key, entry, schema), inline(entry.get("description", ""))]
        for key, entry in schema["properties"].items()
    ]
    table = tables.markdown(["key", "takes", "default", "what it is"], rows)
    inner = [_inner(name, entry, schema) for name, entry in schema["$defs"].items()]
    said = [[f"`{one.key}`", inline(str(one)), inline(title(one.source))] for one in RANGES]
    guides = ["## What the guides say", _text(GUIDES_HEAD), tables.markdown(["key", "value", "guide"], said)]
    return "\n\n".join([MADE, "# The recipe", _text(head), table, *inner, *guides]) + "\n"


def _inner(name: str, entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    rows = [[f"`{key}`", _takes(one, schema), _default(key, one, entry)] for key, one in entry["properties"].items()]
    about = " ".join(str(entry.get("description", "")).replace("``", "`").split())
    return "\n\n".join([f"## {name}", about, tables.markdown(["key", "takes", "default"], rows)])


def _takes(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What values a key takes, in words."""
    if "anyOf" in entry:
        return " or ".join(_takes(one, schema) for one in entry["anyOf"])
    if "$ref" in entry:
        name = str(entry["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if entry.get("type") == "array":
        return f"list of {_takes(entry['items'], schema)}"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "null": "null",
    }
    return f"{words[entry['type']]}{_bounds(entry)}"


def _bounds(entry: Mapping[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    said = [f"{sign} {entry[key]:g}" for key, sign in signs.items() if key in entry]
    return f" {', '.join(said)}" if said else ""


def _default(key: str, entry: Mapping[str, Any], owner: Mapping[str, Any]) -> str:
    if key in owner.get("required", ()):
        return "needed"
    value = entry.get("default")
    if value is None or value == []:
        return "none"
    return f"`{setting(value)}`"


def trainers_page() -> str:
    """docs/trainers.md with its tables made anew."""
    return tables.filled((DOCS / "trainers.md").read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "findings.md": findings_page,
    "rules.md": rules_page,
    "recipe.md": recipe_page,
    "trainers.md": trainers_page,
}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
