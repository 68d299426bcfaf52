"""The board's addresses: thin, each hands its question to a plain function and its answer to JSON."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import anyio.to_thread
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tunewright.board.answers import charts_answer, page_answer
from tunewright.board.compare import compare_answer, differences_answer
from tunewright.board.following import form_answer, next_answer
from tunewright.board.jobs import Jobs, next_order, shown, tuning_order
from tunewright.board.listing import listing
from tunewright.board.live import LIST_EVERY_S, LOOK_EVERY_S, Event, ListWatch, RunWatch, SeriesWatch, stream
from tunewright.board.masks import masks_answer
from tunewright.board.page import page, stylesheet
from tunewright.board.places import folder_at
from tunewright.board.safety import Guard, allowed, cookie_name, refusal
from tunewright.board.store import Store
from tunewright.record.find import SERIES_MARK
from tunewright.schema import jsonio
from tunewright.schema.errors import EnvironmentMissing, TunewrightError, UsageError

MOST_BODY_BYTES = 200_000
STATIC = Path(str(resources.files(__package__).joinpath("static")))


def make_app(
    root: Path,
    token: str,
    *,
    hosts: Iterable[str] = (),
    open_read: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Guard:
    """The application over the runs below ``root``.

    token       : what must be known to write or start anything
    hosts       : names beside the loopback ones it answers to
    open_read   : whether reading needs no token
    environment : of the work that is started; None: the board's own
    """
    board = Board(root.absolute(), token, environment)
    routes = [
        Route("/", board.page),
        Route("/static/style.css", board.style),
        Route("/api/runs", board.runs),
        Route("/api/page", board.words),
        Route("/api/charts", board.charts),
        Route("/api/compare", board.compare),
        Route("/api/differences", board.differences),
        Route("/api/next", board.next),
        Route("/api/form", board.form),
        Route("/api/live", board.live),
        Route("/api/job", board.job),
        Route("/api/access", board.access),
        Route("/api/unlock", board.unlock, methods=["POST"]),
        Route("/api/preview", board.preview, methods=["POST"]),
        Route("/api/start", board.start, methods=["POST"]),
        Route("/api/start-next", board.start_next, methods=["POST"]),
        Route("/api/stop", board.stop, methods=["POST"]),
        Route("/api/masks", board.masks, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(routes=routes, exception_handlers={TunewrightError: refused, 404: not_found})
    return Guard(app, token, hosts, open_read=open_read)


class Board:
    """The addresses. Work that reads files is done in threads, so that no log, however long, stops the others."""

    def __init__(self, root: Path, token: str, environment: Mapping[str, str] | None) -> None:
        self.root, self.token, self.environment = root, token, environment
        self.store, self.jobs = Store(root), Jobs(root, environment)

    async def page(self, request: Request) -> Response:
        return Response(page(), media_type="text/html; charset=utf-8", headers={"cache-control": "no-cache"})

    async def style(self, request: Request) -> Response:
        return Response(stylesheet(), media_type="text/css; charset=utf-8", headers={"cache-control": "no-cache"})

    async def runs(self, request: Request) -> Response:
        return await answered(listing, self.root)

    async def words(self, request: Request) -> Response:
        return await answered(page_answer, self.store, request.query_params.get("run", ""))

    async def charts(self, request: Request) -> Response:
        run = request.query_params.get("run", "")
        return await answered(partial(charts_answer, self.store, run, **drawing(request)))

    async def compare(self, request: Request) -> Response:
        names = request.query_params.getlist("run")
        return await answered(partial(compare_answer, self.store, names, **drawing(request)))

    async def differences(self, request: Request) -> Response:
        return await answered(differences_answer, self.store, request.query_params.getlist("run"))

    async def next(self, request: Request) -> Response:
        return await answered(next_answer, self.store, request.query_params.get("run", ""))

    async def form(self, request: Request) -> Response:
        return await answered(form_answer)

    async def live(self, request: Request) -> Response:
        look, every_s = self._watch(request)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(stream(look, every_s), media_type="text/event-stream", headers=headers)

    def _watch(self, request: Request) -> tuple[Callable[[], list[Event]], float]:
        run = request.query_params.get("run")
        if run is None:
            return ListWatch(self.root), LIST_EVERY_S
        if (folder_at(self.root, run) / SERIES_MARK).is_file():
            return SeriesWatch(self.store, run), LOOK_EVERY_S
        asked = drawing(request)
        cursor = request.query_params.get("cursor", "")
        return RunWatch(self.store, run, cursor, asked["x"], asked["smoothing"]), LOOK_EVERY_S

    async def job(self, request: Request) -> Response:
        return await answered(self.jobs.state, request.query_params.get("name", ""))

    async def access(self, request: Request) -> Response:
        """Whether this page may start work."""
        return as_json({"token": allowed(request.headers, self.token)})

    async def unlock(self, request: Request) -> Response:
        """The token, once shown, is kept in a cookie that no script can read."""
        asked = await body(request)
        if not secrets.compare_digest(str(asked.get("token", "")).encode(), self.token.encode()):
            return refusal(401, "token", "that is not the token of this board", "it is in the address it printed")
        answer = as_json({"token": True})
        answer.set_cookie(cookie_name(request.headers), self.token, httponly=True, samesite="strict", path="/")
        return answer

    async def preview(self, request: Request) -> Response:
        """The command that :meth:`start` would run."""
        order = tuning_order(self.root, await body(request))
        return as_json({"command": shown(order, self.root)})

    async def start(self, request: Request) -> Response:
        order = tuning_order(self.root, await body(request))
        return await answered(self._begin, order)

    async def start_next(self, request: Request) -> Response:
        asked = await body(request)
        following = await anyio.to_thread.run_sync(next_answer, self.store, str(asked.get("run", "")))
        if not following["can_start"]:
            raise UsageError("the recipe of this run is not known, so the next one cannot be started")
        return await answered(self._begin, next_order(self.root, following["recipe"]))

    def _begin(self, order: Any) -> dict[str, Any]:
        return {"name": self.jobs.start(order), "command": shown(order, self.root)}

    async def stop(self, request: Request) -> Response:
        asked = await body(request)
        self.jobs.stop(str(asked.get("name", "")))
        return as_json({"stopping": True})

    async def masks(self, request: Request) -> Response:
        return as_json(await masks_answer(self.root, await body(request), self.environment))


def as_json(value: Any, status: int = 200) -> Response:
    content = orjson.dumps(value, default=jsonio.plain)
    return Response(content, status, media_type="application/json", headers={"cache-control": "no-store"})


async def answered(function: Callable[..., Any], *arguments: Any) -> Response:
    """The answer of a function that reads files, from a thread."""
    return as_json(await anyio.to_thread.run_sync(function, *arguments))


def drawing(request: Request) -> dict[str, Any]:
    """What decides how charts are drawn: the axis, the smoothing, the part that is looked at."""
    asked = request.query_params
    zoom = (_number(asked.get("from")), _number(asked.get("to")))
    known = zoom[0] is not None and zoom[1] is not None and zoom[0] < zoom[1]
    return {"x": asked.get("x", "step"), "smoothing": asked.get("smooth") != "0", "zoom": zoom if known else None}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


async def body(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Raises UsageError when it is none, or larger than any form."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_BODY_BYTES:
            raise UsageError("the request is larger than any form")
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        raise UsageError("the request is no JSON object") from None
    if not isinstance(value, dict):
        raise UsageError("the request is no JSON object")
    return value


async def refused(request: Request, error: Exception) -> Response:
    """Every error a user can cause, in the shape of the command line's JSON."""
    assert isinstance(error, TunewrightError)
    missing = error.code == "no_such_run"
    status = 404 if missing else 503 if isinstance(error, EnvironmentMissing) else 400
    return refusal(status, error.code, error.message, error.hint)


async def not_found(request: Request, error: Exception) -> Response:
    return refusal(404, "no_such_address", "nothing is at this address", "")
