"""Notes and tags that a person puts on a run: a file of their own, so that a run at work is never written over."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from tunewright.record.run import Run
from tunewright.schema.errors import UsageError

NOTES_FILE = "notes.json"
LONGEST_NOTE = 10_000
_TAG = re.compile(r"[\w.:/+-]{1,60}")


def read_notes(run: Run) -> dict[str, Any]:
    """``{"notes": [{"t", "text"}], "tags": [...]}``; raises DataError when the file is damaged."""
    kept = run.read(NOTES_FILE)
    notes, tags = kept.get("notes"), kept.get("tags")
    return {"notes": notes if isinstance(notes, list) else [], "tags": tags if isinstance(tags, list) else []}


def add_note(run: Run, text: str) -> dict[str, Any]:
    """Keep a note with its time. Raises UsageError for an empty or endless one."""
    if not text.strip() or len(text) > LONGEST_NOTE:
        raise UsageError(f"a note of {len(text)} characters: expected 1 to {LONGEST_NOTE}")
    kept = read_notes(run)
    kept["notes"].append({"t": time.time(), "text": text.strip()})
    run.write(NOTES_FILE, kept)
    return kept


def set_tags(run: Run, add: Sequence[str] = (), remove: Sequence[str] = ()) -> dict[str, Any]:
    """Put tags on a run and take others off; one it has, or has not, already is no fault."""
    for tag in add:
        if not _TAG.fullmatch(tag):
            raise UsageError(
                f"tag {tag!r}: expected one word of letters, digits and . _ : / + -, at most 60 characters"
            )
    kept = read_notes(run)
    tags = [tag for tag in dict.fromkeys([*kept["tags"], *add]) if tag not in remove]
    run.write(NOTES_FILE, {**kept, "tags": tags})
    return {**kept, "tags": tags}
