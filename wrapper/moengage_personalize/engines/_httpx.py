"""The default engines: httpx, used so that nothing of one visit reaches another.

Law of this module: no redirect is followed, no cookie kept or sent, and every exception ends as a NoAnswer.
"""

from __future__ import annotations

import asyncio
import os
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from .._flow import Answer, NoAnswer, Outcome, Send
from ._async import AsyncStream, AsyncTransport
from ._content import ACCEPTED, BadlyPacked, Content, TooLarge
from ._deadline import Deadline
from ._sync import Transport

TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
PROTOCOL = (httpx.LocalProtocolError, httpcore.LocalProtocolError, BadlyPacked)


class HttpxEngine:
    """Performs requests with httpx.Client.

    Our own ends every step by the deadline, reads proxies and certificates from the environment as httpx does, and is
    made anew after a fork.

    Args:
        client: your own httpx.Client: proxies, certificates, mocks. It is used, never closed, and its reads end by the
            deadline one by one, not together; cookies that it is given it keeps, but they are not sent. None makes our
            own.
    """

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._given = client
        self._before_fork: list[Any] = []
        self._make()

    def _make(self) -> None:
        self._process = os.getpid()
        self._transport = Transport()
        self._client = self._given or httpx.Client(transport=self._transport, cookies=_no_cookies())

    def __repr__(self) -> str:
        return f"HttpxEngine(own_client={self._given is None})"

    def perform(self, send: Send) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now."""
        deadline = Deadline(send.timeout)
        try:
            if self._process != os.getpid() and self._given is None:
                self._before_fork.append(self._client)  # kept, because closing would speak on the parent's connections
                self._make()
            response = self._client.send(
                _request(self._client, send, deadline), stream=True, auth=None, follow_redirects=False
            )
            try:
                if response.is_stream_consumed:
                    return _mocked(response)
                content = Content()
                for piece in response.iter_raw():
                    content.take(piece)
                    deadline.left(httpcore.ReadTimeout)
                return _answer(response, content)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                self._transport.renew()
            return _no_answer(error, deadline)

    def close(self) -> None:
        """Close the connections, if the client is our own."""
        if self._given is None:
            self._client.close()


class AsyncHttpxEngine:
    """Performs requests with httpx.AsyncClient; our own as HttpxEngine's, with a pool for each event loop.

    Args:
        client: your own httpx.AsyncClient, as in HttpxEngine; it belongs to one event loop. None makes our own.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._given = client
        self._made: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncTransport]] = {}

    def __repr__(self) -> str:
        return f"AsyncHttpxEngine(own_client={self._given is None})"

    async def perform(self, send: Send) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now.

        A caller that is cancelled does not cancel the request, because a pool of httpcore can lose its place for good
        then (https://github.com/encode/httpcore/issues/1093): the request is told to end by itself.
        """
        deadline = Deadline(send.timeout)
        performing = asyncio.ensure_future(self._perform(send, deadline))
        try:
            return await asyncio.shield(performing)
        except asyncio.CancelledError:
            deadline.abort()
            raise

    async def _perform(self, send: Send, deadline: Deadline) -> Outcome:
        client, transport = self._here()
        try:
            response = await client.send(
                _request(client, send, deadline), stream=True, auth=None, follow_redirects=False
            )
            try:
                if response.is_stream_consumed:
                    return _mocked(response)
                content = Content()
                async for piece in response.aiter_raw():
                    content.take(piece)
                    deadline.left(httpcore.ReadTimeout)
                stream = response.extensions.get("network_stream")
                if isinstance(stream, AsyncStream):
                    await stream.settle()
                return _answer(response, content)
            finally:
                await response.aclose()
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                transport.renew()
            return _no_answer(error, deadline)

    def _here(self) -> tuple[httpx.AsyncClient, AsyncTransport]:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for other in [other for other in self._made if other.is_closed()]:
                del self._made[other]  # its connections can no longer be closed properly, only let go
            transport = AsyncTransport()
            client = self._given or httpx.AsyncClient(transport=transport, cookies=_no_cookies())
            self._made[loop] = (client, transport)
        return self._made[loop]

    async def aclose(self) -> None:
        """Close the connections of this event loop, if the client is our own."""
        client, _ = self._made.pop(asyncio.get_running_loop(), (None, None))
        if client is not None and self._given is None:
            await client.aclose()


def _request(client: httpx.Client | httpx.AsyncClient, send: Send, deadline: Deadline) -> httpx.Request:
    # As UTF-8, because httpx would refuse what is not ASCII; without cookies, because a client of the service's own may
    # have kept some from another visit.
    headers = [(name.encode(), value.encode()) for name, value in send.headers.items()]
    request = client.build_request(
        send.method, send.url, headers=headers, content=send.body, extensions=deadline.extensions()
    )
    request.headers.pop("cookie", None)
    request.headers["accept-encoding"] = ACCEPTED
    return request


def _answer(response: httpx.Response, content: Content) -> Answer:
    return Answer(response.status_code, dict(response.headers), content.unpack(response.headers))


def _mocked(response: httpx.Response) -> Answer:
    """The answer of a mock, which httpx has read and unpacked when it was made."""
    return Answer(response.status_code, dict(response.headers), response.content)


def _no_answer(error: Exception, deadline: Deadline) -> NoAnswer:
    if isinstance(error, TIMEOUTS):
        return NoAnswer("timeout", error)
    if isinstance(error, TooLarge):
        return NoAnswer("limit", error)
    if isinstance(error, PROTOCOL):
        return NoAnswer("protocol", error)
    return NoAnswer("stale" if deadline.stale else "connection", error)


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
