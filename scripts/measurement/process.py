"""Processes beside this one, and what this one holds, as Linux reports it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import astuple, define, frozen

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def beside(target: Callable[..., None], *arguments: object) -> Generator[Any]:
    """Run `target(pipe, *arguments)` in a process of its own, and give this end of the pipe.

    The target is to end when its `pipe.recv()` raises EOFError, because this end was closed or its process died.
    """
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(10)
        process.kill()


@frozen
class Held:
    """What a process holds: memory in MB, open files and sockets, threads, and the tasks of one event loop."""

    memory: float
    descriptors: int
    threads: int
    tasks: int

    def since(self, before: Held) -> Held:
        """How much more it is than before."""
        return Held(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))

    @property
    def open(self) -> int:
        """Descriptors and threads together: what a call that ended must not leave."""
        return self.descriptors + self.threads


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def held(loop: asyncio.AbstractEventLoop | None = None) -> Held:
    """What this process holds now."""
    descriptors = len(list(Path("/proc/self/fd").iterdir())) - 1  # without the folder that is being listed
    return Held(resident(), descriptors, threading.active_count(), len(asyncio.all_tasks(loop)) if loop else 0)


def quiet(before: Held, seconds: float) -> Held:
    """What is held when everything has had time to end; sooner, if as little is open as before."""
    until = time.monotonic() + seconds
    while (now := held()).open > before.open and time.monotonic() < until:
        time.sleep(0.01)
    return now


@define
class Peak:
    """The most that was held while it was looked at."""

    most: Held


@contextmanager
def peak(every: float, loop: asyncio.AbstractEventLoop | None = None) -> Generator[Peak]:
    """Look at what is held, again and again, from a thread, which is held then, too."""
    found, done = Peak(held(loop)), threading.Event()

    def look() -> None:
        while not done.wait(every):
            now = held(loop)
            found.most = Held(*map(max, astuple(now), astuple(found.most)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        done.set()
        looking.join()
