"""One call with its retries under one deadline, tested with values: no clock, no sleeping, no network."""

from __future__ import annotations

import math
import ssl
from typing import Any

import pytest
from hypothesis import given, strategies as st
from world import GOOD, REFUSED, REQUEST, START, World

from moengage_personalize import (
    APIError,
    AuthenticationFailed,
    BadRequest,
    CircuitBreaker,
    CircuitOpen,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimited,
    ServerError,
)
from moengage_personalize._call import retrying_call
from moengage_personalize._messages import Request, Response, TransportError
from moengage_personalize._policy import RetryPolicy
from moengage_personalize._policy._retry import BACKOFF, MIN_ATTEMPT_TIME

STALE = TransportError("stale", OSError(104, "Connection reset by peer"))


def limited(retry_after: float | None) -> RateLimited:
    error = RateLimited("429", status=429)
    error.retry_after = retry_after
    return error


def test_a_good_answer_ends_the_call() -> None:
    world = World([GOOD])
    assert world.run() == "good"
    assert (world.sent, world.slept) == ([1.0], [])


@pytest.mark.parametrize(
    "bad",
    [
        REFUSED,
        TransportError("protocol", ValueError("cut off")),
        TransportError("busy", ValueError("all in use")),
        TransportError("timeout", TimeoutError("too slow")),
        MalformedResponse("half", retryable=True),
        RateLimited("429"),
        ServerError("503"),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(bad: TransportError | PersonalizeError) -> None:
    world = World([bad, bad, GOOD])
    assert world.run() == "good"
    assert world.slept == [BACKOFF, 2 * BACKOFF]


@pytest.mark.parametrize(
    "bad",
    [
        APIError("404"),
        BadRequest("400"),
        AuthenticationFailed("401"),
        PermissionDenied("403"),
        MalformedResponse("no object"),
    ],
    ids=repr,
)
def test_what_will_not_pass_is_raised_at_once(bad: PersonalizeError) -> None:
    world = World([bad])
    with pytest.raises(type(bad)) as caught:
        world.run()
    assert caught.value is bad
    assert (len(world.sent), world.slept) == (1, [])


def test_retries_end_with_the_last_error() -> None:
    world = World([ServerError("503"), ServerError("502"), REFUSED])
    with pytest.raises(ConnectionFailed) as caught:
        world.run()
    assert str(caught.value) == "expected an answer, got none: ConnectionRefusedError: Connection refused"
    assert caught.value.__cause__ is REFUSED.cause
    assert len(world.sent) == 3


@pytest.mark.parametrize("max_retries", [0, 1, 5])
def test_there_are_as_many_retries_as_the_client_was_made_with(max_retries: int) -> None:
    world = World([REFUSED])
    with pytest.raises(ConnectionFailed):
        world.run(max_retries=max_retries, timeout=60)
    assert len(world.sent) == max_retries + 1


def test_an_attempt_gets_what_is_left_of_the_deadline() -> None:
    world = World([REFUSED, GOOD], takes=0.25)
    world.run()
    assert world.sent == [1.0, pytest.approx(1.0 - 0.25 - BACKOFF)]


def test_a_pause_that_would_outlast_the_deadline_is_not_made() -> None:
    world = World([REFUSED], takes=1.0 - BACKOFF - MIN_ATTEMPT_TIME + 0.001)
    with pytest.raises(ConnectionFailed):
        world.run()
    assert world.slept == []


def test_a_pause_that_leaves_enough_for_an_attempt_is_made() -> None:
    world = World([REFUSED, GOOD], takes=1.0 - BACKOFF - MIN_ATTEMPT_TIME - 0.001)
    assert world.run() == "good"
    assert len(world.slept) == 1


def test_an_attempt_that_times_out_ends_as_the_deadline() -> None:
    world = World([TransportError("timeout", TimeoutError(110, "timed out"))], takes=1.0)
    with pytest.raises(
        DeadlineExceeded, match="expected an answer within 1 s, got none: TimeoutError: timed out"
    ) as caught:
        world.run()
    assert caught.value.timeout == 1.0
    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_nothing_is_sent_once_the_deadline_has_passed(timeout: float) -> None:
    world = World([GOOD])
    with pytest.raises(DeadlineExceeded, match="got none") as caught:
        world.run(timeout=timeout)
    assert caught.value.timeout == timeout
    assert world.sent == []


def test_a_pause_that_lasts_longer_than_it_should_ends_with_the_error_before_it() -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=1))
    world = World([ServerError("503")], oversleeps=2.0)
    with pytest.raises(ServerError):
        world.run(policy=policy)
    assert len(world.sent) == 1
    with pytest.raises(CircuitOpen):
        World([GOOD], time=world.time).run(policy=policy)


def test_the_keep_alive_race_is_tried_again_at_once_and_does_not_count() -> None:
    world = World([STALE, REFUSED, REFUSED, GOOD])
    assert world.run() == "good"
    assert (len(world.sent), len(world.slept)) == (4, 2)


def test_each_attempt_is_recorded_with_its_request_its_outcome_and_its_times() -> None:
    recorded: list[Any] = []
    outcomes = [STALE, REFUSED, GOOD]
    world = World(list(outcomes), takes=0.2)
    assert world.run(record=lambda *attempt: recorded.append(attempt)) == "good"
    assert all(request is REQUEST for request, *_ in recorded)
    assert [outcome for _, outcome, *_ in recorded] == outcomes
    times = [(sent - START, ended - START) for *_, sent, ended in recorded]
    assert times == [
        (0, pytest.approx(0.2)),
        (pytest.approx(0.2), pytest.approx(0.4)),
        (pytest.approx(0.45), pytest.approx(0.65)),
    ]


def test_the_keep_alive_race_costs_no_retry_at_all() -> None:
    assert World([STALE, GOOD]).run(max_retries=0) == "good"


def test_a_connection_that_is_stale_again_is_a_failed_one() -> None:
    world = World([STALE, STALE, STALE, STALE, GOOD])
    with pytest.raises(ConnectionFailed):
        world.run()
    assert len(world.sent) == 4


def test_a_probe_that_meets_the_keep_alive_race_is_still_the_probe() -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1))
    with pytest.raises(ConnectionFailed):
        World([REFUSED]).run(policy=policy)
    assert World([STALE, GOOD], time=START + 5).run(policy=policy) == "good"


def test_an_answer_beyond_its_limits_is_not_tried_again() -> None:
    world = World([TransportError("limit", ValueError("a body of more than 2 bytes"))])
    with pytest.raises(MalformedResponse, match="expected an answer within its limits, got ValueError") as caught:
        world.run()
    assert not caught.value.retryable
    assert len(world.sent) == 1


class ExchangeError(Exception):
    """As one of our own transport, whose words are safe."""


ExchangeError.__module__ = "moengage_personalize._transport._exchange"


class LikeOurs(Exception):
    """Of a package whose name only begins as ours."""


LikeOurs.__module__ = "moengage_personalize_extra"
SECRET = "Authorization: Basic canary"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ExchangeError("closed by host:443"), "closed by host:443"),
        (ExchangeError("a \x1b[2J line\nmore"), "a \\x1b[2J line\\nmore"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (OSError(2, "No such\nfile", f"/{SECRET}"), "FileNotFoundError: No such\\nfile"),
        (ssl.SSLError(1, "certificate verify failed"), "SSLError: certificate verify failed"),
        (OSError(SECRET), "OSError"),
        (ValueError(f"illegal header line: {SECRET}"), "ValueError"),
        (LikeOurs(SECRET), "LikeOurs"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["busy", "timeout", "connection", "stale", "protocol", "limit"])
def test_of_a_failed_exchange_only_words_that_quote_no_request_are_repeated(
    kind: Any, cause: Exception, words: str
) -> None:
    with pytest.raises(PersonalizeError) as caught:
        World([STALE, TransportError(kind, cause)]).run(max_retries=0)
    assert str(caught.value).endswith(f", got {words}") or str(caught.value).endswith(f", got none: {words}")
    assert str(caught.value).startswith("expected an ")
    link: BaseException | None = caught.value
    while link is not None:
        assert "canary" not in str(link) or isinstance(link, FileNotFoundError)
        link = link.__cause__


def test_a_refusal_of_our_transport_that_says_what_was_expected_is_not_said_twice() -> None:
    cause = ExchangeError("expected HTTP/1.1, got another version (host:443)")
    with pytest.raises(MalformedResponse) as caught:
        World([TransportError("protocol", cause)]).run(max_retries=0)
    assert str(caught.value) == "expected HTTP/1.1, got another version (host:443)"
    assert caught.value.retryable


def test_a_cause_of_another_library_is_not_chained() -> None:
    ours, system, foreign = ExchangeError("cut off"), OSError(104, "reset"), ValueError(SECRET)
    ours.__cause__, system.__cause__ = system, foreign
    with pytest.raises(ConnectionFailed) as caught:
        World([TransportError("connection", ours)]).run(max_retries=0)
    assert caught.value.__cause__ is ours
    assert ours.__cause__ is system
    assert system.__cause__ is None
    with pytest.raises(ConnectionFailed) as caught:
        World([TransportError("connection", foreign)]).run(max_retries=0)
    assert caught.value.__cause__ is None


def test_a_429_is_obeyed_before_the_backoff() -> None:
    world = World([limited(0.5), GOOD])
    assert world.run() == "good"
    assert world.slept == [pytest.approx(0.5 * 1.1 + BACKOFF)]


def test_a_429_that_asks_for_more_than_is_left_is_raised_at_once() -> None:
    error = limited(60.0)
    world = World([error])
    with pytest.raises(RateLimited) as caught:
        world.run()
    assert caught.value is error
    assert (len(world.sent), world.slept) == (1, [])


@pytest.mark.parametrize("max_retries", [0, 2])
def test_a_call_that_knows_of_a_429_waits_as_one_that_got_it(max_retries: int) -> None:
    policy = RetryPolicy(max_retries, None)
    with pytest.raises(RateLimited):
        World([limited(30.0)]).run(policy=policy)
    world = World([GOOD], time=START + 3.01)
    assert world.run(policy=policy, timeout=33) == "good"
    assert world.slept == [pytest.approx(30 + BACKOFF, abs=1e-6)]
    assert world.sent == [pytest.approx(3 - BACKOFF, abs=1e-6)]


def test_a_wait_for_the_reset_is_made_again_if_another_call_has_met_the_limit_meanwhile() -> None:
    policy = RetryPolicy(2, None)
    with pytest.raises(RateLimited):
        World([limited(30.0)], jitter=0).run(policy=policy)
    call = retrying_call(
        policy,
        timeout=100,
        deadline=START + 100,
        now=iter([START + 1, START + 32, START + 65]).__next__,
        jitter=lambda: 0.0,
        request=REQUEST,
        read=lambda _: "good",
    )
    assert next(call).seconds == pytest.approx(29.01 + BACKOFF / 2)  # type: ignore[union-attr]
    with pytest.raises(RateLimited):
        World([limited(30.0)], time=START + 31, jitter=0).run(policy=policy)
    assert call.send(None).seconds == pytest.approx(29.01 + BACKOFF / 2)  # type: ignore[union-attr]
    assert isinstance(call.send(None), Request)


def test_no_retry_leaves_before_the_reset_that_another_call_was_told() -> None:
    policy = RetryPolicy(2, None)
    call = retrying_call(
        policy,
        timeout=2,
        deadline=START + 2,
        now=lambda: START,
        jitter=lambda: 0.0,
        request=REQUEST,
        read=lambda _: "good",
    )
    next(call)
    call.send(REFUSED)
    with pytest.raises(RateLimited):
        World([limited(30.0)]).run(policy=policy)
    with pytest.raises(RateLimited, match="got a 429 before"):
        call.send(None)


@pytest.mark.parametrize("first", [GOOD, limited(30.0)], ids=["knows of it", "got it"])
def test_a_clock_that_stands_still_lets_no_call_wait_for_ever(first: Response | RateLimited) -> None:
    policy = RetryPolicy(1_000, None)
    with pytest.raises(RateLimited):
        World([limited(30.0)]).run(policy=policy)
    world = World([first], frozen=True)
    with pytest.raises(RateLimited):
        world.run(policy=policy, timeout=130)
    assert 90 < sum(world.slept) <= 130


def test_a_transport_must_answer() -> None:
    policy = RetryPolicy(0, None)
    call = retrying_call(policy, 1, deadline=1, now=lambda: 0.0, jitter=lambda: 0.0, request=REQUEST, read=lambda _: "")
    next(call)
    with pytest.raises(TypeError, match="expected a Response or a TransportError for a Request, got None"):
        call.send(None)


@given(
    outcomes=st.lists(
        st.sampled_from([REFUSED, STALE, GOOD, ServerError("500"), limited(0.1), limited(1.0), limited(None)]),
        min_size=1,
    ),
    takes=st.floats(0.0, 0.4),
    timeout=st.floats(0.001, 3.0),
    jitter=st.floats(0, 1),
    max_retries=st.integers(0, 20),
)
def test_no_call_sends_or_sleeps_past_its_deadline(
    outcomes: list[Response | TransportError | PersonalizeError],
    takes: float,
    timeout: float,
    jitter: float,
    max_retries: int,
) -> None:
    world = World(outcomes, takes=takes, jitter=jitter)
    try:
        assert world.run(max_retries=max_retries, timeout=timeout) == "good"
    except PersonalizeError:
        assert len(world.sent) <= max_retries + 2
    assert all(0 < left <= timeout + 1e-9 for left in world.sent)
    assert sum(world.slept) < timeout
    assert math.fsum([world.time, -START, -takes]) < timeout + 1e-9


def test_a_request_of_a_call_differs_from_what_was_given_in_its_timeout_alone() -> None:
    given_request = Request("PUT", "http://host/x", {"a": "b"}, b"body", 99.0)
    policy = RetryPolicy(0, None)
    call = retrying_call(
        policy, 2, deadline=7, now=lambda: 5.5, jitter=lambda: 0.0, request=given_request, read=lambda _: ""
    )
    assert next(call) == Request("PUT", "http://host/x", {"a": "b"}, b"body", 1.5)


def test_no_repr_of_a_step_shows_headers_or_body() -> None:
    request = Request("POST", "http://host/v1", {"Authorization": "canary"}, b"canary")
    assert "canary" not in repr(request) + repr(Response(200, {"x": "canary"}, b"canary"))
