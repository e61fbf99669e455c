"""Who of the processes of a host still lives: each holds a lock on a file of its own, which ends with it.

Law of this module: the lock is the only evidence. Process ids are used again and clocks jump, but a lock is taken back
by the system when its process dies, and not before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from uuid import uuid4

GATE = 0.2  # seconds that another process may take to open a spool or to set it aside


class Lease:
    """Holds a file beside the spool for as long as this process lives, or until `end`."""

    def __init__(self, path: str) -> None:
        self.token = uuid4().hex
        self._file = f"{path}-{self.token}"
        self._descriptor = _opened(self._file)
        _locked(self._descriptor)

    def end(self, *, tidily: bool = False) -> None:
        """Let go; tidily where nothing is left that would have to be found. In a forked child, the parent's goes on."""
        if tidily:
            forget(self._file)
        os.close(self._descriptor)


def lives(path: str, token: str) -> bool:
    """Whether the process of that lease is alive."""
    try:
        descriptor = os.open(f"{path}-{token}", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def forget(file: str) -> None:
    """Remove the file of a lease that has ended, if that can be; it does no harm."""
    with suppress(OSError):
        os.unlink(file)  # noqa: PTH108 -- paths are str here, as sqlite3 and os have them


@contextmanager
def gate(path: str) -> Generator[None]:
    """Let one process at a time through; OSError if another does not come out."""
    descriptor, until = _opened(f"{path}-gate"), time.monotonic() + GATE
    try:
        while not _locked(descriptor):
            if time.monotonic() > until:
                raise BlockingIOError("another process keeps the gate")
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)


def _opened(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(descriptor: int) -> bool:
    from fcntl import LOCK_EX, LOCK_NB, flock  # here, because Windows has it not

    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
