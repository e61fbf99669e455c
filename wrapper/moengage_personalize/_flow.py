"""One call as a generator: what to send, how long to sleep, when to give up. Both clients drive it.

Law of this module: no I/O and no clock of its own. It yields Send or Sleep, is given an Answer, a NoAnswer or None, and
ends with a value or an error of our tree. The deadline is never passed on purpose: an attempt gets what is left of it,
and whether there is another the guard decides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Literal, TypeVar

from attrs import field, frozen

from ._errors import ConnectionFailed, DeadlineExceeded, MalformedResponse, PersonalizeError
from ._guard import Guard

T = TypeVar("T")


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
    """Why no answer came: time ran out, the connection failed or broke, or what came was not what may come.

    "busy" is a deadline that passed before there was a connection to send anything on, because all were in use.
    "stale" is a connection that had served before and was closed by the server before a byte of this answer came.
    """

    reason: Literal["busy", "timeout", "connection", "stale", "protocol", "limit"]
    cause: Exception


Outcome = Answer | NoAnswer
Flow = Generator[Send | Sleep, Outcome | None, T]


def call(
    request: Send,
    read: Callable[[Answer], T],
    *,
    guard: Guard,
    timeout: float,
    deadline: float,
    now: Callable[[], float],
    jitter: Callable[[], float],
) -> Flow[T]:
    """One request with its retries, ended by `deadline`; `timeout` is only for the words of an error."""
    guard.admit(now(), jitter())
    attempt = 0
    fresh = False
    while True:
        left = deadline - now()
        if left <= 0:
            raise DeadlineExceeded(f"expected an answer within {timeout:g} s, got none", timeout=timeout)
        outcome = yield Send(request.method, request.url, request.headers, request.body, left)
        if isinstance(outcome, NoAnswer) and outcome.reason == "stale" and not fresh:
            fresh = True  # the keep-alive race: once more at once, on a fresh connection, and it does not count
            continue
        attempt += 1
        try:
            if not isinstance(outcome, Answer):
                raise _failure(outcome, timeout)
            value = read(outcome)
        except PersonalizeError as error:
            sent = not (isinstance(outcome, NoAnswer) and outcome.reason == "busy")
            pause = guard.failed(error, attempt, deadline - now(), now(), jitter, sent)
        else:
            guard.succeeded()
            return value
        yield Sleep(pause)


def _failure(outcome: NoAnswer | None, timeout: float) -> PersonalizeError:
    if outcome is None:
        raise TypeError("expected an Answer or a NoAnswer for a Send, got None")
    came = type(outcome.cause).__name__
    error: PersonalizeError
    if outcome.reason in ("busy", "timeout"):
        error = DeadlineExceeded(f"expected an answer within {timeout:g} s, got {came}", timeout=timeout)
    elif outcome.reason == "limit":
        error = MalformedResponse(f"expected an answer within its limits, got {outcome.cause}")
    elif outcome.reason == "protocol":
        error = MalformedResponse(f"expected an HTTP answer, got {came}", retryable=True)
    else:
        error = ConnectionFailed(f"expected an answer, got {came}: {outcome.cause}")
    error.__cause__ = outcome.cause
    return error
