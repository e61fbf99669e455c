"""What both clients share: settings, how one fetch becomes calls under one deadline, and the log."""

from __future__ import annotations

import logging
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Generic, NoReturn, Self, TypeVar
from uuid import UUID

from ._arguments import check_seconds
from ._call import Flow, retrying_call
from ._errors import ConfigurationError, InvalidRequestError, PersonalizeError
from ._experiences import Experiences
from ._generated import Endpoints, GeneratedClient, decode, generated_client
from ._messages import AsyncTransport, Transport
from ._policy import CircuitBreaker, RetryPolicy
from ._redact import redact_traceback, strip_tracebacks
from ._request import FetchRequest, InSession, Keys
from ._settings import DataCenter, environment, settings
from ._split import PartialResult, read_part, split_fetch
from ._telemetry import ClientStats, Observe, Observer, Recorder, fields
from ._transport import HttpxAdapter

logger = logging.getLogger("moengage_personalize")
LOG_INTERVAL = 30.0  # seconds
LOGGED = 1_000  # different lines that are remembered

T = TypeVar("T", bound=Transport | AsyncTransport)
CustomerId = str | int | UUID
UserIdentifiers = Mapping[str, Any] | str
Session = InSession | Mapping[str, Any]


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
        observe: Observe | None = None,
        strict: bool = False,
    ) -> None:
        self._settings = settings(
            workspace_id=workspace_id,
            api_key=api_key,
            data_center=data_center,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
        )
        self._endpoints = Endpoints.of(self._settings)
        # One for each operation, because events that cannot be reported must not keep pages from being served.
        self._fetch_policy, self._metadata_policy, self._events_policy = (
            RetryPolicy(max_retries, circuit_breaker, timeout, operation)
            for operation in ("fetch", "metadata", "report_events")
        )
        self._observer = Observer(observe, self._fetch_policy)
        self._transport = self._make_transport(http_client)
        self._strict = strict
        self._read_part = partial(read_part, strict=True) if strict else read_part
        self._logged: dict[str, float] = {}
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
        observe: Observe | None = None,
        strict: bool = False,
    ) -> Self:
        """Make a client from the environment; keyword arguments win.

        MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, and MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL.

        Raises:
            ConfigurationError: variables are missing, all of them named, or what was found cannot work.
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
            observe=observe,
            strict=strict,
        )

    def __repr__(self) -> str:
        workspace_id = self._settings.credentials.workspace_id
        return f"{type(self).__name__}(workspace_id={workspace_id!r}, base_url={self._settings.base_url!r})"

    def __reduce__(self) -> NoReturn:
        """A copy would share connections, and a pickle would hold the key."""
        raise TypeError(f"expected each process to make a {type(self).__name__} of its own, got a copy or a pickle")

    @property
    def transport(self) -> T:
        """What performs the requests: connections of our own, or the http_client that was given."""
        return self._transport

    @property
    def stats(self) -> ClientStats:
        """Calls, failures, circuit, rate limit and connections as of now, for a health endpoint."""
        return self._observer.stats(self._transport.connections())

    @cached_property
    def api(self) -> GeneratedClient:
        """The generated client, authenticated: the way out for what is missing here.

        Its requests go through this client's transport, each within the client's `timeout`. Its errors are its own.
        """
        return generated_client(self._settings, HttpxAdapter(self._transport))

    @abstractmethod
    def _make_transport(self, http_client: object) -> T:
        """Each of the two clients has its own."""

    def _begin_fetch(
        self,
        keys: Keys,
        customer_id: CustomerId | None,
        user_identifiers: UserIdentifiers | None,
        in_session: Session | None,
        timeout: float | None,
        record: Recorder | None,
    ) -> tuple[FetchRequest, list[Flow[PartialResult]]]:
        """Check the arguments of a fetch and turn them into calls that share one deadline, which runs from here."""
        next(self._observer.calls)
        begin = self._begin(timeout, self._fetch_policy)
        fetch = FetchRequest.create(keys, customer_id, user_identifiers, in_session)
        if record is not None:
            record.keys = fetch.keys
        requests = split_fetch(self._endpoints.fetch, fetch)
        return fetch, [begin(request, self._read_part, record) for request in requests]

    def _begin(self, timeout: float | None, policy: RetryPolicy) -> Callable[..., Flow[Any]]:
        """What makes the calls of one operation out of requests; the deadline that they share runs from here."""
        started = time.monotonic()
        if self._closed:
            raise ConfigurationError(f"expected an open client, got {self!r} after it was closed")
        seconds = self._settings.timeout if timeout is None else check_seconds("timeout", timeout, InvalidRequestError)
        return partial(retrying_call, policy, seconds, started + seconds, time.monotonic, random.random)

    def _log_error(self, experiences: Experiences) -> Experiences:
        """The result, and a line in the log where it holds an error; a strict client raises what the caller did wrong.

        A busy page would write thousands of lines in an outage, so that each kind of failure is logged once in half a
        minute. What the caller did wrong is each time another defect of the service: each different text is logged.
        """
        error = experiences.error
        if error is None:
            return experiences
        if isinstance(error, ConfigurationError | InvalidRequestError) and self._strict:
            raise error
        self._log_failure("fetch_or_empty", error, "fetch")
        return experiences

    def _log_failure(self, name: str, error: PersonalizeError, operation: str) -> None:
        kind, is_argument = type(error).__name__, isinstance(error, ConfigurationError | InvalidRequestError)
        if self._is_due(f"{name}: {kind}: {error}" if is_argument else f"{name}: {kind}"):
            level, extra = logging.ERROR if is_argument else logging.WARNING, fields(operation=operation, outcome=kind)
            logger.log(level, "%s: %s: %s", name, kind, error, extra=extra)

    def _is_due(self, line: str) -> bool:
        """Whether a line was not logged of late, by a clock that a test may have moved back."""
        now, last = time.monotonic(), self._logged.get(line)
        if last is not None and 0 <= now - last < LOG_INTERVAL:
            return False
        if len(self._logged) >= LOGGED:
            self._logged.clear()
        self._logged[line] = now
        return True


def empty_result(error: PersonalizeError) -> Experiences:
    """The result of a fetch that could not be asked at all."""
    return Experiences({}, decode, requested=None, failed=None, error=strip_tracebacks(error))


def raise_for_error(experiences: Experiences) -> Experiences:
    """The result, or the error that it holds, raised."""
    if experiences.error is not None:
        raise experiences.error
    return experiences
