"""The sandbox as an ASGI application: the API under /v1, and what looks at it and steers it under /_sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from attrs import asdict
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .._errors import ConfigurationError
from . import _answer, _connections
from ._answer import Body, Refusal, Usage, World
from ._failure import Fault
from ._page import page_routes
from ._reading import WatchedFile, read
from ._state import Minute, ReceivedRequest, State

WORKSPACE_ID = "SANDBOX"
API_KEY = "sandbox-key"
RATE_LIMIT = 10_000  # requests a minute, as documented

Handler = Callable[[Request, bytes], Body]
Endpoint = Callable[[Request], Awaitable[Response]]


def app(
    experiences: Mapping[str, Any] | Path | str | None = None,
    *,
    workspace_id: str = WORKSPACE_ID,
    api_key: str = API_KEY,
    rate_limit: int = RATE_LIMIT,
    reload: bool = False,
) -> Sandbox:
    """Make the local stand-in for the API, an ASGI application.

    Args:
        experiences: who gets what: a YAML file, or a dict of the same shape (the guide describes it), or a short dict,
            each key with the values that everyone gets: {"homepage-banner": {"Title": "Hello"}}. None for the built-in
            examples.
        workspace_id: the only workspace it knows.
        api_key: the key of that workspace.
        rate_limit: requests a minute, from 0; one more answers 429.
        reload: read the file again when it has changed; with mistakes in it, what was read before goes on.

    Raises:
        ConfigurationError: the file cannot be read, or what it holds are no experiences; it names every mistake.
    """
    source = Path(experiences) if isinstance(experiences, str) else experiences
    file = WatchedFile(source) if reload and isinstance(source, Path) else None
    return Sandbox(State(World(read(source), workspace_id, api_key), Minute(rate_limit), source, file))


class Sandbox(Starlette):
    """The stand-in, and what it has received so far."""

    def __init__(self, state: State) -> None:
        self._state = state
        super().__init__(
            routes=[
                Route("/v1/experiences/fetch", self._answered(self._fetch), methods=["POST"]),
                Route("/v1/experiences/metadata", self._answered(self._metadata), methods=["GET"]),
                Route("/v1/experiences/events", self._answered(self._report), methods=["POST"]),
                Route("/_sandbox/requests", self._show_requests, methods=["GET"]),
                Route("/_sandbox/events", self._show_events, methods=["GET"]),
                Route("/_sandbox/events", self._forget_events, methods=["DELETE"]),
                Route("/_sandbox/fail", self._fail, methods=["POST"]),
                *page_routes(state),
            ],
            exception_handlers={ClientDisconnect: _gone, Refusal: _refused},
        )

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests to the API, oldest first; the last 10,000."""
        return self._state.requests[:]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that were accepted, each once, oldest first; "received" says how often it came."""
        return self._state.received.listed()

    @property
    def keys(self) -> list[str]:
        """The keys of its experiences, those that are paused or scheduled too."""
        return [experience.key for experience in self._state.world.experiences]

    @property
    def armed(self) -> int:
        """How many requests are still to fail."""
        return self._state.failure.times

    def fail(self, status: int | None = None, *, times: int = 1, delay: float = 0.0, drop: bool = False) -> None:
        """Answer the next requests otherwise, as POST /_sandbox/fail does.

        Args:
            status: what they are answered with, 400 to 599; None for 500, or, with a delay, for what they deserve.
            times: how many requests; 0 ends it.
            delay: seconds before each answer, at most 60.
            drop: close the connection instead of an answer.

        Raises:
            ConfigurationError: a value that cannot be.
        """
        given = {"times": times, "delay": delay, "drop": drop} | ({} if status is None else {"status": status})
        problem = self._state.failure.arm(given)
        if problem is not None:
            raise ConfigurationError(f"expected a failure that can be armed, got {problem}")

    def load(self, experiences: Mapping[str, Any] | Path | str | None) -> None:
        """Serve these experiences from now on, in place of all others; as `app` takes them, but not read again.

        Raises:
            ConfigurationError: what `app` refuses; nothing has changed.
        """
        self._state.load(experiences)

    def reset(self) -> None:
        """Forget requests, events, armed failures and how much of the rate limit is used; the experiences stay."""
        self._state.forget()

    def _answered(self, handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._state.refresh()
            usage, fault = self._state.minute.count(), self._state.failure.next()
            body = await request.body()
            await _wait(fault, request)
            status, answer = self._outcome(fault, request, body, usage, handler)
            url = request.url
            self._state.keep(ReceivedRequest(request.method, url.path, url.query, _json(body), status))
            if status is None:
                if await _connections.drop(request):
                    return Response()  # to nobody
                raise ConnectionResetError("the sandbox was asked to drop this connection")
            return Response(_answer.content(answer), status, usage.headers(), "application/json")

        return endpoint

    def _outcome(
        self, fault: Fault, request: Request, body: bytes, usage: Usage, handler: Handler
    ) -> tuple[int | None, Body]:
        """Status and body; no status where the connection is to be dropped."""
        if fault.drop:
            return None, {}
        try:
            if fault.status is not None:
                raise Refusal(fault.status, "Sandbox", "A failure was armed for this request.")
            _answer.check(self._state.world, dict(request.headers), usage)
            return 200, handler(request, body)
        except Refusal as refusal:
            return refusal.status, refusal.body

    def _fetch(self, _: Request, body: bytes) -> Body:
        return _answer.answer(self._state.world, body)

    def _metadata(self, request: Request, _: bytes) -> Body:
        return _answer.metadata(self._state.world, request.query_params.get("status"))

    def _report(self, _: Request, body: bytes) -> Body:
        return _answer.events(self._state.received, body)

    async def _show_requests(self, _: Request) -> Response:
        listed = [asdict(one, recurse=False) for one in self.requests]
        return _answer.response({"count": len(listed), "requests": listed})

    async def _show_events(self, _: Request) -> Response:
        return _answer.response(self._state.received.shown())

    async def _forget_events(self, _: Request) -> Response:
        self._state.received.clear()
        return _answer.response(self._state.received.shown())

    async def _fail(self, request: Request) -> Response:
        problem = self._state.failure.arm(_answer.parsed(await request.body()))
        if problem is not None:
            raise _answer.invalid(problem)
        return _answer.response(self._state.failure.shown())


async def _wait(fault: Fault, request: Request) -> None:
    """Wait as long as the fault says, or until the client has gone: nobody waits for an answer to nobody."""
    if fault.delay:
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.delay):
                await request.receive()  # its body has been read, so that what comes now is the disconnect


def _json(body: bytes) -> object:
    try:
        return _answer.parsed(body)
    except Refusal:
        return None


async def _refused(_: Request, error: Exception) -> Response:
    refusal = cast(Refusal, error)
    return _answer.response(refusal.body, refusal.status)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # to nobody: the client has gone within its request, as one that is killed
