"""The sandbox as an ASGI application, in a thread or as a process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._answer import Reply, Usage, World, answer, events, metadata, refusal, refused
from ._events import Failure, Received
from ._experiences import DEFAULT, read

WORKSPACE_ID = "SANDBOX"
API_KEY = "sandbox-key"
RATE_LIMIT = 10_000  # requests a minute, as documented


def app(
    experiences: Path | str | None = None,
    *,
    workspace_id: str = WORKSPACE_ID,
    api_key: str = API_KEY,
    rate_limit: int = RATE_LIMIT,
) -> Starlette:
    """Make the local stand-in for the API, an ASGI application.

    Args:
        experiences: a YAML file of experiences (the README describes it); None for the built-in examples.
        workspace_id: the only workspace it knows.
        api_key: the key of that workspace.
        rate_limit: requests a minute, from 0; one more answers 429.

    Raises:
        ConfigurationError: the file cannot be read, or is not one of experiences.
    """
    world = World(read(DEFAULT if experiences is None else Path(experiences)), workspace_id, api_key)
    minute = _Minute(rate_limit)
    received, failure = Received(), Failure()

    def answers(asked: Callable[[Request, bytes], Reply]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            usage = minute.count()
            failing = failure.next()
            reply = None if failing is None else refusal(failing, "Sandbox", "Told to fail.")
            reply = reply or refused(world, dict(request.headers), usage) or asked(request, await request.body())
            content = json.dumps(reply.body, ensure_ascii=False)
            return Response(content.encode(errors="replace"), reply.status, usage.headers(), "application/json")

        return answered

    async def shown(_: Request) -> Response:
        return JSONResponse(received.shown())

    async def fail(request: Request) -> Response:
        failure.set(await request.json())
        return JSONResponse({"status": failure.status, "times": failure.times})

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # to nobody: the client has gone within its request, as one that is killed

    fetched = answers(lambda _, body: answer(world, body))
    listed = answers(lambda request, _: metadata(world, request.query_params.get("status")))
    reported = answers(lambda _, body: events(received, body))
    return Starlette(
        routes=[
            Route("/v1/experiences/fetch", fetched, methods=["POST"]),
            Route("/v1/experiences/metadata", listed, methods=["GET"]),
            Route("/v1/experiences/events", reported, methods=["POST"]),
            Route("/_sandbox/events", shown, methods=["GET"]),
            Route("/_sandbox/fail", fail, methods=["POST"]),
        ],
        exception_handlers={ClientDisconnect: gone},
    )


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


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Take a port, 0 for any that is free; OSError if it is taken."""
    # With the protocol named, because asyncio switches Nagle's algorithm off for such a socket only, and an answer in
    # two writes would otherwise wait 40 ms for the acknowledgement of the first.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def base_url(listener: socket.socket) -> str:
    """What a client takes as its base_url."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}/v1"


@contextmanager
def serve(application: Starlette | None = None, *, port: int = 0) -> Generator[str]:
    """Serve an application in a thread, the built-in examples by default, and give its base URL.

    Args:
        application: what `app` made.
        port: the port on 127.0.0.1, 0 for any that is free.
    """
    listener = listen(port)
    server = _server(application or app(), log_level="warning")
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.005)
        yield base_url(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def run(application: Starlette, listener: socket.socket) -> None:
    """Serve an application in this process until it is interrupted."""
    _server(application, log_level="info").run([listener])


def _server(application: Starlette, log_level: str) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(application, log_level=log_level, lifespan="off"))
