"""The one page of the board and its style; everything else on it is built by our own scripts from text."""

from __future__ import annotations

import re
from importlib import resources

from tunewright.reporter.html import stylesheet as report_style

_DARK = re.compile(r"@media screen and \(prefers-color-scheme: dark\) \{\s*:root \{(?P<colours>[^}]*)\}\s*\}")


def page() -> str:
    """The page: a frame without words of any run, and no script in it."""
    return _file("index.html")


def stylesheet() -> str:
    """The report's style, so that both faces look alike, with the board's own after it."""
    return choosable(report_style()) + _file("board.css")


def choosable(style: str) -> str:
    """A style whose dark colours follow the system becomes one where the reader may also choose.

    ``data-theme="dark"`` or ``"light"`` on the root rules over the system. One list of colours serves both.
    """
    found = _DARK.search(style)
    if found is None:
        return style
    colours = found["colours"]
    both = (
        "@media screen and (prefers-color-scheme: dark) {\n"
        f'  :root:not([data-theme="light"]) {{{colours}}}\n}}\n'
        f'@media screen {{ :root[data-theme="dark"] {{{colours}}} }}\n'
        ':root[data-theme="dark"] { color-scheme: dark; } :root[data-theme="light"] { color-scheme: light; }'
    )
    return style.replace(found[0], both)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("static", name).read_text(encoding="utf-8")
