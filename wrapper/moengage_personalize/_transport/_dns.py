"""Looks host names up in a thread, so that a slow DNS holds no call past its deadline; keeps answers for a while."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address

FRESH = 30.0  # seconds; short, because a load balancer moves

Addresses = tuple[str, ...]

_lock = threading.Lock()
_found: dict[str, tuple[float, Future[Addresses]]] = {}


def look_up(host: str) -> Future[Addresses]:
    """The addresses of a host, in the order to try them; one look-up for all who ask at a time.

    The future fails with OSError where there is none.
    """
    with suppress(ValueError):
        known: Future[Addresses] = Future()
        known.set_result((str(ip_address(host)),))
        return known
    thread = None
    with _lock:
        since, future = _found.get(host, (0.0, None))
        stale = time.monotonic() - since > FRESH
        if future is None or (future.done() and (stale or future.exception() is not None)):
            future = Future[Addresses]()
            _found[host] = (time.monotonic(), future)
            # A daemon, because nothing can end a look-up and no process should wait for one.
            thread = threading.Thread(target=_ask, args=(host, future), daemon=True, name=f"look up {host}")
    if thread is not None:
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending: late is better than never
            _ask(host, future)
    return future


def _ask(host: str, future: Future[Addresses]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except BaseException as error:  # noqa: BLE001 -- whatever it is, nobody may wait for ever
        future.set_exception(error if isinstance(error, OSError) else OSError("not a host name"))
    else:
        future.set_result(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


def _forget() -> None:
    """In a forked child: the threads of the parent are not there, and its lock may be held for ever."""
    global _lock
    _lock = threading.Lock()
    _found.clear()


with suppress(AttributeError):  # which Windows has not, and forks neither
    os.register_at_fork(after_in_child=_forget)
