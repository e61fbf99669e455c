"""Connections of our own as protocols of asyncio's transports; what comes is read at once, also while one lies idle."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, cast

from msgspec import Struct

from .._messages import Outcome, Request, Response
from ._dns import look_up
from ._exchange import Deadline, ExchangeError, words
from ._idle import MAX_CONNECTIONS, IdlePool, Pools, readiness
from ._origin import Origin, proxy_for, ssl_context
from ._parser import HTTP11Connection, PoolGeneration, connect_request, request_bytes

# Bytes: more than the TLS of asyncio and uvloop takes in at once (256 KB, and a record of 16 KB), because what is left
# after one read is lost to them if the server closes meanwhile.
BUFFER = 288 * 1024
LOOK_TURNS = 3  # of the event loop, in which it reads what a socket has


class AsyncConnection(asyncio.BufferedProtocol):
    """One connection, which reads into a buffer: asyncio's own, of 256 KB, is made for each read and costs four."""

    def __init__(self, generation: PoolGeneration, buffer: memoryview) -> None:
        """The buffer may be that of others in the same event loop."""
        self._generation = generation
        self.http = HTTP11Connection(generation)
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = Deadline(0.0)
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._readable = readiness(transport.get_extra_info("socket").fileno())

    def has_come(self) -> bool:
        """Whether anything has come since the last response, read by the loop or not."""
        return self._transport.is_closing() or self._readable()

    async def exchange(self, request: memoryview, deadline: Deadline, *, tunnel: bool = False) -> Response:
        """Write a request and wait until its response is whole."""
        self.http.start_request(tunnel=tunnel)
        try:
            if self._transport.is_closing():
                raise self.http.connection_lost()
            self._waiter, self._deadline = self._loop.create_future(), deadline
            self._watch()
            self._transport.write(request)
            await self._waiter
        except ExchangeError as error:
            return self.http.response(error)
        finally:
            self._waiter = None
        return self.http.response()

    def _watch(self) -> None:
        """Have the deadline kept, by an alarm that is left as it is for the next exchange: most end long before."""
        if self._alarm is None or self._deadline.at < self._alarm_at:
            left = self._deadline.left("reading")
            self._silence()
            self._alarm_at = self._deadline.at
            self._alarm = self._loop.call_later(left, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is not None:
            try:
                self._watch()
            except ExchangeError as error:
                self._fail(error)

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._receive(nbytes)

    def _receive(self, nbytes: int) -> None:
        if self._waiter is None or self._waiter.done():
            self.http.must_close = True
            return
        try:
            if self.http.receive_data(self._buffer[:nbytes]):
                self._waiter.set_result(None)
        except Exception as error:  # noqa: BLE001 -- raised where the response is waited for, a signal handler's too
            self._fail(error)

    def eof_received(self) -> None:
        self._receive(0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._silence()
        self._fail(self.http.connection_lost(exc))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    async def secure(self, name: str) -> None:
        """Speak TLS from here on, with whoever is behind a tunnel."""
        transport = await self._loop.start_tls(self._transport, self, ssl_context(), server_hostname=name)
        self._transport = cast(asyncio.Transport, transport)  # None only to types: a handshake that fails raises
        self.http = HTTP11Connection(self._generation)

    async def refuse_early_bytes(self, *, tls: bool) -> None:
        """Raise if anything has come before a request was written: it would be taken for the response."""
        # Of what TLS brings, a part is not the server's words; what is, the loop has read with the handshake.
        for _ in range(LOOK_TURNS):
            if tls or not self._readable():
                break
            await asyncio.sleep(0)  # the loop reads it meanwhile
        if self._transport.is_closing():
            raise self.http.connection_lost()
        if self.http.must_close:
            raise ExchangeError("protocol", "expected a server that waits for a request, got bytes before it")

    def close(self) -> None:
        """Close it at once: nothing is to be waited for, and nothing is on its way."""
        if self._loop.is_closed():
            # A transport closes its socket in a callback, and a closed loop takes none: it is called here instead.
            # uvloop's loops have no such attribute to set, and have closed their sockets themselves.
            with suppress(AttributeError):
                self._loop.call_soon = _call_now  # type: ignore[method-assign, assignment]
        with suppress(RuntimeError):
            self._transport.abort()


def _call_now(callback: Callable[..., object], *arguments: Any, context: object = None) -> None:
    callback(*arguments)


async def connect(
    pool: IdlePool[AsyncConnection], make: Callable[[], AsyncConnection], deadline: Deadline
) -> AsyncConnection:
    """A new connection, through a proxy if there is one."""
    origin, proxy = pool.origin, pool.proxy
    try:
        connection = await _connect_tcp(origin if proxy is None else proxy.origin, make, deadline)
        try:
            if proxy is not None and origin.tls:
                proxy.check(await connection.exchange(connect_request(origin, proxy), deadline, tunnel=True))
                async with asyncio.timeout(deadline.left("connecting")):
                    await connection.secure(origin.server_name)
            await connection.refuse_early_bytes(tls=origin.tls or (proxy is not None and proxy.origin.tls))
        except BaseException:
            connection.close()
            raise
    except TimeoutError as error:
        raise ExchangeError("timeout", "the deadline passed while connecting") from error
    except OSError as error:
        raise ExchangeError("connection", words(error)) from error
    pool.opened.add(connection)
    return connection


async def _connect_tcp(origin: Origin, make: Callable[[], AsyncConnection], deadline: Deadline) -> AsyncConnection:
    # Waited for, not cancelled, because others may wait for the same look-up.
    looking = asyncio.wrap_future(look_up(origin.host))
    looking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # or a late one is logged
    await asyncio.wait({looking}, timeout=deadline.left("connecting"))
    if not looking.done():
        raise ExchangeError("timeout", "the deadline passed while the host was looked up")
    context, name = (ssl_context(), origin.server_name) if origin.tls else (None, None)
    addresses = looking.result()
    failed: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    for position, address in enumerate(addresses):
        try:
            async with asyncio.timeout(deadline.left("connecting", len(addresses) - position)):
                _, connection = await asyncio.get_running_loop().create_connection(
                    make, address, origin.port, ssl=context, server_hostname=name
                )
                return connection
        except OSError as error:
            failed = error
    raise failed


class _LoopState(Struct, frozen=True):
    """What a transport has in one event loop."""

    slots: asyncio.Semaphore
    pools: Pools[AsyncConnection]
    make: Callable[[], AsyncConnection]
    """A connection that is not made yet."""
    closing: AsyncGenerator[None]


async def _until_shutdown(pools: Pools[AsyncConnection]) -> AsyncGenerator[None]:
    """Close the connections when their event loop shuts its generators down, as asyncio.run does before it ends."""
    try:
        yield
    finally:
        pools.close()


class AsyncPooledTransport:
    """As PooledTransport, awaited, with connections of its own for each event loop."""

    def __init__(self) -> None:
        self._made: dict[asyncio.AbstractEventLoop, _LoopState] = {}

    def __repr__(self) -> str:
        return "AsyncPooledTransport()"

    def _state(self) -> _LoopState:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for other in [other for other in list(self._made) if other.is_closed()]:  # shared by loops of other threads
                with suppress(KeyError):
                    self._made.pop(other).pools.close()
            pools, buffer = Pools[AsyncConnection](proxy_for), memoryview(bytearray(BUFFER))
            make = partial(AsyncConnection, pools.generation, buffer)
            closing = _until_shutdown(pools)
            with suppress(StopIteration):  # which says that it waits
                anext(closing).send(None)
            self._made[loop] = _LoopState(asyncio.Semaphore(MAX_CONNECTIONS), pools, make, closing)
        return self._made[loop]

    async def perform(self, request: Request) -> Outcome:
        """Perform one request; it ends by `request.timeout` seconds from now, or when its caller is cancelled."""
        deadline, state = Deadline(request.timeout), self._state()
        if state.slots.locked():
            try:
                async with asyncio.timeout(deadline.remaining()):
                    await state.slots.acquire()
            except TimeoutError:
                return state.pools.failed(request.url, ExchangeError("busy", "all connections are in use"))
        else:
            await state.slots.acquire()  # at once
        try:
            pool = state.pools.pool(request.url)
            connection = pool.acquire() or await connect(pool, state.make, deadline)
            try:
                return await connection.exchange(request_bytes(request, pool.proxy), deadline)
            finally:
                pool.release(connection)
        except ExchangeError as error:
            return state.pools.failed(request.url, error)
        finally:
            state.slots.release()

    def connections(self) -> tuple[int, int]:
        """How many are open in all event loops, and how many of them idle."""
        counts = [made.pools.count() for made in list(self._made.values())]
        return sum(opened for opened, _ in counts), sum(idle for _, idle in counts)

    async def aclose(self) -> None:
        """Close the connections of this event loop; those that are in use are closed after their responses."""
        state = self._made.pop(asyncio.get_running_loop(), None)
        if state is not None:
            await state.closing.aclose()
