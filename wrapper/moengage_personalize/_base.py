"""What both clients share: settings, the generated client, and how a question becomes flows with one deadline."""

from __future__ import annotations

import logging
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import Any, Generic, Self, TypeVar

from . import _wire
from ._errors import ConfigurationError, InvalidRequestError, PersonalizeError, bare, guarded
from ._experiences import Experiences
from ._flow import Flow, call
from ._guard import Guard
from ._parts import Part, Plan
from ._question import question
from ._session import InSession
from ._settings import CircuitBreaker, DataCenter, check_seconds, environment, settings

logger = logging.getLogger("moengage_personalize")
WARN_EVERY = 30.0  # seconds

E = TypeVar("E")
Keys = str | Iterable[str] | None
Asked = tuple[Keys, str | None, Mapping[str, Any] | str | None, InSession | None, float | None]
Fetch = Flow[Part]


class Client(ABC, Generic[E]):
    @guarded
    def __init__(
        self,
        workspace_id: str | None = None,
        api_key: str | None = None,
        data_center: DataCenter | str | int | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 1.0,
        max_retries: int = 2,
        circuit_breaker: CircuitBreaker | None = CircuitBreaker(),  # noqa: B008 -- frozen
        engine: E | None = None,
    ) -> None:
        self._settings = settings(
            workspace_id=workspace_id,
            api_key=api_key,
            data_center=data_center,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
        )
        self._guard = Guard(max_retries, circuit_breaker)
        self._owned = engine is None
        self._engine = self._default_engine() if engine is None else engine
        self._warned: dict[str, float] = {}
        self._closed = False

    @classmethod
    @guarded
    def from_env(
        cls,
        *,
        workspace_id: str | None = None,
        api_key: str | None = None,
        data_center: DataCenter | str | int | None = None,
        base_url: str | None = None,
        timeout: float = 1.0,
        max_retries: int = 2,
        circuit_breaker: CircuitBreaker | None = CircuitBreaker(),  # noqa: B008 -- frozen
        engine: E | None = None,
    ) -> Self:
        """Make a client from the environment; keyword arguments win.

        MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, and MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL.

        Raises:
            ConfigurationError: a variable is missing, or what was found cannot work.
        """
        found = environment(
            os.environ, workspace_id=workspace_id, api_key=api_key, data_center=data_center, base_url=base_url
        )
        return cls(**found, timeout=timeout, max_retries=max_retries, circuit_breaker=circuit_breaker, engine=engine)

    def __repr__(self) -> str:
        workspace_id = self._settings.credentials.workspace_id
        return f"{type(self).__name__}(workspace_id={workspace_id!r}, base_url={self._settings.base_url!r})"

    @cached_property
    def api(self) -> _wire.GeneratedClient:
        """The generated client, authenticated: the way out for what is missing here; its errors are its own."""
        return _wire.generated_client(self._settings)

    @abstractmethod
    def _default_engine(self) -> E:
        """Each of the two clients has its own."""

    def _told(self, experiences: Experiences) -> Experiences:
        """The result, whatever it is, and a line in the log where it holds an error."""
        error, now = experiences.error, time.monotonic()
        kind = type(error).__name__
        # One line for each kind of error in half a minute, because a busy page would write thousands.
        if error is not None and now - self._warned.get(kind, -WARN_EVERY) >= WARN_EVERY:
            self._warned[kind] = now
            logger.warning("fetch_or_empty: %s: %s", kind, error)
        return experiences

    def _begin(self, asked: Asked) -> tuple[Plan, list[Fetch]]:
        """Check what is asked and turn it into flows that share one deadline, which runs from here."""
        started = time.monotonic()
        if self._closed:
            raise ConfigurationError(f"expected an open client, got {self!r} after it was closed")
        keys, customer_id, user_identifiers, in_session, given = asked
        timeout = self._settings.timeout if given is None else check_seconds("timeout", given, InvalidRequestError)
        plan = _wire.plan(self._settings, question(keys, customer_id, user_identifiers, in_session))
        flow = partial(
            call,
            read=partial(_wire.read, secrets=plan.secrets),
            guard=self._guard,
            timeout=timeout,
            deadline=started + timeout,
            now=time.monotonic,
            jitter=random.random,
        )
        return plan, [flow(ask.send) for ask in plan.asks]


def nothing(error: PersonalizeError) -> Experiences:
    """The result of a fetch that could not be asked at all."""
    return Experiences({}, _wire.decode, requested=None, failed=None, error=bare(error))


def raised(experiences: Experiences) -> Experiences:
    """The result, or the error that it holds, raised."""
    if experiences.error is not None:
        raise experiences.error
    return experiences
