"""Retry quota, rate limit and circuit, tested with values and a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st
from test_call import GOOD, REFUSED, World

from moengage_personalize import (
    AuthenticationFailed,
    BadRequest,
    CircuitBreaker,
    CircuitOpen,
    ConfigurationError,
    ConnectionFailed,
    PersonalizeError,
    RateLimited,
    ServerError,
)
from moengage_personalize._messages import TransportError
from moengage_personalize._policy._circuit import Circuit
from moengage_personalize._policy._retry import QUOTA, RetryPolicy


def limited(retry_after: float | None) -> RateLimited:
    error = RateLimited("429", status=429, title="Too many")
    error.retry_after = retry_after
    return error


def test_a_full_outage_costs_hardly_more_requests_than_calls() -> None:
    policy = RetryPolicy(2, None)
    world = World([REFUSED])
    for _ in range(10_000):
        with pytest.raises(ConnectionFailed):
            world.run(policy=policy)
    assert 10_000 < len(world.sent) <= 1.2 * 10_000


def test_successes_fill_the_quota_again() -> None:
    policy = RetryPolicy(2, None)
    world = World([REFUSED])
    for _ in range(100):
        with pytest.raises(ConnectionFailed):
            world.run(policy=policy)
    sent = len(world.sent)
    with pytest.raises(ConnectionFailed):
        world.run(policy=policy)
    assert len(world.sent) == sent + 1
    for _ in range(2 * QUOTA):
        World([GOOD]).run(policy=policy)
    with pytest.raises(ConnectionFailed):
        world.run(policy=policy)
    assert len(world.sent) == sent + 1 + 3


def test_until_the_reset_no_call_leaves_the_client() -> None:
    policy = RetryPolicy(2, None)
    world = World([limited(30.0)])
    with pytest.raises(RateLimited):
        world.run(policy=policy)
    other = World([GOOD], time=20.0)
    with pytest.raises(RateLimited, match=r"got a 429 before; next try in 13\.0 s") as caught:
        other.run(policy=policy)
    assert other.sent == []
    assert caught.value.retry_after == pytest.approx(13.0, abs=0.1)  # 30 s and a tenth of jitter, less what has passed
    assert (caught.value.status, caught.value.title) == (429, "Too many")
    assert World([GOOD], time=33.1).run(policy=policy) == "good"


def test_an_absurd_reset_keeps_calls_back_for_a_minute() -> None:
    policy = RetryPolicy(2, None)
    with pytest.raises(RateLimited):
        World([limited(1e15)]).run(policy=policy)
    assert World([GOOD], time=66.1).run(policy=policy) == "good"


def test_a_429_that_does_not_say_keeps_nobody_back() -> None:
    policy = RetryPolicy(0, None)
    with pytest.raises(RateLimited):
        World([limited(None)]).run(policy=policy)
    assert World([GOOD]).run(policy=policy) == "good"


def fail(
    policy: RetryPolicy, times: int, *, at: float = 0.0, error: PersonalizeError | TransportError = REFUSED
) -> None:
    for _ in range(times):
        with pytest.raises(PersonalizeError):
            World([error], time=at).run(policy=policy)


def test_after_a_run_of_failures_calls_fail_at_once() -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    fail(policy, 5)
    world = World([GOOD], time=0.5)
    with pytest.raises(CircuitOpen, match="expected an API that answers, got a run of failures; next try in") as caught:
        world.run(policy=policy)
    assert world.sent == []
    assert caught.value.retryable
    assert caught.value.retry_at is not None
    assert 0 < (caught.value.retry_at - datetime.now(UTC)).total_seconds() < 1
    assert World([GOOD], time=2.0).run(policy=policy) == "good"
    assert World([GOOD], time=2.0).run(policy=policy) == "good"


def test_a_call_whose_failure_opens_the_circuit_does_not_try_again() -> None:
    policy = RetryPolicy(2, CircuitBreaker(failures=2))
    world = World([REFUSED])
    with pytest.raises(ConnectionFailed):
        world.run(policy=policy)
    assert len(world.sent) == 2


@pytest.mark.parametrize("error", [BadRequest("400"), AuthenticationFailed("401"), limited(None)], ids=repr)
def test_what_the_api_answers_opens_nothing_and_ends_a_run(error: PersonalizeError) -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    fail(policy, 4)
    fail(policy, 20, error=error)
    fail(policy, 4, error=ServerError("503"))
    assert World([GOOD]).run(policy=policy) == "good"


def test_failures_far_apart_open_nothing() -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    for number in range(20):
        fail(policy, 1, at=number * 3.0)
    assert World([GOOD], time=60.0).run(policy=policy) == "good"


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


def test_what_is_no_breaker_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected circuit_breaker to be a CircuitBreaker or None, got True"):
        RetryPolicy(2, True)


def test_without_a_breaker_nothing_is_held_back() -> None:
    policy = RetryPolicy(0, None)
    fail(policy, 50)
    assert World([GOOD]).run(policy=policy) == "good"


def test_exactly_one_of_a_hundred_calls_is_the_probe() -> None:
    circuit = Circuit(CircuitBreaker())
    for _ in range(5):
        circuit.failed(0.0, 0.5)
    assert all(circuit.seconds_until_allowed(0.9, 0.5) for _ in range(100))
    admitted = [circuit.seconds_until_allowed(2.0, 0.5) is None for _ in range(100)]
    assert admitted.count(True) == 1
    circuit.failed(2.1, 0.5)
    assert circuit.seconds_until_allowed(2.2, 0.5) is not None
    circuit.succeeded()
    assert [circuit.seconds_until_allowed(2.3, 0.5) for _ in range(100)] == [None] * 100


def test_a_probe_that_is_never_heard_of_again_costs_one_pause() -> None:
    circuit = Circuit(CircuitBreaker())
    for _ in range(5):
        circuit.failed(0.0, 0.0)
    assert circuit.seconds_until_allowed(1.0, 0.0) is None
    assert circuit.seconds_until_allowed(1.9, 0.0) is not None
    assert circuit.seconds_until_allowed(2.0, 0.0) is None


@given(jitters=st.lists(st.floats(0, 1), min_size=1), outage=st.floats(10, 3600))
def test_pauses_grow_with_the_outage_within_their_bounds(jitters: list[float], outage: float) -> None:
    circuit = Circuit(CircuitBreaker())
    for _ in range(5):
        circuit.failed(0.0, jitters[0])
    now, probes = 0.0, 0
    while now < outage:
        wait = circuit.seconds_until_allowed(now, jitters[probes % len(jitters)])
        if wait is None:
            probes += 1
            circuit.failed(now, jitters[probes % len(jitters)])
        else:
            assert 0 < wait <= min(30.0, max(1.0, now / 40) * 1.3) + 1e-6
            now += wait
    assert probes <= outage


@given(jitter=st.floats(0, 1))
def test_after_an_outage_of_a_minute_calls_succeed_within_two_seconds(jitter: float) -> None:
    policy = RetryPolicy(0, CircuitBreaker())
    now, back = 0.0, None
    while back is None:
        world = World([REFUSED if now < 60 else GOOD], time=now, takes=0.0, jitter=jitter)
        try:
            world.run(policy=policy)
            back = now
        except PersonalizeError:
            now += 0.006  # 167 calls a second
    assert 60 <= back <= 62
