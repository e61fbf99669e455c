"""Connections whose every step ends by the deadline of the call: as _sync, over the transports of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpcore

from .._messages import Request, Response
from . import _dns as _resolve
from ._body import Content
from ._deadline import Deadline, shares
from ._exchange import answer, asking_tunnel, outgoing
from ._idle import Idle
from ._origin import Proxy, Target, opened, proxy, ssl_context, target
from ._parser import Epoch
from ._protocol import AsyncConnection

# Bytes: more than the TLS of asyncio and uvloop takes in at once (256 KB, and a record of 16 KB), because what is left
# after one read is lost to them if the server closes meanwhile.
BUFFER = 288 * 1024


async def connect(
    where: Target, between: Proxy | None, deadline: Deadline, make: Callable[[], AsyncConnection]
) -> AsyncConnection:
    """A new connection, through a proxy if there is one."""
    first = where if between is None else between
    connection = await _reach(first, deadline, make)
    try:
        if between is not None and where.tls:
            dialogue = connection.dialogue
            request = asking_tunnel(dialogue, where, between)
            await connection.exchange(request, Content(), deadline)
            opened(dialogue.status)
            async with _connecting(deadline.left(httpcore.ConnectTimeout)):
                await connection.secure(where.host)
    except BaseException:
        connection.close()
        raise
    return connection


async def _reach(first: Target | Proxy, deadline: Deadline, make: Callable[[], AsyncConnection]) -> AsyncConnection:
    # Waited for, not cancelled, because others may wait for the same look-up.
    looking = asyncio.wrap_future(_resolve.look_up(first.host))
    looking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # or a late one is logged
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
                    make, address, first.port, ssl=context, server_hostname=name
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
    """The connections to one origin."""

    def __init__(self, where: Target, make: Callable[[], AsyncConnection]) -> None:
        self.idle: Idle[AsyncConnection] = Idle()
        self._proxy = proxy(where)
        self._make = make

    async def exchange(self, where: Target, send: Request, deadline: Deadline) -> Response:
        """Send one request and take its answer."""
        connection = self.idle.take() or await connect(where, self._proxy, deadline, self._make)
        content, dialogue = Content(), connection.dialogue
        try:
            await connection.exchange(outgoing(dialogue, send, where, self._proxy), content, deadline)
            status, headers = dialogue.status, dialogue.headers
        finally:
            self.idle.give(connection)
        return answer(status, headers, content)


class AsyncConnections:
    """All connections of our own in one event loop; a pool for each origin."""

    def __init__(self) -> None:
        self._epoch = Epoch()
        self._make = partial(AsyncConnection, self._epoch, memoryview(bytearray(BUFFER)))
        self._pools: dict[tuple[bool, bytes], AsyncPool] = {}

    def exchange(self, send: Request, deadline: Deadline) -> Awaitable[Response]:
        """Send one request and take its answer."""
        where = target(send.url)
        origin = (where.tls, where.authority)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = AsyncPool(where, self._make)
        return pool.exchange(where, send, deadline)

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._epoch.renew()

    async def aclose(self) -> None:
        for pool in self._pools.values():
            pool.idle.close()
