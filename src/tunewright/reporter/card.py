"""The model card of a run: front matter for model hubs, the report as Markdown, and what only a person can know.

Every fact comes from the run's records. What a person filled in, in the front matter or in the last section, is kept
when the card is made anew.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.document import make_document
from tunewright.reporter.markdown import document_markdown
from tunewright.reporter.run_view import RunView, View
from tunewright.reporter.verdicts import PARTS
from tunewright.reporter.words import one_line
from tunewright.schema.errors import RecipeError
from tunewright.schema.recipe_io import parse_yaml

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
PERSONAL_KEYS = ("license", "license_name", "license_link", "language")
"""Front matter that no record of a run can fill."""
FOR_FOLDERS = ("base_model", "datasets")
"""Front matter that a person fills in where the records know a folder or a file only."""
PERSONAL_HEAD = "## To be filled in by a person"
OPEN_FIELDS = (
    "Licence of the adapter (that of the base model and of the data both bind it)",
    "Intended use, and uses to avoid",
    "Language of the data, and who it speaks of",
    "Known limits beyond what the exam above measured",
    "Whom to ask",
)


@dataclass(frozen=True)
class Personal:
    """What a person filled in: values of PERSONAL_KEYS and FOR_FOLDERS, and the lines of the last section."""

    head: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


NOTHING_FILLED_IN = Personal()


def render_card(view: View, *, personal: Personal = NOTHING_FILLED_IN, curve_image: str = "") -> str:
    """The card as text. ``curve_image``: a file beside it to show as the curve; else it is drawn in characters."""
    body = document_markdown(make_document(portable(view)), curve_image=curve_image)
    last = personal.lines or tuple(f"- TODO: {field}" for field in OPEN_FIELDS)
    return "\n".join([*front_matter(view, personal.head), *body, "", PERSONAL_HEAD, "", *last, ""])


def portable(view: View) -> View:
    """The view without the place it lies at and without notes: a card goes elsewhere, and those are for its makers."""
    if isinstance(view, RunView):
        moved = {"adapter": f"{view.name}/{_folder_of(view.result)}"} if "adapter" in view.result else {}
        return replace(view, path=view.name, result={**view.result, **moved}, notes=(), tags=())
    best = {**load.mapping(view.about.get("best"))}
    if best:
        best["adapter"] = f"{view.name}/{view.best}/{_folder_of(best)}"
    runs = tuple(replace(one, view=_portable_run(one.view)) for one in view.runs)
    return replace(view, path=view.name, runs=runs, about={**view.about, **({"best": best} if best else {})})


def _folder_of(known: Mapping[str, Any]) -> str:
    """The last part of the adapter's path: best, or blend."""
    return PurePath(load.text(known.get("adapter"))).name or "best"


def _portable_run(view: RunView | None) -> RunView | None:
    moved = portable(view) if view is not None else None
    return moved if isinstance(moved, RunView) else None


def personal_part(card: str) -> Personal:
    """What a person filled in of a card that is there already; nothing where its front matter cannot be read."""
    head = head_of(card)
    _, found, last = card.partition(f"\n{PERSONAL_HEAD}\n")
    lines = tuple(last.strip("\n").split("\n")) if found else ()
    return Personal({key: head[key] for key in (*PERSONAL_KEYS, *FOR_FOLDERS) if key in head}, lines)


def head_of(card: str) -> dict[str, Any]:
    """The front matter of a card as a mapping; empty when there is none or it is not YAML."""
    found = re.match(r"---\n(.*?)\n---(\n|$)", card, re.DOTALL)
    try:
        value = parse_yaml(found[1], where="front matter") if found else {}
    except RecipeError:
        return {}
    return value if isinstance(value, dict) else {}


def kept_run(view: View) -> RunView | None:
    """The run a card speaks of: itself, or the one a tuning kept."""
    if isinstance(view, RunView):
        return view
    return view.best_run.view if view.best_run else None


def front_matter(view: View, filled: Mapping[str, Any]) -> list[str]:
    """YAML front matter: library, base, data, licence, figures. A name that is no hub name is left out."""
    run = kept_run(view)
    base = hub_base(run) or load.text(filled.get("base_model"))
    datasets: Any = hub_datasets(run) or filled.get("datasets")
    method = str(run.recipe.get("method") or "lora") if run else "lora"
    library = "transformers" if method == "full" else "peft"
    tags = ["tunewright", *([] if method == "full" else ["lora"])]
    tags += [f"base_model:adapter:{base}"] if base and library == "peft" else []
    lines = ["---", f"library_name: {library}", "pipeline_tag: text-generation"]
    lines += [f"base_model: {_yaml(base)}"] if base else []
    lines += _list("datasets", list(map(str, datasets))) if isinstance(datasets, list) and datasets else []
    lines += ["datasets: []"] if datasets == [] else []
    lines += _personal_lines(filled, run)
    lines += _list("tags", tags)
    lines += _model_index(view, run)
    return [*lines, "---", ""]


def hub_base(run: RunView | None) -> str:
    """The base model's hub name; empty when it is a folder."""
    names = (run.adapter_base, run.model) if run else ()
    return next((name for name in names if "/" in name and HUB_NAME.fullmatch(name)), "")


def hub_datasets(run: RunView | None) -> list[str]:
    """The hub names among the run's data."""
    data = run.data if run else ""
    several = (
        [load.text(load.mapping(one).get("path")) for one in data] if isinstance(data, (list, tuple)) else [str(data)]
    )
    names = [name.removeprefix("hub:") for name in several if name.startswith("hub:")]
    return [name for name in names if HUB_NAME.fullmatch(name)]


def _personal_lines(filled: Mapping[str, Any], run: RunView | None) -> list[str]:
    """What a person filled in, else the base model's licence where it is on record, else that it is open."""
    known = dict(filled)
    recorded = load.text(run.about.get("base_license")) if run else ""
    if recorded and not known.get("license"):
        known["license"] = recorded
    lines = [f"{key}: {json.dumps(known[key], ensure_ascii=False)}" for key in PERSONAL_KEYS if known.get(key)]
    return lines if known.get("license") else [*lines, "# license: TODO"]


def _list(key: str, values: list[str]) -> list[str]:
    return [f"{key}:", *(f"- {_yaml(value)}" for value in values)] if values else []


def _model_index(view: View, run: RunView | None) -> list[str]:
    """The measured figures in the form hubs read: the validation loss, and the exam part by part."""
    results = _results(view, run) if run else []
    if not results:
        return []
    kinds = list(dict.fromkeys(metric for _, _, metric, _, _ in results))
    lines = [*_list("metrics", kinds), "model-index:", f"- name: {_yaml(_plain_name(view.name))}", "  results:"]
    for dataset, kind, metric, label, value in results:
        lines += [
            "  - task:", "      type: text-generation", "    dataset:", f"      name: {_yaml(dataset)}",
            f"      type: {_yaml(kind)}", "    metrics:", f"    - type: {metric}", f"      name: {_yaml(label)}",
            f"      value: {value!r}",
        ]  # fmt: skip
    return lines


def _results(view: View, run: RunView) -> list[tuple[str, str, str, str, float]]:
    """(data, its kind, metric, its name, value) of every finite figure."""
    results = []
    name, kind = _validation_data(run)
    loss = run.eval_loss
    if loss is not None and math.isfinite(loss):
        results.append((name, kind, "loss", "Validation loss, nats per token", round(loss, 6)))
    exam = view.exam
    for part, score in exam.parts.items() if exam else ():
        if score.n and score.rate is not None:
            label = f"Right answers, {score.passed} of {score.n}"
            results.append((f"Exam: {PARTS[part].lower()}", "exam", "accuracy", label, round(score.rate, 6)))
    return results


def _validation_data(run: RunView) -> tuple[str, str]:
    """Name and kind of the rows the loss was measured on."""
    val = run.recipe.get("val")
    datasets = hub_datasets(run)
    source = str(val) if val else next(iter(datasets), "") or load.text(run.data)
    name = _plain_name(PurePath(source).name) or "validation rows"
    return (name if val else f"rows held out of {name}"), (datasets[0] if datasets and not val else "validation")


def _plain_name(name: str) -> str:
    """A name of letters, digits, spaces, dots and dashes: hubs show it as they please.

    >>> _plain_name("<b>[a](x).jsonl")
    '_b__a__x_.jsonl'
    """
    return re.sub(r"[^\w .-]", "_", name, flags=re.ASCII)[:80]


def _yaml(text: str) -> str:
    return json.dumps(one_line(text), ensure_ascii=False)
