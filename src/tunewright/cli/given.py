"""What a verb was given, as the use cases take it: the request, the command line, who speaks while it works."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from tunewright.cli.talk import Terminal

if TYPE_CHECKING:
    from tunewright.app.request import Request


def command_line() -> str:
    return "tunewright " + shlex.join(sys.argv[1:])


def request(settings: tuple[str, ...], **given: Any) -> Request:
    from tunewright.app.request import Request
    from tunewright.schema.recipe_io import parse_settings

    return Request(settings=parse_settings(settings), **given)


def terminal(quiet: bool, no_progress: bool) -> Terminal:
    """Who speaks to the user while a verb works; from here on Ctrl-C asks for a clean end."""
    speaking = Terminal(quiet=quiet, progress=not no_progress)
    speaking.listen_for_interrupt()
    return speaking
