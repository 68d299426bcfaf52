"""``tunewright explain CODE``: what a symptom is, how it is computed, what looks alike, what to do, sources."""

from __future__ import annotations

from importlib import import_module
from textwrap import fill
from typing import Any

from tunewright.doctor import thresholds
from tunewright.doctor.codes import CODES, symptom_of
from tunewright.doctor.pages import Page
from tunewright.doctor.thresholds import Threshold
from tunewright.schema.errors import UsageError

WIDTH = 100
_MODULES = ("instability", "learning", "fit", "data", "schedule", "log")


def explain(name: str) -> str:
    """The page of a code ("TW302") or symptom ("overfit") as plain text.

    Raises UsageError for an unknown name, with the nearest known one.

    >>> explain("TW302").splitlines()[0]
    'TW302 overfit (warning)'
    """
    symptom = symptom_meant(name)
    entry, told = CODES[symptom], page(symptom)
    parts = [
        ("How it is computed", [told.how]),
        ("Thresholds", [f"- {limit_text(name)}" for name in told.thresholds]),
        ("Looks alike", [told.lookalikes]),
        ("What to do", [told.do]),
        ("Sources", [f"- {source}" for source in told.sources]),
    ]
    said = [f"{entry.code} {symptom} ({entry.severity})", fill(told.what, WIDTH)]
    said += ["\n".join([title, *map(_indented, texts)]) for title, texts in parts if texts]
    return "\n\n".join(said) + "\n"


def explained(name: str) -> dict[str, Any]:
    """The same page as JSON-ready parts. Raises UsageError."""
    symptom = symptom_meant(name)
    entry, told = CODES[symptom], page(symptom)
    head = {"code": entry.code, "symptom": symptom, "severity": entry.severity, "what": told.what, "how": told.how}
    limits = {name.lower(): getattr(thresholds, name) for name in told.thresholds}
    return {**head, "thresholds": limits, "lookalikes": told.lookalikes, "do": told.do, "sources": told.sources}


def _indented(text: str) -> str:
    return fill(text, WIDTH, initial_indent="  ", subsequent_indent="    " if text.startswith("- ") else "  ")


def limit_text(name: str) -> str:
    """One threshold as the table has it."""
    entry: Threshold = getattr(thresholds, name)
    rate = "" if entry.false_alarm is None else f"; false alarms meant: {100 * entry.false_alarm:g} % of healthy runs"
    return f"{name.lower()} = {entry.value:g} {entry.unit} ({entry.source}{rate})"


def page(symptom: str) -> Page:
    """The page of a published symptom. Raises KeyError for any other word."""
    for module in _MODULES:
        pages: dict[str, Page] = import_module(f"tunewright.doctor.pages.{module}").PAGES
        if symptom in pages:
            return pages[symptom]
    raise KeyError(symptom)


def symptom_meant(name: str) -> str:
    """The symptom of a code or a name. Raises UsageError for any other word, with the nearest one."""
    symptom = symptom_of(name)
    if symptom is not None:
        return symptom
    import difflib  # only for a mistyped name

    known = [*CODES, *(entry.code.lower() for entry in CODES.values())]
    close = next(iter(difflib.get_close_matches(name.lower(), known, n=1)), "")
    meant = f", did you mean {close!r}?" if close else ""
    raise UsageError(f"{name!r}: no such code or symptom{meant}", hint=f"tunewright explain {close or 'overfit'}")
