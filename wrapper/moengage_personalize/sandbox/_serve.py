"""The sandbox behind a socket: in a thread of this process, or as the process itself."""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import LOGGING_CONFIG

from ._app import app
from ._connections import KnownConnections

LOOPBACK = "127.0.0.1"
NO_PROXY = ("NO_PROXY", "no_proxy")


def listen(port: int, host: str = LOOPBACK) -> socket.socket:
    """Take a port, 0 for any that is free; OSError if it is taken."""
    # With the protocol named, because asyncio switches Nagle's algorithm off for such a socket only, and an answer in
    # two writes would otherwise wait 40 ms for the acknowledgement of the first.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def base_url(listener: socket.socket) -> str:
    """What a client on this machine takes as its base_url."""
    host, port = _address(listener)
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def no_proxy(listener: socket.socket, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables with which a client asks this sandbox directly, whatever proxy the environment names.

    Both spellings, because most programs read the lower one first.
    """
    host, _ = _address(listener)
    return {name: _with(environ.get(name, environ.get(other, "")), host) for name, other in (NO_PROXY, NO_PROXY[::-1])}


def _with(hosts: str, host: str) -> str:
    if not hosts or hosts.strip() == "*":  # a star in a list is a star for nobody
        return hosts or host
    return hosts if host in (one.strip() for one in hosts.split(",")) else f"{hosts},{host}"


def _address(listener: socket.socket) -> tuple[str, int]:
    name: tuple[str, int] = listener.getsockname()[:2]
    host, port = name
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host), port  # noqa: S104 -- what was asked for


@contextmanager
def serve(application: Starlette | None = None, *, port: int = 0) -> Generator[str]:
    """Serve an application in a thread, the built-in examples by default, and give its base URL.

    Where the environment names a proxy, NO_PROXY names 127.0.0.1 as long as it runs, so that a client made in the
    meantime asks it directly.

    Args:
        application: what `app` made.
        port: the port on 127.0.0.1, 0 for any that is free.
    """
    with listen(port) as listener, _asked_directly(listener):
        server = _Server(application or app(), listener)
        server.start()
        try:
            yield base_url(listener)
        finally:
            server.stop()


def run(application: Starlette, listener: socket.socket) -> None:
    """Serve an application in this process until it is interrupted.

    All of its log goes to stderr, so that nobody who stops reading stdout is missed.
    """
    log: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    for handler in log["handlers"].values():
        handler["stream"] = "ext://sys.stderr"
    log["loggers"]["moengage_personalize.sandbox"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    # A stream of events has no end of its own; it gets a second.
    uvicorn.Server(_config(application, log_level="info", log_config=log, timeout_graceful_shutdown=1)).run([listener])


class _Server:
    """uvicorn in a thread, stopped at once.

    By itself it looks ten times a second whether it should stop, and then waits that long again for its connections. So
    it is cancelled where it waits, and its connections are closed here, whatever they are about.
    """

    def __init__(self, application: Starlette, listener: socket.socket) -> None:
        self._server = uvicorn.Server(_config(application, log_level="warning"))
        self._listener = listener
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True, name="sandbox")
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.create_task(self._server.serve([self._listener]))
        while not (self._server.started or serving.done()):  # noqa: ASYNC110 -- it sets a flag and no event
            await asyncio.sleep(0)
        self._ready.set()
        await self._stopping.wait()
        serving.cancel()
        await asyncio.wait([serving])
        for server in self._server.servers:
            server.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:  # each notices that its client is gone
            await asyncio.wait(state.tasks, timeout=1)


def _config(application: Starlette, **settings: Any) -> uvicorn.Config:
    return uvicorn.Config(application, lifespan="off", http=KnownConnections, **settings)


@contextmanager
def _asked_directly(listener: socket.socket) -> Generator[None]:
    """Name this sandbox in NO_PROXY while it runs, where there is a proxy that would be asked instead."""
    if not any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        yield
        return
    before = {name: os.environ.get(name) for name in NO_PROXY}
    os.environ |= no_proxy(listener, os.environ)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ |= {} if value is None else {name: value}
