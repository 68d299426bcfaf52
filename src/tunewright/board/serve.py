"""Starting the board: where it listens, what it prints, and how it ends."""

from __future__ import annotations

import os
import secrets
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import uvicorn

from tunewright.board.app import make_app
from tunewright.board.safety import LOOPBACK
from tunewright.record.find import MARKS, SERIES_MARK
from tunewright.schema.errors import EnvironmentMissing, UsageError

PORT = 8765
PORTS_TRIED = 50


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Show the runs below ``folder`` until Ctrl-C; ``folder`` may be one run or tuning, which is then shown first.

    port : None takes PORT or the next free one; 0 any free one; a port that was asked for and is taken is an error

    Raises UsageError when there is no such folder, EnvironmentMissing when no port can be had.
    """
    root, name = _root_of(folder)
    environment = dict(os.environ)
    os.environ["HF_HUB_OFFLINE"] = "1"  # the board asks no network; work started from it may fetch its model
    token = secrets.token_urlsafe(24)
    listening = listen(host, port)
    is_local = host in LOOPBACK
    app = make_app(root, token, hosts=_names(host), open_read=is_local, environment=environment)
    address = address_of(host, listening.getsockname()[1], name, token)
    for line in greeting(root, address, is_local):
        say(line)
    if open_browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def _root_of(folder: Path) -> tuple[Path, str]:
    """The runs folder, and the name of the run or tuning that was meant, if one was."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", hint="tunewright board runs")
    place = folder.absolute()
    is_run = any((place / mark).is_file() for mark in (*MARKS, SERIES_MARK))
    return (place.parent, place.name) if is_run else (place, "")


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket on the port asked for, or on PORT or the next that is free."""
    ports = range(PORT, PORT + PORTS_TRIED) if port is None else [port]
    for one in ports:
        try:
            return _bind(host, one)
        except OSError as error:
            reason = error.strerror or str(error)
    raise EnvironmentMissing(f"{host}, port {ports[-1]}: {reason}", hint="tunewright board --port 0")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def _names(host: str) -> list[str]:
    """Names the board answers to beside the loopback ones: on every address, those of this machine."""
    if host in ("0.0.0.0", "::", ""):
        return [socket.gethostname(), socket.getfqdn(), *_own_addresses()]
    return [host]


def _own_addresses() -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)]
    except OSError:
        return []


def address_of(host: str, port: int, name: str, token: str) -> str:
    """The address to open. The token stands behind the ``#``: browsers never send that part anywhere.

    >>> address_of("127.0.0.1", 8765, "tune-1", "secret")
    'http://127.0.0.1:8765/?run=tune-1#token=secret'
    """
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    query = f"?{urlencode({'run': name}, quote_via=quote)}" if name else ""
    return f"http://{shown}:{port}/{query}#token={token}"


def greeting(root: Path, address: str, is_local: bool) -> list[str]:
    """What is said at the start."""
    lines = [f"the runs of {root} are shown at", f"  {address}"]
    if not is_local:
        lines.append("other machines can reach it: only who has this address with its token can read or start anything")
    return [*lines, "Ctrl-C ends the board; runs go on without it"]
