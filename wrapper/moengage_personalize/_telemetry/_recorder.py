"""Notes what one operation does, and hands it to `observe` and the log."""

from __future__ import annotations

import copy
import inspect
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from threading import RLock
from types import TracebackType
from typing import Any, Self

from .._arguments import type_name
from .._errors import APIError, ConfigurationError, MalformedResponse, PersonalizeError, RateLimit
from .._experiences import Experiences, Reason, reasons_of, watch_types
from .._messages import Outcome, Request, Response
from .._policy import RetryPolicy, register_after_fork
from .._responses import rate_limit
from ._values import Attempt, Call, ClientStats, Operation

logger = logging.getLogger("moengage_personalize")
is_debugged = partial(logger.isEnabledFor, logging.DEBUG)
Observe = Callable[[Call], object]


def fields(**named: object) -> dict[str, object]:
    """`extra` of a log record; the prefix keeps it from being an attribute that the record has."""
    return {f"personalize_{name}": value for name, value in named.items()}


def _log_attempt(operation: Operation, attempt: Attempt) -> None:
    extra = fields(
        operation=operation,
        request=attempt.request,
        host=attempt.host,
        status=attempt.status,
        failure=attempt.failure,
        seconds=attempt.seconds,
    )
    line, result = "%s: attempt at %s: %s in %.3f s", attempt.status or attempt.failure
    logger.debug(line, operation, attempt.host, result, attempt.seconds, extra=extra)


def _log_call(call: Call) -> None:
    extra = fields(
        operation=call.operation,
        keys=call.keys,
        served=call.served,
        seconds=call.seconds,
        attempts=len(call.attempts),
        retries=call.retries,
        circuit=call.circuit,
        outcome=call.outcome,
    )
    line = "%s: %s in %.3f s, attempts: %d"
    logger.debug(line, call.operation, call.outcome, call.seconds, len(call.attempts), extra=extra)


def _returns(observe: Any) -> bool:
    """Whether it can be called, and not only awaited then, which nobody would."""
    try:
        return callable(observe) and not any(map(inspect.iscoroutinefunction, (observe, type(observe).__call__)))
    except Exception:  # noqa: BLE001 -- the code of a caller's object may raise anything
        return False


class Observer:
    """What a client counts, and whom it notifies; shared by all its threads and tasks."""

    def __init__(self, observe: Any, policy: RetryPolicy) -> None:
        """`policy` is that of fetches."""
        if observe is not None and not _returns(observe):
            raise ConfigurationError(f"expected observe to be a function that returns, got {type_name(observe)}")
        self.observe: Observe | None = observe
        self._policy = policy
        self.calls = count()
        """Takes no lock: `next` is one step, and a page waits for nobody."""
        self._reads = 0  # of `calls`, each of which counts, too
        self._failures: Counter[str] = Counter()
        self._wrong_types: set[str] = set()
        self._is_broken = False
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may hold."""
        self._lock = RLock()

    def stats(self, connections: tuple[int, int] | None) -> ClientStats:
        """The counts, and the state of what decides on fetches and of the transport."""
        opened, idle = connections or (None, None)
        with self._lock:
            calls = next(self.calls) - self._reads
            self._reads += 1
            failures = dict(self._failures)
        now = time.monotonic()
        return ClientStats(calls, failures, self._policy.circuit_state(now), self._policy.throttled(now), opened, idle)

    def failed(self, error: PersonalizeError) -> None:
        """Count an operation that failed."""
        with self._lock:
            self._failures[type(error).__name__] += 1

    def wrong_type(self, key: str, name: str, wanted: str, value: object) -> None:
        """Report a value of another type than a page asked for, once for each experience key."""
        with self._lock:
            if key in self._wrong_types:
                return
            self._wrong_types.add(key)
        error = MalformedResponse(f"expected {name!r} of {key!r} to be {wanted}, got {type_name(value)}", status=200)
        outcome, circuit = type(error).__name__, self._policy.circuit_state(time.monotonic())
        logger.warning("value: %s", error, extra=fields(operation="value", keys=(key,), outcome=outcome))
        self.notify(Call("value", (key,), {}, {}, (), datetime.now(UTC), 0.0, None, circuit, outcome, error))

    def notify(self, call: Call) -> None:
        """Hand over a Call; what an `observe` raises costs no page and is logged once."""
        try:
            if self.observe is not None:
                self.observe(call)
        except Exception:
            if not self._is_broken:
                self._is_broken = True
                logger.warning("observe: expected it to return, got an exception; it is logged once", exc_info=True)


class WrongTypes:
    """Reports values of another type than asked for; a result that is pickled leaves it behind."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __call__(self, key: str, name: str, wanted: str, value: object) -> None:
        self._observer.wrong_type(key, name, wanted, value)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Recorder:
    """One operation that is under way: called after each attempt, and left at the end."""

    def __init__(self, observer: Observer, operation: Operation, policy: RetryPolicy) -> None:
        self._observer, self._policy = observer, policy
        self._operation: Operation = operation
        self._started, self._began = datetime.now(UTC), time.monotonic()
        self._attempts: list[Attempt] = []
        self._requests: dict[int, tuple[int, Request]] = {}
        """By identity, which holds for as long as the request is kept here."""
        self._limit: RateLimit | None = None
        self.keys: tuple[str, ...] | None = ()
        self._experiences: Experiences | None = None
        self.error: PersonalizeError | None = None

    def found(self, experiences: Experiences) -> Experiences:
        """Note what a fetch has brought, and give it back."""
        self._experiences = experiences
        return experiences

    def __call__(self, request: Request, outcome: Outcome | None, sent: float, ended: float) -> None:
        """Note an attempt; the times are of the monotonic clock."""
        number, _ = self._requests.setdefault(id(request), (len(self._requests), request))
        status = failure = None
        if isinstance(outcome, Response):
            status, self._limit = outcome.status, rate_limit(outcome.headers, time.time()) or self._limit
        else:
            failure = None if outcome is None else outcome.kind
        started, seconds = self._started + timedelta(seconds=sent - self._began), ended - sent
        attempt = Attempt(number, request.method, request.url, started, seconds, status, failure)
        self._attempts.append(attempt)
        if is_debugged():
            _log_attempt(self._operation, attempt)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, raised: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(raised, PersonalizeError):
            self.error = raised
        found = self._experiences
        if found is not None:
            self.error, self._limit = found.error, found.rate_limit
        elif self.error is not None:  # that of a fetch was counted where it was met
            self._observer.failed(self.error)
        if self._observer.observe is not None or is_debugged():
            self._finish(type(raised or self.error).__name__ if raised or self.error else "ok")

    def _finish(self, outcome: str) -> None:
        found, error = self._experiences, copy.copy(self.error)
        reasons, variations = dict[str, Reason](), dict[str, str]()
        if found is not None:
            if self._observer.observe is not None:
                watch_types(found, WrongTypes(self._observer))
            reasons = reasons_of(found, self.keys)
            for key, experience in found.items():
                variation = experience.context.get("moe_variation_id")
                if isinstance(variation, str):
                    variations[key] = variation
        if isinstance(error, APIError):
            error.title = error.description = error.code = None
        now = time.monotonic()
        call = Call(
            operation=self._operation,
            keys=self.keys,
            reasons=reasons,
            variations=variations,
            attempts=tuple(self._attempts),
            started=self._started,
            seconds=now - self._began,
            rate_limit=self._limit,
            circuit=self._policy.circuit_state(now),
            outcome=outcome,
            error=error,
        )
        if is_debugged():
            _log_call(call)
        self._observer.notify(call)
