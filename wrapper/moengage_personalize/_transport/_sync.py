"""Connections of our own, on sockets that never block: what has to be waited for is waited for until the deadline."""

from __future__ import annotations

import errno
import os
import queue
import socket
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import TimeoutError as LookUpTimeout
from ssl import SSLWantReadError, SSLWantWriteError
from typing import TypeVar, TypeVarTuple, cast
from weakref import ref

from msgspec import Struct

from .._messages import Outcome, Request, Response
from ._dns import look_up
from ._exchange import Deadline, ExchangeError, words
from ._idle import MAX_CONNECTIONS, IdlePool, Pools, readiness
from ._origin import Origin, Proxy, proxy_for, split_url, ssl_context
from ._parser import HTTP11Connection, PoolGeneration, connect_request, request_bytes
from ._threads import SideBySide

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
READ = 64 * 1024  # bytes
PIECE = 16 * 1024  # bytes that the system takes of a request without a reader


class SyncConnection:
    """One connection over a socket, plain or TLS."""

    def __init__(self, connected: socket.socket, generation: PoolGeneration) -> None:
        self._generation = generation
        self._buffer = memoryview(bytearray(READ))
        connected.setblocking(False)
        self._use(connected)

    def _use(self, connected: socket.socket) -> None:
        self.http = HTTP11Connection(self._generation)
        self._socket = connected
        # What TLS has decrypted already no socket shows; by what it can do, because gevent has a class of its own.
        self._pending: Callable[[], int] | None = getattr(connected, "pending", None)
        self._ready = self.has_come = readiness(connected.fileno())

    def secure(self, name: str, deadline: Deadline) -> None:
        """Speak TLS from here on."""
        secured = ssl_context().wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
        self._use(secured)
        self._repeat(deadline, "connecting", secured.do_handshake)

    def refuse_early_bytes(self) -> None:
        """Raise if anything has come before a request was written: it would be taken for the response."""
        try:
            came = self._socket.recv_into(self._buffer, READ)
        except OSError:  # nothing has; whatever else it is, writing will say so
            return
        if came:
            raise ExchangeError("protocol", "expected a server that waits for a request, got bytes before it")
        raise self.http.connection_lost()

    def send(self, request: memoryview, deadline: Deadline, *, tunnel: bool = False) -> None:
        """Write a request."""
        self.http.start_request(tunnel=tunnel)
        try:
            while request := request[self._repeat(deadline, "writing", self._socket.send, request) :]:
                deadline.left("writing")  # a reader that takes a little all the time would outlive it
        except OSError as error:
            _check_is_io(error)
            self.http.must_close = True  # the server may have answered before it closed

    def receive(self, deadline: Deadline) -> Response:
        """Read until the response is whole, in one piece where it is small."""
        try:
            while not self.http.receive_data(self._buffer[: self._read(deadline)]):
                pass
        except ExchangeError as error:
            return self.http.response(error)
        except OSError as error:
            _check_is_io(error)
            return self.http.response(self.http.connection_lost(error))
        return self.http.response()

    def _read(self, deadline: Deadline) -> int:
        if self._pending is None or not self._pending():
            self._wait(deadline, "reading")  # at first, because nothing has come by then nearly always
        return self._repeat(deadline, "reading", self._socket.recv_into, self._buffer)

    def _repeat(self, deadline: Deadline, doing: str, step: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What a step of the socket brings when the socket lets it; TLS may wait for the other direction."""
        while True:
            try:
                return step(*arguments)
            except SSLWantReadError:
                writing = False
            except SSLWantWriteError:
                writing = True
            except BlockingIOError:
                writing = doing == "writing"
            self._wait(deadline, doing, writing=writing)

    def _wait(self, deadline: Deadline, doing: str, *, writing: bool = False) -> None:
        """Until the socket can go on. At the deadline, what has come already is still taken."""
        if not self._ready(deadline.remaining(), writing):
            raise ExchangeError("timeout", f"the deadline passed while {doing}")

    def close(self) -> None:
        """Close it at once."""
        self._socket.close()


def _check_is_io(error: OSError) -> None:
    """Raise it again if it is not the system's: a signal handler may raise TimeoutError, too."""
    if error.errno is None:
        raise error


def connect(pool: IdlePool[SyncConnection], generation: PoolGeneration, deadline: Deadline) -> SyncConnection:
    """A new connection, through a proxy if there is one."""
    origin, proxy = pool.origin, pool.proxy
    first = origin if proxy is None else proxy.origin
    try:
        connection = SyncConnection(_connect_tcp(first, deadline), generation)
        try:
            if first.tls:
                connection.secure(first.server_name, deadline)
            if proxy is not None and origin.tls:
                connection.send(connect_request(origin, proxy), deadline, tunnel=True)
                proxy.check(connection.receive(deadline))
                connection.secure(origin.server_name, deadline)
            connection.refuse_early_bytes()
        except BaseException:
            connection.close()
            raise
    except (TimeoutError, LookUpTimeout) as error:
        raise ExchangeError("timeout", "the deadline passed while connecting") from error
    except OSError as error:
        raise ExchangeError("connection", words(error)) from error
    pool.opened.add(connection)
    return connection


def _connect_tcp(origin: Origin, deadline: Deadline) -> socket.socket:
    addresses = look_up(origin.host).result(deadline.left("connecting"))
    failed: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    for position, address in enumerate(addresses):
        try:
            share = deadline.left("connecting", len(addresses) - position)  # so that dead ones leave time for the next
            connected = socket.create_connection((address, origin.port), share)
        except OSError as error:
            failed = error
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
    raise failed


def blocking_proxy(origin: Origin) -> Proxy | None:
    """As proxy_for, but for TLS within TLS, which the blocking sockets of the standard library cannot speak."""
    proxy = proxy_for(origin)
    if proxy is not None and proxy.origin.tls and origin.tls:
        raise ExchangeError("connection", "expected an http proxy for an https API, got an https one")
    return proxy


class Slot:
    """The right to use one connection; one that an interrupt lets fall between two steps goes back by itself."""

    def __init__(self, home: queue.SimpleQueue[Slot]) -> None:
        self._home = ref(home)

    def __del__(self) -> None:
        home = self._home()
        if home is not None:
            home.put(Slot(home))


class _ProcessState(Struct, frozen=True):
    """What a transport has in one process: a child that wrote on its parent's connections would mix up the answers."""

    process: int
    slots: queue.SimpleQueue[Slot]  # a semaphore takes ten times as long, and loses what an interrupt lets fall
    pools: Pools[SyncConnection]


class PooledTransport:
    """Performs requests over connections of its own, which threads share; a forked child has others."""

    def __init__(self) -> None:
        self._abandoned: list[_ProcessState] = []
        self._made = self._make()

    def __repr__(self) -> str:
        return "PooledTransport()"

    def _make(self) -> _ProcessState:
        slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()  # gevent puts another into the module
        for _ in range(MAX_CONNECTIONS):
            slots.put(Slot(slots))
        return _ProcessState(os.getpid(), slots, Pools(blocking_proxy))

    def _state(self) -> _ProcessState:
        made = self._made
        # Not by register_at_fork, because uWSGI forks without a word to Python. And what was made before gevent
        # patched the queue would block its hub, sockets included.
        if made.process != os.getpid() or type(made.slots) is not queue.SimpleQueue:
            self._abandoned.append(made)  # kept, because closing would speak on the parent's connections
            made = self._made = self._make()
        return made

    def perform(self, request: Request, deadline: Deadline | None = None) -> Outcome:
        """Perform one request; it ends by `request.timeout` seconds from now, or by an earlier deadline."""
        deadline = deadline or Deadline(request.timeout)
        state = self._state()
        try:
            slot = state.slots.get(timeout=deadline.remaining())
        except queue.Empty:
            return state.pools.failed(request.url, ExchangeError("busy", "all connections are in use"))
        try:
            pool = state.pools.pool(request.url)
            connection = pool.acquire() or connect(pool, state.pools.generation, deadline)
            try:
                connection.send(request_bytes(request, pool.proxy), deadline)
                return connection.receive(deadline)
            finally:
                pool.release(connection)
        except ExchangeError as error:
            return state.pools.failed(request.url, error)
        finally:
            state.slots.put(slot)

    def perform_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Perform several requests of one call side by side.

        Those for which there is an idle connection are written, all of them, and then read in turn, in the calling
        thread: the server works on them at the same time, and no thread has to be started. Threads perform the others.
        """
        state = self._state()
        outcomes: list[Outcome | None] = [None] * len(requests)
        own = {at: steps for at, request in enumerate(requests) if (steps := _on_idle_connection(state, request))}
        rest = [at for at in range(len(requests)) if at not in own]
        with SideBySide(self.perform, [requests[at] for at in rest]) as others:
            try:
                for _ in ("write", "read"):
                    for at, steps in own.items():
                        try:
                            outcomes[at] = outcomes[at] or next(steps)
                        except ExchangeError as error:
                            outcomes[at] = state.pools.failed(requests[at].url, error)
            finally:
                for steps in own.values():
                    steps.close()
            for at, outcome in zip(rest, others.results(), strict=True):
                outcomes[at] = outcome
        return cast(list[Outcome], outcomes)

    def connections(self) -> tuple[int, int]:
        """How many are open in this process, and how many of them idle."""
        return self._state().pools.count()

    def close(self) -> None:
        """Close the connections; one that is in use is closed after its response."""
        self._state().pools.close()


def _on_idle_connection(state: _ProcessState, request: Request) -> Generator[Response | None] | None:
    """What writes a request, and then reads its response; None without an idle connection that takes it at once."""
    pool = state.pools.by_origin.get(split_url(request.url)[0])
    if pool is None or len(request.body) > PIECE:
        return None
    try:
        slot = state.slots.get_nowait()
    except queue.Empty:
        return None
    connection = pool.acquire()
    if connection is None:
        state.slots.put(slot)
        return None

    def steps() -> Generator[Response | None]:
        deadline = Deadline(request.timeout)
        try:
            connection.send(request_bytes(request, pool.proxy), deadline)
            yield None
            yield connection.receive(deadline)
        finally:
            pool.release(connection)
            state.slots.put(slot)

    return steps()
