"""Printing answers: one JSON document or plain text, always on stdout."""

from __future__ import annotations

import sys
from typing import Any

from tunewright.schema import jsonio


def emit(answer: Any, text: str, *, as_json: bool) -> None:
    """Print the answer as the one JSON document, or as text for people."""
    if as_json:
        sys.stdout.buffer.write(jsonio.document(answer))
        sys.stdout.flush()
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")
