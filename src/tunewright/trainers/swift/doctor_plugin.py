"""The doctor for ms-swift's command line (written for ms-swift 4.6.0), loaded by its ``--external_plugins``.

--callbacks tunewright       watches
--callbacks tunewright_stop  watches, and ends a run that is lost
"""

from __future__ import annotations

from typing import Any

from swift.callbacks import callbacks_map  # type: ignore[import-not-found, unused-ignore]

from tunewright.trainers.callback import TunewrightCallback

LOST = ("non_finite", "divergence", "worse_than_start")


class Watches(TunewrightCallback):
    """ms-swift makes its callbacks itself, from its arguments and its trainer."""

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__()


class Stops(TunewrightCallback):
    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(stop_on=LOST)


callbacks_map["tunewright"] = Watches
callbacks_map["tunewright_stop"] = Stops
