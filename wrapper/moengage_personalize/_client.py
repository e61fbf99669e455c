"""The client that blocks: a thin shell that drives flows.

Law of this module: it performs Send and Sleep and decides nothing. What a call means stands in _wire, when it is tried
again in _flow, and how it reaches the network in an engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Self

from . import _wire
from ._base import DAY, Asked, Client, Keys, nothing, only, raised
from ._drive import drive, together
from ._errors import InvalidRequestError, PersonalizeError, guarded
from ._experiences import Experiences
from ._metadata import ExperienceMetadata
from ._outbox import OnDrop
from ._parts import merge
from ._reporter import Reporter
from ._reports import settle
from ._session import InSession
from ._settings import check_seconds
from .engines import Engine, HttpxEngine
from .events import ExperienceEvent


class PersonalizeClient(Client[Engine]):
    """Asks MoEngage Personalize which content a visitor gets. Made once a process, shared by all its threads.

    Args:
        workspace_id: the Workspace ID (App ID).
        api_key: the key of the Personalize tile, not the general key.
        data_center: a DataCenter, or its number: "01" to "06", "101".
        base_url: instead of data_center, for a sandbox or a proxy, such as "http://127.0.0.1:8025/v1".
        timeout: seconds, wall clock, for one whole fetch: connections, answers, retries and pauses.
        max_retries: how often one request is tried again, from 0.
        circuit_breaker: when to fail fast; CircuitBreaker() by default, None never.
        engine: what performs the requests; HttpxEngine() by default. One that is passed is not closed.

    Raises:
        ConfigurationError: something that cannot work.
    """

    def _default_engine(self) -> Engine:
        return HttpxEngine()

    @guarded
    def fetch(
        self,
        keys: Keys = None,
        *,
        customer_id: str | None = None,
        user_identifiers: Mapping[str, Any] | str | None = None,
        in_session: InSession | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """Ask which experiences a visitor gets.

        Args:
            keys: one experience key, many (more than 25 travel in requests side by side), or None for all there are.
            customer_id: the visitor's id in MoEngage; without it only what is meant for all users is served.
            user_identifiers: others, such as {"u_em": "jane@example.com"}, where the workspace resolves identities.
            in_session: what is known of the visit itself.
            timeout: seconds for this call, instead of the client's.

        Raises:
            InvalidRequestError: an argument that cannot be sent; nothing was.
            PersonalizeError: one request failed, retries included: see the tree of errors.

        https://www.moengage.com/docs/api/experiences/fetch-experience
        """
        return raised(self._fetch((keys, customer_id, user_identifiers, in_session, timeout)))

    @guarded
    def fetch_or_empty(
        self,
        keys: Keys = None,
        *,
        customer_id: str | None = None,
        user_identifiers: Mapping[str, Any] | str | None = None,
        in_session: InSession | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """As `fetch`, but never raise PersonalizeError: keep what came, and tell why in `.error` and the log."""
        return self._told(self._fetch((keys, customer_id, user_identifiers, in_session, timeout)))

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
    ) -> Reporter:
        """Make what reports events in the background: from a thread of its own, also at the end of the interpreter.

        Args:
            queue_size: events that may wait; of more, the oldest go and are counted.
            flush_interval: seconds that an event waits for others at most.
            max_batch: events of one request, at most 100.
            on_drop: called with each event that is lost, and why: "full", "refused", "expired", "closed", "invalid".

        Raises:
            ConfigurationError: a number that cannot be.
        """
        return Reporter(self.report_events, queue_size, flush_interval, max_batch, on_drop)

    def _fetch(self, asked: Asked) -> Experiences:
        try:
            plan, flows = self._begin(asked)
        except PersonalizeError as error:
            return nothing(error)
        return merge(plan, together(self._engine, flows), _wire.decode)

    def close(self) -> None:
        """Close the connections that this client made; it cannot be used afterwards."""
        self._closed = True
        if self._owned:
            self._engine.close()
        if "api" in vars(self):
            self.api.get_httpx_client().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
