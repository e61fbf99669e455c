"""The client that blocks. It decides nothing: _split knows what a request means, _call when it is tried again."""

from __future__ import annotations

from functools import partial
from typing import Self

from ._base import CustomerId, Session, UserIdentifiers, empty_result, raise_for_error
from ._errors import PersonalizeError
from ._experiences import Experiences
from ._messages import Transport
from ._operations import Operations
from ._page import Page
from ._redact import redact_traceback
from ._request import Keys
from ._run import run_all
from ._split import merge_results
from ._telemetry import Recorder, is_debugged
from ._transport import make_transport


class PersonalizeClient(Operations):
    """Asks MoEngage Personalize which content a visitor gets. Made once a process, shared by all its threads.

    Args:
        workspace_id: the Workspace ID (App ID).
        api_key: the key of the Personalize tile, not the general key.
        data_center: a DataCenter, or its number: "01" to "06", "101".
        base_url: instead of data_center, for a sandbox or a proxy, such as "http://127.0.0.1:8025/v1".
        timeout: seconds, wall clock, for one whole fetch: connections, answers, retries and pauses; up to 30 days.
        max_retries: how often one request is tried again, from 0.
        circuit_breaker: when to fail fast; CircuitBreaker() by default, None never.
        http_client: an httpx.Client of your own, or httpx2's, for proxies, certificates, mocks and instrumentation. It
            is used, never changed, and closed by you. By default the client has connections of its own.
        observe: called with a `Call` at the end of each operation, in the thread or task that called; what it raises
            is logged once. A reporter and `fetch_each` call it from their own.
        strict: for development and tests: `fetch_or_empty` raises errors of arguments, too, and error texts show the
            API's own description, which may repeat what was sent.

    Raises:
        ConfigurationError: something that cannot work.
    """

    def _make_transport(self, http_client: object) -> Transport:
        return make_transport(http_client, self._settings.base_url)

    @redact_traceback
    def fetch(
        self,
        keys: Keys = None,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """Ask which experiences a visitor gets.

        Args:
            keys: one experience key, many (more than 25 travel in requests side by side), or None for all there are.
            customer_id: the visitor's id in MoEngage, a str, an int or a UUID; without it only what is meant for all
                users is served.
            user_identifiers: others, such as {"u_em": "jane@example.com"}, where the workspace resolves identities.
            in_session: what is known of the visit itself; a mapping is short for InSession(attributes=...).
            timeout: seconds for this call, instead of the client's.

        Raises:
            InvalidRequestError: an argument that cannot be sent; nothing was.
            PersonalizeError: one request failed, retries included: see the tree of errors.

        https://www.moengage.com/docs/api/experiences/fetch-experience
        """
        return raise_for_error(self._fetch(keys, customer_id, user_identifiers, in_session, timeout))

    @redact_traceback
    def fetch_or_empty(
        self,
        keys: Keys = None,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Experiences:
        """As `fetch`, but never raise PersonalizeError: keep what came, and tell why in `.error` and the log."""
        return self._log_error(self._fetch(keys, customer_id, user_identifiers, in_session, timeout))

    def page(
        self,
        *,
        customer_id: CustomerId | None = None,
        user_identifiers: UserIdentifiers | None = None,
        in_session: Session | None = None,
        timeout: float | None = None,
    ) -> Page:
        """Make what one page render asks, so that its components ask on their own and each key is asked for once.

        Args:
            customer_id: as for `fetch_or_empty`, whose promises all requests of the page have; likewise the next two.
            user_identifiers: others.
            in_session: what is known of the visit itself.
            timeout: seconds for each request of the page, from when it is begun; instead of the client's.
        """
        fetch = partial(
            self.fetch_or_empty,
            customer_id=customer_id,
            user_identifiers=user_identifiers,
            in_session=in_session,
            timeout=timeout,
        )
        return Page(fetch, self._log_error)

    def _fetch(
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
                return record.found(self._fetch(keys, customer_id, user_identifiers, in_session, timeout, record))
        try:
            fetch, calls = self._begin_fetch(keys, customer_id, user_identifiers, in_session, timeout, record)
        except PersonalizeError as error:
            experiences = empty_result(error)
        else:
            experiences = merge_results(fetch, run_all(self._transport, calls))
        if experiences.error is not None:
            self._observer.failed(experiences.error)
        return experiences

    def close(self) -> None:
        """Close the connections that this client made; it cannot be used afterwards."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
