"""What an export is made of: rows as the other tools read them, settings with their reasons, comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tunewright.data.tokens import TokenRow
from tunewright.schema.recipe import Recipe
from tunewright.trainers.inside.host import NOTHING
from tunewright.trainers.translation import Code, Lost, Translation, Values

Files = dict[str, str]
"""File name -> content."""

TRAIN, VAL, OUTPUT = "train.jsonl", "val.jsonl", "outputs"
WIDTH = 116
WRITTEN = "written by Tunewright"
"""Said at the top of every export."""


@dataclass(frozen=True)
class Job:
    """A run to be written down for another tool.

    recipe: resolved; steps: of the whole run; train, val: its token rows; tokenizer: of the model, its template
    included; texts: of raw continued pre-training rows, else empty; reasons: why each recipe key has its value.
    """

    recipe: Recipe
    steps: int
    train: Sequence[TokenRow]
    val: Sequence[TokenRow]
    tokenizer: Any = None
    texts: Sequence[str] = ()
    val_texts: Sequence[str] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def row_files(job: Job) -> Files:
    """Training rows as tokens, and validation rows where there are some."""
    return {TRAIN: token_rows(job.train)} | ({VAL: token_rows(job.val)} if job.val else {})


def token_rows(rows: Iterable[TokenRow]) -> str:
    """Rows as JSON lines of ``input_ids``, ``attention_mask`` and ``labels`` (-100: not trained on).

    TRL, Unsloth and Axolotl all take such rows as they are, so no template and no masking rule of theirs, which
    change between versions, has a say.
    """
    return "".join(
        _line({"input_ids": row.ids.tolist(), "attention_mask": [1] * len(row), "labels": labels_of(row)})
        for row in rows
    )


def labels_of(row: TokenRow) -> list[int]:
    """The token itself where it is trained on, else the label that every trainer leaves out."""
    pairs = zip(row.ids.tolist(), row.supervised.tolist(), strict=True)
    return [token if trained else NOTHING for token, trained in pairs]


def turn_rows(rows: Iterable[TokenRow], tokenizer: Any) -> tuple[str, int]:
    """Rows as turns of plain text, and how many of them would be cut into other tokens.

    What is not trained on is said by "human", what is by "gpt": already rendered, so that under a template that adds
    nothing the very same tokens come out. What follows the last trained token has no effect and is left out.
    """
    lines, changed = [], 0
    for row in rows:
        pieces = list(_pieces(row))
        texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in pieces]
        again = [tokenizer(text, add_special_tokens=False)["input_ids"] if text else [] for text in texts]
        changed += again != pieces
        speakers = ("human", "gpt") * (len(texts) // 2)
        turns = [{"from": who, "value": text} for who, text in zip(speakers, texts, strict=True)]
        lines.append(_line({"conversations": turns}))
    return "".join(lines), changed


def _pieces(row: TokenRow) -> Iterator[list[int]]:
    """Stretches of tokens, by turns not trained on and trained on, beginning with one of the first kind."""
    ids, trained = row.ids.tolist(), row.supervised.tolist()
    trained[:1] = trained[1:2]  # nothing predicts the first token: it goes with the second
    start, wanted = 0, False
    for at in range(len(ids) + 1):
        if at == len(ids) or trained[at] != wanted:
            if at < len(ids) or wanted:
                yield ids[start:at]
            start, wanted = at, not wanted


def text_rows(texts: Iterable[str]) -> str:
    """Rows of raw text as JSON lines."""
    return "".join(_line({"text": text}) for text in texts)


def _line(value: Any) -> str:
    return orjson.dumps(value).decode() + "\n"


@dataclass(frozen=True)
class Setting:
    """One key with its value and the comment that stands above it."""

    key: str
    value: Any
    why: str = ""


def settings(table: Sequence[Translation], job: Job, skip: Sequence[str] = ()) -> list[Setting]:
    """The other tool's keys for the job, each under the reason for its value."""
    found: list[Setting] = []
    for entry in table:
        values = {key: value for key, value in entry.out(job.recipe, job.steps).items() if value is not None}
        reasons = (job.reasons.get(key, "") for key in entry.ours)
        why = next((reason for reason in reasons if reason), entry.about if not entry.ours else "")
        for key, value in values.items():
            if key not in skip:
                found.append(Setting(key, value, why))
                why = ""  # said once, above the first key
    return found


def comment(text: str, indent: str = "") -> list[str]:
    """``text`` as comment lines of bounded width; one line of a reason never breaks out of its comment."""
    words, lines, line = text.split(), list[str](), ""
    for word in words:
        if line and len(indent) + len(line) + len(word) > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [f"{indent}# {line}" for line in [*lines, line] if line]


def head(tool: str, version: str, how: str, job: Job, losses: Sequence[Lost]) -> list[str]:
    """The comment at the top: what this is, how to run it, and what it cannot say."""
    lines = comment(f"A run for {tool}, {WRITTEN} for {version}. Start it with: {how}")
    files = f"{TRAIN}, {VAL}" if job.val else TRAIN
    lines += comment(
        f"The rows lie beside this file ({files}) with the tokens to train on marked; recipe.yaml is the recipe."
    )
    for one in losses:
        lines += comment(f"Cannot be said to {tool}: {one}")
    return lines


def yaml_lines(found: Iterable[Setting]) -> list[str]:
    """Settings as YAML that every reader understands alike."""
    lines: list[str] = []
    for one in found:
        lines += comment(one.why)
        lines.append(f"{one.key}: {yaml_value(one.value)}")
    return lines


def yaml_value(value: Any) -> str:
    """A value as YAML on one line; 1e-05 is written 1.0e-05, which older readers would take for text otherwise.

    >>> yaml_value(1e-05), yaml_value("yes"), yaml_value(["a", 1]), yaml_value(None)
    ('1.0e-05', '"yes"', '[a, 1]', 'null')
    """
    if isinstance(value, float):
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml_value(key)}: {yaml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def call(name: str, found: Iterable[Setting], prefix: str) -> list[str]:
    """A Python call with one keyword a line, comments above."""
    lines = [f"{name}("]
    for one in found:
        lines += comment(one.why, "    ")
        lines.append(f"    {one.key.removeprefix(prefix)}={python_value(one.value)},")
    return [*lines, ")"]


def python_value(value: Any) -> str:
    """A value as Python source; strings in double quotes."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(python_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python_value(key)}: {python_value(item)}" for key, item in value.items()) + "}"
    return repr(value)


def only(found: Iterable[Setting], prefix: str) -> list[Setting]:
    """The settings whose key begins with ``prefix``."""
    return [one for one in found if one.key.startswith(prefix)]


def value_of(found: Iterable[Setting], key: str) -> Any:
    """The value of one key; None when it is not set."""
    values: Values = {one.key: one.value for one in found}
    return values.get(key)
