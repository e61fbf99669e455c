"""The pace of a batch, as values: no clock, no network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define
from hypothesis import given, strategies as st

from moengage_personalize import CircuitOpen, PersonalizeError, RateLimit, RateLimited, ServerError
from moengage_personalize._operations._pacing import CATCH_UP, MAX_HOLD, MAX_HOLDS, RECOVERY, WINDOW, Pacer

RATE = 6e6  # so high that of the waits only the others are seen
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def at(now: float) -> datetime:
    return EPOCH + timedelta(seconds=now)


def refusal(retry_after: float | None = None) -> RateLimited:
    error = RateLimited("429", status=429)
    error.retry_after = retry_after
    return error


def begin(pacer: Pacer, now: float) -> float:
    """Begin with a customer as soon as may be, and give when that was."""
    while wait := pacer.seconds_until_start(now):
        now += wait
    pacer.start()
    return now


def end(pacer: Pacer, now: float, error: PersonalizeError | None = None, limit: RateLimit | None = None) -> bool:
    return pacer.finish(error, limit, now, at(now))


@pytest.mark.parametrize(("rate", "cost"), [(3000, 1), (60, 1), (3000, 10), (0.5, 3)])
def test_customers_begin_at_the_rate(rate: float, cost: int) -> None:
    pacer, now = Pacer(rate, cost), 100.0
    for _ in range(101):
        now = begin(pacer, now)
        end(pacer, now)
    assert now - 100 == pytest.approx(100 * cost * 60 / rate)


@given(st.lists(st.floats(0, 3) | st.just(0.0), max_size=100), st.floats(0, 100))
def test_no_minute_has_more_than_the_rate_and_what_was_kept_for_late_threads(late: list[float], idle: float) -> None:
    pacer, now, begun = Pacer(60, 1), 0.0, list[float]()
    for seconds in [0.0, idle, *late, *[0.0] * 70]:
        now = begin(pacer, now + seconds)
        begun.append(now)
    for start in begun:
        assert len([one for one in begun if start <= one < start + WINDOW]) <= 60 * (1 + CATCH_UP / WINDOW) + 1


def test_a_late_thread_costs_no_speed() -> None:
    pacer, now = Pacer(3000, 1), 0.0
    for _ in range(1000):
        now = begin(pacer, now + 0.013)
    assert now == pytest.approx(20, abs=0.05)


def test_a_clock_that_is_moved_back_holds_nothing_up() -> None:
    pacer = Pacer(600, 1)
    begin(pacer, 1000.0)
    end(pacer, 1000.0, refusal(60))
    assert begin(pacer, 1.0) < 2
    assert begin(pacer, 1.0) < 2


@pytest.mark.parametrize(("retry_after", "expected"), [(7.0, 7.0), (0.0, 0.5), (86_400.0, MAX_HOLD), (None, 1.0)])
def test_a_refusal_stops_until_the_reset_and_is_asked_again(retry_after: float | None, expected: float) -> None:
    pacer = Pacer(RATE, 1)
    pacer.start()
    assert end(pacer, 0.0, refusal(retry_after))
    assert pacer.seconds_until_start(0.0) == pytest.approx(expected)


def test_a_refusal_halves_the_rate_for_a_while() -> None:
    pacer = Pacer(6e5, 1)

    def rate(now: float) -> float:
        while (first := begin(pacer, now)) == now:  # until what was kept is gone
            pass
        return 60 / (begin(pacer, first) - first)

    assert rate(10.0) == pytest.approx(6e5, rel=0.01)
    for _ in range(2):  # the second together with the first
        end(pacer, 10.0, refusal(1))
    assert rate(12.0) == pytest.approx(6e5 * (0.5 + 2 / RECOVERY), rel=0.01)
    assert rate(25.0) == pytest.approx(6e5 * 0.75, rel=0.01)
    assert rate(40.0) == pytest.approx(6e5, rel=0.01)
    assert rate(60.0) == pytest.approx(6e5, rel=0.01)  # and not more
    assert rate(71.0) == pytest.approx(6e5, rel=0.01)
    now = 100.0
    for _ in range(30):
        end(pacer, now, refusal(0))
        now += 0.6
    assert rate(now) == pytest.approx(6e5 * (1 / 32 + 0.6 / RECOVERY), rel=0.02)


def test_refusals_that_do_not_say_until_when_wait_longer_and_longer() -> None:
    pacer, now, waits = Pacer(RATE, 1), 0.0, list[float]()
    for _ in range(8):
        pacer.start()
        for _ in range(2):  # the second together with the first
            end(pacer, now, refusal())
        waits.append(pacer.seconds_until_start(now))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    pacer.start()
    end(pacer, now)
    pacer.start()
    end(pacer, now, refusal())
    assert pacer.seconds_until_start(now) == 1
    assert sum(waits[:MAX_HOLDS]) > 2 * WINDOW  # which a limit of a minute does not outlast


def test_an_open_circuit_stops_until_the_next_probe() -> None:
    pacer = Pacer(RATE, 1)
    pacer.start()
    assert end(pacer, 0.0, CircuitOpen("open", at(3)))
    assert pacer.seconds_until_start(0.0) == pytest.approx(3, abs=0.001)
    pacer.start()
    assert end(pacer, 3.0, CircuitOpen("open"))
    assert pacer.seconds_until_start(3.0) == pytest.approx(0, abs=0.001)


def test_another_error_is_the_customers_own() -> None:
    pacer = Pacer(RATE, 1)
    pacer.start()
    assert not end(pacer, 0.0, ServerError("503", status=503))
    assert pacer.under_way == 0
    assert pacer.seconds_until_start(1.0) == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize(
    ("remaining", "left", "expected"),
    [
        pytest.param(10_000, 59.0, 0.0, id="nothing used"),
        pytest.param(5_101, 30.0, 0.0, id="half used, half to go"),
        pytest.param(4_600, 30.0, 6.0, id="more used than time is over"),
        pytest.param(10_000, 60.5, 2.2, id="a reset is a whole second"),
        pytest.param(270, 1.0, 0.0, id="the end of the minute"),
        pytest.param(100, 1.0, 1.0, id="the reserve"),
        pytest.param(0, 42.0, 42.0, id="used up"),
        pytest.param(5_000, 3600.0, 0.0, id="another window, or clock"),
        pytest.param(100, 3600.0, MAX_HOLD, id="another window, used up"),
        pytest.param(0, -5.0, 0.0, id="a reset that is over"),
    ],
)
def test_a_batch_leaves_enough_for_the_rest_of_the_minute(remaining: int, left: float, expected: float) -> None:
    pacer = Pacer(RATE, 1)
    pacer.start()
    pacer.start()
    end(pacer, 1.0, None, RateLimit(10_000, remaining + 1, at(1.0 + left)))  # one is still under way
    assert pacer.seconds_until_start(1.0) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("missing", ["limit", "remaining", "reset_at"])
def test_half_a_limit_says_nothing(missing: str) -> None:
    pacer = Pacer(RATE, 1)
    pacer.start()
    known: dict[str, Any] = {"limit": 10_000, "remaining": 0, "reset_at": at(60.0)} | {missing: None}
    end(pacer, 1.0, None, RateLimit(**known))
    assert pacer.seconds_until_start(1.0) == pytest.approx(0, abs=0.001)


@define
class Workspace:
    """A limit of 3,000 requests a minute, from the full minute."""

    used: int = 0
    minute: int = 0
    refused: int = 0

    def ask(self, now: float) -> tuple[PersonalizeError | None, RateLimit]:
        if now // WINDOW > self.minute:
            self.minute, self.used = int(now // WINDOW), 0
        self.used += 1
        reset = at((self.minute + 1) * WINDOW)
        if self.used > 3000:
            self.refused += 1
            return refusal((reset - at(now)).total_seconds()), RateLimit(3000, 0, reset)
        return None, RateLimit(3000, 3000 - self.used, reset)


@pytest.mark.parametrize(
    ("rate", "pages", "expected"),
    [
        pytest.param(2700, lambda _: 250, 2700, id="within the limit"),
        pytest.param(3000, lambda _: 300, 2700, id="as much as there is"),
        pytest.param(3000, lambda _: 2400, 600, id="pages take most"),
        pytest.param(3000, lambda now: 2900 if 120 <= now < 240 else 0, None, id="pages come and go"),
    ],
)
def test_pages_within_the_limit_are_within_it_beside_a_batch(
    rate: float, pages: Callable[[float], float], expected: float | None
) -> None:
    workspace, pacer, began = Workspace(), Pacer(rate, 1), list[float]()
    starts, asked, now = 0.0, 0.0, 0.0
    while now < 360:
        now += 0.01
        asked += pages(now) / 60 / 100
        while asked >= 1:
            asked -= 1
            workspace.ask(now)
        if now >= starts and not pacer.seconds_until_start(now):
            pacer.start()
            began.append(now)
            end(pacer, now, *workspace.ask(now))
    assert workspace.refused == 0
    if expected is not None:
        assert len(began) / 6 == pytest.approx(expected, rel=0.02 if expected > 1000 else 0.1)
    else:
        assert len([one for one in began if one < 120]) / 2 > 2900
        assert len([one for one in began if one >= 300]) > 2900
