"""The two clients: thin shells that drive one flow, one by blocking and one by awaiting.

Law of this module: it performs Send and Sleep and decides nothing. What a call means stands in _wire, when it is tried
again in _flow, and how it reaches the network in an engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self

from . import _wire
from ._base import Asked, Client, Fetch, Keys, nothing, raised
from ._errors import PersonalizeError, bare, guarded, guarded_async
from ._experiences import Experiences
from ._flow import Sleep
from ._parts import Part, merge
from ._session import InSession
from .engines import AsyncEngine, AsyncHttpxEngine, Engine, HttpxEngine

SIDE_BY_SIDE = 16  # threads of one fetch; 400 keys


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

    def _fetch(self, asked: Asked) -> Experiences:
        try:
            plan, flows = self._begin(asked)
        except PersonalizeError as error:
            return nothing(error)
        if len(flows) < 2:
            return merge(plan, [self._drive(flow) for flow in flows], _wire.decode)
        with ThreadPoolExecutor(min(len(flows), SIDE_BY_SIDE)) as threads:
            # With what the caller's context holds, such as the current trace.
            tasks = [threads.submit(copy_context().run, self._drive, flow) for flow in flows]
        return merge(plan, [task.result() for task in tasks], _wire.decode)

    def _drive(self, flow: Fetch) -> Part | PersonalizeError:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Sleep):
                    time.sleep(step.seconds)
                    step = flow.send(None)
                else:
                    step = flow.send(self._engine.perform(step))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # what `call` returns, which StopIteration has as Any
        except PersonalizeError as error:
            return bare(error)

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

    async def _fetch(self, asked: Asked) -> Experiences:
        try:
            plan, flows = self._begin(asked)
        except PersonalizeError as error:
            return nothing(error)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._drive(flow)) for flow in flows]
        return merge(plan, [task.result() for task in tasks], _wire.decode)

    async def _drive(self, flow: Fetch) -> Part | PersonalizeError:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                    step = flow.send(None)
                else:
                    step = flow.send(await self._engine.perform(step))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # what `call` returns, which StopIteration has as Any
        except PersonalizeError as error:
            return bare(error)

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
