"""What a model's own card says of it."""

from __future__ import annotations

import re
from pathlib import Path

_LICENCE = re.compile(r"^license(?:_name)?:[ \t]*['\"]?([^'\"\n#]+)", re.MULTILINE)
_MOST_CHARACTERS = 20_000


def licence_of(folder: str | Path) -> str | None:
    """The licence named at the head of a model folder's README.md; None where none is named or at hand."""
    try:
        with open(Path(folder) / "README.md", encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_CHARACTERS)
    except OSError:
        return None
    if not text.startswith("---"):
        return None
    named = _LICENCE.findall(text.split("\n---", 1)[0])
    # A card with "license: other" names the real one beside it.
    return named[-1].strip() if named else None
