"""The default engines: the connections of httpx, used so that nothing of one visit reaches another.

Law of this module: no redirect is followed, no cookie kept or sent, and every exception ends as a NoAnswer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from weakref import ref

import httpcore
import httpx
from attrs import frozen

from .._messages import Outcome, Request, TransportError
from ._async import AsyncConnections
from ._deadline import Deadline
from ._exchange import no_answer
from ._httpx import AsyncGiven, Given
from ._origin import MAX_CONNECTIONS
from ._sync import Connections


class Slot:
    """The right to use one connection; one that an interrupt lets fall between two steps goes back by itself."""

    __slots__ = ("_home",)

    def __init__(self, home: SimpleQueue[Slot]) -> None:
        self._home = ref(home)

    def __del__(self) -> None:
        home = self._home()
        if home is not None:
            home.put(Slot(home))


@frozen
class InProcess:
    """What a sync engine has in one process."""

    process: int
    wire: Connections | Given
    slots: SimpleQueue[Slot]  # a semaphore takes ten times as long, and loses what an interrupt lets fall


class PooledTransport:
    """Performs requests over httpx's connections, without the layers of httpx above them.

    Our own end every step by the deadline, read proxies and certificates from the environment as httpx does, and are
    made anew after a fork.

    Args:
        client: your own httpx.Client: proxies, certificates, mocks. It is used, never closed, and its reads end by the
            deadline one by one, not together; cookies that it is given it keeps, but they are not sent. None makes our
            own connections.
    """

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._given = client
        self._before_fork: list[InProcess] = []
        self._made = self._make()

    def _make(self) -> InProcess:
        wire = Connections() if self._given is None else Given(self._given)
        slots: SimpleQueue[Slot] = SimpleQueue()
        for _ in range(MAX_CONNECTIONS):
            slots.put(Slot(slots))
        return InProcess(os.getpid(), wire, slots)

    def _here(self) -> InProcess:
        made = self._made
        if made.process != os.getpid():  # not by register_at_fork, because uWSGI forks without a word to Python
            self._before_fork.append(made)  # kept, because closing would speak on the parent's connections
            made = self._made = self._make()
        return made

    def __repr__(self) -> str:
        return f"PooledTransport(own_client={self._given is None})"

    def perform(self, send: Request) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now."""
        deadline = Deadline(send.timeout)
        here = self._here()
        try:
            slot = here.slots.get(timeout=max(0.0, send.timeout))
        except Empty:
            return TransportError("busy", httpcore.PoolTimeout("all connections are in use"))
        try:
            return here.wire.exchange(send, deadline)
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                here.wire.renew()
            return no_answer(error, deadline)
        finally:
            here.slots.put(slot)

    def perform_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Perform several."""
        return [self.perform(request) for request in requests]

    def close(self) -> None:
        """Close the connections, if they are our own."""
        self._made.wire.close()


@frozen
class Here:
    """What an async engine has in one event loop."""

    wire: AsyncConnections | AsyncGiven
    slots: asyncio.Semaphore


class AsyncPooledTransport:
    """As HttpxEngine, awaited, with connections of its own for each event loop.

    Args:
        client: your own httpx.AsyncClient, as in HttpxEngine; it belongs to one event loop. None makes our own
            connections.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._given = client
        self._made: dict[asyncio.AbstractEventLoop, Here] = {}

    def __repr__(self) -> str:
        return f"AsyncPooledTransport(own_client={self._given is None})"

    async def perform(self, send: Request) -> Outcome:
        """Perform one request; it ends by `send.timeout` seconds from now, or when its caller is cancelled."""
        deadline = Deadline(send.timeout)
        here = self._here()
        if here.slots.locked():
            try:
                async with asyncio.timeout(send.timeout):
                    await here.slots.acquire()
            except TimeoutError as error:
                return TransportError("busy", error)
        else:
            await here.slots.acquire()  # at once
        try:
            return await here.wire.exchange(send, deadline)
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            if deadline.stale:
                here.wire.renew()
            return no_answer(error, deadline)
        finally:
            here.slots.release()

    def _here(self) -> Here:
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for other in [other for other in list(self._made) if other.is_closed()]:  # shared by loops of other threads
                self._made.pop(other, None)  # its connections can no longer be closed properly, only let go
            wire = AsyncConnections() if self._given is None else AsyncGiven(self._given)
            self._made[loop] = Here(wire, asyncio.Semaphore(MAX_CONNECTIONS))
        return self._made[loop]

    async def aclose(self) -> None:
        """Close the connections of this event loop, if they are our own."""
        here = self._made.pop(asyncio.get_running_loop(), None)
        if here is not None:
            await here.wire.aclose()
