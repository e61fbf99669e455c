"""Files whose locks end with their process: a lease says that its holder lives, the gate lets one through at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from uuid import uuid4

GATE_TIMEOUT = 0.2  # seconds that another process may take to open a spool or to set it aside


class Lease:
    """Holds a lock for as long as this process lives, or until `close`."""

    def __init__(self, path: str) -> None:
        self.token = uuid4().hex
        self._file = f"{path}-{self.token}"
        self._descriptor = _open(self._file)
        _try_lock(self._descriptor)

    def close(self, *, remove: bool = False) -> None:
        """Let go; `remove` the file where no event is left that names it. In a forked child, the parent's goes on."""
        if remove:
            remove_file(self._file)
        os.close(self._descriptor)


def is_alive(path: str, token: str) -> bool:
    """Whether the process that holds this lease is alive."""
    try:
        descriptor = os.open(f"{path}-{token}", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def remove_file(file: str) -> None:
    """Remove the file of a lease that has ended, if that can be; one that stays does no harm."""
    with suppress(OSError):
        os.unlink(file)  # noqa: PTH108 -- paths are str here, as sqlite3 and os have them


@contextmanager
def gate(path: str) -> Generator[None]:
    """Let one process at a time through; OSError if another does not come out."""
    descriptor, deadline = _open(f"{path}-gate"), time.monotonic() + GATE_TIMEOUT
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise BlockingIOError("another process keeps the gate")
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)


def _open(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT, 0o600)


def _try_lock(descriptor: int) -> bool:
    from fcntl import LOCK_EX, LOCK_NB, flock  # here, because Windows has it not

    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
