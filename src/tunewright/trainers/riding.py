"""Another trainer at work in its own interpreter: started, listened to while it trains, asked to stop, ended.

What happens on the other side is ``inside/host.py``; the two talk through files in the exported folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tunewright.curve.json_text import parse
from tunewright.record.files import write_whole
from tunewright.schema import jsonio
from tunewright.schema.errors import RunFailed
from tunewright.trainers.tool import Tool

HOST = Path(__file__).parent / "inside" / "host.py"
ORDER, EVENTS, STOP, ANSWER, LOG = "order.json", "events.jsonl", "stop", "answer.json", "log.txt"
ENDS_WITHIN_S = 20.0
"""Given to a trainer that is told to end at once, before it is killed."""

QUIET = {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
UNLESS_SET = {"CUDA_VISIBLE_DEVICES": "0", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
"""One process drives one device, and no tool we start reports to its makers, unless the user's environment says so."""


class Ride:
    """One run of ``tool`` in the exported ``folder``. As a context it never leaves a process behind.

    mode: "train" or "probe" (see inside/host.py); more: further words of the order.
    """

    def __init__(self, tool: Tool, python: str, folder: Path, mode: str, **more: Any) -> None:
        self._folder, self._python = folder, python
        self._read_bytes = self._size(EVENTS)
        self._rest = b""
        self._order = {"tool": tool.name, "folder": str(folder), "config": tool.file, "mode": mode, **more}
        self._order |= {name: str(folder / file) for name, file in FILES.items()}

    def __enter__(self) -> Ride:
        for name in (STOP, ANSWER):
            (self._folder / name).unlink(missing_ok=True)
        write_whole(self._folder / ORDER, jsonio.dumps(self._order, indent=True))
        with open(self.log, "ab") as log:
            # a session of its own: Ctrl-C in the terminal reaches us alone, and we ask it to stop
            self._process = subprocess.Popen(
                [self._python, str(HOST), str(self._folder / ORDER)],
                cwd=self._folder,
                env={**UNLESS_SET, **os.environ, **QUIET},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> Path:
        """Everything the trainer printed."""
        return self._folder / LOG

    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Wait until it ends, at most so long."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def ask_to_stop(self) -> None:
        """Let it finish its step, save a checkpoint and end."""
        write_whole(self._folder / STOP, "")

    def news(self) -> Iterator[Mapping[str, Any]]:
        """The events written since the last look; a line still being written waits for the next."""
        path = self._folder / EVENTS
        if self._size(EVENTS) <= self._read_bytes:
            return
        with open(path, "rb") as file:
            file.seek(self._read_bytes)
            data = self._rest + file.read()
            self._read_bytes = file.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            event = parse(line.decode("utf-8"))
            if isinstance(event, dict):
                yield event

    def answer(self) -> dict[str, Any]:
        """What a probe found. Raises RunFailed when the trainer ended without an answer."""
        try:
            text = (self._folder / ANSWER).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise self.failed() from None
        return dict(parse(text))

    def failed(self) -> RunFailed:
        """The error for a trainer that ended badly, with the last thing it said."""
        memory = out_of_memory(self._said())
        return RunFailed(
            f"{self._order['tool']} ended with status {self.status()}: {last_words(self._said())}",
            hint=f"everything it printed: {self.log}"
            if self._order["mode"] == "train"
            else "start it by hand to see more",
            code="out_of_memory" if memory else "",
        )

    def _said(self) -> str:
        try:
            return self.log.read_bytes()[-20_000:].decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _size(self, name: str) -> int:
        path = self._folder / name
        return path.stat().st_size if path.is_file() else 0


FILES = {"events": EVENTS, "stop": STOP, "answer": ANSWER}


def last_words(said: str) -> str:
    """What a log says went wrong: the last error named with the lines that follow it, else the last line.

    >>> last_words(chr(10).join(["Traceback:", "  File x", "ValueError: no such template", "  in rows", "done"]))
    'ValueError: no such template in rows done'
    """
    lines = [line.strip() for line in said.replace("\r", "\n").splitlines() if line.strip()]
    errors = [place for place, line in enumerate(lines) if _ERROR.match(line)]
    words = lines[errors[-1] : errors[-1] + 1 + MOST_LINES_AFTER] if errors else lines[-1:]
    return " ".join(words)[:400] or "it said nothing"


_ERROR = re.compile(r"[\w.]*(Error|Exception)\b(:|$)")
MOST_LINES_AFTER = 3
"""Lines of an error's text after its first one."""


def out_of_memory(said: str) -> bool:
    """Whether a log ends with the device's memory being full."""
    return "OutOfMemoryError" in said or "CUDA out of memory" in said
