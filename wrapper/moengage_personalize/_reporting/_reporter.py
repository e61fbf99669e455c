"""The reporters of both clients: what drives the schedule, a thread for the one and a task for the other."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from .._errors import PersonalizeError
from ._background import CLOSE_TIMEOUT, GRACE, POLL_INTERVAL, THREAD_NAME, BaseReporter
from ._delivery import Delivery, Rejection
from ._schedule import Maintain, Report, Steps, Wait

if TYPE_CHECKING:
    from .._spool import Spool


class Reporter(BaseReporter):
    """Reports events from a thread of its own, which the first event starts; made by `PersonalizeClient.reporter`."""

    _is_async = False

    def reset_after_fork(self) -> None:
        super().reset_after_fork()
        self._thread: threading.Thread | None = None
        self._wake: queue.SimpleQueue[None] | None = None

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        if self._outbox.closed:
            return  # whoever closes does what is left
        wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, args=(wake,), name=THREAD_NAME, daemon=True)
        with suppress(RuntimeError):  # no more threads, or the interpreter is ending
            thread.start()
            self._thread, self._wake = thread, wake

    def _wake_up(self) -> None:
        if self._wake is not None and self._wake.empty():  # not for each event that follows: a page would pay for it
            self._wake.put(None)

    def _run(self, wake: queue.SimpleQueue[None]) -> None:
        steps, outcome = self._schedule.steps(), None
        try:
            while True:
                step = steps.send(outcome)
                outcome = None
                if isinstance(step, Report):
                    outcome = self._attempt(step)
                elif isinstance(step, Maintain):
                    self._outbox.maintain(step.spool)
                else:
                    with suppress(queue.Empty):
                        wake.get(timeout=step.seconds)
        except StopIteration:
            return
        finally:
            steps.close()

    def _attempt(self, step: Report) -> Sequence[Rejection]:
        try:
            delivery: Delivery = self._report(step.events, step.timeout)
        except PersonalizeError as error:
            return [Rejection(tuple(step.events), error)]
        return delivery.rejections

    def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Send what there is now, within so many seconds; whether nothing is left."""
        deadline = time.monotonic() + timeout
        self._schedule.flush_requested = True
        if not self._outbox.empty:
            self._ensure_running()
        self._wake_up()
        while not self._outbox.empty and self._is_running() and not sys.is_finalizing() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        return self._outbox.empty

    def close(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Send what there is and end, within so many seconds; whether all of it was sent.

        What was not stays in the spool, for the next process that uses it; without a spool it is counted as dropped.
        Done at the end of the interpreter, too. What is put later is counted as dropped.
        """
        self._begin_close(timeout)
        return self._finish_close(time.monotonic() + timeout + GRACE)

    def _finish_close(self, deadline: float) -> bool:
        while not self._outbox.ended and time.monotonic() < deadline:
            with self._exclusively() as mine:
                if mine and not self._is_running():
                    self._run(queue.SimpleQueue())
                    break
            time.sleep(POLL_INTERVAL)
        return self._is_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReporter(BaseReporter):
    """Reports events from a task, which the first event starts; made by `AsyncPersonalizeClient.reporter`."""

    _is_async = True

    def reset_after_fork(self) -> None:
        super().reset_after_fork()
        self._task: asyncio.Task[None] | None = None
        self._steps: Steps | None = None
        self._wake: asyncio.Event | None = None

    def _is_running(self) -> bool:
        return self._task is not None and not self._task.done() and self._task.get_loop().is_running()

    def _start(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # without a loop there is no task; the next call in one starts it, or the end of the interpreter
        if self._steps is not None:
            self._steps.close()  # what was in flight is queued again
        if self._task is not None:
            with suppress(RuntimeError):  # its loop is closed; else, should that ever run again, the task ends
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        self._steps, self._wake = self._schedule.steps(), asyncio.Event()
        self._task = loop.create_task(self._run(self._steps, self._wake), name=THREAD_NAME)

    def _wake_up(self) -> None:
        if self._task is not None and self._wake is not None and not self._wake.is_set():
            with suppress(RuntimeError):  # the loop is closed
                self._task.get_loop().call_soon_threadsafe(self._wake.set)

    async def _run(self, steps: Steps, wake: asyncio.Event) -> None:
        outcome = None
        try:
            while True:
                step = steps.send(outcome)
                outcome = None
                if isinstance(step, Report):
                    outcome = await self._attempt(step)
                elif isinstance(step, Maintain):
                    await self._maintain(step.spool)
                else:
                    await self._sleep(step, wake)
        except StopIteration:
            return
        finally:
            steps.close()

    async def _attempt(self, step: Report) -> Sequence[Rejection]:
        try:
            delivery: Delivery = await self._report(step.events, step.timeout)
        except PersonalizeError as error:
            return [Rejection(tuple(step.events), error)]
        return delivery.rejections

    async def _maintain(self, spool: Spool) -> None:
        try:
            await asyncio.to_thread(self._outbox.maintain, spool)
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._outbox.maintain(spool)

    async def _sleep(self, step: Wait, wake: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(step.seconds):
                await wake.wait()
        wake.clear()

    async def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Send what there is now: as Reporter.flush."""
        deadline = time.monotonic() + timeout
        self._schedule.flush_requested = True
        self._ensure_running()
        self._wake_up()
        while not self._outbox.empty and time.monotonic() < deadline:  # noqa: ASYNC110 -- emptied by another loop, too
            await asyncio.sleep(POLL_INTERVAL)
        return self._outbox.empty

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Send what there is and end: as Reporter.close."""
        self._begin_close(timeout)
        return await self._finish_close(time.monotonic() + timeout + GRACE)

    async def _finish_close(self, deadline: float) -> bool:
        self._ensure_running()
        while not self._outbox.ended and time.monotonic() < deadline:
            await asyncio.sleep(POLL_INTERVAL)
            self._ensure_running()  # the loop that it ran in may have been left meanwhile
        return self._is_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
