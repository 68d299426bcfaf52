"""Which layers adapters sit on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tunewright.engine.adapter import PackedLoRALinear, is_linear
from tunewright.schema.errors import ModelError
from tunewright.schema.recipe_io import nearest


def find_targets(model: nn.Module, target: str | Sequence[str]) -> dict[str, nn.Module]:
    """Path -> layer of every linear layer meant by ``target``, in the model's order.

    "all": every linear layer but the output embedding (an adapter there costs as much as a layer per token of the
    vocabulary, and with tied weights it would no longer be tied). Otherwise names, each the end of a layer's path.
    Raises ModelError naming the layers there are.
    """
    linear = linear_layers(model)
    if target == "all":
        head = bare(model.get_output_embeddings())  # type: ignore[operator]
        found = {path: layer for path, layer in linear.items() if layer is not head}
        if not found:
            raise ModelError(f"{type(model).__name__} has no linear layers an adapter could sit on")
        return found
    names = (target,) if isinstance(target, str) else tuple(target)
    for name in names:
        if not any(_ends(path, name) for path in linear):
            raise _unknown(name, linear)
    return {path: layer for path, layer in linear.items() if any(_ends(path, name) for name in names)}


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Path -> layer of every linear layer of the base, adapters on it or not, in the model's order."""
    layers: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if is_linear(bare(module)) and path.removesuffix(".base") not in layers:
            layers[path] = bare(module)
    return layers


def bare(module: nn.Module) -> nn.Module:
    """The layer itself, without the adapters on it."""
    return module.base if isinstance(module, PackedLoRALinear) else module


def leaf_names(paths: Sequence[str], model: nn.Module) -> list[str]:
    """The shortest list of names that means exactly these layers: their last parts, or else the whole paths."""
    leaves = sorted({path.rpartition(".")[2] for path in paths})
    meant = {path for path, _ in model.named_modules() if any(_ends(path, leaf) for leaf in leaves)}
    return leaves if meant <= set(paths) else sorted(paths)


def parameters_under(model: nn.Module, modules: Sequence[str]) -> dict[str, nn.Parameter]:
    """The parameters of the named modules (by the end of their path). Raises ModelError for a name that fits none."""
    found: dict[str, nn.Parameter] = {}
    for wanted in modules:
        paths = [path for path, _ in model.named_modules() if path == wanted or path.endswith(f".{wanted}")]
        if not paths:
            raise ModelError(f"modules_to_save: no module of {type(model).__name__} is called {wanted!r}")
        for name, parameter in model.named_parameters(remove_duplicate=False):
            same = any(parameter is known for known in found.values())  # a tied weight is trained once
            if not same and any(name.startswith(f"{path}.") for path in paths):
                found[name] = parameter
    return found


def _ends(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _unknown(name: str, linear: dict[str, nn.Module]) -> ModelError:
    leaves = sorted({path.rpartition(".")[2] for path in linear})
    guess = nearest(name, leaves)
    return ModelError(
        f"lora_target {name!r}: the model has no such linear layer" + (f", did you mean {guess!r}?" if guess else ""),
        hint=f'it has: {", ".join(leaves)}; or lora_target: "all"',
    )
