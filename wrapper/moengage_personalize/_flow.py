"""One call as a generator: what to send, how long to sleep, when to give up. Both clients drive it.

Law of this module: no I/O and no clock of its own. It yields Send or Sleep, is given an Answer, a NoAnswer or None, and
ends with a value or an error of our tree. The deadline is never passed on purpose: an attempt gets what is left, and a
pause that would outlast it is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Literal, TypeVar

from attrs import evolve, field, frozen

from ._errors import ConnectionFailed, DeadlineExceeded, MalformedResponse, PersonalizeError, RateLimited

T = TypeVar("T")

# Seconds. Small beside the default timeout of one second, so that two retries fit; the cap is for long timeouts.
BACKOFF = 0.1
BACKOFF_CAP = 5.0


@frozen
class Send:
    """Perform one HTTP request and stop after `timeout` seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float = 0.0


@frozen
class Sleep:
    """Wait so many seconds."""

    seconds: float


@frozen
class Answer:
    """An HTTP answer that came whole; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class NoAnswer:
    """Why no answer came: time ran out, the connection failed or broke, or what came was not HTTP as it should be."""

    reason: Literal["timeout", "connection", "protocol"]
    cause: Exception


Outcome = Answer | NoAnswer
Flow = Generator[Send | Sleep, Outcome | None, T]


@frozen
class Retry:
    """When to try again: exponential backoff with full jitter, after whatever pause a 429 asks for."""

    max_retries: int

    def pause(self, attempt: int, error: PersonalizeError, jitter: float) -> float | None:
        """Seconds before the next attempt, None to give up; `attempt` counts from 1, `jitter` is from 0 to 1."""
        if attempt > self.max_retries or not error.retryable:
            return None
        asked = error.retry_after if isinstance(error, RateLimited) else None
        backoff = min(BACKOFF_CAP, BACKOFF * 2.0 ** min(attempt - 1, 16))
        return (asked or 0.0) + backoff * jitter


def call(
    request: Send,
    read: Callable[[Answer], T],
    *,
    retry: Retry,
    timeout: float,
    deadline: float,
    now: Callable[[], float],
    jitter: Callable[[], float],
) -> Flow[T]:
    """One request with its retries, ended by `deadline`; `timeout` is only for the words of an error."""
    attempt = 0
    while True:
        attempt += 1
        left = deadline - now()
        if left <= 0:
            raise DeadlineExceeded(f"expected an answer within {timeout:g} s, got none", timeout=timeout)
        outcome = yield evolve(request, timeout=left)
        try:
            if isinstance(outcome, Answer):
                return read(outcome)
            raise _failure(outcome, timeout)
        except PersonalizeError as error:
            pause = retry.pause(attempt, error, jitter())
            if pause is None or now() + pause >= deadline:
                raise
        yield Sleep(pause)


def _failure(outcome: NoAnswer | None, timeout: float) -> PersonalizeError:
    if outcome is None:
        raise TypeError("expected an Answer or a NoAnswer for a Send, got None")
    came = type(outcome.cause).__name__
    error: PersonalizeError
    if outcome.reason == "timeout":
        error = DeadlineExceeded(f"expected an answer within {timeout:g} s, got {came}", timeout=timeout)
    elif outcome.reason == "connection":
        error = ConnectionFailed(f"expected an answer, got {came}: {outcome.cause}")
    else:
        error = MalformedResponse(f"expected an HTTP answer, got {came}", retryable=True)
    error.__cause__ = outcome.cause
    return error
