"""Looks host names up in a thread, so that a slow DNS holds no call past its deadline; keeps answers for a while."""

from __future__ import annotations

import os
import socket
import sys
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
    with _lock:
        now = time.monotonic()
        if host in _found:
            since, asked = _found[host]
            fresh = 0 <= now - since <= FRESH  # an instant of another clock (freezegun) is not
            if not asked.done() or (fresh and asked.exception() is None):
                return asked
        future = Future[Addresses]()
        _found[host] = (now, future)
    if not sys.is_finalizing():  # else a thread would never run, and starting it waits until it does
        # A daemon, because nothing can end a look-up and no process should wait for one.
        thread = threading.Thread(target=_resolve, args=(host, future), daemon=True, name=f"look up {host}")
        with suppress(RuntimeError):  # no more threads: late is better than never
            thread.start()
            return future
    _resolve(host, future)
    return future


def _resolve(host: str, future: Future[Addresses]) -> None:
    try:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:  # not every system knows the names of its own (localhost) with the dot of an absolute one
            if not host.endswith("."):
                raise
            found = socket.getaddrinfo(host[:-1], None, type=socket.SOCK_STREAM)
    except OSError as error:
        future.set_exception(error)
    except UnicodeError:
        future.set_exception(socket.gaierror(socket.EAI_NONAME, "not a host name"))
    else:
        future.set_result(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))
    finally:
        if not future.done():  # interrupted, and nobody may wait for ever
            future.set_exception(socket.gaierror(socket.EAI_AGAIN, "the look-up was interrupted"))


def _forget() -> None:
    """In a forked child: the threads of the parent are not there, and its lock may be held for ever."""
    global _lock
    _lock = threading.Lock()
    _found.clear()


with suppress(AttributeError):  # which Windows has not, and forks neither
    os.register_at_fork(after_in_child=_forget)
