"""What both clients share: settings, the generated client, and how a question becomes flows with one deadline."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any, Generic, Self, TypeVar
from weakref import WeakKeyDictionary

from . import _wire
from ._drive import SIDE_BY_SIDE
from ._errors import ConfigurationError, InvalidRequestError, PersonalizeError, Secrets, bare, guarded
from ._experiences import Experiences
from ._flow import Answer, Flow, call
from ._guard import Guard
from ._metadata import ExperienceMetadata, KnownKeys, listed, statuses
from ._parts import Part, Plan
from ._question import question
from ._refusals import secrets
from ._reports import Batch, batches
from ._session import InSession
from ._settings import CircuitBreaker, DataCenter, check_seconds, check_whole, environment, settings
from .events import ExperienceEvent

logger = logging.getLogger("moengage_personalize")
WARN_EVERY = 30.0  # seconds
DAY = 86_400.0  # seconds

E = TypeVar("E")
T = TypeVar("T")
Keys = str | Iterable[str] | None
Asked = tuple[Keys, str | None, Mapping[str, Any] | str | None, InSession | None, float | None]


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
        warn_unknown_keys: bool = False,
    ) -> None:
        self._settings = settings(
            workspace_id=workspace_id,
            api_key=api_key,
            data_center=data_center,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
        )
        # One for each operation, because events that cannot be reported must not keep pages from being served.
        self._guard, self._metadata_guard, self._events_guard = (
            Guard(max_retries, circuit_breaker, timeout) for _ in range(3)
        )
        self._known = KnownKeys()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._warn_unknown_keys = warn_unknown_keys
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
        warn_unknown_keys: bool = False,
    ) -> Self:
        """Make a client from the environment; keyword arguments win.

        MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, and MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL.

        Raises:
            ConfigurationError: a variable is missing, or what was found cannot work.
        """
        found = environment(
            os.environ, workspace_id=workspace_id, api_key=api_key, data_center=data_center, base_url=base_url
        )
        return cls(
            **found,
            timeout=timeout,
            max_retries=max_retries,
            circuit_breaker=circuit_breaker,
            engine=engine,
            warn_unknown_keys=warn_unknown_keys,
        )

    def __repr__(self) -> str:
        workspace_id = self._settings.credentials.workspace_id
        return f"{type(self).__name__}(workspace_id={workspace_id!r}, base_url={self._settings.base_url!r})"

    @property
    def engine(self) -> E:
        """What performs the requests of this client."""
        return self._engine

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

    def _begin(self, asked: Asked) -> tuple[Plan, list[Flow[Part]]]:
        """Check what is asked and turn it into flows that share one deadline, which runs from here."""
        keys, customer_id, user_identifiers, in_session, given = asked
        flow = self._flows(given, self._guard)
        plan = _wire.plan(self._settings, question(keys, customer_id, user_identifiers, in_session))
        if self._warn_unknown_keys:
            for key in self._known.typos(plan.requested or ()):
                logger.warning("fetch: expected an experience key that the workspace knows, got %r", key)
        return plan, [flow(ask.send, read=partial(_wire.read, secrets=plan.secrets)) for ask in plan.asks]

    def _begin_metadata(
        self, status: str | Iterable[str] | None, given: float | None
    ) -> Flow[list[ExperienceMetadata]]:
        flow = self._flows(given, self._metadata_guard)
        read = partial(_listed, secrets=partial(secrets, self._settings.credentials))
        return flow(_wire.metadata(self._settings, statuses(status)), read=read)

    def _begin_warm(self, connections: int, given: float | None) -> list[Flow[list[ExperienceMetadata]]]:
        if check_whole("connections", connections, 1) > SIDE_BY_SIDE:
            raise ConfigurationError(f"expected connections to be at most {SIDE_BY_SIDE}, got {connections!r}")
        return [self._begin_metadata(None, given) for _ in range(connections)]

    def _begin_report(
        self, events: Iterable[ExperienceEvent], given: float | None
    ) -> tuple[list[Batch], list[Flow[object]]]:
        flow = self._flows(given, self._events_guard)
        asked = batches(events)
        return asked, [
            flow(
                _wire.report(self._settings, batch.elements),
                read=partial(_wire.read_json, secrets=partial(secrets, self._settings.credentials, batch)),
            )
            for batch in asked
        ]

    def _flows(self, given: float | None, guard: Guard) -> Callable[..., Flow[Any]]:
        """What makes the flows of one call, which share one deadline; it runs from here."""
        started = time.monotonic()
        if self._closed:
            raise ConfigurationError(f"expected an open client, got {self!r} after it was closed")
        timeout = self._settings.timeout if given is None else check_seconds("timeout", given, InvalidRequestError)
        return partial(
            call, guard=guard, timeout=timeout, deadline=started + timeout, now=time.monotonic, jitter=random.random
        )


def _listed(answer: Answer, secrets: Secrets) -> list[ExperienceMetadata]:
    return listed(_wire.read_json(answer, secrets))


def nothing(error: PersonalizeError) -> Experiences:
    """The result of a fetch that could not be asked at all."""
    return Experiences({}, _wire.decode, requested=None, failed=None, error=bare(error))


def raised(experiences: Experiences) -> Experiences:
    """The result, or the error that it holds, raised."""
    if experiences.error is not None:
        raise experiences.error
    return experiences
