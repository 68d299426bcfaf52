"""``tunewright explain CODE``: what a symptom is, how it is computed, what looks alike, what to do, sources."""

from __future__ import annotations

from importlib import import_module

from tunewright.doctor.codes import CODES, symptom_of
from tunewright.doctor.pages import Page
from tunewright.schema.errors import UsageError

_MODULES = ("instability", "learning", "fit", "data", "schedule", "log")


def explain(name: str) -> str:
    """The page of a code ("TW302") or symptom ("overfit") as plain text.

    Raises UsageError for an unknown name, with the nearest known one.

    >>> explain("TW302").splitlines()[0]
    'TW302 overfit (warning)'
    """
    symptom = symptom_of(name)
    if symptom is None:
        raise UsageError(f"{name!r}: no such code or symptom{_nearest(name)}", hint="tunewright explain overfit")
    entry, told = CODES[symptom], page(symptom)
    sources = "\n".join(f"  - {source}" for source in told.sources)
    return (
        f"{entry.code} {symptom} ({entry.severity})\n\n{told.what}\n\n"
        f"How it is computed\n  {told.how}\n\nLooks alike\n  {told.lookalikes}\n\n"
        f"What to do\n  {told.do}\n\nSources\n{sources}\n"
    )


def page(symptom: str) -> Page:
    """The page of a published symptom. Raises KeyError for any other word."""
    for module in _MODULES:
        pages: dict[str, Page] = import_module(f"tunewright.doctor.pages.{module}").PAGES
        if symptom in pages:
            return pages[symptom]
    raise KeyError(symptom)


def _nearest(name: str) -> str:
    import difflib  # only for a mistyped name

    known = [*CODES, *(entry.code.lower() for entry in CODES.values())]
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""
