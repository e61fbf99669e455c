"""One call as a generator: what to send, how long to sleep, when to give up. Both clients run it.

No I/O and no clock of its own: it yields a Request or a Sleep, is sent a Response, a TransportError or None, and ends
with a value or an error of our tree. The deadline is never passed on purpose: an attempt gets what is left of it, and
whether there is another the policy decides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from msgspec import Struct

from ._errors import ConnectionFailed, DeadlineExceeded, MalformedResponse, PersonalizeError, RateLimited
from ._messages import Outcome, Request, Response, TransportError
from ._policy import RetryPolicy
from ._redact import drop_foreign_causes, quote

T = TypeVar("T")


class Sleep(Struct, frozen=True):
    """Wait so many seconds."""

    seconds: float


Flow = Generator[Request | Sleep, Outcome | None, T]
Record = Callable[[Request, Outcome | None, float, float], object]


def retrying_call(
    policy: RetryPolicy,
    timeout: float,
    deadline: float,
    now: Callable[[], float],
    jitter: Callable[[], float],
    request: Request,
    read: Callable[[Response], T],
    record: Record | None = None,
) -> Flow[T]:
    """One request with its retries; what all calls of an operation share comes first, and is bound first.

    Args:
        policy: decides on waits and retries; shared by all calls of a client.
        timeout: seconds of the whole call, as the caller knows them.
        deadline: when the call must have ended, by `now`.
        now: the time, in seconds of a monotonic clock.
        jitter: gives a number from 0 to 1.
        request: what is sent; its own timeout does not count.
        read: makes the value of a response, or raises the error that it stands for.
        record: is handed each attempt: what was sent, its outcome, and when, by `now`, it began and ended.
    """
    attempt = 0
    failure: PersonalizeError | None = None
    under_way = was_stale = False
    waited = 0.0  # because of a rate limit, when nothing was asked of the API
    while True:
        sent = now()
        left = deadline - sent
        # By what was waited, too: a frozen clock would wait for ever.
        pause = policy.seconds_until_allowed(min(left, timeout - waited), sent, jitter(), under_way=under_way)
        if pause:
            waited += pause
            yield Sleep(pause)
            continue
        under_way = True
        if left <= 0:
            if failure is None:
                raise DeadlineExceeded(f"expected an answer within {timeout:g} s, got none", timeout=timeout)
            policy.failed(failure, timeout - waited, now(), jitter())  # a pause has lasted longer than it was meant to
            raise failure
        outcome = yield Request(request.method, request.url, request.headers, request.body, left)
        if record is not None:
            record(request, outcome, sent, now())
        if isinstance(outcome, TransportError) and outcome.kind == "stale" and not was_stale:
            was_stale = True  # the keep-alive race: once more at once, on a fresh connection, and it does not count
            continue
        attempt += 1
        try:
            if not isinstance(outcome, Response):
                raise _failure(outcome, timeout)
            value = read(outcome)
        except PersonalizeError as error:
            retry_in = policy.seconds_until_retry(error, attempt, deadline - now(), now(), jitter())
            if retry_in is None:
                if not (isinstance(outcome, TransportError) and outcome.kind == "busy"):  # the API was not asked
                    policy.failed(error, timeout - waited, now(), jitter())
                raise
            if isinstance(error, RateLimited):
                waited += retry_in
            failure = error
        else:
            policy.succeeded()
            return value
        yield Sleep(retry_in)


def _failure(outcome: TransportError | None, timeout: float) -> PersonalizeError:
    """The error for what a transport reports; of its cause only words that cannot repeat what was sent."""
    if outcome is None:
        raise TypeError("expected a Response or a TransportError for a Request, got None")
    words = quote(outcome.cause)
    error: PersonalizeError
    if outcome.kind in ("busy", "timeout"):
        error = DeadlineExceeded(f"expected an answer within {timeout:g} s, got none: {words}", timeout=timeout)
    elif outcome.kind == "limit":
        error = MalformedResponse(f"expected an answer within its limits, got {words}")
    elif outcome.kind == "protocol":
        text = words if words.startswith("expected ") else f"expected an HTTP answer, got {words}"
        error = MalformedResponse(text, retryable=True)
    else:
        error = ConnectionFailed(f"expected an answer, got none: {words}")
    error.__cause__ = drop_foreign_causes(outcome.cause)
    return error
