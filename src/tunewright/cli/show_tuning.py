"""The story of a tuning as text: when, what was decided, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.cli.show import width
from tunewright.reporter.lines import hanging
from tunewright.reporter.words import figure


def story_text(story: Mapping[str, Any]) -> str:
    """One decision a paragraph, with the time since the start; then the kept run and why it ended."""
    lines = [f"{story['tuning']}, goal {story['goal']}", ""]
    for decision in story["decisions"]:
        lines += hanging(f"{_clock(decision['seconds']):>8}  ", decision["text"], width())
    best = story["best"]
    if best:
        lines += ["", f"kept     {best['run']}{_averaged(best)}, validation loss {figure(best['eval_loss'])}"]
    if not story["stopped_because"]:
        lines += ["", "It has not ended: tunewright tune ... --resume goes on."]
    return "\n".join(lines)


def _averaged(best: Mapping[str, Any]) -> str:
    """What of the kept run is to be used, where that is not its own best."""
    mean = best.get("blend")
    return f"/blend, the mean of {', '.join(mean['names'])}" if mean else ""


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock(75.2), _clock(3600)
    ('1:15', '1:00:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
