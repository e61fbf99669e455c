"""A sync transport for httpx whose every step ends by the deadline of the call.

Law of this module: nothing is read or written past the deadline, and a connection that cannot be proven clean says that
it is readable, which httpcore takes for closed by the server. Only httpcore's public interfaces are used.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as LookUpTimeout
from typing import Any, cast

import httpcore
import httpx

from . import _resolve
from ._deadline import Deadline, shares
from ._pool import core_request, extensions, pool_arguments
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


class Transport(httpx.BaseTransport):
    """What an httpx.Client takes; one pool for each origin."""

    def __init__(self) -> None:
        self._backend = Backend()
        self._pools: dict[tuple[str, bytes], httpcore.ConnectionPool] = {}

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._backend.epoch.renew()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.netloc)
        pool = self._pools.get(origin)
        if pool is None:  # of two threads that come here at once, one pool stays
            made = httpcore.ConnectionPool(**pool_arguments(request.url, self._backend))
            pool = self._pools.setdefault(origin, made)
        answer = pool.handle_request(core_request(request))
        return httpx.Response(
            answer.status, headers=answer.headers, stream=Body(answer.stream), extensions=extensions(answer)
        )

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class Body(httpx.SyncByteStream):
    """The body of an answer, as httpx takes it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return cast(Iterator[bytes], iter(self._inner))

    def close(self) -> None:
        self._inner.close()
