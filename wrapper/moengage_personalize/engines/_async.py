"""Connections whose every step ends by the deadline of the call: as _sync, over the transports of asyncio.

Law of this module: that of _sync. What comes is read at once, also while a connection lies idle, and then ends it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from .._flow import Answer, Send
from .._http import httpcore
from . import _resolve
from ._content import Content
from ._deadline import Deadline, shares
from ._dialogue import Dialogue, Epoch
from ._exchange import answer, outgoing
from ._pool import Proxy, Target, opened, proxy, ssl_context, target, tunnel

Selector: Callable[[], selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class AsyncConnection(asyncio.Protocol):
    """One connection."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self.dialogue = Dialogue(epoch)
        self._transport: asyncio.Transport
        self._exchange: tuple[asyncio.Future[None], Content, Deadline] | None = None
        self._dirty = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream, as both ways to make one have it

    async def exchange(self, request: bytes, content: Content, deadline: Deadline) -> None:
        """Write a request and wait until its answer is whole."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        if self._transport.is_closing():
            self.dialogue.lost(deadline)
            raise httpcore.WriteError("the connection is closed")
        self._exchange = ended, content, deadline
        timer = loop.call_later(deadline.left(httpcore.ReadTimeout), self._fails, httpcore.ReadTimeout("the deadline"))
        try:
            self._transport.write(request)
            await ended
        finally:
            timer.cancel()
            self._exchange = None

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self._dirty = True
            return
        ended, content, deadline = self._exchange
        try:
            whole = self.dialogue.hears(data, content, deadline)
        except Exception as error:  # noqa: BLE001 -- raised where the answer is waited for
            self._fails(error)
        else:
            if whole and not ended.done():
                ended.set_result(None)
                self._exchange = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is None:
            return
        if exc is None:
            self.data_received(b"")
        else:
            self.dialogue.lost(self._exchange[2])
            self._fails(httpcore.ReadError(str(exc)))

    def _fails(self, error: Exception) -> None:
        if self._exchange is not None and not self._exchange[0].done():
            self._exchange[0].set_exception(error)

    async def secure(self, host: str) -> None:
        """Speak TLS from here on."""
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, self, ssl_context(), server_hostname=host)
        if transport is None:
            raise httpcore.ConnectError("the connection was closed during the handshake")
        self._transport = transport

    @property
    def clean(self) -> bool:
        """Whether it may serve another request, as far as this side of it knows."""
        return self.dialogue.clean and not self._dirty and not self._transport.is_closing()

    @property
    def usable(self) -> bool:
        """As Connection.usable: what has come may not have been read yet, where the loop had other things to do."""
        return self.clean and not self.dialogue.expired and not self._readable()

    def _readable(self) -> bool:
        with Selector() as selector:
            selector.register(self._transport.get_extra_info("socket").fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))

    def close(self) -> None:
        self._transport.abort()  # at once: nothing is to be waited for, and nothing is on its way


async def connect(where: Target, between: Proxy | None, epoch: Epoch, deadline: Deadline) -> AsyncConnection:
    """A new connection, through a proxy if there is one."""
    first = where if between is None else between
    connection = await _reach(first, epoch, deadline)
    try:
        if between is not None and where.tls:
            dialogue, authority = connection.dialogue, tunnel(where)
            request = dialogue.asks("CONNECT", authority, [(b"Host", authority), *between.headers], b"")
            await connection.exchange(request, Content(), deadline)
            opened(dialogue.status)
            connection.dialogue = Dialogue(epoch)
            async with _connecting(deadline.left(httpcore.ConnectTimeout)):
                await connection.secure(where.host)
    except BaseException:
        connection.close()
        raise
    return connection


async def _reach(first: Target | Proxy, epoch: Epoch, deadline: Deadline) -> AsyncConnection:
    # Waited for, not cancelled, because others may wait for the same look-up.
    looking = asyncio.wrap_future(_resolve.look_up(first.host))
    await asyncio.wait({looking}, timeout=deadline.left(httpcore.ConnectTimeout))
    if not looking.done():
        raise httpcore.ConnectTimeout("looking the host up")
    try:
        addresses = looking.result()
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    loop = asyncio.get_running_loop()
    context, name = (ssl_context(), first.host) if first.tls else (None, None)
    failure: Exception = httpcore.ConnectError("the host has no address")
    for address, share in shares(addresses, deadline):
        try:
            async with _connecting(share):
                _, connection = await loop.create_connection(
                    lambda: AsyncConnection(epoch), address, first.port, ssl=context, server_hostname=name
                )
                return connection
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            failure = error
    raise failure


@asynccontextmanager
async def _connecting(seconds: float) -> AsyncGenerator[None]:
    """Within so many seconds, and with httpcore's exceptions, as the sync streams have them."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("connecting") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


class AsyncPool:
    """The idle connections to one origin; the one that was used last serves first."""

    def __init__(self, where: Target, epoch: Epoch) -> None:
        self._proxy = proxy(where)
        self._epoch = epoch
        self._idle: deque[AsyncConnection] = deque()
        self._closed = False

    async def exchange(self, where: Target, send: Send, deadline: Deadline) -> Answer:
        """Send one request and take its answer."""
        connection, content = await self._take(where, deadline), Content()
        try:
            await connection.exchange(outgoing(connection.dialogue, send, where, self._proxy), content, deadline)
            status, headers = connection.dialogue.status, connection.dialogue.headers
        finally:
            self._give(connection)
        return answer(status, headers, content)

    async def _take(self, where: Target, deadline: Deadline) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return await connect(where, self._proxy, self._epoch, deadline)

    def _give(self, connection: AsyncConnection) -> None:
        if connection.clean and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        while self._idle and self._idle[0].dialogue.expired:
            self._idle.popleft().close()

    def close(self) -> None:
        """Close the idle connections; one that is in use is closed when it is given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class AsyncConnections:
    """All connections of our own in one event loop; a pool for each origin."""

    def __init__(self) -> None:
        self._epoch = Epoch()
        self._pools: dict[tuple[bool, bytes], AsyncPool] = {}

    async def exchange(self, send: Send, deadline: Deadline) -> Answer:
        """Send one request and take its answer."""
        where = target(send.url)
        origin = (where.tls, where.authority)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = AsyncPool(where, self._epoch)
        return await pool.exchange(where, send, deadline)

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._epoch.renew()

    async def aclose(self) -> None:
        for pool in self._pools.values():
            pool.close()
