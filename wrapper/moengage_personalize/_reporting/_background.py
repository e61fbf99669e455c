"""What both reporters share: checks, the queue, one driver at a time, a new start after a fork, and the exit.

`put` never blocks and never raises; what becomes of an event is in `stats`. The schedule decides which events are sent
when. What may happen to the thread or the task that drives it:

- A thread cannot be started: there are no more, or the interpreter is finalizing, where in Python 3.11 a start never
  returns. Events then wait for the close, which sends them itself.
- A fork: the child has no thread. It begins with an empty queue, as what was queued is the parent's to send.
- gevent may patch `threading` and `queue` after a reporter was made, as in `gunicorn -k gevent --preload`, and what was
  made before would block all greenlets at once. So what waits is made when the thread is started, by its module's name
  of that time, and nothing else ever waits: whoever finds the start under way lets it be, and who closes looks often.
- An event loop may be closed or left with the task in it, and then the task never runs again. Whether its loop runs is
  therefore asked each time, and if not, the next call within a running loop starts another task.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from .._arguments import check_seconds, check_whole, short_repr
from .._errors import ConfigurationError
from .._policy import register_after_fork
from .._redact import redact_traceback
from ..events import ExperienceEvent
from ._outbox import OnDrop, Outbox, ReporterStats
from ._schedule import FlushSchedule, Span

if TYPE_CHECKING:
    from .._spool import Spool

POLL_INTERVAL = 0.005  # seconds
CLOSE_TIMEOUT = 3.0
GRACE = 0.1  # seconds beyond the time of a close, for what it began within
MAX_BATCH = 100  # events of one request, as the API takes them
THREAD_NAME = "moengage-personalize reporter"


class BaseReporter(ABC):
    """What both reporters share: checks, the queue, one driver at a time, a new start after a fork, and the exit."""

    # By id, and not weakly: a reporter that the service has let go of may hold events that nobody else does.
    _open: ClassVar[dict[int, BaseReporter]] = {}
    _is_async: ClassVar[bool]

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
        if check_whole("max_batch", max_batch, 1) > MAX_BATCH:
            raise ConfigurationError(
                f"expected max_batch to be at most {MAX_BATCH}, as the API, got {short_repr(max_batch)}"
            )
        if on_drop is not None and not callable(on_drop):
            raise ConfigurationError(f"expected on_drop to be callable, got {type(on_drop).__name__}")
        self._report = report
        self._options = (queue_size, flush_interval, max_batch, on_drop)
        self._spool: Spool | None = None
        if spool is not None:
            from .._spool import open_spool  # here, because it imports sqlite3

            self._spool = open_spool(spool)
        self.reset_after_fork()
        register_after_fork(self)
        if self._spool is not None:
            self._spool.maintain()  # opened here, so that no page waits for that
            self._ensure_running()

    def reset_after_fork(self) -> None:
        """With an empty queue: the events of before a fork are the parent's to send."""
        queue_size, flush_interval, self._max_batch, on_drop = self._options
        self._outbox = Outbox(queue_size, on_drop, time.monotonic, self._spool)
        self._schedule = FlushSchedule(self._outbox, flush_interval, self._max_batch, time.monotonic, random.random)
        self._turn = [None]
        self._open.pop(id(self), None)

    def put(self, event: ExperienceEvent) -> None:
        """Hand over an event; never blocks, never raises. When the queue is full, the oldest goes and is counted."""
        waiting = self._outbox.put(event)
        if not self._is_running():
            self._ensure_running()
        if waiting == self._max_batch:
            self._wake_up()

    @property
    def stats(self) -> ReporterStats:
        """What became of all events that were put, as of now."""
        return self._outbox.stats()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stats!r})"

    @contextmanager
    def _exclusively(self) -> Generator[bool]:
        """Whether it is this thread's turn; nobody waits for it, be it that a signal handler interrupted its holder."""
        try:
            self._turn.pop()
        except IndexError:
            yield False
        else:
            try:
                yield True
            finally:
                self._turn.append(None)

    def _ensure_running(self) -> None:
        if self._outbox.ended or sys.is_finalizing():
            return
        self._close_at_exit()
        with self._exclusively() as mine:
            if mine and not self._is_running():
                self._start()

    def _begin_close(self, timeout: float) -> None:
        self._outbox.closed = True
        self._schedule.closing = Span(time.monotonic(), timeout)
        self._wake_up()

    def _is_closed(self) -> bool:
        """Whether all was sent, once the close is over."""
        if self._outbox.ended:
            self._open.pop(id(self), None)
        return self._outbox.empty and "closed" not in self._outbox.stats().dropped

    def _close_at_exit(self) -> None:
        """Have it closed at the end of the interpreter, that of a child of multiprocessing included."""
        if id(self) in self._open:
            return
        self._open[id(self)] = self
        atexit.unregister(self._close_all)  # registered again, to come before what the service registered until now
        atexit.register(self._close_all)
        if "multiprocessing" in sys.modules:  # it takes long to import, and where it is not, this is no child of it
            from multiprocessing import parent_process, util

            if parent_process() is not None:  # its end does not run what is registered with atexit
                util.Finalize(None, self._close_all, exitpriority=10)

    @staticmethod
    def _close_all() -> None:
        """Close all side by side, within one budget, so that one whose API is down takes no time from the others."""
        reporters = list(BaseReporter._open.values())
        deadline = time.monotonic() + CLOSE_TIMEOUT + GRACE
        for reporter in reporters:
            reporter._begin_close(CLOSE_TIMEOUT)
        if awaited := [reporter._finish_close(deadline) for reporter in reporters if reporter._is_async]:
            asyncio.run(_gather(awaited))
        for reporter in reporters:
            if not reporter._is_async:
                reporter._finish_close(deadline)

    @abstractmethod
    def _finish_close(self, deadline: float) -> Any:
        """Wait for the end, until `deadline`; awaited by the one of the two."""

    @abstractmethod
    def _is_running(self) -> bool:
        """Whether something is at work that will go on."""

    @abstractmethod
    def _start(self) -> None:
        """Begin to work, if that can be now."""

    @abstractmethod
    def _wake_up(self) -> None:
        """Have what is at work look again, if anything is."""


async def _gather(closes: Sequence[Awaitable[bool]]) -> None:
    await asyncio.gather(*closes)
