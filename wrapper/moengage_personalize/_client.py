"""The client that blocks: a thin shell that drives flows.

Law of this module: it performs Send and Sleep and decides nothing. What a call means stands in _wire, when it is tried
again in _flow, and how it reaches the network in an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

from . import _wire
from ._base import Asked, Keys, nothing, raised
from ._companion import Companion
from ._drive import together, warmed
from ._errors import PersonalizeError, guarded
from ._experiences import Experiences
from ._page import Page
from ._parts import merge
from ._session import InSession
from .engines import Engine, HttpxEngine


class PersonalizeClient(Companion):
    """Asks MoEngage Personalize which content a visitor gets. Made once a process, shared by all its threads.

    Args:
        workspace_id: the Workspace ID (App ID).
        api_key: the key of the Personalize tile, not the general key.
        data_center: a DataCenter, or its number: "01" to "06", "101".
        base_url: instead of data_center, for a sandbox or a proxy, such as "http://127.0.0.1:8025/v1".
        timeout: seconds, wall clock, for one whole fetch: connections, answers, retries and pauses; up to 30 days.
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

    def page(
        self,
        *,
        customer_id: str | None = None,
        user_identifiers: Mapping[str, Any] | str | None = None,
        in_session: InSession | None = None,
        timeout: float | None = None,
    ) -> Page:
        """Make what one page render asks, so that its components ask on their own and each key is asked for once.

        Args:
            customer_id: as for `fetch_or_empty`, whose promises all requests of the page have; likewise the next two.
            user_identifiers: others.
            in_session: what is known of the visit itself.
            timeout: seconds for each request of the page, from when it is begun; instead of the client's.
        """
        asked = partial(
            self.fetch_or_empty,
            customer_id=customer_id,
            user_identifiers=user_identifiers,
            in_session=in_session,
            timeout=timeout,
        )
        return Page(asked, self._told)

    @guarded
    def warm(self, connections: int = 1, *, timeout: float | None = None) -> None:
        """Open connections before the first page, by asking for the metadata over so many side by side.

        Args:
            connections: how many, from 1 to 16; they are kept for 55 s without use.
            timeout: seconds for all of it, instead of the client's.

        Raises:
            ConfigurationError: another number of connections; nothing was sent.
            PersonalizeError: not one request brought an answer, retries included; such as AuthenticationFailed.
        """
        warmed(together(self._engine, self._begin_warm(connections, timeout)))

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
