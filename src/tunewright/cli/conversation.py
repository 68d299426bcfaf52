"""The terminal of a chat: two columns that grow as the models speak, or plain lines where there is no terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TextIO

from tunewright.reporter.lines import wrap
from tunewright.reporter.words import columns_of, plural, safe

if TYPE_CHECKING:
    from tunewright.app.chat import Chat
    from tunewright.examiner.ask import Growing

GAP = " \N{BOX DRAWINGS LIGHT VERTICAL} "
LONGEST_SHOWN = 100_000
"""Characters of an answer that are drawn; more than any model writes."""
COMMANDS = "/new forgets the conversation, /quit or Ctrl-D ends it, Ctrl-C stops an answer"


def side_by_side(said: Mapping[str, str], width: int) -> list[str]:
    """Texts beside each other under their names, in at most ``width`` columns; below each other where that is narrow.

    What a model writes cannot steer the terminal: control characters are made visible.

    >>> side_by_side({"base": "No.", "tuned": "Dock\\x1b[2J seven."}, 43)
    ['base                 │ tuned', 'No.                  │ Dock␛[2J seven.']
    """
    column = (width - len(GAP) * (len(said) - 1)) // max(1, len(said))
    if column < 20 or len(said) == 1:
        return [line for who, text in said.items() for line in (f"{who}:", *_lines(text, width))]
    columns = [[who, *_lines(text, column)] for who, text in said.items()]
    rows = max(len(one) for one in columns)
    padded = [[*one, *[""] * (rows - len(one))] for one in columns]
    return [GAP.join(_filled(cell, column) for cell in row).rstrip() for row in zip(*padded, strict=True)]


def _lines(text: str, width: int) -> list[str]:
    return [line for part in safe(text, LONGEST_SHOWN).split("\n") for line in wrap(part, width)]


def _filled(cell: str, width: int) -> str:
    return cell + " " * max(0, width - columns_of(cell))


class Columns:
    """Draws growing answers over themselves; what no longer fits on the screen is shown whole at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = 0

    def draw(self, said: Mapping[str, str], *, last: bool) -> None:
        size = shutil.get_terminal_size((80, 24))
        lines = side_by_side(said, size.columns - 1)
        shown = lines if last else lines[-(size.lines - 2) :]
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._out.write(back + "\n".join(shown) + "\n")
        self._out.flush()
        self._drawn = 0 if last else len(shown)


def questions(chat: Chat) -> Iterator[str]:
    """What the user asks, until Ctrl-D, Ctrl-C at the prompt, or /quit; each line of a pipe is a question."""
    for line in _typed() if sys.stdin.isatty() else _piped():
        question = line.strip()
        if question == "/quit":
            return
        if question == "/new":
            chat.start_again()
            sys.stderr.write("a new conversation\n")
        elif question:
            yield question


def _typed() -> Iterator[str]:
    import readline  # noqa: F401  editing and history of the line

    sys.stderr.write(COMMANDS + "\n")
    while True:
        try:
            yield input("\n> ")
        except (EOFError, KeyboardInterrupt):
            sys.stderr.write("\n")
            return


def _piped() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace")


def converse(chat: Chat, *, as_json: bool) -> None:
    """Ask and answer until the questions end. Prints nothing with ``as_json``: the caller prints the chat."""
    live = sys.stdout.isatty()
    for question in questions(chat):
        if as_json:
            for _ in chat.ask(question):
                pass
        elif live:
            _live(chat, question)
        else:
            _plain(chat, question)


def _live(chat: Chat, question: str) -> None:
    columns = Columns(sys.stdout)
    known, before = chat.forgotten, len(chat.exchanges)
    answering = chat.ask(question)
    try:
        for said in answering:
            columns.draw(_texts(said), last=False)
    except KeyboardInterrupt:
        if len(chat.exchanges) == before:  # stopped before the first token
            return
    columns.draw(_texts(chat.exchanges[-1].answers), last=True)
    if chat.forgotten > known:
        sys.stderr.write(f"({plural(chat.forgotten, 'earlier exchange')} no longer fit and were left out)\n")


def _plain(chat: Chat, question: str) -> None:
    for _ in chat.ask(question):
        pass
    sys.stdout.write(f"you: {safe(question, LONGEST_SHOWN)}\n")
    for who, said in _texts(chat.exchanges[-1].answers).items():
        sys.stdout.write(f"{who}: {safe(said, LONGEST_SHOWN)}\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _texts(said: Mapping[str, Growing]) -> dict[str, str]:
    return {who: one.text + (" ..." if one.cut else "") for who, one in said.items()}
