"""Which packs are on a model: kept on the model itself, so that they go when it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from tunewright.engine.pack import Pack


def packs_on(model: nn.Module) -> list[Pack]:
    """The packs on a model, none or one: the list itself, to be added to and taken from."""
    packs: list[Pack] = model.__dict__.setdefault("_tunewright_packs", [])
    return packs


def take_off(model: nn.Module) -> None:
    """Take whatever pack is on the model off."""
    for pack in list(packs_on(model)):
        pack.detach()


def set_layer(model: nn.Module, path: str, module: nn.Module) -> None:
    """Let the model compute with another module at a path."""
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
