"""The operations beside fetch, for both clients: what the workspace has, and what its visitors have seen and clicked.

Law of this module: that of _client; the two halves are the same but for `await`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from contextlib import suppress

from ._async_reporter import AsyncReporter
from ._base import DAY, Client
from ._drive import drive, drive_async, only, together, together_async
from ._errors import InvalidRequestError, guarded, guarded_async
from ._item import OnDrop
from ._metadata import ExperienceMetadata
from ._reporter import Reporter
from ._reports import settle
from ._settings import check_seconds
from .engines import AsyncEngine, Engine
from .events import ExperienceEvent


class Companion(Client[Engine]):
    """What PersonalizeClient does beside fetching."""

    @guarded
    def metadata(
        self, status: str | Iterable[str] | None = None, *, timeout: float | None = None
    ) -> list[ExperienceMetadata]:
        """List the server-side experiences of the workspace; for start-up, and then about once a day.

        Args:
            status: "Active", "Paused" or "Scheduled", one or many; None for all.
            timeout: seconds for this call, instead of the client's.

        Raises:
            InvalidRequestError: another status, for which the API would silently find nothing; nothing was sent.
            PersonalizeError: the request failed, retries included.

        https://www.moengage.com/docs/api/experiences/fetch-experience-metadata
        """
        return only(drive(self._engine, self._begin_metadata(status, timeout)))

    @guarded
    def known_keys(self, max_age: float = DAY) -> frozenset[str]:
        """The experience keys of the workspace, asked for once and remembered; older ones rather than an error.

        Args:
            max_age: seconds after which to ask again; whoever comes meanwhile gets the older ones.

        Raises:
            PersonalizeError: the first request failed, so that nothing is known.
        """
        known, seconds = self._known, check_seconds("max_age", max_age, InvalidRequestError)
        if known.fresh(time.monotonic(), seconds):
            return known.keys
        flow, asking = self._begin_metadata(None, None), known.asking  # its deadline runs while another asks, too
        if asking.acquire(timeout=0 if known.heard else self._settings.timeout):
            try:
                if not known.fresh(time.monotonic(), seconds):
                    known.learn(drive(self._engine, flow), time.monotonic())
            finally:
                asking.release()
        return known.found(self._settings.timeout)

    @guarded
    def report_events(self, events: Iterable[ExperienceEvent], *, timeout: float | None = None) -> None:
        """Report events now, grouped by customer, in requests of at most 100 that run side by side.

        Args:
            events: what `events.shown` and `events.clicked` made; the same event is reported once.
            timeout: seconds for this call, retries included, instead of the client's.

        Raises:
            InvalidRequestError: something else than events; nothing was sent.
            EventsNotAccepted: a request failed; `.events` are those to report again, which is safe at any time.

        https://www.moengage.com/docs/api/experiences/track-experience-events
        """
        asked, flows = self._begin_report(events, timeout)
        settle(asked, together(self._engine, flows))

    @guarded
    def reporter(
        self,
        *,
        queue_size: int = 10_000,
        flush_interval: float = 2.0,
        max_batch: int = 100,
        on_drop: OnDrop | None = None,
        spool: str | os.PathLike[str] | None = None,
    ) -> Reporter:
        """Make what reports events in the background: from a thread of its own, also at the end of the interpreter.

        Args:
            queue_size: events that may wait; of more, the oldest go and are counted.
            flush_interval: seconds that an event waits for others at most.
            max_batch: events of one request, at most 100.
            on_drop: called with each event that is lost, and why: "full", "refused", "expired", "closed", "invalid".
            spool: a file on a local disk that keeps events until they are sent, also when the process is killed; made
                if it is not there, and shared by all processes of a host that name it. What dead ones have left is
                sent from the start on.

        Raises:
            ConfigurationError: a number that cannot be, or a spool where no file can be.
        """
        return Reporter(self.report_events, queue_size, flush_interval, max_batch, on_drop, spool)


class AsyncCompanion(Client[AsyncEngine]):
    """What AsyncPersonalizeClient does beside fetching."""

    @guarded_async
    async def metadata(
        self, status: str | Iterable[str] | None = None, *, timeout: float | None = None
    ) -> list[ExperienceMetadata]:
        """List the server-side experiences of the workspace: as PersonalizeClient.metadata."""
        return only(await drive_async(self._engine, self._begin_metadata(status, timeout)))

    @guarded_async
    async def known_keys(self, max_age: float = DAY) -> frozenset[str]:
        """The experience keys of the workspace, remembered: as PersonalizeClient.known_keys."""
        known, seconds = self._known, check_seconds("max_age", max_age, InvalidRequestError)
        asking = self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        if known.fresh(time.monotonic(), seconds) or (known.heard and asking.locked()):
            return known.keys
        flow = self._begin_metadata(None, None)  # its deadline runs while another asks, too
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.timeout):
                await asking.acquire()
            try:
                if not known.fresh(time.monotonic(), seconds):
                    known.learn(await drive_async(self._engine, flow), time.monotonic())
            finally:
                asking.release()
        return known.found(self._settings.timeout)

    @guarded_async
    async def report_events(self, events: Iterable[ExperienceEvent], *, timeout: float | None = None) -> None:
        """Report events now: as PersonalizeClient.report_events."""
        asked, flows = self._begin_report(events, timeout)
        settle(asked, await together_async(self._engine, flows))

    @guarded
    def reporter(
        self,
        *,
        queue_size: int = 10_000,
        flush_interval: float = 2.0,
        max_batch: int = 100,
        on_drop: OnDrop | None = None,
        spool: str | os.PathLike[str] | None = None,
    ) -> AsyncReporter:
        """Make what reports events in the background, from a task: as PersonalizeClient.reporter."""
        return AsyncReporter(self.report_events, queue_size, flush_interval, max_batch, on_drop, spool)
