"""Which tuned model is meant: a run of our own, or any adapter folder, with the base it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.data.model_folder import load_tokenizer, resolve_model
from tunewright.record.run import Run, kept_run, open_run
from tunewright.schema.errors import ModelError, UsageError
from tunewright.schema.recipe import Method, Precision, Recipe
from tunewright.schema.recipe_io import make_recipe, read_settings

if TYPE_CHECKING:
    from tunewright.engine.base import Base

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Source:
    """``folder``: the adapter, or the whole model of a full fine-tuning; ``model``: its base, resolved.

    ``run`` and ``recipe`` are None for an adapter folder of another trainer.
    """

    folder: Path
    model: str
    method: Method
    precision: Precision
    template: str | None
    run: Run | None
    recipe: Recipe | None


def is_tuned(source: str | Path) -> bool:
    """Whether a name is a run, a tuning or an adapter folder rather than a model."""
    path = kept_run(Path(source))
    return (path / "recipe.yaml").is_file() or (path / ADAPTER_CONFIG).is_file()


def find_tuned(source: str | Path, model: str = "") -> Source:
    """The tuned model behind the folder of a run, of a tuning (the run that it keeps) or of an adapter; ``model``
    replaces the base that is recorded.

    Raises UsageError when there is none, or its base is nowhere said; ModelError when the base is not there.
    """
    path = kept_run(Path(source).absolute())
    return _of_adapter(path, model) if (path / ADAPTER_CONFIG).is_file() else _of_run(path, model)


def _of_run(path: Path, model: str) -> Source:
    run = open_run(path)
    if not (run.path / "recipe.yaml").is_file():
        raise UsageError(
            f"{run.path}: no recipe.yaml, so the base model is not known",
            hint=f"name the adapter folder and its base: {run.best} --model NAME",
        )
    run.read()  # a damaged run.json is said before anything is loaded
    recipe = make_recipe(read_settings(run.path / "recipe.yaml"), where=str(run.path / "recipe.yaml"))
    if not run.kept.is_dir():
        raise UsageError(
            f"{run.path}: no best/ in it, the run has not saved a tuned model", hint="run it again: tunewright train"
        )
    return Source(
        folder=run.kept,
        model=_base(model or recipe.model, path),
        method=recipe.method,
        precision=recipe.precision,
        template=recipe.template,
        run=run,
        recipe=recipe,
    )


def _of_adapter(path: Path, model: str) -> Source:
    from tunewright.engine.peft_folder import base_name

    recorded = base_name(path)
    if not (model or recorded):
        raise UsageError(f"{path}: does not say which base model it belongs to", hint="name it: --model NAME")
    return Source(
        folder=path,
        model=_base(model or str(recorded), path),
        method="lora",
        precision="auto",
        template=None,
        run=None,
        recipe=None,
    )


def _base(name: str, of: Path) -> str:
    try:
        return resolve_model(name)
    except ModelError as error:
        raise ModelError(f"{of}: its base model: {error.message}", hint="name where it is now: --model NAME") from None


@dataclass(frozen=True)
class Voice:
    """A model that can be asked. ``worn``: entered while it answers, because two voices may share their weights."""

    who: str
    model: Any
    tokenizer: Any
    worn: Callable[[], AbstractContextManager[Any]]


def voices_of(source: Source, base: Base) -> tuple[Voice, Voice]:
    """(base, tuned), two voices on one set of weights unless the whole model was tuned.

    ``base``: of ``source.model``, freshly loaded; its model is changed in place.
    Raises ModelError when the adapter does not fit it.
    """
    from tunewright.engine.base import load_base
    from tunewright.engine.export import load_tuned
    from tunewright.engine.peft_folder import put_on

    tokenizer = base.tokenizer
    if source.method == "full":
        other = load_base(str(source.folder), method="full", precision=source.precision, template=source.template)
        return Voice("base", base.model, tokenizer, nullcontext), Voice("tuned", other.model, tokenizer, nullcontext)
    if source.run is not None:
        pack = load_tuned(base, source.folder)
        off, on = pack.adapters_off, pack.computing
        return Voice("base", base.model, tokenizer, off), Voice("tuned", base.model, tokenizer, on)
    worn = put_on(base.model, source.folder)
    return Voice("base", worn, tokenizer, worn.disable_adapter), Voice("tuned", worn, tokenizer, nullcontext)


def load_source_base(source: Source) -> Base:
    """The frozen base of a tuned model, with the tokenizer that its adapter was trained with."""
    from tunewright.engine.base import load_base

    method = "lora" if source.method == "full" else source.method
    base = load_base(source.model, method=method, precision=source.precision, template=source.template)
    base.tokenizer = tokenizer_of(source)
    return base


def tokenizer_of(source: Source) -> Any:
    """The adapter's own, where its trainer left one beside it: it may have a template or tokens the base lacks."""
    own = (source.folder / "tokenizer_config.json").is_file()
    return load_tokenizer(str(source.folder) if own else source.model, source.template)
