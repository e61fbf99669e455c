"""Connections whose every step ends by the deadline of the call: _dialogue over the streams of httpcore.

Law of this module: nothing is read or written past the deadline, and a connection that is not clean is closed. Only
httpcore's public interfaces are used.
"""

from __future__ import annotations

import socket
from concurrent.futures import TimeoutError as LookUpTimeout
from math import inf

import httpcore

from .._messages import Request, Response
from . import _dns as _resolve
from ._body import Content
from ._deadline import Deadline, shares
from ._exchange import answer, asking_tunnel, outgoing
from ._idle import Idle, readable
from ._origin import Proxy, Target, opened, proxy, ssl_context, target
from ._parser import READ, Dialogue, Epoch

PIECE = 16 * 1024  # bytes
NEAR = 0.001  # seconds that a step may end before or after the deadline
BACKEND: httpcore.NetworkBackend = httpcore.SyncBackend()


class Connection:
    """One connection."""

    def __init__(self, stream: httpcore.NetworkStream, epoch: Epoch) -> None:
        self._epoch = epoch
        self.dialogue = Dialogue(epoch)
        self._uses(stream)
        self._cut = False

    def _uses(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        # Its own steps would set the timeout each time, which is as expensive as to read.
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._has_come = readable(self._socket.fileno())
        self._seconds = inf

    def exchange(self, request: bytes, content: Content, deadline: Deadline) -> None:
        """Write a request and read until its answer is whole, in one piece where it is small."""
        try:
            for start in range(0, len(request), PIECE):
                self._within(deadline.left(httpcore.WriteTimeout))
                self._socket.sendall(request[start : start + PIECE])
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError:
            self._cut = True  # the server may have answered before it closed
        while not self.dialogue.hears(self._read(deadline), content, deadline):
            pass

    def _read(self, deadline: Deadline) -> bytes:
        self._within(deadline.left(httpcore.ReadTimeout))
        try:
            return self._socket.recv(READ)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            self.dialogue.lost(deadline)
            raise httpcore.ReadError(str(error)) from error

    def _within(self, seconds: float) -> None:
        if abs(seconds - self._seconds) > NEAR:
            self._socket.settimeout(seconds)
            self._seconds = seconds

    def secure(self, host: str, deadline: Deadline) -> None:
        """Speak TLS from here on, with whoever is behind a tunnel."""
        self._uses(self._stream.start_tls(ssl_context(), host, deadline.left(httpcore.ConnectTimeout)))
        self.dialogue = Dialogue(self._epoch)

    @property
    def clean(self) -> bool:
        return self.dialogue.clean and not self._cut

    @property
    def expired(self) -> bool:
        return self.dialogue.expired

    @property
    def usable(self) -> bool:
        return self.clean and not self.expired and not self._has_come()

    def close(self) -> None:
        self._stream.close()


def connect(where: Target, between: Proxy | None, epoch: Epoch, deadline: Deadline) -> Connection:
    """A new connection, through a proxy if there is one."""
    first = where if between is None else between
    if where.tls and first is not where and first.tls:  # httpcore's TLS within TLS keeps no deadline and hides surplus
        raise httpcore.UnsupportedProtocol("expected an http proxy for an https API, got an https one")
    connection = Connection(_reach(first.host, first.port, deadline), epoch)
    try:
        if first is not where and first.tls:
            connection.secure(first.host, deadline)
        if between is not None and where.tls:
            dialogue = connection.dialogue
            request = asking_tunnel(dialogue, where, between)
            connection.exchange(request, Content(), deadline)
            opened(dialogue.status)
        if where.tls:
            connection.secure(where.host, deadline)
    except BaseException:
        connection.close()
        raise
    return connection


def _reach(host: str, port: int, deadline: Deadline) -> httpcore.NetworkStream:
    try:
        addresses = _resolve.look_up(host).result(deadline.left(httpcore.ConnectTimeout))
    except LookUpTimeout as error:
        raise httpcore.ConnectTimeout("looking the host up") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    failure: Exception = httpcore.ConnectError("the host has no address")
    for address, share in shares(addresses, deadline):
        try:
            return BACKEND.connect_tcp(address, port, share)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            failure = error
    raise failure


class Pool:
    """The connections to one origin."""

    def __init__(self, where: Target, epoch: Epoch) -> None:
        self.idle: Idle[Connection] = Idle()
        self._proxy = proxy(where)
        self._epoch = epoch

    def exchange(self, where: Target, send: Request, deadline: Deadline) -> Response:
        """Send one request and take its answer."""
        connection = self.idle.take() or connect(where, self._proxy, self._epoch, deadline)
        content, dialogue = Content(), connection.dialogue
        try:
            connection.exchange(outgoing(dialogue, send, where, self._proxy), content, deadline)
            status, headers = dialogue.status, dialogue.headers
        finally:
            self.idle.give(connection)
        return answer(status, headers, content)


class Connections:
    """All connections of our own in one process; a pool for each origin."""

    def __init__(self) -> None:
        self._epoch = Epoch()
        self._pools: dict[tuple[bool, bytes], Pool] = {}

    def exchange(self, send: Request, deadline: Deadline) -> Response:
        """Send one request and take its answer."""
        where = target(send.url)
        origin = (where.tls, where.authority)
        pool = self._pools.get(origin)
        if pool is None:  # of two threads that come here at once, one pool stays
            pool = self._pools.setdefault(origin, Pool(where, self._epoch))
        return pool.exchange(where, send, deadline)

    def renew(self) -> None:
        """Let no connection that exists now serve another request."""
        self._epoch.renew()

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.idle.close()
