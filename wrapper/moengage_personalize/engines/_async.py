"""An async transport for httpx whose every step ends by the deadline of the call: as _sync, awaited."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, cast

import httpcore
import httpx

from . import _resolve
from ._deadline import Deadline, shares
from ._pool import core_request, core_url, extensions, factory_arguments
from ._usage import Epoch, Usage


class AsyncStream(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, epoch: Epoch) -> None:
        self._inner = inner
        self._epoch = epoch
        self._usage = Usage(epoch)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = Deadline.of(timeout)
        try:
            data = await self._inner.read(max_bytes, deadline.left(httpcore.ReadTimeout))
        except httpcore.ReadError:
            self._usage.receives(deadline, b"")
            raise
        self._usage.receives(deadline, data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadline = Deadline.of(timeout)
        self._usage.sends(deadline, self._inner.get_extra_info("socket"))
        await self._inner.write(buffer, deadline.left(httpcore.WriteTimeout))

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        deadline = Deadline.of(timeout)
        deadline.uses(self._inner.get_extra_info("socket"))
        left = deadline.left(httpcore.ConnectTimeout)
        return AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, left), self._epoch)

    async def settle(self) -> None:
        """After an answer: look for bytes that TLS has taken from the socket already, where httpcore does not look."""
        if self._inner.get_extra_info("ssl_object") is not None and not self._usage.dirty:
            try:
                await self._inner.read(1, 0)
            except httpcore.ReadTimeout:
                return  # nothing is there
            except Exception:  # noqa: BLE001, S110 -- the answer is whole, whatever is wrong with its connection now
                pass
            self._usage.spoil()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return (info == "is_readable" and self._usage.dirty) or self._inner.get_extra_info(info)


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Makes connections."""

    def __init__(self) -> None:
        self.epoch = Epoch()
        self._inner: Any = httpcore.AnyIOBackend()  # httpcore types it by whether anyio is there

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        deadline = Deadline.of(timeout)
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
            made = asyncio.ensure_future(self._inner.connect_tcp(address, port, share, local_address, socket_options))
            deadline.waits(made.cancel)
            try:
                return AsyncStream(await made, self.epoch)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            except asyncio.CancelledError:
                deadline.left(httpcore.ConnectTimeout)  # given up, or else really cancelled
                raise
        raise failure


class AsyncPool:
    """The idle connections to one origin; the one that was used last serves first."""

    def __init__(self, url: httpx.URL, backend: AsyncBackend) -> None:
        self._factory = httpcore.AsyncConnectionPool(**factory_arguments(url, backend))
        self._origin = core_url(url).origin
        self._idle: deque[httpcore.AsyncConnectionInterface] = deque()
        self._closed = False

    async def take(self) -> httpcore.AsyncConnectionInterface:
        """A connection that is clean and open, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._factory.create_connection(self._origin)

    async def give(self, connection: httpcore.AsyncConnectionInterface) -> None:
        """Take a connection back after its answer, and let go of those that have lain idle for too long."""
        while self._idle and self._idle[0].has_expired():
            await self._idle.popleft().aclose()
        if connection.is_idle() and not connection.has_expired() and not self._closed:
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; one that is in use is closed when it is given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


class AsyncTransport(httpx.AsyncBaseTransport):
    """What an httpx.AsyncClient takes; one pool for each origin."""

    def __init__(self) -> None:
        self._backend = AsyncBackend()
        self._pools: dict[tuple[str, bytes], AsyncPool] = {}

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._backend.epoch.renew()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.netloc)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = AsyncPool(request.url, self._backend)
        connection = await pool.take()
        try:
            answer = await connection.handle_async_request(core_request(request))
        except BaseException:
            await pool.give(connection)
            raise
        settle = extensions(answer)["network_stream"].settle  # ours, whatever lies between
        body = AsyncBody(answer.stream, settle, partial(pool.give, connection))
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions(answer))

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class AsyncBody(httpx.AsyncByteStream):
    """The body of an answer, as httpx takes it; it gives its connection back when it is closed."""

    def __init__(
        self, inner: Any, settle: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]]
    ) -> None:
        self._inner = inner
        self._settle = settle
        self._give_back = give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return cast(AsyncIterator[bytes], self._inner.__aiter__())

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
            await self._settle()  # before anybody else can take the connection
        finally:
            await self._give_back()
