"""The sections of one run beside its curve: settings with their reasons, how to use it, the record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunewright.reporter import load
from tunewright.reporter.run_view import RunView
from tunewright.reporter.tree import Block, Cell, Code, Facts, Fold, Paragraph, Section, table
from tunewright.reporter.words import duration, figure, moment, one_line, safe, setting


def settings_section(view: RunView, key: str = "settings") -> Section:
    """Every value with its reason, what was predicted and what came, and the recipe to copy."""
    blocks: list[Block] = []
    if view.values:
        rows: list[tuple[Cell | str, ...]] = [
            (one_line(value.key), setting(value.value), Cell(safe(value.why), note=safe(value.source)))
            for value in view.values
        ]
        blocks.append(table("Every setting with its reason and source", "setting|value|why", rows))
    elif view.recipe:
        rows = [(one_line(name), setting(value)) for name, value in view.recipe.items()]
        blocks.append(table("Settings", "setting|value", rows))
    else:
        blocks.append(Paragraph("The settings of this run are not on record."))
    blocks += [Paragraph(one_line(warning), "warn") for warning in view.warnings]
    blocks += promised_blocks(view)
    if view.recipe_yaml:
        recipe = Code(safe(view.recipe_yaml, 40_000), "yaml", "recipe.yaml")
        blocks.append(
            Fold("The recipe, to copy", (recipe, Paragraph("Run it again: tunewright train recipe.yaml", "quiet")))
        )
    return Section(key, "Settings and why", tuple(blocks))


def promised_blocks(view: RunView) -> list[Block]:
    """What the plan promised beside what came."""
    promised = load.mapping(view.prediction.get("promised")) or view.predicted
    came = load.mapping(view.prediction.get("came")) or view.result
    rows: list[tuple[Cell | str, ...]] = []
    for name, (label, show, key) in _PROMISES.items():
        if name in promised and promised[name] is not None:
            rows.append((label, show(promised[name]), show(came[key]) if came.get(key) is not None else ""))
    return [table("What was predicted and what came", "of this run|predicted #|came #", rows)] if rows else []


def _number_text(value: Any) -> str:
    found = load.number(value)
    if found is None:
        train = load.number(load.mapping(value).get("train"))
        return figure(int(train)) if train is not None and math.isfinite(train) else setting(value)
    return figure(int(found)) if math.isfinite(found) and found == int(found) else figure(found)


def _range_text(value: Any) -> str:
    """A predicted range by its ends, a figure by itself."""
    ends = [load.number(load.mapping(value).get(key)) for key in ("low", "high")]
    return _number_text(value) if None in ends else " to ".join(figure(end) for end in ends)


def _duration_text(value: Any) -> str:
    return duration(load.number(value))


_PROMISES: dict[str, tuple[str, Any, str]] = {
    "steps": ("optimizer steps", _number_text, "steps"),
    "tokens": ("training tokens", _number_text, "tokens"),
    "train_peak_GiB": ("peak memory in training, GiB", _number_text, "peak_GiB"),
    "seconds": ("training time", _duration_text, "train_seconds"),
    "eval_loss": ("validation loss", _range_text, "eval_loss"),
}


def use_section(view: RunView, adapter: str, key: str = "use") -> Section:
    """The commands that load the result."""
    if not view.has_best:
        return Section(key, "Using the result", (Paragraph("There is no saved adapter (best/) in this run's folder."),))
    is_full = view.recipe.get("method") == "full"
    code = full_snippet(adapter) if is_full else peft_snippet(adapter, view.adapter_base or view.model)
    what = "The tuned model is a Transformers folder" if is_full else "The adapter is in PEFT format"
    return Section(
        key, "Using the result", (Paragraph(f"{what}: {one_line(adapter)}"), Code(code, "python", "Load it in Python"))
    )


def peft_snippet(adapter: str, base: str) -> str:
    """Python that loads base and adapter and answers one question; paths as Python literals, whatever is in them."""
    return f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {_literal(base)}
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), {_literal(adapter)})
{_ASK.format(tokenizer="base")}"""


def full_snippet(folder: str) -> str:
    """Python that loads a fully tuned model and answers one question."""
    return f"""from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {_literal(folder)}
model = AutoModelForCausalLM.from_pretrained(folder)
{_ASK.format(tokenizer="folder")}"""


_ASK = """tokenizer = AutoTokenizer.from_pretrained({tokenizer})
messages = [{{"role": "user", "content": "Your question"}}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=200)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""


def _literal(path: str) -> str:
    return ascii(path[:1000])


def record_section(view: RunView, key: str = "record") -> Section:
    """What is needed to do it again: command, data, versions, hashes, times."""
    about = view.about
    rows = about.get("rows")
    items = [
        ("Command", one_line(about.get("command") or "")),
        ("Status", one_line(view.status)),
        ("Stopped because", one_line(view.result.get("stopped_because") or "")),
        ("Model", one_line(view.model)),
        ("Data", setting(view.data)),
        ("Rows", setting(rows) if rows else ""),
        ("Started", moment(about.get("run_started") or about.get("started"))),
        ("Ended", moment(about["ended"]) if about.get("ended") else ""),
        *cost_facts(view.result),
        ("Machine", machine_text(load.mapping(about.get("machine")))),
        ("Versions", setting(about.get("versions")) if about.get("versions") else ""),
        *hashes(about),
        ("Folder", one_line(view.path)),
    ]
    return Section(key, "The record", (Facts(tuple(item for item in items if item[1])),))


def machine_text(machine: Mapping[str, Any]) -> str:
    """The machine a run was made on, in words; empty when it is not on record.

    >>> machine_text({"device": "cpu", "memory_GiB": 24.0, "cores": 2, "system": "Linux"})
    'cpu, 24.0 GiB, 2 cores, Linux'
    """
    memory, cores = load.number(machine.get("memory_GiB")), load.count(machine.get("cores"))
    parts = [
        one_line(machine.get("device") or ""),
        f"{figure(memory)} GiB" if memory is not None else "",
        f"{cores} cores" if cores is not None else "",
        one_line(machine.get("system") or ""),
    ]
    return ", ".join(part for part in parts if part)


def cost_facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Tokens, seconds and memory as far as they are recorded."""
    tokens = load.mapping(result.get("tokens"))
    train, other = load.count(tokens.get("train")), load.count(tokens.get("eval"))
    facts = [
        ("Training tokens", figure(train) if train is not None else ""),
        ("Evaluation tokens", figure(other) if other is not None else ""),
        ("Time", duration(load.number(result.get("seconds"))) if result.get("seconds") is not None else ""),
        ("Peak memory", f"{figure(load.number(result['peak_GiB']))} GiB" if result.get("peak_GiB") is not None else ""),
    ]
    return [fact for fact in facts if fact[1]]


def hashes(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every recorded SHA-256, by the name it was recorded under."""
    found: list[tuple[str, str]] = []
    for name, value in about.items():
        if not str(name).endswith("sha256") or not value:
            continue
        label = f"SHA-256 of {one_line(name).removesuffix('sha256').rstrip('_') or 'the data'}"
        several = value.items() if isinstance(value, Mapping) else [("", value)]
        found += [(f"{label} {one_line(which)}".strip(), one_line(sum_)) for which, sum_ in several]
    return found
