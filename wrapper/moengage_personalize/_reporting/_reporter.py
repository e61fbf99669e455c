"""The reporter of a client that blocks: events in the background, from a thread.

Law of this module: `put` never blocks and never raises; what becomes of an event is in `stats`. Which events are sent
when stands in _delivery.
"""

from __future__ import annotations

import atexit
import os
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Self

from .._arguments import check_seconds, check_whole
from .._errors import ConfigurationError, PersonalizeError
from .._policy import register_after_fork
from .._redact import redact_traceback
from .._spool._spool import Spool, check_spool
from ..events import ExperienceEvent
from ._item import OnDrop, ReporterStats
from ._outbox import Outbox
from ._schedule import Delivery, Report, Tend, Wait

POLL = 0.005  # seconds
CLOSE = 3.0


class Background(ABC):
    """What both reporters share: checks, the queue, and a new start after a fork."""

    @redact_traceback
    def __init__(
        self,
        report: Callable[..., Any],
        queue_size: int,
        flush_interval: float,
        max_batch: int,
        on_drop: OnDrop | None,
        spool: str | os.PathLike[str] | None,
    ) -> None:
        check_whole("queue_size", queue_size, 1)
        check_seconds("flush_interval", flush_interval, ConfigurationError)
        if check_whole("max_batch", max_batch, 1) > 100:
            raise ConfigurationError(f"expected max_batch to be at most 100, as the API has it, got {max_batch!r}")
        if on_drop is not None and not callable(on_drop):
            raise ConfigurationError(f"expected on_drop to be callable, got {type(on_drop).__name__}")
        self._report = report
        self._given = (queue_size, flush_interval, max_batch, on_drop)
        self._spool = None if spool is None else Spool(check_spool(spool))
        self.reset_after_fork()
        register_after_fork(self)
        if self._spool is not None:
            self._spool.tidy()  # opened here, so that no page waits for that
            self._start()

    def reset_after_fork(self) -> None:
        """With an empty queue: the events of before a fork are the parent's to send."""
        queue_size, flush_interval, self._max_batch, on_drop = self._given
        self._outbox = Outbox(queue_size, on_drop, time.monotonic, self._spool)
        self._delivery = Delivery(self._outbox, flush_interval, self._max_batch, time.monotonic, random.random)

    @abstractmethod
    def _start(self) -> None:
        """Begin to work, if that can be now."""

    @property
    def stats(self) -> ReporterStats:
        """What became of all events that were put, as of now."""
        return self._outbox.stats()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stats!r})"


def at_exit(close: Callable[[], object]) -> None:
    """Have this called at the end of the interpreter, that of a child of multiprocessing included."""
    atexit.register(close)
    if "multiprocessing" in sys.modules:  # it takes long to import, and where it is not, this is no child of it
        from multiprocessing import parent_process, util

        if parent_process() is not None:  # its end does not run what is registered with atexit
            util.Finalize(None, close, exitpriority=10)


class Reporter(Background):
    """Reports events from a thread of its own, which the first event starts; made by `PersonalizeClient.reporter`."""

    def reset_after_fork(self) -> None:
        super().reset_after_fork()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def put(self, event: ExperienceEvent) -> None:
        """Hand over an event; never blocks, never raises. When the queue is full, the oldest goes and is counted."""
        waiting = self._outbox.put(event)
        if self._thread is None:
            self._start()
        if waiting == self._max_batch and self._wake.empty():  # not for each that follows: a page would pay for it
            self._wake.put(None)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # whoever holds it starts the thread, be it this one, which a signal handler interrupted
        try:
            if self._thread is None and not self._outbox.closed:
                thread = Thread(target=self._run, name="moengage-personalize reporter", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # no more threads, or the interpreter is ending: the event waits for the close
                self._thread = thread
                at_exit(self.close)
        finally:
            self._starting.release()

    def _run(self) -> None:
        steps, outcome = self._delivery.steps(), None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration:
                return
            outcome = None
            if isinstance(step, Report):
                outcome = self._tried(step)
            elif isinstance(step, Tend):
                self._outbox.tend(step.spool)
            else:
                self._sleep(step)

    def _tried(self, step: Report) -> PersonalizeError | None:
        try:
            self._report(step.events, timeout=step.timeout)
        except PersonalizeError as error:
            return error
        return None

    def _sleep(self, step: Wait) -> None:
        with suppress(Empty):
            self._wake.get(timeout=step.seconds)

    def flush(self, timeout: float = CLOSE) -> bool:
        """Send what there is now, within so many seconds; whether nothing is left."""
        until = time.monotonic() + timeout
        self._delivery.hurry = True
        if self._thread is None and not self._outbox.empty:
            self._start()
        self._wake.put(None)
        while not self._outbox.empty and time.monotonic() < until:
            time.sleep(POLL)
        return self._outbox.empty

    def close(self, timeout: float = CLOSE) -> bool:
        """Send what there is and end, within so many seconds; whether all of it was sent.

        What was not stays in the spool, for the next process that uses it; without a spool it is counted as dropped.
        Done at the end of the interpreter, too. What is put later is counted as dropped.
        """
        atexit.unregister(self.close)
        with self._starting:
            self._outbox.closed = True
            thread = self._thread
        if self._delivery.ends_at is None:
            self._delivery.ends_at = time.monotonic() + timeout
        self._wake.put(None)
        if thread is None:
            self._run()
        else:
            thread.join(timeout + 0.1)
        return self._outbox.empty and "closed" not in self.stats.dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
