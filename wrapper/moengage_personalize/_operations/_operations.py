"""What both clients do beside fetching, one half for each; the two are the same but for `await`."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from .. import _generated
from .._arguments import check_whole, short_repr
from .._base import BaseClient, CustomerId, Session, UserIdentifiers
from .._call import Flow
from .._errors import ConfigurationError, InvalidRequestError
from .._experiences import Experiences
from .._messages import AsyncTransport, Response, Transport
from .._policy import RetryPolicy
from .._redact import redact_traceback, redact_traceback_async
from .._reporting import AsyncReporter, Batch, Delivery, OnDrop, Reporter
from .._request import FetchRequest, InSession, Keys
from .._run import raise_if_all_failed, run, run_all, run_all_async, run_async, unwrap
from .._split import split_fetch
from .._telemetry import Operation, Recorder
from ..events import ExperienceEvent
from ._batch import AsyncBatch, Customer, SyncBatch, check_rate
from ._metadata import ExperienceMetadata, check_statuses, metadata_query, read_metadata
from ._pacing import Pacer

MAX_WARM = 16  # connections

T = TypeVar("T", bound=Transport | AsyncTransport)


class BaseOperations(BaseClient[T]):
    """What both clients make of the arguments of these operations."""

    def _record(self, operation: Operation, policy: RetryPolicy) -> Recorder:
        """Count an operation, and note what it does."""
        next(self._observer.calls)
        return Recorder(self._observer, operation, policy)

    def _note_rejected(self, record: Recorder, delivery: Delivery) -> None:
        """Of a reporter, whose service would not know else, and of `report_events`, which raises, too."""
        record.error = delivery.error
        if record.error is not None:
            self._log_failure("report_events", record.error, "report_events")

    def _begin_metadata(
        self, status: str | Iterable[str] | None, timeout: float | None, record: Recorder
    ) -> Flow[list[ExperienceMetadata]]:
        call = self._begin(timeout, self._metadata_policy)

        def read(response: Response) -> list[ExperienceMetadata]:
            return read_metadata(response, strict=self._strict)

        return call(self._endpoints.metadata.request(b"", metadata_query(check_statuses(status))), read, record)

    def _begin_warm(
        self, connections: int, timeout: float | None, record: Recorder
    ) -> list[Flow[list[ExperienceMetadata]]]:
        if check_whole("connections", connections, 1) > MAX_WARM:
            raise ConfigurationError(f"expected connections to be at most {MAX_WARM}, got {short_repr(connections)}")
        return [self._begin_metadata(None, timeout, record) for _ in range(connections)]

    def _begin_batch(
        self, keys: Keys, rate: float, concurrency: int, in_session: Session | None, timeout: float | None
    ) -> tuple[tuple[str, ...] | None, Pacer, InSession, int]:
        """What is the same for all customers of a batch, checked before the first of them is asked for."""
        self._begin(timeout, self._fetch_policy)
        request = FetchRequest.create(keys, None, None, in_session)
        cost = len(split_fetch(self._endpoints.fetch, request))
        at_once = check_whole("concurrency", concurrency, 1, InvalidRequestError)
        return request.keys, Pacer(check_rate(rate), cost), request.in_session, at_once

    def _begin_report(
        self, events: Iterable[ExperienceEvent], timeout: float | None, record: Recorder
    ) -> tuple[Delivery, Callable[[Sequence[Batch]], list[Flow[None]]]]:
        """The report, and what makes the calls for some of its requests; all of them share one deadline."""
        call = self._begin(timeout, self._events_policy)

        def read(response: Response) -> None:
            """Nothing, if the events were accepted: by any 2xx, whatever its body."""
            if not 200 <= response.status < 300:
                _generated.read_json(response, strict=self._strict)

        def calls(batches: Sequence[Batch]) -> list[Flow[None]]:
            endpoint = self._endpoints.events
            return [call(endpoint.request(_generated.events_body(batch.elements)), read, record) for batch in batches]

        return Delivery(events), calls


class Operations(BaseOperations[Transport]):
    """What PersonalizeClient does beside fetching."""

    @redact_traceback
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
        with self._record("metadata", self._metadata_policy) as record:
            return unwrap(run(self._transport, self._begin_metadata(status, timeout, record)))

    @redact_traceback
    def warm(self, connections: int = 1, *, timeout: float | None = None) -> None:
        """Open connections before the first page, by asking for the metadata over so many side by side.

        Args:
            connections: how many, from 1 to 16; they are kept for 55 s without use.
            timeout: seconds for all of it, instead of the client's.

        Raises:
            ConfigurationError: another number of connections; nothing was sent.
            PersonalizeError: not one request brought an answer, retries included; such as AuthenticationFailed.
        """
        with self._record("warm", self._metadata_policy) as record:
            raise_if_all_failed(run_all(self._transport, self._begin_warm(connections, timeout, record)))

    @redact_traceback
    def report_events(self, events: Iterable[ExperienceEvent], *, timeout: float | None = None) -> None:
        """Report events now, grouped by customer, in requests of at most 100 that run side by side.

        Args:
            events: what `events.shown` and `events.clicked` made; the same event is reported once.
            timeout: seconds for this call, retries included, instead of the client's.

        Raises:
            InvalidRequestError: something else than events; nothing was sent.
            EventsNotAccepted: a request failed; `.events` are those to report again, which is safe at any time. A
                request that is refused for one of its events (400), or as too long (413), is sent again in halves, so
                that a bad event costs itself alone.

        https://www.moengage.com/docs/api/experiences/track-experience-events
        """
        self._deliver(events, timeout).raise_for_rejected()

    def _deliver(self, events: Iterable[ExperienceEvent], timeout: float | None) -> Delivery:
        """Report events, and give what became of them where `report_events` raises."""
        with self._record("report_events", self._events_policy) as record:
            delivery, calls = self._begin_report(events, timeout, record)
            while batches := delivery.next_batches():
                delivery.handle_results(batches, run_all(self._transport, calls(batches)))
            self._note_rejected(record, delivery)
            return delivery

    @redact_traceback
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
        return Reporter(self._deliver, queue_size, flush_interval, max_batch, on_drop, spool)

    @redact_traceback
    def fetch_each(
        self,
        customers: Iterable[Customer],
        keys: Keys = None,
        *,
        concurrency: int = 16,
        rate: float = 3_000,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Generator[tuple[Customer, Experiences]]:
        """Fetch for each of many customers, no faster than the workspace's limit allows; for jobs, not for pages.

        Gives each customer, as it was given, with what it gets, as they come; `.error` of that tells what went wrong,
        and nothing is raised for one customer. A customer who meets the rate limit or an open circuit waits and is
        asked again, ten times at most. Closing the generator begins no more requests.

        Args:
            customers: customer ids, or mappings with `customer_id`, `user_identifiers` and `in_session` as for `fetch`;
                any iterable, also one without an end. It is gone through in the thread that iterates, no more than
                `concurrency` ahead, and what it raises comes out when those before have.
            keys: as for `fetch`, the same for all; a customer costs a request for each 25 of them.
            concurrency: how many customers at most are under way at once, each in a thread; of more than 25 keys fewer,
                because there are at most 64 requests.
            rate: requests a minute, shared by nobody: two batches need half each. The workspace has 10,000. It is less
                while pages use more of them than it leaves, and for a minute after a 429.
            in_session: as for `fetch`, where a customer has none of its own.
            timeout: seconds for each customer, from when it is asked for, instead of the client's.

        Raises:
            InvalidRequestError: an argument that cannot be; nothing was sent.
            ConfigurationError: the client was closed.
        """
        checked, pacer, session, at_once = self._begin_batch(keys, rate, concurrency, in_session, timeout)
        fetch = partial(self._fetch, checked, timeout=timeout)
        return SyncBatch(fetch, customers, pacer, session, at_once).results()

    @abstractmethod
    def _fetch(
        self,
        keys: Keys,
        customer_id: CustomerId | None,
        user_identifiers: UserIdentifiers | None,
        in_session: Session | None,
        timeout: float | None,
    ) -> Experiences:
        """The fetch of a client, which raises no PersonalizeError."""


class AsyncOperations(BaseOperations[AsyncTransport]):
    """What AsyncPersonalizeClient does beside fetching."""

    def _begin(self, timeout: float | None, policy: RetryPolicy) -> Callable[..., Flow[Any]]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError("expected a running event loop of asyncio, got none; trio has another") from None
        return super()._begin(timeout, policy)

    @redact_traceback_async
    async def metadata(
        self, status: str | Iterable[str] | None = None, *, timeout: float | None = None
    ) -> list[ExperienceMetadata]:
        """List the server-side experiences of the workspace: as PersonalizeClient.metadata."""
        with self._record("metadata", self._metadata_policy) as record:
            return unwrap(await run_async(self._transport, self._begin_metadata(status, timeout, record)))

    @redact_traceback_async
    async def warm(self, connections: int = 1, *, timeout: float | None = None) -> None:
        """Open connections before the first page: as PersonalizeClient.warm, for the loop that it is awaited in."""
        with self._record("warm", self._metadata_policy) as record:
            raise_if_all_failed(await run_all_async(self._transport, self._begin_warm(connections, timeout, record)))

    @redact_traceback_async
    async def report_events(self, events: Iterable[ExperienceEvent], *, timeout: float | None = None) -> None:
        """Report events now: as PersonalizeClient.report_events."""
        (await self._deliver(events, timeout)).raise_for_rejected()

    async def _deliver(self, events: Iterable[ExperienceEvent], timeout: float | None) -> Delivery:
        """Report events: as Operations._deliver, awaited."""
        with self._record("report_events", self._events_policy) as record:
            delivery, calls = self._begin_report(events, timeout, record)
            while batches := delivery.next_batches():
                delivery.handle_results(batches, await run_all_async(self._transport, calls(batches)))
            self._note_rejected(record, delivery)
            return delivery

    @redact_traceback
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
        return AsyncReporter(self._deliver, queue_size, flush_interval, max_batch, on_drop, spool)

    @redact_traceback
    def fetch_each(
        self,
        customers: Iterable[Customer] | AsyncIterable[Customer],
        keys: Keys = None,
        *,
        concurrency: int = 16,
        rate: float = 3_000,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[Customer, Experiences]]:
        """Fetch for each of many customers: as PersonalizeClient.fetch_each, with `async for`, in a running loop.

        `customers` may be an async iterable, too; it is gone through in a task of its own. Closing the generator, or
        cancelling who iterates, cancels all that is under way.
        """
        checked, pacer, session, at_once = self._begin_batch(keys, rate, concurrency, in_session, timeout)
        fetch = partial(self._fetch, checked, timeout=timeout)
        return AsyncBatch(fetch, customers, pacer, session, at_once).results()

    @abstractmethod
    async def _fetch(
        self,
        keys: Keys,
        customer_id: CustomerId | None,
        user_identifiers: UserIdentifiers | None,
        in_session: Session | None,
        timeout: float | None,
    ) -> Experiences:
        """The fetch of a client, which raises no PersonalizeError."""


def deliver(client: Operations, events: Iterable[ExperienceEvent], timeout: float | None) -> Delivery:
    """Report events by a client, and give what became of them where its `report_events` raises."""
    return client._deliver(events, timeout)  # pyright: ignore[reportPrivateUsage] -- of this room
