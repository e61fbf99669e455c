"""Retry quota, rate limit and circuit, tested with values and a clock that the test moves."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st
from world import GOOD, REFUSED, START, World

from moengage_personalize import (
    AuthenticationFailed,
    BadRequest,
    CircuitBreaker,
    CircuitOpen,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    PersonalizeError,
    RateLimit,
    RateLimited,
    ServerError,
)
from moengage_personalize._messages import TransportError
from moengage_personalize._policy import RetryPolicy, _fork, register_after_fork
from moengage_personalize._policy._circuit import GROWTH, JITTER, MIN_SPAN, Circuit, seconds_until
from moengage_personalize._policy._retry import (
    BACKOFF,
    MIN_ATTEMPT_TIME,
    QUOTA,
    RETRY_COST,
    RETRY_COST_THROTTLED,
    SUCCESS_REFUND,
    THROTTLE_CAP,
)

LIMIT = RateLimit(10_000, 0, None)


def limited(retry_after: float | None, rate_limit: RateLimit | None = None) -> RateLimited:
    error = RateLimited("429", status=429, title="of jane", description="of jane", code="jane", rate_limit=rate_limit)
    error.retry_after = retry_after
    return error


# ---- Retry -----------------------------------------------------------------------------------------------------------


@given(attempt=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_backoff_grows_is_jittered_by_half_and_capped(attempt: int, jitter: float) -> None:
    pause = RetryPolicy(10_000, None).seconds_until_retry(ServerError("503"), attempt, 1e9, START, jitter)
    assert pause == pytest.approx(min(1.0, 0.05 * 2.0 ** min(attempt - 1, 20)) * (0.5 + jitter / 2))


def test_backoff_doubles_until_its_cap() -> None:
    policy = RetryPolicy(100, None)
    pauses = [policy.seconds_until_retry(ServerError("503"), attempt, 1e9, START, 1.0) for attempt in range(1, 9)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert policy.seconds_until_retry(ServerError("503"), 1, 1e9, START, 0.5) == pytest.approx(0.0375)
    assert policy.seconds_until_retry(ServerError("503"), 1, 1e9, START, 0.0) == 0.025


def test_a_retry_needs_time_for_an_attempt_after_its_pause() -> None:
    policy = RetryPolicy(2, None)
    assert policy.seconds_until_retry(ServerError("503"), 1, BACKOFF + MIN_ATTEMPT_TIME, START, 1.0) == BACKOFF
    assert policy.seconds_until_retry(ServerError("503"), 1, BACKOFF + MIN_ATTEMPT_TIME - 1e-9, START, 1.0) is None


def test_the_figures_of_the_quota_are_those_that_are_documented() -> None:
    assert retries_left(RetryPolicy(2, None), ServerError("503")) == 100
    assert retries_left(RetryPolicy(2, None), limited(None)) == 280
    policy = RetryPolicy(2, None)
    retries_left(policy, ServerError("503"))
    for _ in range(13):
        policy.succeeded()
    assert retries_left(policy, ServerError("503")) == 0
    for _ in range(14):
        policy.succeeded()
    assert retries_left(policy, ServerError("503")) == 1
    assert MIN_ATTEMPT_TIME == 0.02


@pytest.mark.parametrize(("attempt", "expected"), [(1, True), (2, True), (3, False)])
def test_the_last_retry_is_the_one_whose_number_the_client_was_made_with(attempt: int, expected: bool) -> None:
    pause = RetryPolicy(2, None).seconds_until_retry(ServerError("503"), attempt, 1e9, START, 1.0)
    assert (pause is not None) == expected


# ---- Quota -----------------------------------------------------------------------------------------------------------


def retries_left(policy: RetryPolicy, error: PersonalizeError) -> int:
    count = 0
    while policy.seconds_until_retry(error, 1, 1e9, START, 0.0) is not None:
        count += 1
    return count


@pytest.mark.parametrize(("error", "cost"), [(ServerError("503"), RETRY_COST), (limited(None), RETRY_COST_THROTTLED)])
def test_the_quota_pays_for_so_many_retries(error: PersonalizeError, cost: int) -> None:
    assert retries_left(RetryPolicy(2, None), error) == QUOTA // cost


def test_a_retry_that_is_not_made_costs_nothing() -> None:
    policy = RetryPolicy(2, None)
    for _ in range(QUOTA):
        policy.seconds_until_retry(ServerError("503"), 3, 1e9, START, 0.0)
        policy.seconds_until_retry(ServerError("503"), 1, 0.0, START, 0.0)
        policy.seconds_until_retry(BadRequest("400"), 1, 1e9, START, 0.0)
    assert retries_left(policy, ServerError("503")) == QUOTA // RETRY_COST


@pytest.mark.parametrize("successes", [0, 1, RETRY_COST - 1, RETRY_COST, 10 * RETRY_COST, 10 * QUOTA])
def test_each_success_gives_back_its_part_of_the_quota_and_no_more(successes: int) -> None:
    policy = RetryPolicy(2, None)
    retries_left(policy, ServerError("503"))
    left = QUOTA % RETRY_COST
    for _ in range(successes):
        policy.succeeded()
    assert retries_left(policy, ServerError("503")) == min(QUOTA, left + successes * SUCCESS_REFUND) // RETRY_COST


def test_a_quota_that_is_full_does_not_overflow() -> None:
    policy = RetryPolicy(2, None)
    for _ in range(QUOTA):
        policy.succeeded()
    assert retries_left(policy, ServerError("503")) == QUOTA // RETRY_COST


def test_a_full_outage_costs_hardly_more_requests_than_calls() -> None:
    policy = RetryPolicy(2, None)
    world = World([REFUSED])
    for _ in range(10_000):
        with pytest.raises(ConnectionFailed):
            world.run(policy=policy)
    assert 10_000 < len(world.sent) <= 1.01 * 10_000


@given(jitter=st.floats(0, 1))
def test_a_restart_of_20_ms_costs_no_call_of_a_hundred_that_it_breaks(jitter: float) -> None:
    policy = RetryPolicy(2, CircuitBreaker())
    for number in range(100):
        world = World([REFUSED, GOOD], time=START + number * 0.0002, takes=0.0, jitter=jitter)
        assert world.run(policy=policy) == "good"
        assert world.time > START + 0.02


# ---- Rate limit ------------------------------------------------------------------------------------------------------


def test_until_the_reset_no_call_leaves_the_client() -> None:
    policy = RetryPolicy(2, None)
    with pytest.raises(RateLimited):
        World([limited(30.0, LIMIT)]).run(policy=policy)
    other = World([GOOD], time=START + 20.01)
    with pytest.raises(
        RateLimited, match=r"^expected to be within the rate limit, got a 429 before; next try in 13\.0 s"
    ) as caught:
        other.run(policy=policy)
    assert (other.sent, other.slept) == ([], [])
    assert caught.value.retry_after == pytest.approx(13.0)  # 30 s and a tenth of jitter, less what has passed
    assert (caught.value.status, caught.value.rate_limit) == (429, LIMIT)
    late = World([GOOD], time=START + 33.02)
    assert late.run(policy=policy) == "good"
    assert late.slept == []


def test_a_refusal_that_another_call_met_brings_none_of_its_words() -> None:
    policy = RetryPolicy(2, None)
    with pytest.raises(RateLimited):
        World([limited(30.0)]).run(policy=policy)
    with pytest.raises(RateLimited) as caught:
        World([GOOD]).run(policy=policy)
    assert "jane" not in f"{caught.value}{vars(caught.value)}"


@pytest.mark.parametrize(("left", "waits"), [(30.0 + BACKOFF + MIN_ATTEMPT_TIME, True), (30.0699, False)])
def test_a_wait_for_the_reset_must_leave_time_for_an_attempt(left: float, waits: bool) -> None:
    policy = RetryPolicy(2, None)
    assert policy.seconds_until_retry(limited(30.0), 1, 0.0, START, 0.0) is None
    if waits:
        assert policy.seconds_until_allowed(left, START, 1.0, under_way=False) == 30.0 + BACKOFF
    else:
        with pytest.raises(RateLimited):
            policy.seconds_until_allowed(left, START, 1.0, under_way=False)


def test_calls_that_know_of_a_429_do_not_come_back_all_at_once() -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(30.0), 1, 0.0, START, 0.0)
    waits = [policy.seconds_until_allowed(60, START, jitter, under_way=False) for jitter in (0.0, 0.5, 1.0)]
    assert waits == [30.025, 30.0375, 30.05]


@pytest.mark.parametrize("under_way", [False, True])
def test_the_limit_holds_for_new_calls_and_for_those_under_way(under_way: bool) -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(30.0), 1, 0.0, START, 0.0)
    with pytest.raises(RateLimited):
        policy.seconds_until_allowed(1.0, START, 0.0, under_way=under_way)


@pytest.mark.parametrize(("jitter", "longest"), [(0.0, 60.0), (1.0, 66.0)])
def test_an_absurd_reset_keeps_calls_back_for_a_minute(jitter: float, longest: float) -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(1e15), 1, 0.0, START, jitter)
    assert policy.seconds_until_allowed(100, START, 0.0, under_way=False) == pytest.approx(longest + BACKOFF / 2)
    assert policy.seconds_until_allowed(1, START + longest, 0.0, under_way=False) == 0.0


def test_of_two_429s_the_later_reset_holds() -> None:
    policy = RetryPolicy(2, None)
    for retry_after in (10.0, 30.0, 20.0):
        policy.seconds_until_retry(limited(retry_after), 1, 0.0, START, 0.0)
    assert policy.seconds_until_allowed(100, START + 1, 0.0, under_way=False) == 29.0 + BACKOFF / 2
    assert policy.seconds_until_retry(limited(5.0), 1, 100.0, START + 1, 0.0) == 29.0 + BACKOFF / 2
    assert policy.seconds_until_retry(limited(None), 1, 100.0, START + 1, 0.0) == 29.0 + BACKOFF / 2


def test_a_429_that_does_not_say_keeps_nobody_back() -> None:
    policy = RetryPolicy(0, None)
    with pytest.raises(RateLimited):
        World([limited(None)]).run(policy=policy)
    world = World([GOOD])
    assert world.run(policy=policy) == "good"
    assert world.slept == []


@pytest.mark.parametrize("jump", [-1e9, -100.0, 100.0, 1e9])
def test_a_clock_that_jumps_frees_calls_from_the_limit(jump: float) -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(30.0), 1, 0.0, START, 0.0)
    assert policy.seconds_until_allowed(1.0, START + jump, 0.0, under_way=False) == 0.0


@pytest.mark.parametrize("start", [START, 1e6 + 0.1, 2051220315.7])
def test_the_longest_wait_is_kept_whatever_rounding_does(start: float) -> None:
    policy, circuit = RetryPolicy(2, None), Circuit(CircuitBreaker(failures=1, pause=30.0))
    for number in range(100):
        at = start + number * 1_000.1
        policy.seconds_until_retry(limited(1e9), 1, 0.0, at, 1.0)
        assert policy.seconds_until_allowed(100.0, at, 0.0, under_way=False) == pytest.approx(66.0 + BACKOFF / 2)
        circuit.failed(at, 1.0)
        assert circuit.seconds_until_allowed(at, 1.0) == pytest.approx(30.0)
        circuit.succeeded()


@given(jump=st.floats(-1e10, 1e10), retry_after=st.floats(0, 1e18), jitter=st.floats(0, 1))
def test_whatever_the_clock_does_no_call_is_kept_back_longer_than_the_cap(
    jump: float, retry_after: float, jitter: float
) -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(retry_after), 1, 0.0, START, jitter)
    wait = policy.seconds_until_allowed(1e9, START + jump, 1.0, under_way=False)
    assert 0 <= wait <= THROTTLE_CAP * 1.1 + BACKOFF + 1e-6


def test_a_clock_moved_back_a_little_frees_calls_from_the_longest_wait() -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(60.0), 1, 0.0, START, 1.0)
    assert policy.seconds_until_allowed(1.0, START - 5, 0.0, under_way=False) == 0.0


def test_after_a_jump_of_the_clock_a_new_429_is_obeyed() -> None:
    policy = RetryPolicy(2, None)
    policy.seconds_until_retry(limited(30.0), 1, 0.0, START + 1e9, 0.0)
    assert policy.seconds_until_retry(limited(2.0), 1, 100.0, START, 0.0) == 2.0 + BACKOFF / 2
    assert policy.seconds_until_allowed(100.0, START + 1, 0.0, under_way=False) == 1.0 + BACKOFF / 2


# ---- Circuit ---------------------------------------------------------------------------------------------------------


def outage(circuit: Circuit, *, begins: float = START, failures: int = 5, jitter: float = 0.0) -> float:
    """Fail so often, a fifth of a second apart; when the last one failed."""
    at = begins
    for number in range(failures):
        at = begins + number * 0.2
        circuit.failed(at, jitter)
    return at


def fail(
    policy: RetryPolicy,
    times: int,
    *,
    at: float = START,
    apart: float = 0.2,
    error: PersonalizeError | TransportError = REFUSED,
) -> float:
    """Make so many calls that fail for good, the first at a time and each so much later; when the last one began."""
    for number in range(times):
        with pytest.raises(PersonalizeError):
            World([error], time=at + number * apart, takes=0.0).run(policy=policy)
    return at + (times - 1) * apart


def test_after_a_run_of_failures_calls_fail_at_once() -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    last = fail(policy, 5)
    world = World([GOOD], time=last + 0.5)
    with pytest.raises(
        CircuitOpen, match=r"^expected an API that answers, got a run of failures; next try in"
    ) as caught:
        world.run(policy=policy)
    assert world.sent == []
    assert caught.value.retryable
    assert caught.value.retry_at is not None
    assert caught.value.retry_at.tzinfo is UTC
    assert 0 < (caught.value.retry_at - datetime.now(UTC)).total_seconds() < 1
    assert World([GOOD], time=last + 2).run(policy=policy) == "good"
    assert World([GOOD], time=last + 2).run(policy=policy) == "good"


@pytest.mark.parametrize(
    ("failures", "apart", "opens"),
    [
        (4, 1.0, False),
        (5, 0.2, True),
        (5, MIN_SPAN / 4, True),
        (5, MIN_SPAN / 4 - 0.001, False),
        (1_000, 0.0001, False),
        (1_000, 0.001, True),
        (5, 2.5, True),
        (5, 2.501, False),
        (100, 2.501, False),
    ],
)
def test_a_row_opens_the_circuit_if_it_is_long_enough_in_calls_and_in_time(
    failures: int, apart: float, opens: bool
) -> None:
    circuit = Circuit(CircuitBreaker())
    last = START
    for number in range(failures):
        last = START + number * apart
        circuit.failed(last, 0.0)
    assert (circuit.seconds_until_allowed(last, 0.0) > 0) == opens


def test_one_failure_is_enough_for_a_breaker_that_says_so() -> None:
    circuit = Circuit(CircuitBreaker(failures=1))
    circuit.failed(START, 0.0)
    assert circuit.seconds_until_allowed(START, 0.0) == 1.0


def test_a_long_time_without_calls_begins_another_row() -> None:
    circuit = Circuit(CircuitBreaker())
    circuit.failed(START, 0.0)
    for number in range(20):
        circuit.failed(START + 11 + number * 0.01, 0.0)
    assert circuit.seconds_until_allowed(START + 11.2, 0.0) == 0.0


def test_slow_failures_do_not_keep_the_circuit_closed_when_fast_ones_follow() -> None:
    circuit = Circuit(CircuitBreaker())
    last = START
    for number in range(20):
        last = START + number * 3.0
        circuit.failed(last, 0.0)
        assert circuit.seconds_until_allowed(last, 0.0) == 0.0
    for _ in range(4):
        last += 0.1
        circuit.failed(last, 0.0)
    assert circuit.seconds_until_allowed(last, 0.0) > 0


def test_a_restart_that_fails_many_calls_at_once_opens_nothing() -> None:
    policy = RetryPolicy(2, CircuitBreaker())
    fail(policy, 1_000, apart=0.00002)
    assert World([GOOD], time=START + 0.02).run(policy=policy) == "good"


def test_attempts_that_a_retry_has_mended_open_nothing() -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=1))
    for number in range(10):
        assert World([REFUSED, ServerError("503"), GOOD], time=START + number).run(policy=policy) == "good"


def test_a_circuit_that_opens_leaves_calls_under_way_their_retries() -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=1))
    assert policy.seconds_until_allowed(1.0, START, 0.0, under_way=False) == 0.0
    fail(policy, 1)
    with pytest.raises(CircuitOpen):
        policy.seconds_until_allowed(1.0, START, 0.0, under_way=False)
    assert policy.seconds_until_retry(ServerError("503"), 1, 1.0, START, 0.0) == BACKOFF / 2
    assert policy.seconds_until_allowed(1.0, START, 0.0, under_way=True) == 0.0


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("x"),
        DeadlineExceeded("x"),
        ServerError("503"),
        MalformedResponse("half", retryable=True),
        TransportError("timeout", TimeoutError("x")),
        TransportError("stale", OSError("x")),
    ],
    ids=repr,
)
def test_what_shows_an_api_that_is_down_opens_the_circuit(error: PersonalizeError | TransportError) -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    last = fail(policy, 5, error=error)
    with pytest.raises(CircuitOpen):
        World([GOOD], time=last).run(policy=policy)


@pytest.mark.parametrize(
    "error", [BadRequest("400"), AuthenticationFailed("401"), limited(None), MalformedResponse("no object")], ids=repr
)
def test_what_the_api_answers_opens_nothing_and_ends_a_row(error: PersonalizeError) -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    fail(policy, 4)
    fail(policy, 20, at=START + 0.8, error=error, apart=0.01)
    fail(policy, 4, at=START + 1, error=ServerError("503"))
    assert World([GOOD], time=START + 2).run(policy=policy) == "good"


def test_a_success_ends_a_row_and_closes_the_circuit() -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit)
    assert circuit.seconds_until_allowed(last, 0.0) > 0
    circuit.succeeded()
    assert circuit.seconds_until_allowed(last, 0.0) == 0.0
    last = outage(circuit, begins=last, failures=4)
    assert circuit.seconds_until_allowed(last, 0.0) == 0.0
    circuit.failed(last + 0.1, 0.0)
    assert circuit.seconds_until_allowed(last + 0.1, 0.0) > 0


@pytest.mark.parametrize(("takes", "opens"), [(0.05, False), (0.19, False), (0.2, True), (1.0, True)])
def test_a_deadline_too_short_for_any_answer_says_nothing_about_the_api(takes: float, opens: bool) -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1), timeout=1.0)
    with pytest.raises(DeadlineExceeded):
        World([TransportError("timeout", TimeoutError("x"))], takes=takes).run(policy=policy, timeout=takes)
    assert kept_back(policy) == opens


def kept_back(policy: RetryPolicy, at: float = START) -> bool:
    try:
        return policy.seconds_until_allowed(1.0, at, 0.0, under_way=False) > 0
    except CircuitOpen:
        return True


@pytest.mark.parametrize(("timeout", "opens"), [(0.1, True), (0.05, False)])
def test_the_deadline_of_the_client_is_long_enough_to_say_something(timeout: float, opens: bool) -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1), timeout=0.1)
    with pytest.raises(DeadlineExceeded):
        World([TransportError("timeout", TimeoutError("x"))], takes=timeout).run(policy=policy, timeout=timeout)
    assert kept_back(policy) == opens


def test_a_short_deadline_and_another_failure_do_count() -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1), timeout=1.0)
    with pytest.raises(ServerError):
        World([ServerError("503")]).run(policy=policy, timeout=0.05)
    assert kept_back(policy)


@pytest.mark.parametrize(("timeout", "opens"), [(30.19, False), (30.31, True)])
def test_time_that_was_waited_for_a_reset_was_not_the_apis(timeout: float, opens: bool) -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=1), timeout=1.0)
    policy.seconds_until_retry(limited(30.0), 1, 0.0, START, 0.0)
    world = World([TransportError("timeout", TimeoutError("x"))], takes=1.0)
    with pytest.raises(DeadlineExceeded):
        world.run(policy=policy, timeout=timeout)
    assert len(world.sent) == 1
    assert kept_back(policy, world.time) == opens


@pytest.mark.parametrize(("timeout", "opens"), [(30.19, False), (30.31, True)])
def test_time_that_a_call_waited_after_its_own_429_was_not_the_apis(timeout: float, opens: bool) -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=1), timeout=1.0)
    world = World([limited(30.0), TransportError("timeout", TimeoutError("x"))], takes=0.0, jitter=0.0)
    with pytest.raises(DeadlineExceeded):
        world.run(policy=policy, timeout=timeout)
    assert len(world.sent) >= 2
    assert kept_back(policy, world.time) == opens


def test_a_call_that_got_no_connection_says_nothing_about_the_api() -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1))
    fail(policy, 20, error=TransportError("busy", TimeoutError("x")))
    assert World([GOOD]).run(policy=policy) == "good"


def test_exactly_one_of_a_hundred_calls_is_the_probe() -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit, jitter=0.5)
    assert all(circuit.seconds_until_allowed(last + 0.9, 0.5) for _ in range(100))
    admitted = [circuit.seconds_until_allowed(last + 2, 0.5) == 0 for _ in range(100)]
    assert admitted.count(True) == 1
    assert admitted[0]
    circuit.failed(last + 2.1, 0.5)
    assert circuit.seconds_until_allowed(last + 2.2, 0.5) > 0
    circuit.succeeded()
    assert [circuit.seconds_until_allowed(last + 2.3, 0.5) for _ in range(100)] == [0.0] * 100


def test_a_probe_that_is_never_heard_of_again_costs_one_pause() -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit)
    assert circuit.seconds_until_allowed(last + 1, 0.0) == 0
    assert circuit.seconds_until_allowed(last + 1.9, 0.0) == pytest.approx(0.1)
    assert circuit.seconds_until_allowed(last + 2, 0.0) == 0


def test_failures_while_the_circuit_is_open_put_off_no_probe() -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit)
    for number in range(10):
        circuit.failed(last + number * 0.1, 0.0)
    assert circuit.seconds_until_allowed(last + 1, 0.0) == 0


@pytest.mark.parametrize(
    ("since", "jitter", "expected"),
    [
        (0.0, 0.0, 1.0),
        (0.0, 1.0, 1.3),
        (0.0, 0.5, 1.15),
        (39.0, 0.0, 1.0),
        (40.0, 0.0, 1.0),
        (60.0, 0.0, 1.5),
        (60.0, 1.0, 1.95),
        (400.0, 0.0, 10.0),
        (1_200.0, 0.0, 30.0),
        (1_200.0, 1.0, 30.0),
        (86_400.0, 0.5, 30.0),
    ],
)
def test_a_pause_is_a_part_of_the_outage_within_its_bounds(since: float, jitter: float, expected: float) -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit, jitter=jitter)
    if since:
        assert circuit.seconds_until_allowed(last + since, jitter) == 0.0
    assert circuit.seconds_until_allowed(last + since, 0.0) == pytest.approx(expected)
    assert (GROWTH, JITTER) == (40.0, 0.3)


def test_the_state_is_what_the_next_call_would_meet(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="moengage_personalize"):
        circuit = Circuit(CircuitBreaker(failures=2, pause=3.0), "fetch")
        circuit.failed(START, 0.0)
        assert circuit.state(START) == "closed"
        circuit.failed(START + 1, 0.0)
        circuit.failed(START + 1, 0.0)
        assert [circuit.state(START + since) for since in (1, 3.9)] == ["open", "open"]
        assert [circuit.state(START + since) for since in (4, 100)] == ["half_open", "half_open"]
        assert circuit.seconds_until_allowed(START + 4, 0.0) == 0
        assert circuit.state(START + 4) == "open"  # for all but the probe
        circuit.succeeded()
        assert circuit.state(START + 4) == "closed"
        circuit.failed(START + 5, 0.0)
        circuit.succeeded()
    logged = [(record.getMessage(), vars(record)["personalize_operation"]) for record in caplog.records]
    assert logged == [("circuit of fetch: open", "fetch"), ("circuit of fetch: closed", "fetch")]
    assert [vars(record)["personalize_circuit"] for record in caplog.records] == ["open", "closed"]


def test_a_policy_shows_its_circuit_and_for_how_long_it_is_throttled() -> None:
    policy = RetryPolicy(0, CircuitBreaker(failures=1, pause=2.0), 1.0, "fetch")
    assert (policy.circuit_state(START), policy.throttled(START)) == ("closed", 0.0)
    policy.failed(ServerError("503"), 1.0, START, 0.0)
    assert [policy.circuit_state(START + since) for since in (0, 2)] == ["open", "half_open"]
    policy.seconds_until_retry(limited(7.0), 1, 1.0, START, 0.0)
    assert [policy.throttled(START + since) for since in (0, 5, 7)] == [7.0, 2.0, 0.0]
    assert RetryPolicy(0, None).circuit_state(START) == "closed"


def test_the_pauses_are_those_of_the_settings() -> None:
    circuit = Circuit(CircuitBreaker(failures=2, pause=3.0, max_pause=5.0))
    circuit.failed(START, 0.0)
    circuit.failed(START + 1, 0.0)
    assert circuit.seconds_until_allowed(START + 1, 0.0) == 3.0
    assert circuit.seconds_until_allowed(START + 1_000, 0.0) == 0.0
    assert circuit.seconds_until_allowed(START + 1_000, 0.0) == 5.0


def test_the_first_pause_is_the_shortest() -> None:
    circuit = Circuit(CircuitBreaker(failures=1, pause=0.01))
    circuit.failed(START, 0.0)
    assert circuit.seconds_until_allowed(START, 0.0) == pytest.approx(0.01)


def test_a_probe_at_the_very_instant_of_its_turn_does_not_begin_the_outage_again() -> None:
    circuit = Circuit(CircuitBreaker(failures=1, pause=64.0, max_pause=640.0))
    circuit.failed(START, 0.0)
    for instant in (64.0, 64.0 * 60):
        assert circuit.seconds_until_allowed(START + instant, 0.0) == 0.0
    assert circuit.seconds_until_allowed(START + 64.0 * 60, 0.0) == 96.0


@pytest.mark.parametrize("pause", [2.0, 3.0])
def test_no_pause_is_longer_than_the_longest(pause: float) -> None:
    circuit = Circuit(CircuitBreaker(failures=1, pause=pause, max_pause=2.0))
    circuit.failed(START, 1.0)
    assert circuit.seconds_until_allowed(START, 1.0) == 2.0


@given(jitters=st.lists(st.floats(0, 1), min_size=1), length=st.floats(10, 1300))
def test_pauses_grow_with_the_outage_within_their_bounds(jitters: list[float], length: float) -> None:
    circuit = Circuit(CircuitBreaker())
    begins = outage(circuit, jitter=jitters[0])
    passed, probes = 0.0, 0
    while passed < length:
        wait = circuit.seconds_until_allowed(begins + passed, jitters[probes % len(jitters)])
        if not wait:
            probes += 1
            circuit.failed(begins + passed, jitters[probes % len(jitters)])
        else:
            assert min(30.0, max(1.0, passed / 40)) - 1e-6 <= wait <= min(30.0, max(1.0, passed / 40) * 1.3) + 1e-6
            passed += wait + 1e-9
    assert probes <= length


@pytest.mark.parametrize("jump", [-1e9, -100.0, 1e9])
def test_a_clock_that_jumps_lets_a_probe_out_and_the_next_pause_is_a_short_one(jump: float) -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit)
    circuit.failed(last, 0.0)
    assert circuit.seconds_until_allowed(last + jump, 0.0) == 0.0
    assert 0 < circuit.seconds_until_allowed(last + jump, 0.0) <= (1.0 if jump < 0 else 30.0)


def test_after_a_clock_was_moved_back_pauses_grow_from_there() -> None:
    circuit = Circuit(CircuitBreaker())
    now = outage(circuit) - 1e9
    assert circuit.seconds_until_allowed(now, 0.0) == 0.0
    assert circuit.seconds_until_allowed(now + 60, 0.0) == 0.0
    assert circuit.seconds_until_allowed(now + 60, 0.0) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [(-1.0, 0.0), (0.0, 0.0), (0.1, 0.1), (30.0, 30.0), (30.5, 30.0), (31.0, 30.0), (31.5, 0.0), (1e9, 0.0)],
)
def test_an_instant_is_believed_within_the_cap_of_its_wait(instant: float, expected: float) -> None:
    assert seconds_until(START + instant, START, 30.0) == pytest.approx(expected)


@pytest.mark.parametrize(("apart", "opens"), [(10.0, True), (10.001, False)])
def test_a_row_ends_with_a_pause_longer_than_it_may_last(apart: float, opens: bool) -> None:
    circuit = Circuit(CircuitBreaker(failures=2))
    circuit.failed(START, 0.0)
    circuit.failed(START + apart, 0.0)
    assert (circuit.seconds_until_allowed(START + apart, 0.0) > 0) == opens


@given(jump=st.floats(-1e10, 1e10), jitter=st.floats(0, 1))
def test_whatever_the_clock_does_no_pause_is_longer_than_the_longest(jump: float, jitter: float) -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit, jitter=jitter)
    for _ in range(2):
        assert 0 <= circuit.seconds_until_allowed(last + jump, jitter) <= 30.0


@pytest.mark.parametrize("jump", [-1e9, -11.0, 11.0, 1e9])
def test_failures_before_a_jump_of_the_clock_are_forgotten(jump: float) -> None:
    circuit = Circuit(CircuitBreaker())
    last = outage(circuit, failures=4) + jump
    circuit.failed(last, 0.0)
    assert circuit.seconds_until_allowed(last, 0.0) == 0.0
    last = outage(circuit, begins=last + 0.2, failures=4)
    assert circuit.seconds_until_allowed(last, 0.0) > 0.0


def test_failures_that_threads_report_in_another_order_belong_to_one_row() -> None:
    circuit = Circuit(CircuitBreaker())
    for at in (0.0, 0.3, 0.2, 0.6, 0.59):
        circuit.failed(START + at, 0.0)
    assert circuit.seconds_until_allowed(START + 0.6, 0.0) > 0.0


@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.7, 1.0])
def test_after_an_outage_of_a_minute_calls_succeed_within_two_seconds(jitter: float) -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    now, back, calls = 0.0, None, 0
    while back is None:
        world = World([REFUSED if now < 60 else GOOD], time=START + now, takes=0.0, jitter=jitter)
        try:
            world.run(policy=policy)
            back = now
        except PersonalizeError:
            now += 0.006  # 167 calls a second
        calls += len(world.sent)
    assert 60 <= back <= 62
    assert calls < MIN_SPAN / 0.006 + 60


# ---- Settings and fork -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"failures": 0}, "expected failures to be a whole number from 1, got 0"),
        ({"failures": 2.5}, "got 2.5"),
        ({"within": 0}, "expected within to be a number of seconds greater than 0, up to 30 days, got 0"),
        ({"pause": -1}, "expected pause to be a number of seconds"),
        ({"max_pause": float("nan")}, "expected max_pause to be a number of seconds"),
    ],
)
def test_a_breaker_that_cannot_be_is_refused(given: dict[str, float], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        CircuitBreaker(**given)  # type: ignore[arg-type]


def test_a_breaker_has_the_settings_that_the_documentation_names() -> None:
    assert CircuitBreaker() == CircuitBreaker(failures=5, within=10.0, pause=1.0, max_pause=30.0)


def test_what_is_no_breaker_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^expected circuit_breaker to be a CircuitBreaker or None, got True"):
        RetryPolicy(2, True)


def test_without_a_breaker_nothing_is_held_back() -> None:
    policy = RetryPolicy(0, None)
    fail(policy, 50)
    assert World([GOOD]).run(policy=policy) == "good"


@pytest.mark.parametrize("make", [lambda: RetryPolicy(2, None), lambda: Circuit(CircuitBreaker())])
def test_a_child_has_locks_of_its_own_whoever_holds_the_parents(make: Callable[[], RetryPolicy | Circuit]) -> None:
    owner = make()
    with owner._lock:
        held = owner._lock
        _fork._after_fork()
        assert owner._lock is not held
        assert not owner._lock.locked()


def test_a_child_remembers_what_its_parent_knew() -> None:
    open_policy, limited_policy = RetryPolicy(0, CircuitBreaker(failures=1)), RetryPolicy(0, None)
    fail(open_policy, 1)
    fail(limited_policy, 1, error=limited(30.0))
    _fork._after_fork()
    assert kept_back(open_policy)
    with pytest.raises(RateLimited):
        World([GOOD]).run(policy=limited_policy)


def test_what_is_registered_for_forks_is_not_kept_alive() -> None:
    owner = Circuit(CircuitBreaker())
    register_after_fork(owner)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
