"""Who may ask what: the board answers this machine's own browser, and starts work only for who has the token.

Three doors are closed here. A page of another site cannot send requests (its Origin differs from the Host asked).
A name that was rebound to this machine cannot either (Host must be a loopback name, or the one given with --host).
Whatever a data set, a run or a log contains stays text: no script but our own files may run in the page.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
READING = frozenset({"GET", "HEAD"})


def host_name(header: str) -> str:
    """The name in a Host header, without its port, in lower case; empty when it is none.

    >>> host_name("127.0.0.1:8765"), host_name("[::1]:8765"), host_name("LOCALHOST"), host_name("a/b")
    ('127.0.0.1', '::1', 'localhost', '')
    """
    try:
        split = urlsplit(f"//{header}")
        port = split.port
    except ValueError:
        return ""
    bare = split.path or split.query or split.fragment or split.username or port == 0
    return "" if bare else (split.hostname or "")


def same_origin(origin: str, host: str) -> bool:
    """Whether a request's Origin is the very address it was sent to, port and all.

    >>> same_origin("http://localhost:8765", "localhost:8765"), same_origin("http://evil.example", "localhost:8765")
    (True, False)
    """
    split = urlsplit(origin)
    return split.scheme in ("http", "https") and split.netloc.lower() == host.lower()


class Guard:
    """Wraps the application: refuses foreign hosts and origins, writes without the token, and sets the headers.

    hosts     : names beside the loopback ones under which the board may be asked for
    open_read : whether reading needs no token; so on the loopback, where only this machine can ask
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str] = (), *, open_read: bool = True) -> None:
        self._app, self._token, self._open_read = app, token, open_read
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        app = self._app if refused is None else refused

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host_name(host) not in self._hosts:
            return refusal(403, "foreign_host", "the board answers only to the name it was started for", "--host NAME")
        if origin is not None and not same_origin(origin, host):
            return refusal(403, "foreign_origin", "a page of another site asked; the board answers only its own", "")
        if scope["path"] in ("/api/unlock", "/") or scope["path"].startswith("/static/"):
            return None
        if (scope["method"] not in READING or not self._open_read) and not allowed(headers, self._token):
            hint = "open the address that `tunewright board` printed"
            return refusal(401, "token", "this needs the token of the board", hint)
        return None


def allowed(headers: Headers, token: str) -> bool:
    """Whether a request carries the token: in our cookie, or as ``Authorization: Bearer TOKEN``."""
    given = [headers.get("authorization", "").removeprefix("Bearer "), cookie(headers, cookie_name(headers))]
    return any(secrets.compare_digest(one.encode(), token.encode()) for one in given if one)


def cookie_name(headers: Headers) -> str:
    """Cookies are shared by all ports of a machine: each board has a name of its own, by the port asked."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"tunewright-{port if port.isdigit() else 'board'}"


def cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def refusal(status: int, code: str, message: str, hint: str) -> JSONResponse:
    """An error in the shape every face of the project uses."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status)
