"""Speaking to people on stderr: one live line, plain lines where there is no terminal, Ctrl-C that ends cleanly."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.1


class Terminal:
    """What the verbs report to while they work. Holds the Ctrl-C flag: the first one asks for a clean end."""

    def __init__(self, *, quiet: bool = False, progress: bool = True) -> None:
        self._quiet = quiet
        self._live = progress and not quiet and sys.stderr.isatty()
        self._plain = progress and not quiet and not self._live
        self._shown_at = 0.0
        self._line_open = False
        self._stop_asked = False
        self._eval_loss: float | None = None

    def say(self, text: str) -> None:
        """One line for the reader."""
        if not self._quiet:
            self._close_line()
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def working(self, what: str, done: int, total: int) -> None:
        """Progress of something that has no loss: answering questions, reading rows."""
        self._show(f"{what} {done}/{total}", last=done >= total)

    def event(self, run: str, event: Mapping[str, Any], total_steps: int, finding: str = "") -> None:
        """Progress of training, from one metrics event."""
        self._eval_loss = event.get("eval_loss", self._eval_loss)
        if "loss" in event or "eval_loss" in event:
            last = int(event["step"]) >= total_steps and "eval_loss" in event
            self._show(progress_line(run, event, total_steps, self._eval_loss, finding), last=last)

    def should_stop(self) -> bool:
        return self._stop_asked

    def listen_for_interrupt(self) -> None:
        """From now on the first Ctrl-C asks the work to end after its step; the second one ends it at once."""
        signal.signal(signal.SIGINT, self._interrupted)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.say("stopping after this step and saving; press Ctrl-C again to stop at once")

    def _show(self, text: str, *, last: bool) -> None:
        now = time.monotonic()
        every = LIVE_EVERY_S if self._live else PLAIN_EVERY_S
        if not (self._live or self._plain) or (now - self._shown_at < every and not last):
            return
        self._shown_at = now
        if self._live:
            sys.stderr.write("\r\x1b[2K" + text[: _columns()])
            self._line_open = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _close_line(self) -> None:
        if self._line_open:
            sys.stderr.write("\n")
            self._line_open = False


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1


def progress_line(
    run: str, event: Mapping[str, Any], total_steps: int, eval_loss: float | None, finding: str = ""
) -> str:
    """Loss, eval, LR, speed, time left and the last finding in one line.

    >>> progress_line("run-1", {"step": 5, "loss": 1.25, "seconds": 2.0, "tokens": 800}, 10, 1.5)
    'run-1 5/10  loss 1.250  eval 1.500  400 tok/s  2 s left'
    """
    step, seconds = int(event["step"]), float(event.get("seconds", 0.0))
    parts = [f"{run} {step}/{total_steps}"]
    parts += [f"loss {float(event['loss']):.3f}"] if "loss" in event else []
    parts += [f"eval {float(eval_loss):.3f}"] if eval_loss is not None else []
    parts += [f"lr {float(event['learning_rate']):.1e}"] if "learning_rate" in event else []
    if seconds > 0 and step > 0:
        parts.append(f"{float(event.get('tokens', 0)) / seconds:,.0f} tok/s")
        parts.append(f"{seconds / step * max(0, total_steps - step):,.0f} s left")
    parts += [finding] if finding else []
    return "  ".join(parts)
