"""Connections whose every step ends by the deadline of the call: as _sync, awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from .._flow import Answer, Send
from .._http import httpcore
from . import _resolve
from ._content import Content
from ._deadline import Deadline, shares
from ._dialogue import READ, Dialogue, Epoch
from ._exchange import answer, outgoing
from ._pool import Proxy, Target, opened, proxy, ssl_context, target, tunnel

BACKEND: Any = httpcore.AnyIOBackend()  # httpcore types it by whether anyio is there


class AsyncConnection:
    """One connection."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, epoch: Epoch) -> None:
        self.stream = stream
        self.dialogue = Dialogue(epoch)
        self._dirty = False

    async def exchange(self, request: bytes, content: Content, deadline: Deadline) -> None:
        """Write a request and read until its answer is whole."""
        with suppress(httpcore.WriteError):  # as in _sync
            await self.stream.write(request, deadline.left(httpcore.WriteTimeout))
        while not self.dialogue.hears(await self._read(deadline), content, deadline):
            pass

    async def _read(self, deadline: Deadline) -> bytes:
        try:
            return await self.stream.read(READ, deadline.left(httpcore.ReadTimeout))
        except httpcore.ReadError:
            self.dialogue.lost(deadline)
            raise

    async def secure(self, host: str, deadline: Deadline) -> None:
        """Speak TLS from here on."""
        self.stream = await self.stream.start_tls(ssl_context(), host, deadline.left(httpcore.ConnectTimeout))

    async def settle(self) -> None:
        """After an answer: look for bytes that TLS has taken from the socket already, where `usable` does not look."""
        if self.stream.get_extra_info("ssl_object") is not None:
            try:
                await self.stream.read(1, 0)
            except httpcore.ReadTimeout:
                return  # nothing is there
            except Exception:  # noqa: BLE001, S110 -- the answer is whole, whatever is wrong with its connection now
                pass
            self._dirty = True

    @property
    def clean(self) -> bool:
        """Whether it may serve another request, as far as this side of it knows."""
        return self.dialogue.clean and not self._dirty

    @property
    def usable(self) -> bool:
        """As Connection.usable."""
        return self.clean and not self.dialogue.expired and not self.stream.get_extra_info("is_readable")

    async def aclose(self) -> None:
        await self.stream.aclose()


async def connect(where: Target, between: Proxy | None, epoch: Epoch, deadline: Deadline) -> AsyncConnection:
    """A new connection, through a proxy if there is one."""
    first = where if between is None else between
    connection = AsyncConnection(await _reach(first.host, first.port, deadline), epoch)
    try:
        if between is not None and between.tls:
            await connection.secure(between.host, deadline)
        if between is not None and where.tls:
            dialogue, authority = connection.dialogue, tunnel(where)
            request = dialogue.asks("CONNECT", authority, [(b"Host", authority), *between.headers], b"")
            await connection.exchange(request, Content(), deadline)
            opened(dialogue.status)
            connection.dialogue = Dialogue(epoch)
        if where.tls:
            await connection.secure(where.host, deadline)
    except BaseException:
        await connection.aclose()
        raise
    return connection


async def _reach(host: str, port: int, deadline: Deadline) -> httpcore.AsyncNetworkStream:
    # Waited for, not cancelled, because others may wait for the same look-up.
    looking = asyncio.wrap_future(_resolve.look_up(host))
    await asyncio.wait({looking}, timeout=deadline.left(httpcore.ConnectTimeout))
    if not looking.done():
        raise httpcore.ConnectTimeout("looking the host up")
    try:
        addresses = looking.result()
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    failure: Exception = httpcore.ConnectError("the host has no address")
    for address, share in shares(addresses, deadline):
        # In a task, because anyio goes on by a throw, after which Python 3.11 traces none of the frames that wait.
        made: asyncio.Task[httpcore.AsyncNetworkStream] = asyncio.create_task(BACKEND.connect_tcp(address, port, share))
        try:
            return await made
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            failure = error
    raise failure


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
            await connection.settle()  # before anybody else can take the connection
            status, headers = connection.dialogue.status, connection.dialogue.headers
        finally:
            await self._give(connection)
        return answer(status, headers, content)

    async def _take(self, where: Target, deadline: Deadline) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            await connection.aclose()
        return await connect(where, self._proxy, self._epoch, deadline)

    async def _give(self, connection: AsyncConnection) -> None:
        if connection.clean and not self._closed:
            self._idle.append(connection)
        else:
            await connection.aclose()
        while self._idle and self._idle[0].dialogue.expired:
            await self._idle.popleft().aclose()

    async def aclose(self) -> None:
        """Close the idle connections; one that is in use is closed when it is given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


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
            await pool.aclose()
