"""The client that is awaited: as _client, over an event loop."""

from __future__ import annotations

from functools import partial
from typing import Self

from ._base import CustomerId, Session, UserIdentifiers, empty_result, raise_for_error
from ._errors import PersonalizeError
from ._experiences import Experiences
from ._messages import AsyncTransport
from ._operations import AsyncOperations
from ._page import AsyncPage
from ._redact import redact_traceback, redact_traceback_async
from ._request import Keys
from ._run import run_all_async
from ._split import merge_results
from ._telemetry import Recorder, is_debugged
from ._transport import make_async_transport


class AsyncPersonalizeClient(AsyncOperations):
    """As PersonalizeClient, awaited. Made once a process, shared by all tasks.

    Each event loop that it is used in has connections of its own. An `http_client` is an httpx.AsyncClient.
    """

    def _make_transport(self, http_client: object) -> AsyncTransport:
        return make_async_transport(http_client, self._settings.base_url)

    @redact_traceback_async
    async def fetch(
        self,
        keys: Keys = None,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """Ask which experiences a visitor gets: as PersonalizeClient.fetch."""
        return raise_for_error(await self._fetch(keys, customer_id, user_identifiers, in_session, timeout))

    @redact_traceback_async
    async def fetch_or_empty(
        self,
        keys: Keys = None,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """As `fetch`, but never raise PersonalizeError: as PersonalizeClient.fetch_or_empty."""
        return self._log_error(await self._fetch(keys, customer_id, user_identifiers, in_session, timeout))

    @redact_traceback
    def page(
        self,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
        linger: float = 0.0,
    ) -> AsyncPage:
        """Make what one page render asks: as PersonalizeClient.page; what tasks ask for together is one request.

        Args:
            customer_id: as for `fetch_or_empty`, whose promises all requests of the page have; likewise the next three.
            user_identifiers: others.
            in_session: what is known of the visit itself.
            timeout: seconds for each request of the page, from when it is sent.
            linger: seconds that a key waits for others before that; with 0, until all tasks that are ready had a turn.

        Raises:
            InvalidRequestError: a `linger` that is negative or not finite.
        """
        fetch = partial(
            self.fetch_or_empty,
            customer_id=customer_id,
            user_identifiers=user_identifiers,
            in_session=in_session,
            timeout=timeout,
        )
        return AsyncPage(fetch, self._log_error, linger)

    async def _fetch(
        self,
        keys: Keys,
        customer_id: CustomerId | None,
        user_identifiers: UserIdentifiers | None,
        in_session: Session | None,
        timeout: float | None,
        record: Recorder | None = None,
    ) -> Experiences:
        if record is None and (self._observer.observe is not None or is_debugged()):
            with Recorder(self._observer, "fetch", self._fetch_policy) as record:
                return record.found(await self._fetch(keys, customer_id, user_identifiers, in_session, timeout, record))
        try:
            fetch, calls = self._begin_fetch(keys, customer_id, user_identifiers, in_session, timeout, record)
        except PersonalizeError as error:
            experiences = empty_result(error)
        else:
            experiences = merge_results(fetch, await run_all_async(self._transport, calls))
        if experiences.error is not None:
            self._observer.failed(experiences.error)
        return experiences

    async def aclose(self) -> None:
        """Close the connections that this client made; it cannot be used afterwards."""
        self._closed = True
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
