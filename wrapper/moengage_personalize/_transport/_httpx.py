"""httpx on either side: a client that the service brings, used as it is; and our transports under a client of httpx.

The client that is brought may be httpx's or httpx2's: it is known by its methods, and its exceptions by the names of
their classes. It is used, never changed and never closed; each of its reads ends by the deadline, not all together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import Any

import httpx
from attrs import frozen
from msgspec import Struct

from .._messages import Outcome, Request, Response, TransportError
from ._body import ACCEPTED, BodyReader
from ._exchange import Deadline, ExchangeError, Kind, words
from ._origin import split_url
from ._threads import SideBySide

STEPS = ("connect", "read", "write", "pool")
# What httpx's exceptions mean for a call, by the first of their classes' names that is here.
KINDS: dict[str, Kind] = {
    "PoolTimeout": "busy",
    "TimeoutException": "timeout",
    "TimeoutError": "timeout",
    "LocalProtocolError": "protocol",
    "DecodingError": "protocol",
    "HTTPError": "connection",
    "OSError": "connection",
}


class HttpxTransport(Struct, frozen=True):
    """Performs requests with an httpx.Client."""

    client: Any

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.client).__module__}.{type(self.client).__qualname__})"

    def perform(self, request: Request, deadline: Deadline | None = None) -> Outcome:
        """Perform one request; each of its reads ends by the deadline."""
        deadline, response, body = deadline or Deadline(request.timeout), None, None
        try:
            made = _build(self.client, request, deadline)
            response = self.client.send(made, stream=True, auth=None, follow_redirects=False)
            if not response.is_stream_consumed:  # else it is a mock's, read and decoded when it was made
                body = BodyReader()
                with closing(response):
                    for piece in response.iter_raw():
                        body.feed(piece)
                        del piece  # of which a traceback would show what it holds
                        deadline.left("reading")
            return _outcome(request, response, body)
        except Exception as error:  # noqa: BLE001 -- what is not I/O's is raised again
            return _outcome(request, response, body, error)

    def perform_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Perform several requests of one call side by side."""
        with SideBySide(self.perform, requests) as all_of_them:
            return all_of_them.results()

    def connections(self) -> None:
        """Whoever made the client knows."""

    def close(self) -> None:
        """Whoever made the client closes it."""


class AsyncHttpxTransport(Struct, frozen=True):
    """As HttpxTransport, with an httpx.AsyncClient."""

    client: Any

    __repr__ = HttpxTransport.__repr__
    connections = HttpxTransport.connections

    async def perform(self, request: Request) -> Outcome:
        """Perform one request; each of its reads ends by the deadline."""
        deadline, response, body = Deadline(request.timeout), None, None
        try:
            made = _build(self.client, request, deadline)
            response = await self.client.send(made, stream=True, auth=None, follow_redirects=False)
            if not response.is_stream_consumed:
                body = BodyReader()
                async with aclosing(response):
                    async for piece in response.aiter_raw():
                        body.feed(piece)
                        del piece
                        deadline.left("reading")
            return _outcome(request, response, body)
        except Exception as error:  # noqa: BLE001 -- what is not I/O's is raised again
            return _outcome(request, response, body, error)

    async def aclose(self) -> None:
        """Whoever made the client closes it."""


def _build(client: Any, request: Request, deadline: Deadline) -> Any:
    """The request as httpx has it."""
    if getattr(client, "is_closed", False):
        raise ExchangeError("connection", "expected an open http_client, got one that was closed")
    made = client.build_request(
        request.method,
        request.url,
        headers=[(name.encode(), value.encode()) for name, value in request.headers.items()],  # httpx refuses non-ASCII
        content=request.body,
        extensions={"timeout": dict.fromkeys(STEPS, deadline.left("connecting"))},
    )
    made.headers.pop("cookie", None)  # which the client may have kept from another visit
    made.headers["accept-encoding"] = ACCEPTED
    return made


def _outcome(request: Request, response: Any, body: BodyReader | None, error: Exception | None = None) -> Outcome:
    """The response, also where only the body of a refusal was lost: its status and headers outweigh that."""
    try:
        if error is not None:
            raise _translated(error)
        headers = dict(response.headers)
        content = response.content if body is None else body.decode(headers.get("content-encoding", ""))
        return Response(response.status_code, headers, content)
    except ExchangeError as failed:
        if response is None or response.status_code == 200:
            return failed.outcome(split_url(request.url)[0])
        return Response(response.status_code, dict(response.headers), b"")


def _translated(error: Exception) -> Exception:
    """An exception of I/O as ours, without its words; another as it is."""
    names = [base.__name__ for base in type(error).__mro__ if base.__name__ in KINDS]
    if isinstance(error, ExchangeError) or not names:
        return error
    return ExchangeError(KINDS[names[0]], words(error))


@frozen(repr=False)
class HttpxAdapter(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """One of our transports under a client of httpx, so that what is sent through that keeps its deadline, too."""

    transport: Any

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if hasattr(self.transport, "aclose"):
            raise TypeError("expected an httpx.AsyncClient over a transport that is awaited, got an httpx.Client")
        return _answer(request, self.transport.perform(_ours(request)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if hasattr(self.transport, "aclose"):
            return _answer(request, await self.transport.perform(_ours(request)))
        return _answer(request, await asyncio.to_thread(self.transport.perform, _ours(request)))


# What a transport says itself, for its own connection.
OWN_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"})
# What was true of the body as it travelled.
CODED_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})
UNLIMITED = 86_400.0  # seconds, where a client of httpx has no timeout
# By the kind of a TransportError; all others are a httpx.NetworkError.
RAISED: dict[str, type[httpx.TransportError]] = {
    "busy": httpx.PoolTimeout,
    "timeout": httpx.ReadTimeout,
    "protocol": httpx.RemoteProtocolError,
    "limit": httpx.RemoteProtocolError,
}


def _ours(request: httpx.Request) -> Request:
    seconds = request.extensions.get("timeout", {}).get("read") or UNLIMITED
    headers = {name: value for name, value in request.headers.items() if name not in OWN_HEADERS}
    return Request(request.method, str(request.url), headers, request.content, seconds)


def _answer(request: httpx.Request, outcome: Outcome) -> httpx.Response:
    if isinstance(outcome, TransportError):
        raise RAISED.get(outcome.kind, httpx.NetworkError)(str(outcome.cause), request=request) from outcome.cause
    headers = {name: value for name, value in outcome.headers.items() if name not in CODED_HEADERS}
    return httpx.Response(outcome.status, headers=headers, content=outcome.body, request=request)
