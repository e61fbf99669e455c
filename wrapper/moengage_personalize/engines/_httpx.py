"""The default engines: httpx, used so that nothing of one visit reaches another.

Law of this module: no redirect is followed, no cookie kept or sent, and every exception ends as a NoAnswer.
"""

from __future__ import annotations

import asyncio
import os
from threading import BoundedSemaphore

import httpcore
import httpx
from attrs import frozen

from .._flow import Answer, NoAnswer, Outcome, Send
from ._async import AsyncTransport
from ._content import Content
from ._deadline import Deadline
from ._exchange import answer, mocked, no_answer, no_cookies, request
from ._pool import MAX_CONNECTIONS
from ._sync import Transport


@frozen
class InProcess:
    """What a sync engine has in one process."""

    process: int
    client: httpx.Client
    transport: Transport
    slots: BoundedSemaphore


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
        self._before_fork: list[InProcess] = []
        self._made = self._make()

    def _make(self) -> InProcess:
        transport = Transport()
        client = self._given or httpx.Client(transport=transport, cookies=no_cookies())
        return InProcess(os.getpid(), client, transport, BoundedSemaphore(MAX_CONNECTIONS))

    def _here(self) -> InProcess:
        made = self._made
        if made.process != os.getpid():  # not by register_at_fork, because uWSGI forks without a word to Python
            self._before_fork.append(made)  # kept, because closing would speak on the parent's connections
            made = self._made = self._make()
        return made

    def __repr__(self) -> str:
        return f"HttpxEngine(own_client={self._given is None})"

    def perform(self, send: Send) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now."""
        deadline = Deadline(send.timeout)
        here = self._here()
        if not here.slots.acquire(timeout=max(0.0, send.timeout)):
            return NoAnswer("busy", httpcore.PoolTimeout("all connections are in use"))
        try:
            return self._exchange(here.client, send, deadline)
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                here.transport.renew()
            return no_answer(error, deadline)
        finally:
            here.slots.release()

    def _exchange(self, client: httpx.Client, send: Send, deadline: Deadline) -> Answer:
        asked = request(client, send, deadline)
        response = client.send(asked, stream=True, auth=None, follow_redirects=False)
        try:
            if response.is_stream_consumed:
                return mocked(response)
            content = Content()
            for piece in response.iter_raw():
                content.take(piece)
                deadline.left(httpcore.ReadTimeout)
            return answer(response, content)
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections, if the client is our own."""
        if self._given is None:
            self._made.client.close()


@frozen
class Here:
    """What an async engine has in one event loop."""

    client: httpx.AsyncClient
    transport: AsyncTransport
    slots: asyncio.Semaphore


class AsyncHttpxEngine:
    """Performs requests with httpx.AsyncClient; our own as HttpxEngine's, with a pool for each event loop.

    Args:
        client: your own httpx.AsyncClient, as in HttpxEngine; it belongs to one event loop. None makes our own.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._given = client
        self._made: dict[asyncio.AbstractEventLoop, Here] = {}

    def __repr__(self) -> str:
        return f"AsyncHttpxEngine(own_client={self._given is None})"

    async def perform(self, send: Send) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now.

        A caller that is cancelled does not cancel the request, because httpcore can lose its place for good then
        (https://github.com/encode/httpcore/issues/1093): the request is told to end by itself.
        """
        deadline = Deadline(send.timeout)
        here = self._here()
        try:
            async with asyncio.timeout(send.timeout):
                await here.slots.acquire()
        except TimeoutError as error:
            return NoAnswer("busy", error)
        performing = asyncio.ensure_future(self._perform(here, send, deadline))
        performing.add_done_callback(lambda _: here.slots.release())
        try:
            return await asyncio.shield(performing)
        except asyncio.CancelledError:
            deadline.abort()
            raise

    async def _perform(self, here: Here, send: Send, deadline: Deadline) -> Outcome:
        try:
            return await self._exchange(here.client, send, deadline)
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                here.transport.renew()
            return no_answer(error, deadline)

    async def _exchange(self, client: httpx.AsyncClient, send: Send, deadline: Deadline) -> Answer:
        asked = request(client, send, deadline)
        response = await client.send(asked, stream=True, auth=None, follow_redirects=False)
        try:
            if response.is_stream_consumed:
                return mocked(response)
            content = Content()
            async for piece in response.aiter_raw():
                content.take(piece)
                deadline.left(httpcore.ReadTimeout)
            return answer(response, content)
        finally:
            await response.aclose()

    def _here(self) -> Here:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for other in [other for other in list(self._made) if other.is_closed()]:  # shared by loops of other threads
                self._made.pop(other, None)  # its connections can no longer be closed properly, only let go
            transport = AsyncTransport()
            client = self._given or httpx.AsyncClient(transport=transport, cookies=no_cookies())
            self._made[loop] = Here(client, transport, asyncio.Semaphore(MAX_CONNECTIONS))
        return self._made[loop]

    async def aclose(self) -> None:
        """Close the connections of this event loop, if the client is our own."""
        here = self._made.pop(asyncio.get_running_loop(), None)
        if here is not None and self._given is None:
            await here.client.aclose()
