"""The page to look at, at /, and what it asks for."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from .._errors import ConfigurationError
from . import _answer, _explain
from ._reading import MistakenExperiences
from ._state import State

PAGE = files(__name__.rpartition(".")[0]) / "page.html"
LOOK = 0.2  # seconds between two looks for a change: it may come from another thread, which wakes no task of this one


def page_routes(state: State) -> list[Route]:
    """The routes of the page."""
    page = _Page(state)
    return [
        Route("/", page.html, methods=["GET"]),
        Route("/_sandbox/state", page.state, methods=["GET"]),
        Route("/_sandbox/explain", page.explain, methods=["POST"]),
        Route("/_sandbox/changes", page.changes, methods=["GET"]),
        Route("/_sandbox/experiences", page.replace, methods=["PUT"]),
        Route("/_sandbox/rate-limit", page.limit, methods=["PUT"]),
    ]


class _Page:
    def __init__(self, state: State) -> None:
        self._state = state

    async def html(self, _: Request) -> Response:
        # Nothing but what is in the page, and this server: whatever an experience holds, it is text here.
        allowed = ["style-src 'unsafe-inline'", "script-src 'unsafe-inline'", "connect-src 'self'", "img-src data:"]
        policy = "; ".join(["default-src 'none'", "frame-ancestors 'none'", *allowed])
        return HTMLResponse(PAGE.read_text("utf-8"), headers={"Content-Security-Policy": policy})

    async def state(self, _: Request) -> Response:
        """What the page shows before anything is asked for; the credentials are the sandbox's own."""
        state = self._state
        state.refresh()
        token = b64encode(f"{state.world.workspace_id}:{state.world.api_key}".encode()).decode("ascii")
        return _answer.response(
            {
                "workspace_id": state.world.workspace_id,
                "authorization": f"Basic {token}",
                "experiences": _explain.overview(state.world.experiences),
                "text": state.text(),
                "file": str(state.source) if isinstance(state.source, Path) else None,
                "mistakes": _mistakes(state.mistake),
                "rate_limit": {"limit": state.minute.limit, "used": state.minute.used},
                "failure": state.failure.shown(),
            }
        )

    async def explain(self, request: Request) -> Response:
        """Why a fetch with this body gets what it gets."""
        fetch = _answer.fetch(await request.body())
        customer_id: str = fetch.get("identifiers", {}).get("customer_id", "")
        return _answer.response({"keys": _explain.explained(self._state.world.experiences, fetch, customer_id)})

    async def changes(self, _: Request) -> Response:
        """Say when something has changed, as server-sent events, until the page is closed."""
        return StreamingResponse(self._changes(), media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[str]:
        before: dict[str, Any] = {}
        while True:  # the response is cancelled when its client has gone
            self._state.refresh()
            now = {
                "edition": self._state.edition,
                "events": self._state.received.times.total(),
                "requests": self._state.counted,
                "failure": self._state.failure.shown(),
                "used": self._state.minute.used,
                "limit": self._state.minute.limit,
            }
            if now != before:
                yield f"data: {json.dumps(now)}\n\n"
                before = now
            await asyncio.sleep(LOOK)

    async def replace(self, request: Request) -> Response:
        """Serve other experiences, given as YAML."""
        try:
            self._state.replace((await request.body()).decode("utf-8"))
        except UnicodeDecodeError:
            return _answer.response({"mistakes": [{"line": 0, "text": "expected UTF-8"}]}, 400)
        except ConfigurationError as error:
            return _answer.response({"mistakes": _mistakes(error)}, 400)
        return _answer.response({"mistakes": []})

    async def limit(self, request: Request) -> Response:
        """Set the rate limit: {"limit": 10}, requests a minute."""
        body = _answer.parsed(await request.body())
        limit: Any = cast(dict[str, Any], body).get("limit") if isinstance(body, dict) else None
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise _answer.invalid("limit - expected a whole number from 0")
        self._state.minute.limit = limit
        return _answer.response({"limit": limit})


def _mistakes(error: ConfigurationError | None) -> list[dict[str, Any]]:
    if isinstance(error, MistakenExperiences):
        return [{"line": one.line, "text": f"{one.place}: {one.reason}"} for one in error.mistakes]
    return [] if error is None else [{"line": 0, "text": str(error)}]
