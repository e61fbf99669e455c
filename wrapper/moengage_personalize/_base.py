"""What both clients share: their settings, and how one fetch becomes calls with one deadline."""

from __future__ import annotations

import logging
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any, Generic, Self, TypeVar

from . import _generated
from ._call import Flow, retrying_call
from ._errors import ConfigurationError, InvalidRequestError, PersonalizeError
from ._experiences import Experiences
from ._policy import CircuitBreaker, RetryPolicy
from ._redact import redact_traceback, strip_tracebacks
from ._request import FetchRequest, InSession
from ._settings import DataCenter, check_seconds, environment, settings
from ._split import FetchPlan, PartialResult

logger = logging.getLogger("moengage_personalize")
WARN_EVERY = 30.0  # seconds

T = TypeVar("T")
Keys = str | Iterable[str] | None
Asked = tuple[Keys, str | None, Mapping[str, Any] | str | None, InSession | None, float | None]


class BaseClient(ABC, Generic[T]):
    @redact_traceback
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
        http_client: Any = None,
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
        self._fetch_policy, self._metadata_policy, self._events_policy = (
            RetryPolicy(max_retries, circuit_breaker, timeout) for _ in range(3)
        )
        self._transport = self._make_transport(http_client)
        self._warned: dict[str, float] = {}
        self._closed = False

    @classmethod
    @redact_traceback
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
        http_client: Any = None,
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
            http_client=http_client,
        )

    def __repr__(self) -> str:
        workspace_id = self._settings.credentials.workspace_id
        return f"{type(self).__name__}(workspace_id={workspace_id!r}, base_url={self._settings.base_url!r})"

    @property
    def transport(self) -> T:
        """What performs the requests of this client."""
        return self._transport

    @cached_property
    def api(self) -> _generated.GeneratedClient:
        """The generated client, authenticated: the way out for what is missing here; its errors are its own."""
        return _generated.generated_client(self._settings)

    @abstractmethod
    def _make_transport(self, http_client: object) -> T:
        """Each of the two clients has its own."""

    def _log_error(self, experiences: Experiences) -> Experiences:
        """The result, whatever it is, and a line in the log where it holds an error."""
        error, now = experiences.error, time.monotonic()
        kind = type(error).__name__
        # One line for each kind of error in half a minute, because a busy page would write thousands.
        if error is not None and now - self._warned.get(kind, -WARN_EVERY) >= WARN_EVERY:
            self._warned[kind] = now
            logger.warning("fetch_or_empty: %s: %s", kind, error)
        return experiences

    def _begin_fetch(self, asked: Asked) -> tuple[FetchPlan, list[Flow[PartialResult]]]:
        """Check the arguments of a fetch and turn them into calls that share one deadline, which runs from here."""
        keys, customer_id, user_identifiers, in_session, timeout = asked
        call = self._begin(timeout, self._fetch_policy)
        plan = _generated.plan(self._settings, FetchRequest.create(keys, customer_id, user_identifiers, in_session))
        return plan, [call(ask.send, read=_generated.read) for ask in plan.asks]

    def _begin(self, given: float | None, policy: RetryPolicy) -> Callable[..., Flow[Any]]:
        """What makes the calls of one operation, which share one deadline; it runs from here."""
        started = time.monotonic()
        if self._closed:
            raise ConfigurationError(f"expected an open client, got {self!r} after it was closed")
        timeout = self._settings.timeout if given is None else check_seconds("timeout", given, InvalidRequestError)
        return partial(
            retrying_call,
            policy=policy,
            timeout=timeout,
            deadline=started + timeout,
            now=time.monotonic,
            jitter=random.random,
        )


def empty_result(error: PersonalizeError) -> Experiences:
    """The result of a fetch that could not be asked at all."""
    return Experiences({}, _generated.decode, requested=None, failed=None, error=strip_tracebacks(error))


def raise_for_error(experiences: Experiences) -> Experiences:
    """The result, or the error that it holds, raised."""
    if experiences.error is not None:
        raise experiences.error
    return experiences
