"""The verb that shows runs in a browser."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tunewright.cli import options as o
from tunewright.schema.errors import Exit


@o.verb(
    click.argument("folder", metavar="[DIR]", default="runs", type=click.Path(path_type=Path)),
    o.text("--host", "host", "address to listen on; others than 127.0.0.1 let other machines in", default="127.0.0.1"),
    click.option(
        "--port", type=click.IntRange(0, 65535), metavar="N", help="port; without it the first free one from 8765 on"
    ),
    o.switch("--no-browser", name="no_browser", about="print the address, open nothing"),
    example="tunewright board runs",
)
def board(folder: Path, host: str, port: int | None, no_browser: bool) -> int:
    """Runs in the browser, live: curves with findings, comparisons, tunings as they decide; start a tuning there."""
    from tunewright.board.serve import serve

    serve(folder, host=host, port=port, open_browser=not no_browser, say=_say)
    return Exit.OK


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
