r"""What a trainer prints before it starts: ``Num Epochs = 5``, ``Batch size per device = 1``, ``Total steps = 395``.

Hugging Face's Trainer and Unsloth print these lines, and notebooks the bar ``[395/395 12:34, Epoch 5/5]``.
Sources: transformers 5.23.0, trainer.py ("***** Running training *****"); Unsloth 2025, models/_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunewright.schema.curve import Curve

_WHOLE = r"\s*[=:]\s*(\d[\d,]{0,11})\b"
_SETTINGS = {
    "num_train_epochs": re.compile(rf"\bnum epochs{_WHOLE}", re.I),
    "per_device_train_batch_size": re.compile(rf"\bbatch size per device{_WHOLE}", re.I),
    "gradient_accumulation_steps": re.compile(rf"\bgradient accumulation steps{_WHOLE}", re.I),
}
_TOTAL = re.compile(rf"\btotal (?:optimization )?steps{_WHOLE}", re.I)
_BAR = re.compile(r"\[\s*\d+/(\d{1,12}) [^\]\n]{0,60}Epoch [\d.]{1,9}/(\d{1,6})\]")


def stated(text: str) -> tuple[dict[str, Any], int | None]:
    """(recipe keys, total of steps) that the text states; of several runs in it the last one counts.

    >>> stated("Num examples = 625 | Num Epochs = 5 | Total steps = 395")
    ({'num_train_epochs': 5}, 395)
    """
    config = {key: _last(pattern, text) for key, pattern in _SETTINGS.items()}
    total = _last(_TOTAL, text)
    if bars := _BAR.findall(text):
        total = total or int(bars[-1][0])
        config["num_train_epochs"] = config["num_train_epochs"] or int(bars[-1][1])
    return {key: value for key, value in config.items() if value}, total


def _last(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.findall(text)
    return int(found[-1].replace(",", "")) if found else None


def with_stated(curve: Curve, text: str) -> Curve:
    """The curve with what the text states beside what its rows say; the rows come first, but for the planned steps."""
    config, said = stated(text)
    total = said if said and said >= curve.last_step else curve.total_steps
    epochs = config.get("num_train_epochs")
    # a bound on the steps (max_steps) makes the epochs a rounded-up number: only a clean division tells
    even = total and epochs and total % epochs == 0
    per_epoch = curve.steps_per_epoch or (total / epochs if total and epochs and even else None)
    known: Mapping[str, Any] = {**config, **curve.config}
    return replace(curve, config=known, total_steps=total, steps_per_epoch=per_epoch)
