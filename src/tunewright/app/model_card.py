"""The model card of a run: written beside its adapter when it ends and when it was examined; checked on demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.record.files import write_whole
from tunewright.record.run import Run
from tunewright.reporter import card
from tunewright.reporter.card_check import Complaint
from tunewright.reporter.run_view import View
from tunewright.reporter.view import read_view
from tunewright.schema.errors import DataError

CARD_FILE = "README.md"


def card_path(folder: Path) -> Path:
    """Where the card of a run or tuning lies: beside the adapter, or in the folder when there is none."""
    kept = Run(folder).kept
    return (kept if kept.is_dir() else folder) / CARD_FILE


def render_card(view: View, path: Path) -> str:
    """The card from the records, with what a person filled in of the one at ``path``."""
    return card.render_card(view, personal=card.personal_part(_text(path)))


def write_card(run: Run) -> Path:
    """Make the card of a run anew from its records; what a person filled in stays."""
    path = card_path(run.path)
    write_whole(path, render_card(read_view(run.path), path))
    return path


def license_of(model: str) -> str:
    """The licence that the card in a model's folder names; empty for a Hub name and where none is named."""
    try:
        named = card.head_of((Path(model) / CARD_FILE).read_text(encoding="utf-8")).get("license")
    except (OSError, ValueError):
        return ""
    return named if isinstance(named, str) else ""


@dataclass(frozen=True)
class Checked:
    """The card that was looked at, and everything wrong with it."""

    card: Path
    complaints: tuple[Complaint, ...]

    def __json__(self) -> dict[str, Any]:
        return {"card": str(self.card), "ok": not self.complaints, "complaints": self.complaints}


def check_card(source: str | Path, *, file: str | Path = "") -> Checked:
    """Whether the card of a run or tuning can be published. ``file``: a card elsewhere, as it was edited.

    Raises UsageError for a folder that is no run, DataError for a card that cannot be read.
    """
    from tunewright.reporter.card_check import check_card as complaints_of

    view = read_view(Path(source))
    path = Path(file) if file else card_path(Path(view.path))
    if not path.exists():
        missing = Complaint(0, f"there is no card yet: tunewright report {source} --format md writes it")
        return Checked(path.absolute(), (missing,))
    return Checked(path.absolute(), tuple(complaints_of(_text(path), view)))


def _text(path: Path) -> str:
    """The card as it lies there; empty when there is none. Raises DataError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
