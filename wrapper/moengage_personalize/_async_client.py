"""The client that is awaited: as _client, over an event loop.

Law of this module: that of _client; meaning that is not here cannot differ from it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self

from . import _wire
from ._async_reporter import AsyncReporter
from ._base import DAY, Asked, Client, Keys, nothing, only, raised
from ._drive import drive_async, together_async
from ._errors import InvalidRequestError, PersonalizeError, guarded, guarded_async
from ._experiences import Experiences
from ._metadata import ExperienceMetadata
from ._outbox import OnDrop
from ._parts import merge
from ._reports import settle
from ._session import InSession
from ._settings import check_seconds
from .engines import AsyncEngine, AsyncHttpxEngine
from .events import ExperienceEvent


class AsyncPersonalizeClient(Client[AsyncEngine]):
    """As PersonalizeClient, awaited, over AsyncHttpxEngine(). Made once a process, shared by all tasks.

    Each event loop that it is used in has connections of its own.
    """

    def _default_engine(self) -> AsyncEngine:
        return AsyncHttpxEngine()

    @guarded_async
    async def fetch(
        self,
        keys: Keys = None,
        *,
        customer_id: str | None = None,
        user_identifiers: Mapping[str, Any] | str | None = None,
        in_session: InSession | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """Ask which experiences a visitor gets: as PersonalizeClient.fetch."""
        return raised(await self._fetch((keys, customer_id, user_identifiers, in_session, timeout)))

    @guarded_async
    async def fetch_or_empty(
        self,
        keys: Keys = None,
        *,
        customer_id: str | None = None,
        user_identifiers: Mapping[str, Any] | str | None = None,
        in_session: InSession | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """As `fetch`, but never raise PersonalizeError: as PersonalizeClient.fetch_or_empty."""
        return self._told(await self._fetch((keys, customer_id, user_identifiers, in_session, timeout)))

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
    ) -> AsyncReporter:
        """Make what reports events in the background, from a task: as PersonalizeClient.reporter."""
        return AsyncReporter(self.report_events, queue_size, flush_interval, max_batch, on_drop)

    async def _fetch(self, asked: Asked) -> Experiences:
        try:
            plan, flows = self._begin(asked)
        except PersonalizeError as error:
            return nothing(error)
        return merge(plan, await together_async(self._engine, flows), _wire.decode)

    async def aclose(self) -> None:
        """Close the connections that this client made; it cannot be used afterwards."""
        self._closed = True
        if self._owned:
            await self._engine.aclose()
        if "api" in vars(self):
            await self.api.get_async_httpx_client().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
