"""The sandbox as an ASGI application: the API under /v1, and what looks at it and steers it under /_sandbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .._errors import ConfigurationError
from . import _answer, _connections
from ._answer import Reply, Usage, World
from ._events import Received
from ._failure import Failure, Fault
from ._reading import WatchedFile, read

logger = logging.getLogger("moengage_personalize.sandbox")

WORKSPACE_ID = "SANDBOX"
API_KEY = "sandbox-key"
RATE_LIMIT = 10_000  # requests a minute, as documented
REQUESTS_KEPT = 10_000

Handler = Callable[[Request, bytes], Reply]
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
    file = WatchedFile(Path(experiences)) if reload and isinstance(experiences, Path | str) else None
    return Sandbox(World(read(experiences), workspace_id, api_key), rate_limit, file)


@frozen
class ReceivedRequest:
    """One request to the API, as it came; its headers are not kept, because they hold the key."""

    method: str
    path: str
    query: str
    body: Any
    """The JSON of the body; None where there is none, or what came is no JSON."""
    status: int | None
    """What it was answered with; None where its connection was dropped."""
    at: float = field(factory=time.time)
    """When it was answered, in UTC epoch seconds."""


class Sandbox(Starlette):
    """The stand-in, and what it has received so far."""

    def __init__(self, world: World, rate_limit: int, file: WatchedFile | None) -> None:
        self._world = world
        self._file = file
        self._minute = _Minute(rate_limit)
        self._received = Received()
        self._failure = Failure()
        self._requests: list[ReceivedRequest] = []
        super().__init__(
            routes=[
                Route("/v1/experiences/fetch", self._answered(self._fetch), methods=["POST"]),
                Route("/v1/experiences/metadata", self._answered(self._metadata), methods=["GET"]),
                Route("/v1/experiences/events", self._answered(self._report), methods=["POST"]),
                Route("/_sandbox/requests", self._show_requests, methods=["GET"]),
                Route("/_sandbox/events", self._show_events, methods=["GET"]),
                Route("/_sandbox/events", self._forget_events, methods=["DELETE"]),
                Route("/_sandbox/fail", self._fail, methods=["POST"]),
            ],
            exception_handlers={ClientDisconnect: _gone},
        )

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests to the API, oldest first; the last 10,000."""
        return self._requests[:]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that were accepted, each once, oldest first; "received" says how often it came."""
        return self._received.listed()

    @property
    def keys(self) -> list[str]:
        """The keys of its experiences, those that are paused or scheduled too."""
        return [experience.key for experience in self._world.experiences]

    @property
    def armed(self) -> int:
        """How many requests are still to fail."""
        return self._failure.times

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
        problem = self._failure.arm(given)
        if problem is not None:
            raise ConfigurationError(f"expected a failure that can be armed, got {problem}")

    def reset(self) -> None:
        """Forget requests, events, armed failures and how much of the rate limit is used; the experiences stay."""
        self._requests.clear()
        self._received.clear()
        self._failure.arm({"times": 0})
        self._minute.forget()

    def _answered(self, handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._refresh()
            usage, fault = self._minute.count(), self._failure.next()
            body = await request.body()
            await _wait(fault, request)
            reply = self._reply(fault, request, body, usage, handler)
            parsed = _answer.parsed(body)
            self._keep(
                ReceivedRequest(
                    method=request.method,
                    path=request.url.path,
                    query=request.url.query,
                    body=None if isinstance(parsed, Reply) else parsed,
                    status=None if reply is None else reply.status,
                )
            )
            if reply is None:
                if await _connections.drop(request):
                    return Response()  # to nobody
                raise ConnectionResetError("the sandbox was asked to drop this connection")
            return Response(_answer.content(reply.body), reply.status, usage.headers(), "application/json")

        return endpoint

    def _refresh(self) -> None:
        """Take the file's experiences if it has changed; a mistake is in the log once, and changes nothing."""
        if self._file is not None and self._file.has_changed():
            try:
                self._world = evolve(self._world, experiences=read(self._file.path))
            except ConfigurationError as error:
                logger.error("%s", error)  # noqa: TRY400 -- its own text says all
            else:
                logger.info("read %s again", self._file.path)

    def _reply(self, fault: Fault, request: Request, body: bytes, usage: Usage, handler: Handler) -> Reply | None:
        if fault.drop:
            return None
        if fault.status is not None:
            return _answer.refusal(fault.status, "Sandbox", "A failure was armed for this request.")
        return _answer.refused(self._world, dict(request.headers), usage) or handler(request, body)

    def _keep(self, request: ReceivedRequest) -> None:
        self._requests.append(request)
        del self._requests[:-REQUESTS_KEPT]

    def _fetch(self, _: Request, body: bytes) -> Reply:
        return _answer.answer(self._world, body)

    def _metadata(self, request: Request, _: bytes) -> Reply:
        return _answer.metadata(self._world, request.query_params.get("status"))

    def _report(self, _: Request, body: bytes) -> Reply:
        return _answer.events(self._received, body)

    async def _show_requests(self, _: Request) -> Response:
        listed = [asdict(one, recurse=False) for one in self.requests]
        return _json({"count": len(listed), "requests": listed})

    async def _show_events(self, _: Request) -> Response:
        return _json(self._received.shown())

    async def _forget_events(self, _: Request) -> Response:
        self._received.clear()
        return _json(self._received.shown())

    async def _fail(self, request: Request) -> Response:
        wanted = _answer.parsed(await request.body())
        if isinstance(wanted, Reply):
            return _json(wanted.body, wanted.status)
        problem = self._failure.arm(wanted)
        if problem is not None:
            refused = _answer.invalid(problem)
            return _json(refused.body, refused.status)
        return _json(self._failure.shown())


class _Minute:
    """Counts the requests of the current minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minute = 0
        self._used = 0

    def count(self) -> Usage:
        minute = int(time.time()) // 60
        self._used = self._used + 1 if minute == self._minute else 1
        self._minute = minute
        return Usage(self._limit, self._used, (minute + 1) * 60)

    def forget(self) -> None:
        self._used = 0


async def _wait(fault: Fault, request: Request) -> None:
    """Wait as long as the fault says, or until the client has gone: nobody waits for an answer to nobody."""
    if fault.delay:
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.delay):
                await request.receive()  # its body has been read, so that what comes now is the disconnect


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # to nobody: the client has gone within its request, as one that is killed


def _json(body: object, status: int = 200) -> Response:
    return Response(_answer.content(body), status, media_type="application/json")
