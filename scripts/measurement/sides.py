"""One worker, written once, at work in threads with the sync client or in tasks with the async one.

A worker is a generator. It calls a client, yields what the call gave, and gets back what came of it: with the sync
client that is the result itself, with the async one an awaitable, which the driver awaits. An exception arrives in the
worker where it yielded, as if the call had been made there:

    def worker(side, client):
        yield side.sleep(0.1)
        experiences = yield client.fetch("homepage-banner")
        return experiences["homepage-banner"]["Title"]

    with side, side.opened(lambda: side.client("WS", "key")) as client:
        titles = side.run([worker(side, client) for _ in range(16)])
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

from moengage_personalize import AsyncPersonalizeClient, PersonalizeClient

MOST = 512  # workers at once
Worker = Generator[Any, Any, Any]


class Threads:
    """The sync side: each worker in a thread of its own."""

    name = "sync"
    client: Any = PersonalizeClient
    loop: asyncio.AbstractEventLoop | None = None
    left = 0

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(MOST)
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def run(self, workers: Sequence[Worker]) -> list[Any]:
        """What each of the workers returned, all of them at once."""
        return list(self._threads.map(_drive, workers))

    def here(self, worker: Worker) -> Any:
        """What one worker returned, in the calling thread."""
        return _drive(worker)

    def sleep(self, seconds: float) -> None:
        """To be yielded, as everything that takes time."""
        time.sleep(max(0.0, seconds))

    @contextmanager
    def opened(self, make: Callable[[], Any]) -> Generator[Any]:
        """A client of any kind, closed at the end of the block."""
        with make() as client:
            yield client


class Tasks:
    """The async side: each worker in a task, all of them in one event loop, which lasts as long as the side."""

    name = "async"
    client: Any = AsyncPersonalizeClient
    left = 0
    """Tasks that had not ended when the event loop was closed."""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self.loop = self._runner.get_loop()
        return self

    def __exit__(self, *_: object) -> None:
        self.left = len(asyncio.all_tasks(self.loop))
        self._runner.close()

    def run(self, workers: Sequence[Worker]) -> list[Any]:
        """What each of the workers returned, all of them at once."""

        async def together() -> list[Any]:
            return await asyncio.gather(*map(_drive_async, workers))

        return self._runner.run(together())

    def here(self, worker: Worker) -> Any:
        """What one worker returned; the loop is that of the calling thread."""
        return self._runner.run(_drive_async(worker))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """To be yielded, as everything that takes time."""
        return asyncio.sleep(seconds)

    @contextmanager
    def opened(self, make: Callable[[], Any]) -> Generator[Any]:
        """A client of any kind, made in the event loop and closed there at the end of the block."""

        async def enter() -> tuple[Any, Any]:
            manager = make()
            return manager, await manager.__aenter__()

        manager, client = self._runner.run(enter())
        try:
            yield client
        finally:
            self._runner.run(manager.__aexit__(None, None, None))


Side = Threads | Tasks
SIDES: tuple[type[Threads] | type[Tasks], ...] = (Threads, Tasks)


async def cancelled_after(call: Awaitable[Any], seconds: float) -> Any:
    """A call whose caller goes away after so long, if it has not ended by then: asyncio.CancelledError."""
    task = asyncio.ensure_future(call)
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    return await task


def _drive(worker: Worker) -> Any:
    result = None
    try:
        while True:
            result = worker.send(result)
    except StopIteration as ended:
        return ended.value


async def _drive_async(worker: Worker) -> Any:
    try:
        step = next(worker)
        while True:
            try:
                result = await step
            except BaseException as error:  # noqa: BLE001 -- the worker decides what becomes of it
                step = worker.throw(error)
            else:
                step = worker.send(result)
    except StopIteration as ended:
        return ended.value
