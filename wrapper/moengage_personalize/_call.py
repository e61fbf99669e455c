"""One call as a generator: what to send, how long to sleep, when to give up. Both clients drive it.

Law of this module: no I/O and no clock of its own. It yields Send or Sleep, is given an Answer, a NoAnswer or None, and
ends with a value or an error of our tree. The deadline is never passed on purpose: an attempt gets what is left of it,
and whether there is another the guard decides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from attrs import frozen

from ._errors import ConnectionFailed, DeadlineExceeded, MalformedResponse, PersonalizeError
from ._messages import Outcome, Request, Response, TransportError
from ._policy import RetryPolicy

T = TypeVar("T")


@frozen
class Sleep:
    """Wait so many seconds."""

    seconds: float


Flow = Generator[Request | Sleep, Outcome | None, T]


def retrying_call(
    request: Request,
    read: Callable[[Response], T],
    *,
    policy: RetryPolicy,
    timeout: float,
    deadline: float,
    now: Callable[[], float],
    jitter: Callable[[], float],
) -> Flow[T]:
    """One request with its retries, ended by `deadline`; `timeout` is only for the words of an error."""
    policy.admit(now(), jitter())
    attempt = 0
    fresh = False
    while True:
        left = deadline - now()
        if left <= 0:
            raise DeadlineExceeded(f"expected an answer within {timeout:g} s, got none", timeout=timeout)
        outcome = yield Request(request.method, request.url, request.headers, request.body, left)
        if isinstance(outcome, TransportError) and outcome.reason == "stale" and not fresh:
            fresh = True  # the keep-alive race: once more at once, on a fresh connection, and it does not count
            continue
        attempt += 1
        try:
            if not isinstance(outcome, Response):
                raise _failure(outcome, timeout)
            value = read(outcome)
        except PersonalizeError as error:
            sent = not (isinstance(outcome, TransportError) and outcome.reason == "busy")
            pause = policy.failed(error, attempt, deadline - now(), now(), jitter, sent)
        else:
            policy.succeeded()
            return value
        yield Sleep(pause)


def _failure(outcome: TransportError | None, timeout: float) -> PersonalizeError:
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
