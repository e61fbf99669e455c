"""A sync transport for httpx whose every step ends by the deadline of the call.

Law of this module: nothing is read or written past the deadline, and a connection that cannot be proven clean says that
it is readable, which httpcore takes for closed by the server. Only httpcore's public interfaces are used.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as LookUpTimeout
from contextlib import suppress
from functools import partial
from typing import Any, cast

import httpcore
import httpx

from . import _resolve
from ._deadline import Deadline, shares
from ._pool import core_request, core_url, extensions, factory_arguments
from ._usage import Epoch, Usage

PIECE = 16 * 1024


class Stream(httpcore.NetworkStream):
    """One connection."""

    def __init__(self, inner: httpcore.NetworkStream, epoch: Epoch) -> None:
        self._inner = inner
        self._epoch = epoch
        self._usage = Usage(epoch)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = Deadline.of(timeout)
        try:
            data = self._inner.read(max_bytes, deadline.left(httpcore.ReadTimeout))
        except httpcore.ReadError:
            self._usage.receives(deadline, b"")
            raise
        self._usage.receives(deadline, data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadline = Deadline.of(timeout)
        self._usage.sends(deadline, self._inner.get_extra_info("socket"))
        for start in range(0, len(buffer), PIECE):
            self._inner.write(buffer[start : start + PIECE], deadline.left(httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = Deadline.of(timeout).left(httpcore.ConnectTimeout)
        return Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._epoch)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return (info == "is_readable" and self._usage.dirty) or self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Makes connections."""

    def __init__(self) -> None:
        self.epoch = Epoch()
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = Deadline.of(timeout)
        try:
            addresses = _resolve.look_up(host).result(deadline.left(httpcore.ConnectTimeout))
        except LookUpTimeout as error:
            raise httpcore.ConnectTimeout("looking the host up") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address, share in shares(addresses, deadline):
            try:
                made = self._inner.connect_tcp(address, port, share, local_address, socket_options)
                return Stream(made, self.epoch)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class Pool:
    """The idle connections to one origin; the one that was used last serves first."""

    def __init__(self, url: httpx.URL, backend: Backend) -> None:
        self._factory = httpcore.ConnectionPool(**factory_arguments(url, backend))
        self._origin = core_url(url).origin
        self._idle: deque[httpcore.ConnectionInterface] = deque()
        self._closed = False

    def take(self) -> httpcore.ConnectionInterface:
        """A connection that is clean and open, or a new one."""
        with suppress(IndexError):  # no idle one is left
            while (connection := self._idle.pop()).has_expired():
                connection.close()
            return connection
        return self._factory.create_connection(self._origin)

    def give(self, connection: httpcore.ConnectionInterface) -> None:
        """Take a connection back after its answer, and let go of those that have lain idle for too long."""
        if connection.is_idle() and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        with suppress(IndexError):  # another thread was faster
            while self._idle[0].has_expired():
                self._idle.popleft().close()

    def close(self) -> None:
        """Close the idle connections; one that is in use is closed when it is given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class Transport(httpx.BaseTransport):
    """What an httpx.Client takes; one pool for each origin."""

    def __init__(self) -> None:
        self._backend = Backend()
        self._pools: dict[tuple[str, bytes], Pool] = {}

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._backend.epoch.renew()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.netloc)
        pool = self._pools.get(origin)
        if pool is None:  # of two threads that come here at once, one pool stays
            pool = self._pools.setdefault(origin, Pool(request.url, self._backend))
        connection = pool.take()
        try:
            answer = connection.handle_request(core_request(request))
        except BaseException:
            pool.give(connection)
            raise
        body = Body(answer.stream, partial(pool.give, connection))
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=extensions(answer))

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class Body(httpx.SyncByteStream):
    """The body of an answer, as httpx takes it; it gives its connection back when it is closed."""

    def __init__(self, inner: Any, give_back: Callable[[], None]) -> None:
        self._inner = inner
        self._give_back = give_back

    def __iter__(self) -> Iterator[bytes]:
        return cast(Iterator[bytes], iter(self._inner))

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._give_back()
