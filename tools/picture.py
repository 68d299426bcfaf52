"""A terminal's text as an SVG picture: ``tunewright tune demo 2>&1 | python tools/picture.py docs/demo.svg``."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

LINE_PX, CHARACTER_PX, MARGIN_PX, COLUMNS = 17, 7.9, 16, 116
STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#24292f;white-space:pre}"
    "rect{fill:#f6f8fa}@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#161b22}}"
)


def picture(lines: list[str]) -> str:
    """The lines as monospaced text on a rounded ground, in the reader's light or dark mode."""
    width = max(map(len, lines)) * CHARACTER_PX + 2 * MARGIN_PX
    height = len(lines) * LINE_PX + 2 * MARGIN_PX
    rows = [
        f'<text x="{MARGIN_PX}" y="{MARGIN_PX + LINE_PX * (n + 0.8):.0f}" xml:space="preserve">{escape(line)}</text>'
        for n, line in enumerate(lines)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" role="img">'
    title = "<title>What tunewright tune demo prints</title>"
    ground = f'<rect width="{width:.0f}" height="{height:.0f}" rx="8"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", ground, *rows, "</svg>"]) + "\n"


if __name__ == "__main__":
    read = [line.rstrip()[:COLUMNS] for line in sys.stdin.read().splitlines()]
    Path(sys.argv[1]).write_text(picture(read))
