"""A base model as a name or folder: where it is, how large it is, and its tokenizer. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from tunewright.data.model_config import Sizes, read_sizes
from tunewright.data.safetensors_header import Weight, read_weights
from tunewright.data.sources import BUNDLED
from tunewright.schema.errors import EnvironmentMissing, ModelError, TunewrightError
from tunewright.schema.facts import ModelFacts

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
# Modules that are no linear layer of the text model: tables, norms, the output head, other senses, routers.
_NO_TARGET = re.compile(r"embed|lm_head|\bwte\b|\bwpe\b|norm|\bln_|vision|visual|audio|projector|router|\bgate\b")


def resolve_model(name: str) -> str:
    """A bundled model's folder, an existing folder, or a Hub name as it is.

    Raises ModelError for a name that is none of them: a path that does not exist, or a bare word.
    """
    if name in bundled_models():
        return str(BUNDLED / "models" / name)
    try:
        folder = Path(name).expanduser()
        if folder.is_dir() and name.strip():
            return str(folder)
        is_file = folder.is_file()
    except (ValueError, RuntimeError, OSError):  # a NUL byte, an unknown ~user, a name too long
        is_file = False
    if is_file:
        raise ModelError(f"{name}: a file, expected a model folder with config.json", hint=f"--model {folder.parent}")
    if _HUB_NAME.fullmatch(name) and not name.startswith((".", "/")):
        parent = Path(name).parent
        if any(parent.glob("*/run.json")):  # asking the Hub for a mistyped run takes half a minute
            raise ModelError(f"{name}: no such run or model folder", hint=f"tunewright runs ls --runs-dir {parent}")
        return name
    bundled_names = ", ".join(bundled_models()) or "none"
    raise ModelError(
        f"{name[:200]!r}: no such model folder; bundled models: {bundled_names}; Hub names are OWNER/NAME",
        hint="--model Qwen/Qwen3-0.6B, or --model FOLDER",
    )


def called(model: str) -> str:
    """What a person calls a resolved model: the name of a bundled one, else as it is.

    >>> called(resolve_model("tiny")), called("Qwen/Qwen3-0.6B")
    ('tiny', 'Qwen/Qwen3-0.6B')
    """
    path = Path(model)
    return path.name if path.parent == BUNDLED / "models" else model


def bundled_models() -> tuple[str, ...]:
    """The names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in (BUNDLED / "models").glob("*/config.json")))


def model_facts(model: str | Path, *, fetch: bool = True) -> ModelFacts:
    """The sizes of a model, from its config.json and the headers of its weights.

    Without weights (only a config), or with quantised ones, parameters and layers are worked out from the config.
    A Hub name is looked up in the local cache first. Raises ModelError for a folder that holds no usable config or
    damaged weights, EnvironmentMissing when a Hub name cannot be fetched. ``fetch`` False: nothing but the cache is
    asked, and no network; EnvironmentMissing where the name is not there.
    """
    name = resolve_model(str(model))
    find = _fetched_config if fetch else _cached_config
    folder = Path(name) if Path(name).is_dir() else find(name).parent
    config = _config(folder / "config.json")
    sizes = read_sizes(config, str(folder / "config.json"))
    weights = () if "quantization_config" in config else read_weights(folder)
    return _facts(str(model), sizes, weights)


def _facts(name: str, sizes: Sizes, weights: tuple[Weight, ...]) -> ModelFacts:
    parameters = sum(weight.count for weight in weights)
    stored_bytes = sum(weight.stored_bytes for weight in weights)
    return ModelFacts(
        name=name,
        family=sizes.family,
        hidden_size=sizes.hidden_size,
        layers=sizes.layers,
        vocab_size=sizes.vocab_size,
        parameters=parameters or sizes.parameters(),
        context=sizes.context,
        linear_in_out=_linear_in_out(weights) or sizes.linear_in_out(),
        bytes_per_weight=stored_bytes / parameters if parameters else sizes.bytes_per_weight,
    )


def _linear_in_out(weights: Iterable[Weight]) -> tuple[tuple[int, int], ...]:
    """(in, out) of the stored matrices that are linear layers of the text model; stored as [out, in]."""
    return tuple(
        (weight.shape[1], weight.shape[0])
        for weight in weights
        if len(weight.shape) == 2 and weight.name.endswith(".weight") and not _NO_TARGET.search(weight.name)
    )


def matrices(model: str | Path) -> dict[str, tuple[int, int]]:
    """(in, out) of every matrix stored in a model's weights, by the path of its layer.

    Empty where the weights are not at hand: a Hub name, only a config, or quantised weights.
    """
    folder = Path(resolve_model(str(model)))
    if not folder.is_dir() or "quantization_config" in _config(folder / "config.json"):
        return {}
    return {
        weight.name.removesuffix(".weight"): (weight.shape[1], weight.shape[0])
        for weight in read_weights(folder)
        if len(weight.shape) == 2 and weight.name.endswith(".weight")
    }


def is_target(layer: str) -> bool:
    """Whether a layer's path is that of a linear layer of the text model, told by the usual names.

    >>> is_target("model.layers.0.mlp.up_proj"), is_target("model.embed_tokens")
    (True, False)
    """
    return not _NO_TARGET.search(layer)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path.parent}: no config.json in it, expected a model folder") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ModelError(f"{path}: not JSON: {error.msg}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path}: expected an object")
    return config


def _fetched_config(name: str) -> Path:
    from transformers.utils.hub import cached_file

    try:
        return Path(cached_file(name, "config.json"))
    except OSError as error:
        raise _unreachable(name, error) from None


def _cached_config(name: str) -> Path:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    if not isinstance(found, str):
        raise EnvironmentMissing(f"{name}: not in the local cache", hint=f"hf download {name}")
    return Path(found)


def _unreachable(name: str, error: Exception) -> TunewrightError:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return EnvironmentMissing(
        f"{name}: neither in the local cache nor to be fetched from the Hub: {reason}",
        hint=f"check the name and the network, or: hf download {name}",
    )


def load_tokenizer(model: str, template: str | None = None) -> Any:
    """The tokenizer of a model (a transformers fast tokenizer), with ``template`` in place of its own chat template.

    template: path of a Jinja file. Raises ModelError when the folder has no tokenizer, and when the template cannot
    be read or is no Jinja; EnvironmentMissing when a Hub name cannot be fetched or transformers is not installed.
    """
    name = resolve_model(model)
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise EnvironmentMissing("tokenizers need transformers", hint='pip install "tunewright[train]"') from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        if not Path(name).is_dir():
            raise _unreachable(name, error) from None
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ModelError(f"{name}: no usable tokenizer in it: {reason}") from None
    if template is not None:
        _use_template(tokenizer, template)
    return tokenizer


def _use_template(tokenizer: Any, name: str) -> None:
    """Gives the tokenizer the template of a file, known to be Jinja. Raises ModelError naming the line otherwise."""
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        tokenizer.chat_template = Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ModelError(f"template {name[:200]}: cannot be read: {reason}", hint="--set template=FILE") from None
    try:
        tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    except TemplateSyntaxError as error:
        raise ModelError(f"template {name}, line {error.lineno}: not a Jinja template: {error.message}") from None
    except TemplateError:
        pass  # it is Jinja, and wants other turns than these; the rows will show
