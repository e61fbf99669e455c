"""The idle connections of a transport, by origin; the one that was used last serves first.

Several threads may use a pool at once. It holds no lock: each step on a deque or a dict is atomic, and a lock that was
made before gevent patches threading, or held at a fork, would stop everybody.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

from .._messages import TransportError
from ._exchange import ExchangeError
from ._origin import Origin, Proxy, split_url
from ._parser import HTTP11Connection, PoolGeneration

MAX_CONNECTIONS = 100  # of one transport, in one process or event loop
LONGEST = 2_000_000.0  # seconds that one poll can wait: 31 bits of milliseconds are 24 days


class Keepable(Protocol):
    """A connection, blocking or awaited; `has_come` tells whether anything came since its last response."""

    http: HTTP11Connection

    def has_come(self) -> bool: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Keepable)


def readiness(descriptor: int) -> Callable[..., bool]:
    """What waits for so many seconds until something has come on a socket, its end included, or until it takes more."""
    if not hasattr(select, "poll"):  # on Windows, where `select` takes every descriptor

        def selected(seconds: float = 0.0, writing: bool = False) -> bool:
            wanted = [descriptor]
            return any(select.select([] if writing else wanted, wanted if writing else [], [], min(seconds, LONGEST)))

        return selected
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)

    def polled(seconds: float = 0.0, writing: bool = False) -> bool:
        waiting = poller
        if writing:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
        return bool(waiting.poll(min(seconds, LONGEST) * 1000))

    return polled


class IdlePool(Generic[C]):
    """The connections to one origin that are kept."""

    def __init__(self, origin: Origin, proxy: Proxy | None) -> None:
        self.origin = origin
        self.proxy = proxy
        self.opened: WeakSet[C] = WeakSet()
        """Those that were made and not let go of."""
        self._kept: deque[C] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def acquire(self) -> C | None:
        """One that may serve another request, or None."""
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:  # none is left
                return None
            if connection.http.reusable and not connection.has_come():
                return connection
            connection.close()

    def release(self, connection: C) -> None:
        """Take a connection back after its response, and let go of others that may serve no more."""
        if connection.http.reusable and not self._closed:
            self._kept.append(connection)
            if self._closed:  # meanwhile, by another thread
                self.close()
        else:
            connection.close()
        try:
            while len(self._kept) > 1 and not self._kept[0].http.reusable:
                self._kept.popleft().close()
        except IndexError:  # another thread was faster
            return

    def close(self) -> None:
        """Close them; one that is in use is closed when it is released."""
        self._closed = True
        with suppress(IndexError):
            while self._kept:
                self._kept.pop().close()


class Pools(Generic[C]):
    """The idle connections to all origins of one transport, in one process or event loop."""

    def __init__(self, proxy_of: Callable[[Origin], Proxy | None]) -> None:
        self.generation = PoolGeneration()
        self.by_origin: dict[Origin, IdlePool[C]] = {}
        self._proxy_of = proxy_of

    def pool(self, url: str) -> IdlePool[C]:
        """The pool of a URL's origin; of two threads that come here at once, one pool stays."""
        origin, _ = split_url(url)
        pool = self.by_origin.get(origin)
        if pool is None:
            pool = self.by_origin.setdefault(origin, IdlePool(origin, self._proxy_of(origin)))
        return pool

    def count(self) -> tuple[int, int]:
        """How many connections are open, and how many of them idle."""
        pools = list(self.by_origin.values())
        idle = sum(map(len, pools))
        return max(idle, sum(len(pool.opened) for pool in pools)), idle

    def failed(self, url: str, error: ExchangeError) -> TransportError:
        """A failed exchange as a value that names host and port, and the proxy if there is one."""
        if error.kind == "stale":
            self.generation.invalidate()
        origin, _ = split_url(url)
        proxy = self.by_origin[origin].proxy if origin in self.by_origin else None
        return error.outcome(origin if proxy is None else f"{origin} through the proxy {proxy.origin}")

    def close(self) -> None:
        for pool in list(self.by_origin.values()):
            pool.close()
