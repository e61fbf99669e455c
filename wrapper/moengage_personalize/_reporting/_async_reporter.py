"""The reporter of a client that is awaited: events in the background, from a task.

Law of this module: that of _reporter.
"""

from __future__ import annotations

import asyncio
import atexit
import time
from contextlib import suppress
from typing import Self

from .._errors import PersonalizeError
from .._spool._spool import Spool
from ..events import ExperienceEvent
from ._reporter import CLOSE, POLL, Background, at_exit
from ._schedule import Report, Tend, Wait


class AsyncReporter(Background):
    """Reports events from a task, which the first event starts; made by `AsyncPersonalizeClient.reporter`."""

    def reset_after_fork(self) -> None:
        super().reset_after_fork()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._full: asyncio.Event | None = None
        self._watched = False

    def put(self, event: ExperienceEvent) -> None:
        """Hand over an event; never blocks, never raises. When the queue is full, the oldest goes and is counted."""
        waiting = self._outbox.put(event)
        if self._task is None or self._task.done():
            self._start()
        if waiting == self._max_batch:
            self._woken()

    def _start(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # without a loop there is no task; the next put in one starts it, or the end of the interpreter
        else:
            self._task = loop.create_task(self._run(), name="moengage-personalize reporter")
        if not self._watched:
            self._watched = True
            at_exit(self._at_exit)

    def _woken(self) -> None:
        if self._loop is not None and self._full is not None and not self._full.is_set():
            with suppress(RuntimeError):  # the loop is closed; as above
                self._loop.call_soon_threadsafe(self._full.set)

    async def _run(self) -> None:
        steps, outcome = self._delivery.steps(), None
        self._loop, full = asyncio.get_running_loop(), asyncio.Event()
        self._full = full
        try:
            while True:
                step = steps.send(outcome)
                outcome = None
                if isinstance(step, Report):
                    outcome = await self._tried(step)
                elif isinstance(step, Tend):
                    await self._tend(step.spool)
                else:
                    await self._sleep(step, full)
        except StopIteration:
            return
        finally:
            steps.close()

    async def _tried(self, step: Report) -> PersonalizeError | None:
        try:
            await self._report(step.events, timeout=step.timeout)
        except PersonalizeError as error:
            return error
        return None

    async def _tend(self, spool: Spool) -> None:
        try:
            await asyncio.to_thread(self._outbox.tend, spool)
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._outbox.tend(spool)

    async def _sleep(self, step: Wait, full: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(step.seconds):
                await full.wait()
        full.clear()

    async def flush(self, timeout: float = CLOSE) -> bool:
        """Send what there is now: as Reporter.flush."""
        until = time.monotonic() + timeout
        self._delivery.hurry = True
        if self._task is None or self._task.done():
            self._start()
        self._woken()
        while not self._outbox.empty and time.monotonic() < until:  # noqa: ASYNC110 -- emptied by another loop, too
            await asyncio.sleep(POLL)
        return self._outbox.empty

    async def close(self, timeout: float = CLOSE) -> bool:
        """Send what there is and end: as Reporter.close."""
        atexit.unregister(self._at_exit)
        self._outbox.closed = True
        if self._delivery.ends_at is None:
            self._delivery.ends_at = time.monotonic() + timeout
        self._woken()
        if self._task is None or self._task.done():
            await self._run()
        else:
            await asyncio.wait({self._task}, timeout=timeout + 0.1)
        return self._outbox.empty and "closed" not in self.stats.dropped

    def _at_exit(self) -> None:
        if not self._outbox.empty:
            asyncio.run(self.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
