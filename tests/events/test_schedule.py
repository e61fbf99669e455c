"""When a reporter sends what, as values: a moved clock, no thread and no network."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from event_samples import shown
from flush_world import DOWN, World, failing
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from moengage_personalize import (
    APIError,
    BadRequest,
    ExperienceEvent,
    PersonalizeError,
    RateLimited,
    ReporterStats,
)
from moengage_personalize._reporting._outbox import Outbox
from moengage_personalize._reporting._schedule import MAX_AGE, Maintain, Report, Span, Wait, retry_pause


def test_a_full_batch_goes_at_once_and_the_rest_after_the_interval() -> None:
    world = World()
    made = world.put(130)
    assert isinstance(world.step(), Report)
    assert world.sent == [made[:100]]
    step = world.step()
    assert step == Wait(2.0)
    world.step()
    assert world.sent == [made[:100], made[100:]]
    assert world.step() == Wait(2.0)
    assert (world.stats.sent, world.stats.queued, world.stats.oldest_age) == (130, 0, None)


def test_an_event_waits_no_longer_than_the_interval() -> None:
    world = World()
    world.put()
    world.time += 1.5
    world.put()
    assert world.step() == Wait(0.5)
    assert isinstance(world.step(), Report)


def test_when_it_is_full_the_oldest_go_and_are_counted() -> None:
    world = World(size=3)
    made = world.put(5)
    assert world.gone == [(made[0], "full"), (made[1], "full")]
    assert world.stats == ReporterStats(5, 0, 3, 0, {"full": 2}, 0.0)


def test_what_is_no_event_and_what_comes_too_late_is_counted() -> None:
    world = World()
    world.outbox.put("no event")
    world.outbox.closed = True
    world.put()
    world.outbox.put(None)
    assert world.stats.dropped == {"invalid": 2, "closed": 1}


def test_an_outage_loses_nothing_and_pauses_grow() -> None:
    world = World()
    made = world.put(100)
    started = world.time
    world.until(lambda: world.time > started + 120, failing(DOWN))
    assert world.pauses[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    world.until(lambda: world.stats.queued == 0)
    assert all(batch == made for batch in world.sent)
    assert world.stats.sent == 100
    assert world.stats.retried == 100 * (len(world.sent) - 1)
    assert world.gone == []


def test_an_event_that_cannot_be_delivered_for_ten_minutes_is_dropped() -> None:
    world = World()
    (event,) = world.put()
    started = world.time
    world.until(lambda: world.outbox.empty, failing(DOWN))
    assert world.gone == [(event, "expired")]
    assert 600 <= world.time - started < 640


def test_a_reset_of_the_rate_limit_is_waited_for() -> None:
    world = World()
    world.put(100)
    limited = RateLimited("429")
    limited.retry_after = 45.0
    world.step(failing(limited))
    assert world.step() == Wait(45.0)


@pytest.mark.parametrize("refusal", [BadRequest("400", status=400), APIError("413", status=413)])
@pytest.mark.parametrize("bad", [[0], [99], [37, 38], [1, 50, 98], list(range(100))])
def test_a_bad_event_does_not_take_the_others_of_its_batch_with_it(bad: list[int], refusal: APIError) -> None:
    world, error = World(), refusal
    made = world.put(100)
    wrong = {made[index].uuid for index in bad}

    def answer(events: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        return error if wrong & {event.uuid for event in events} else None

    world.until(lambda: world.outbox.empty, answer)
    assert world.stats.sent == 100 - len(bad)
    assert sorted(event.uuid for event, reason in world.gone if reason == "refused") == sorted(wrong)
    assert set(world.pauses) <= {2.0}  # no more than waiting for others, once all is done


def test_what_is_too_long_together_arrives_in_parts_and_nothing_is_dropped() -> None:
    world = World()
    made = world.put(100)
    lengths: list[int] = []

    def answer(events: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        lengths.append(len(events))
        return APIError("413", status=413) if len(events) > 30 else None

    world.until(lambda: world.outbox.empty, answer)
    assert (world.stats.sent, world.stats.dropped, lengths) == (100, {}, [100, 50, 50, 25, 25, 25, 25])
    assert world.sent == [made]


def test_an_outage_while_a_bad_event_is_searched_loses_nothing() -> None:
    world = World()
    made = world.put(100)

    def answer(events: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        bad, half = BadRequest("400"), len(events) < 100
        return None if made[0] in events and half else DOWN if half else bad

    world.step(answer)
    assert isinstance(world.step(), Wait)
    assert (world.stats.sent, world.stats.queued) == (50, 50)
    world.until(lambda: world.outbox.empty)
    assert world.sent == [made, made[50:]]


@pytest.mark.parametrize("limited_first", [True, False])
def test_of_several_failures_the_longest_pause_counts(limited_first: bool) -> None:
    world = World()
    made = world.put(100)
    limited = RateLimited("429")
    limited.retry_after = 45.0

    def answer(events: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        if len(events) == 100:
            return BadRequest("400")
        return limited if (made[0] in events) is limited_first else DOWN

    world.step(answer)
    assert world.step() == Wait(45.0)


def test_an_error_of_another_kind_is_tried_again() -> None:
    world = World()
    world.put(100)
    world.step(lambda _: APIError("401", status=401))
    assert isinstance(world.step(), Wait)
    assert isinstance(world.step(), Report)
    world.until(lambda: world.stats.sent == 100)


def test_a_flush_sends_what_there_is_once_even_in_a_pause() -> None:
    world = World()
    world.put(100)
    world.step(failing(DOWN))
    assert isinstance(world.step(), Wait)
    world.time -= 0.4
    world.schedule.flush_requested = True
    assert isinstance(world.step(failing(DOWN)), Report)
    assert isinstance(world.step(), Wait)
    world.time -= 0.4
    world.put(3)
    world.schedule.flush_requested = True
    started = world.time
    world.until(lambda: world.stats.sent == 103)
    assert world.time - started <= 2.0


def test_what_failed_is_sent_before_what_was_put_later() -> None:
    world = World(batch=2)
    first = world.put(2)
    world.step(failing(DOWN))
    later = world.put(2)
    world.until(lambda: world.outbox.empty)
    assert world.sent == [first, first, later]


@pytest.mark.parametrize("status", [401, 404, 412, 414, 429, 500, 503])
def test_no_other_status_is_a_refusal_of_the_events(status: int) -> None:
    world = World(batch=4)
    made = world.put(4)
    world.step(failing(APIError(str(status), status=status)))
    assert (world.stats.queued, world.stats.dropped) == (4, {})
    world.until(lambda: world.outbox.empty)
    assert world.sent == [made, made]


def test_at_the_close_a_report_has_only_what_is_left_of_its_time() -> None:
    world = World()
    world.put(100)
    world.schedule.closing = Span(world.time, 3.0)
    world.time += 2.0
    step = world.step()
    assert isinstance(step, Report)
    assert step.timeout == 1.0


def test_a_success_ends_the_growth_of_pauses() -> None:
    world = World()
    world.put(100)
    for _ in range(6):
        world.step(failing(DOWN))
    world.until(lambda: world.outbox.empty)
    world.put(100)
    world.pauses.clear()
    world.step(failing(DOWN))
    world.step()
    assert world.pauses == [0.5]


@pytest.mark.parametrize("back", [0.5, 500.0])
def test_a_clock_that_is_set_back_neither_stops_nor_expires_anything(back: float) -> None:
    world = World()
    world.put(100)
    world.until(lambda: len(world.sent) == 8, failing(DOWN))
    world.time -= 1_000.0 * back
    world.put(1)
    resumed = world.time
    world.until(lambda: world.stats.sent == 101)
    assert world.time - resumed <= 35.0
    assert world.gone == []


def test_what_is_queued_before_a_clock_is_set_back_still_expires() -> None:
    world = World()
    world.put(1)
    world.time = 5.0
    assert world.stats.oldest_age == 0.0
    world.until(lambda: world.outbox.empty, failing(DOWN))
    assert MAX_AGE <= world.time - 5.0 < MAX_AGE + 40
    assert world.stats.dropped == {"expired": 1}


def test_a_close_is_bounded_where_the_clock_is_set_back() -> None:
    world = World()
    world.put(1)
    world.schedule.closing = Span(world.time, 3.0)
    world.time -= 500.0
    world.until_ended()
    assert world.stats.dropped == {"closed": 1}


def test_the_oldest_age_is_that_of_the_oldest_wherever_it_is() -> None:
    world = World(batch=1)
    world.put(1)
    world.time += 7.0
    world.put(1)
    world.time += 1.0
    assert world.stats.oldest_age == 8.0
    world.step()  # the oldest is in flight, the youngest waits
    assert world.stats.oldest_age == 8.0
    world.step()  # and was sent
    assert world.stats.oldest_age == 1.0


def test_at_the_close_a_long_pause_is_cut_short() -> None:
    world = World()
    world.put(1)
    world.until(lambda: len(world.sent) == 9, failing(DOWN))
    world.outbox.closed, world.schedule.closing = True, Span(world.time, 3.0)
    world.step()
    assert world.pauses[-1] <= 0.2
    world.until_ended()
    assert (world.stats.sent, world.stats.queued) == (1, 0)


def test_pauses_grow_to_their_limit_and_a_429_is_obeyed() -> None:
    limited = RateLimited("429")
    limited.retry_after = 45.0
    pauses = [retry_pause(failures, DOWN, 1.0, 600.0) for failures in (0, 1, 5, 10, 11, 200)]
    assert pauses == [0.5, 1.0, 16.0, 512.0, 600.0, 600.0]
    assert retry_pause(0, DOWN, 0.0, 600.0) == 0.25
    assert retry_pause(0, limited, 1.0, 600.0) == 45.0
    limited.retry_after = 10**9
    assert retry_pause(0, limited, 1.0) == MAX_AGE


def test_the_end_sends_what_there_is() -> None:
    world = World()
    world.put(250)
    world.schedule.closing = Span(world.time, 3.0)
    while not world.outbox.empty:
        with suppress(StopIteration):
            world.step()
    assert [len(batch) for batch in world.sent] == [100, 100, 50]
    assert world.stats.sent == 250


def test_the_end_gives_up_in_time_and_counts_what_is_left() -> None:
    world = World()
    world.put(150)
    world.schedule.closing = Span(world.time, 3.0)
    taken: list[Wait | Report | Maintain] = []
    while not world.outbox.empty:
        with suppress(StopIteration):
            taken.append(world.step(failing(DOWN)))
    assert all(step.timeout <= 3 for step in taken if isinstance(step, Report))
    assert world.time == pytest.approx(1003.0)
    assert max(world.pauses) <= 0.21
    assert world.stats.dropped == {"closed": 150}


def test_a_delivery_that_is_cut_off_gives_back_what_was_on_its_way() -> None:
    world = World()
    made = world.put(100)
    world.step()
    world.steps.close()
    assert world.stats.queued == 100
    assert [item.event for item in world.outbox.take()] == made


def test_a_callback_that_raises_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    def boom(event: ExperienceEvent, reason: str) -> None:
        raise RuntimeError(event.customer_id)

    outbox = Outbox(1, boom, lambda: 0.0)
    outbox.put(shown())
    outbox.put(shown())
    assert caplog.messages == ["reporter: on_drop raised RuntimeError"]
    assert Outbox(1, None, lambda: 0.0).put("no event") == 0


class Counting(RuleBasedStateMachine):
    """Whatever happens in whatever order, created = sent + dropped + queued."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(size=30, batch=8)
        self.ended = False

    @rule(count=st.integers(1, 20))
    def put(self, count: int) -> None:
        self.world.put(count)

    @rule(
        error=st.sampled_from([None, DOWN, BadRequest("400"), RateLimited("429")]),
        later=st.sampled_from([0.0, 1.0, 700.0]),
    )
    def step(self, error: Any, later: float) -> None:
        self.world.time += later
        if not self.ended:
            try:
                self.world.step(lambda _: error)
            except StopIteration:
                self.ended = True

    @rule()
    def cut_off(self) -> None:
        self.world.steps.close()
        self.world.steps, self.world._outcome = self.world.schedule.steps(), None
        self.ended = False

    @rule()
    def end(self) -> None:
        self.world.outbox.closed = True
        self.world.schedule.closing = Span(self.world.time, 1.0)

    @invariant()
    def nothing_is_lost_uncounted(self) -> None:
        stats = self.world.stats
        assert len(self.world.gone) == sum(stats.dropped.values())
        assert stats.queued <= 30


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=60, stateful_step_count=40)
