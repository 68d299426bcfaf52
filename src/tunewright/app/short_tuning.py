"""A short tuning of one base, to compare it with others: so many tokens, at three learning rates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewright.app.prepare import prepare
from tunewright.app.request import Request
from tunewright.app.sweep import sweep
from tunewright.app.watch import Watch
from tunewright.data.model_folder import load_tokenizer, resolve_model
from tunewright.schema.errors import RunFailed

EPOCHS = 4
MOST_TOKENS = 2_000_000
"""Of one candidate at one learning rate: minutes, not hours, for a base of a billion weights on one GPU."""
RATES = (0.5, 1.0, 2.0)
"""Learning rates that are tried, times the planned one."""


@dataclass(frozen=True)
class ShortTuning:
    """A base's own plan: the request to sweep, its learning rate, and what an epoch and a step take of it."""

    name: str
    request: Request
    learning_rate: float
    tokens: int
    tokens_per_step: float

    def run(self, budget: int, folder: Path, name: str, watch: Watch) -> dict[str, Any]:
        """Train on about ``budget`` tokens at each learning rate, in a sweep ``folder``/``name``; its best cell.

        Raises RunFailed when no rate gave a finite loss.
        """
        steps = max(1, round(budget / self.tokens_per_step))
        settings = {**self.request.settings, "max_steps": steps, "early_stopping_patience": 0}
        rates = [self.learning_rate * factor for factor in RATES]
        swept = sweep(
            request=replace(self.request, settings=settings),
            grid={"learning_rate": rates},
            runs_dir=folder,
            name=name,
            watch=watch,
        )
        best = swept["best"]
        if best is None:
            raise RunFailed(f"{self.name}: no learning rate gave a finite loss", hint=f"see {folder / name}")
        cell = next(cell for cell in swept["cells"] if cell["run"] == best["run"])
        return {
            "eval_loss": cell["eval_loss"],
            "learning_rate": cell["set"]["learning_rate"],
            "tokens": cell["tokens"]["train"],
            "run": best["run"],
            "adapter": best["adapter"],
        }


def short_tuning(request: Request, model: str) -> ShortTuning:
    """Plan one base by itself. Raises what ``train`` would raise for it."""
    request = replace(request, model=model)
    if not load_tokenizer(resolve_model(model)).chat_template:
        request = replace(request, settings={"loss_on": "completion", **request.settings})
    prepared = prepare(request)
    return ShortTuning(
        name=model,
        request=request,
        learning_rate=prepared.recipe.learning_rate,
        tokens=prepared.train.tokens,
        tokens_per_step=prepared.tokens_per_row * prepared.recipe.effective_batch_size,
    )


def equal_budget(planned: Sequence[ShortTuning]) -> int:
    """Tokens for each of them: some epochs of the one whose tokenizer makes the most of the data."""
    return min(MOST_TOKENS, EPOCHS * max(one.tokens for one in planned))
