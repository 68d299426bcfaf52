"""The settings of a TRL or Unsloth script, read from its text: the script is parsed and never executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from tunewright.trainers.translation import Code, Values

_SETTINGS = {
    "SFTConfig": "SFTConfig",
    "UnslothTrainingArguments": "SFTConfig",
    "TrainingArguments": "SFTConfig",
    "LoraConfig": "LoraConfig",
    "BitsAndBytesConfig": "BitsAndBytesConfig",
    "SFTTrainer": "SFTTrainer",
    "UnslothTrainer": "SFTTrainer",
    "EarlyStoppingCallback": "EarlyStoppingCallback",
    "AutoModelForCausalLM.from_pretrained": "AutoModelForCausalLM",
    "PeftModel.from_pretrained": "PeftModel",
    "FastLanguageModel.from_pretrained": "FastLanguageModel",
    "FastModel.from_pretrained": "FastLanguageModel",
    "FastVisionModel.from_pretrained": "FastLanguageModel",
    "FastLanguageModel.get_peft_model": "get_peft_model",
    "FastModel.get_peft_model": "get_peft_model",
    "FastVisionModel.get_peft_model": "get_peft_model",
}
POSITIONS = {
    "SFTConfig": ("output_dir",),
    "SFTTrainer": ("model", "args"),
    "EarlyStoppingCallback": ("early_stopping_patience",),
    "AutoModelForCausalLM": ("pretrained_model_name_or_path",),
    "PeftModel": ("", "model_id"),
    "FastLanguageModel": ("model_name",),
    "load_dataset": ("path", "name"),
}


def script_settings(text: str) -> Values:
    """The arguments of the calls that configure a run, as ``SFTConfig.learning_rate`` and the like.

    A name stands for the constant last given to it at the top level; what only the running script knows stays
    :class:`Code`. Each call seen is there by itself too (``LoraConfig: True``); ``load_dataset`` is a list of calls.
    Raises SyntaxError (or RecursionError, ValueError) for text that is not Python.
    """
    tree = ast.parse(text)
    names = _constants(tree)
    found: Values = {"load_dataset": []}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        callee = _callee(call.func)
        if callee == "load_dataset":
            found["load_dataset"].append((call.lineno, dict(_arguments(call, "load_dataset", names))))
        elif callee in _SETTINGS:
            what = _SETTINGS[callee]
            found[what] = True
            found |= {f"{what}.{key}": value for key, value in _arguments(call, what, names)}
    found["load_dataset"] = [one for _, one in sorted(found["load_dataset"], key=lambda pair: pair[0])]
    return found


def calls_of(tree: ast.Module, what: str) -> list[ast.Call]:
    """The calls that configure ``what`` (such as ``SFTConfig``), from the top of the script down."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [call for call in calls if _SETTINGS.get(_callee(call.func)) == what]
    return sorted(found, key=lambda call: call.lineno)


def _constants(tree: ast.Module) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = _value(node.value, names)
    return names


def _callee(function: ast.expr) -> str:
    """``Class``, or ``Class.method`` for the two methods that configure something."""
    if isinstance(function, ast.Name):
        return function.id
    if not isinstance(function, ast.Attribute):
        return ""
    if function.attr not in ("from_pretrained", "get_peft_model"):
        return function.attr  # trl.SFTConfig(...)
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return f"{name}.{function.attr}"


def _arguments(call: ast.Call, what: str, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, argument in zip(POSITIONS.get(what, ()), call.args, strict=False):
        if key:
            yield key, _value(argument, names)
    for keyword in call.keywords:
        value = _value(keyword.value, names)
        if keyword.arg is not None:
            yield keyword.arg, value
        elif isinstance(value, dict):  # SFTConfig(**settings)
            yield from ((str(key), inner) for key, inner in value.items())


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The constant a node stands for, else its source as Code."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id, Code(node.id))
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(item, names) for item in node.elts]
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        pairs = zip(node.keys, node.values, strict=True)
        return {str(_value(key, names)): _value(value, names) for key, value in pairs if key is not None}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, names)
        return -inner if isinstance(inner, (int, float)) else Code(ast.unparse(node))
    return Code(ast.unparse(node))
