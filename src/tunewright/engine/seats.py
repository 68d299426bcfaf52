"""The rows of a pack and of its optimizer, and how a slot sits down in one and carries its numbers away.

What a slot carries ("params", "m", "v", "updates", and "mean" where it averages) has the columns of the slot alone,
[1, P]: it fits any pack that has room for it, and is what a checkpoint holds. Moments of SGD have no columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from tunewright.engine.averaging import RunningMeans
from tunewright.engine.base import Base
from tunewright.engine.export import load_adapter, save_full, save_peft
from tunewright.engine.optimizer import FlatOptimizer, SlotRates
from tunewright.engine.precision import FP16_LOSS_SCALE
from tunewright.engine.prepare import Fitting, open_pack
from tunewright.schema.recipe import Recipe

Carried = dict[str, torch.Tensor]


class Seats:
    """A pack with its optimizer: K rows, each someone's."""

    def __init__(
        self, base: Base, recipes: Sequence[Recipe], fittings: Sequence[Fitting], *, room_for: Sequence[Fitting] = ()
    ) -> None:
        self.base = base
        recompute = any(recipe.gradient_checkpointing for recipe in recipes)
        self.pack = open_pack(base, fittings, room_for, recompute=recompute)
        self.loss_scale = FP16_LOSS_SCALE if base.dtype == torch.float16 else 1.0
        self.optimizer = FlatOptimizer(
            self.pack.params_KP,
            self.pack.grads_KP,
            [SlotRates.of(recipe) for recipe in recipes],
            kind=recipes[0].optim,
            decayed=self.pack.decayed,
            loss_scale=self.loss_scale,
        )
        for row, fitting in enumerate(fittings):
            self._go_on_from(row, fitting)
        self.means = RunningMeans(self.pack.params_KP, [recipe.average_share for recipe in recipes])

    @property
    def K(self) -> int:
        return self.pack.K

    def assign(self, row: int, recipe: Recipe, fitting: Fitting) -> None:
        """Begin anew in a row: the adapter drawn from its seed, or read from the folder it goes on from."""
        if not self.pack.full:
            self.pack.assign(row, fitting.spec)
        self.optimizer.assign(row, SlotRates.of(recipe))
        self._go_on_from(row, fitting)
        self.means.begin(row, recipe.average_share)

    def _go_on_from(self, row: int, fitting: Fitting) -> None:
        if fitting.init is not None:
            load_adapter(self.pack, row, fitting.init)

    def select(self, order: Sequence[int]) -> None:
        """Make row i what row ``order[i]`` was; nothing moves when that is what it is."""
        if list(order) == list(range(self.K)):
            return
        self.pack.select(order)
        self.optimizer.select(order, self.pack.params_KP, self.pack.grads_KP)
        self.means.select(order, self.pack.params_KP)

    def params(self, row: int) -> torch.Tensor:
        """The row's parameters in its own columns, [1, P]: a view where those are the pack's."""
        return self._cut(row, self.pack.params_KP)

    def tensors(self, row: int) -> Carried:
        """Everything of a row that makes its next step; views where its columns are the pack's."""
        moments = {name: self._cut(row, tensor) for name, tensor in self.optimizer.state().items() if name != "updates"}
        mean_1P = self.means.of(row)
        mean = {} if mean_1P is None else {"mean": self.pack.columns.cut(self.pack.own_columns(row), mean_1P)}
        return {"params": self.params(row), **mean, **moments, "updates": self.optimizer.updates_K[row : row + 1]}

    def keeps_its_parameters(self, row: int) -> bool:
        """Whether what is kept of the row at this step are its parameters as they are now: not those of a row whose
        mean is kept, unless it is on show."""
        return self.means.of(row) is None or row in self.means.on_show

    def shapes(self, row: int) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in self.tensors(row).items()}

    def carry(self, row: int) -> Carried:
        """Copies of a row's tensors on the CPU, for a slot that leaves it or a branch of it."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in self.tensors(row).items()}

    def load(self, row: int, carried: Mapping[str, torch.Tensor]) -> None:
        """Put into a row what a slot carries."""
        self.put(row, carried["params"])
        for name, tensor in self.optimizer.state().items():
            if name == "updates":
                tensor[row] = carried[name][0]
            else:
                self._paste(row, carried[name], tensor)
        mean_1P = self.means.of(row)
        if mean_1P is not None:
            self.pack.columns.paste(self.pack.own_columns(row), carried["mean"], mean_1P)

    def put(self, row: int, params_1P: torch.Tensor) -> None:
        """Give a row other parameters."""
        self._paste(row, params_1P, self.pack.params_KP)

    def write(self, row: int, folder: Path) -> None:
        """Fill a folder with the row as others load it: a PEFT adapter, or a transformers model."""
        if self.pack.full:
            save_full(self.pack, folder, self.base.tokenizer)
        else:
            save_peft(self.pack, row, folder, base_name=self.base.folder)

    @contextmanager
    def holding(self, row: int, params_1P: torch.Tensor) -> Iterator[None]:
        """The row with other parameters for a while."""
        was_1P = self.pack.params_KP[row : row + 1].clone()
        self.put(row, params_1P)
        try:
            yield
        finally:
            self.pack.params_KP[row : row + 1].copy_(was_1P)

    def _cut(self, row: int, buffer_KP: torch.Tensor) -> torch.Tensor:
        return self.pack.columns.cut(self.pack.own_columns(row), buffer_KP[row : row + 1])

    def _paste(self, row: int, own_1P: torch.Tensor, buffer_KP: torch.Tensor) -> None:
        self.pack.columns.paste(self.pack.own_columns(row), own_1P, buffer_KP[row : row + 1])
