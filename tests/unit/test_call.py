"""Retry and deadline, tested with values: no clock, no sleeping, no network."""

from __future__ import annotations

import math

import pytest
from attrs import define, field
from hypothesis import given, strategies as st

from moengage_personalize import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimited,
    ServerError,
)
from moengage_personalize._call import Sleep, retrying_call
from moengage_personalize._messages import Request, Response, TransportError
from moengage_personalize._policy._retry import BACKOFF, BACKOFF_CAP, RetryPolicy

REQUEST = Request("POST", "http://host/v1", {}, b"{}")
GOOD = Response(200, {}, b"good")
REFUSED = TransportError("connection", OSError("refused"))


@define
class World:
    """A clock that moves by what each Send takes, and outcomes in turn; the last one for good."""

    outcomes: list[Response | TransportError | PersonalizeError]
    takes: float = 0.01
    time: float = 0.0
    jitter: float = 1.0
    sent: list[float] = field(factory=list)
    slept: list[float] = field(factory=list)

    def read(self, answer: Response) -> str:
        refused = self.outcomes[min(len(self.sent), len(self.outcomes)) - 1]
        if isinstance(refused, PersonalizeError):
            raise refused
        return answer.body.decode()

    def run(self, *, max_retries: int = 2, timeout: float = 1.0, policy: RetryPolicy | None = None) -> str:
        started = self.time
        flow = retrying_call(
            REQUEST,
            self.read,
            policy=policy or RetryPolicy(max_retries, None),
            timeout=timeout,
            deadline=started + timeout,
            now=lambda: self.time,
            jitter=lambda: self.jitter,
        )
        try:
            step = next(flow)
            while True:
                if isinstance(step, Sleep):
                    self.slept.append(step.seconds)
                    self.time += step.seconds
                    step = flow.send(None)
                else:
                    self.sent.append(step.timeout)
                    outcome = self.outcomes[min(len(self.sent), len(self.outcomes)) - 1]
                    self.time += self.takes
                    step = flow.send(GOOD if isinstance(outcome, PersonalizeError) else outcome)
        except StopIteration as stop:
            value: str = stop.value
            return value


def test_a_good_answer_ends_the_call() -> None:
    world = World([GOOD])
    assert world.run() == "good"
    assert (world.sent, world.slept) == ([1.0], [])


@pytest.mark.parametrize(
    "bad",
    [
        REFUSED,
        TransportError("protocol", ValueError("cut off")),
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
    "bad", [BadRequest("400"), AuthenticationFailed("401"), PermissionDenied("403"), MalformedResponse("no object")]
)
def test_what_will_not_pass_is_raised_at_once(bad: PersonalizeError) -> None:
    world = World([bad])
    with pytest.raises(type(bad)) as caught:
        world.run()
    assert caught.value is bad
    assert (len(world.sent), world.slept) == (1, [])


def test_retries_end_with_the_last_error() -> None:
    world = World([REFUSED])
    with pytest.raises(ConnectionFailed, match="expected an answer, got OSError: refused") as caught:
        world.run()
    assert caught.value.__cause__ is REFUSED.cause
    assert len(world.sent) == 3


def test_no_retries_means_one_attempt() -> None:
    world = World([REFUSED])
    with pytest.raises(ConnectionFailed):
        world.run(max_retries=0)
    assert len(world.sent) == 1


def test_an_attempt_gets_what_is_left_of_the_deadline() -> None:
    world = World([REFUSED, GOOD], takes=0.25)
    world.run()
    assert world.sent == [1.0, pytest.approx(1.0 - 0.25 - BACKOFF)]


def test_a_pause_that_would_outlast_the_deadline_is_not_made() -> None:
    world = World([REFUSED], takes=0.95)
    with pytest.raises(ConnectionFailed):
        world.run()
    assert world.slept == []


def test_an_attempt_that_times_out_ends_as_the_deadline() -> None:
    world = World([TransportError("timeout", TimeoutError("read"))], takes=1.0)
    with pytest.raises(DeadlineExceeded, match="expected an answer within 1 s, got TimeoutError") as caught:
        world.run()
    assert caught.value.timeout == 1.0
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_nothing_is_sent_once_the_deadline_has_passed() -> None:
    world = World([GOOD])
    with pytest.raises(DeadlineExceeded, match="got none"):
        world.run(timeout=0.0)
    assert world.sent == []


STALE = TransportError("stale", OSError("closed"))


def test_the_keep_alive_race_is_tried_again_at_once_and_does_not_count() -> None:
    world = World([STALE, REFUSED, REFUSED, GOOD])
    assert world.run() == "good"
    assert (len(world.sent), len(world.slept)) == (4, 2)


def test_a_connection_that_is_stale_again_is_a_failed_one() -> None:
    world = World([STALE, STALE, STALE, STALE, GOOD])
    with pytest.raises(ConnectionFailed):
        world.run()
    assert len(world.sent) == 4


def test_an_answer_beyond_its_limits_is_not_tried_again() -> None:
    world = World([TransportError("limit", ValueError("a body of more than 2 bytes"))])
    with pytest.raises(MalformedResponse, match="expected an answer within its limits, got a body of more than 2"):
        world.run()
    assert len(world.sent) == 1


def test_a_429_is_obeyed_before_the_backoff() -> None:
    limited = RateLimited("429")
    limited.retry_after = 0.5
    world = World([limited, GOOD])
    assert world.run() == "good"
    assert world.slept == [pytest.approx(0.5 * 1.1 + BACKOFF)]


def test_a_429_that_asks_for_more_than_is_left_is_raised_at_once() -> None:
    limited = RateLimited("429")
    limited.retry_after = 60.0
    world = World([limited])
    with pytest.raises(RateLimited):
        world.run()
    assert (len(world.sent), world.slept) == (1, [])


def test_a_send_must_be_answered() -> None:
    policy = RetryPolicy(0, None)
    flow = retrying_call(REQUEST, bytes, policy=policy, timeout=1, deadline=1, now=lambda: 0.0, jitter=lambda: 0.0)
    next(flow)
    with pytest.raises(TypeError, match="expected an Answer or a NoAnswer"):
        flow.send(None)


@given(attempt=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_backoff_grows_is_fully_jittered_and_capped(attempt: int, jitter: float) -> None:
    pause = RetryPolicy(10_000, None).failed(ServerError("503"), attempt, 1e9, 0.0, lambda: jitter)
    assert pause == pytest.approx(min(BACKOFF_CAP, BACKOFF * 2.0 ** min(attempt - 1, 20)) * jitter)


@given(
    outcomes=st.lists(st.sampled_from([REFUSED, GOOD, ServerError("500")]), min_size=1),
    takes=st.floats(0.0, 0.4),
    timeout=st.floats(0.001, 2.0),
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
        assert len(world.sent) <= max_retries + 1
    assert all(0 < left <= timeout for left in world.sent)
    assert sum(world.slept) < timeout
    assert math.fsum([world.time, -takes]) < timeout


def test_no_repr_of_a_step_shows_headers_or_body() -> None:
    send = Request("POST", "http://host/v1", {"Authorization": "canary"}, b"canary")
    assert "canary" not in repr(send) + repr(Response(200, {"x": "canary"}, b"canary"))
