"""When a reporter sends what, as values: a moved clock, no thread and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
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


def test_the_last_pause_ends_with_the_close() -> None:
    world = World()
    world.put(1)
    world.schedule.closing = Span(world.time, 0.5)
    world.until_ended(failing(DOWN))
    assert world.pauses == pytest.approx([0.2, 0.2, 0.1])


def test_a_flush_of_nothing_is_over_at_once() -> None:
    world = World()
    world.schedule.flush_requested = True
    assert world.step() == Wait(2.0)
    world.put(1)
    assert world.step() == Wait(2.0)


@pytest.mark.parametrize(("age", "expires"), [(599.9, False), (600.0, True)])
def test_ten_minutes_are_whole(age: float, expires: bool) -> None:
    world = World()
    world.put(1)
    world.time += age
    world.step(failing(DOWN))
    world.step()
    assert world.stats.dropped == ({"expired": 1} if expires else {})


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
    world.until_ended()
    assert [len(batch) for batch in world.sent] == [100, 100, 50]
    assert world.stats.sent == 250


def test_the_end_gives_up_in_time_and_counts_what_is_left() -> None:
    world = World()
    world.put(150)
    world.schedule.closing = Span(world.time, 3.0)
    with suppress(StopIteration):
        for _ in range(1_000):
            step = world.step(failing(DOWN))
            assert not isinstance(step, Report) or step.timeout <= 3
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


# ---- What stands in a spool ------------------------------------------------------------------------------------------


class Kept:
    """A spool without a file: what stands in it, what is done, and what others have left."""

    CHUNK = 2

    def __init__(self, left: Sequence[bytes] = ()) -> None:
        self.rows: dict[tuple[int, int], bytes] = {}
        self.calls: list[str] = []
        self.written: list[int] = []
        self.done: list[tuple[int, int]] = []
        self.left = [*left]
        self.room = 1000
        self.errors = Counter({"busy": 1})

    def write(self, events: Sequence[bytes]) -> list[tuple[int, int]]:
        self.written.append(len(events))
        made: list[tuple[int, int]] = []
        for event in events[: max(0, self.room - len(self.rows))]:
            made.append((1, len(self.rows)))
            self.rows[made[-1]] = event
        return made

    def holds(self, row: tuple[int, int] | None) -> bool:
        return row in self.rows

    def mark_done(self, rows: Iterable[tuple[int, int] | None]) -> None:
        self.done += [row for row in rows if row is not None]

    def adopt_orphans(self) -> list[tuple[tuple[int, int], bytes]]:
        found, self.left = self.left[:2], self.left[2:]
        rows = [((2, len(self.rows) + number), text) for number, text in enumerate(found)]
        self.rows |= dict(rows)
        return rows

    def remove_done(self) -> None:
        self.calls.append("remove_done")

    def maintain(self) -> None:
        self.calls.append("maintain")

    def release(self) -> None:
        self.calls.append("release")


def world_with(spool: Any, **options: Any) -> World:
    return World(spool=spool, **options)


def test_an_event_stands_in_the_spool_until_the_api_has_it() -> None:
    spool = Kept()
    world = world_with(spool, batch=2)
    made = world.put(3)
    assert [*spool.rows.values()] == [event.to_json().encode() for event in made]
    assert (world.stats.spooled, world.stats.queued, world.stats.spool_errors) == (3, 0, {"busy": 1})
    assert not world.outbox.empty
    world.until(lambda: len(world.sent) == 1)
    world.until(lambda: world.outbox.empty)
    assert (spool.done, world.stats.sent) == ([*spool.rows], 3)


def test_a_spool_is_looked_after_each_second_and_after_a_report() -> None:
    spool = Kept()
    world = world_with(spool)
    assert isinstance(world.step(), Maintain)
    assert world.step() == Wait(1.0)
    assert isinstance(world.step(), Maintain)
    world.time += 0.25
    assert world.step() == Wait(0.75)
    assert isinstance(world.step(), Maintain)
    world.put(100)
    assert isinstance(world.step(), Report)
    assert isinstance(world.step(), Maintain)
    assert spool.calls == ["maintain"] * 4


def test_to_look_after_a_spool_neither_hastens_nor_forgets_a_flush() -> None:
    world = world_with(Kept())
    world.put(1)
    assert isinstance(world.step(), Maintain)
    assert world.step() == Wait(1.0)
    world.schedule.flush_requested = True
    assert isinstance(world.step(), Maintain)
    assert isinstance(world.step(), Report)


def test_a_spool_is_looked_after_where_a_clock_has_just_begun() -> None:
    world = world_with(Kept())
    world.time = 0.25
    assert isinstance(world.step(), Maintain)
    world.put(100)
    assert isinstance(world.step(), Report)
    assert isinstance(world.step(), Maintain)


def test_at_the_close_a_spool_does_not_make_the_wait_longer() -> None:
    spool = Kept()
    world = world_with(spool)
    world.put()
    world.schedule.closing = Span(world.time, 0.5)
    steps = [world.step(failing(DOWN)) for _ in range(9)]
    assert [type(step) for step in steps] == [Maintain, *[Report, Maintain, Wait] * 2, Report, Maintain]
    assert isinstance(world.step(), Wait)
    assert world.pauses == pytest.approx([0.2, 0.2, 0.1])


def test_what_others_left_goes_at_once() -> None:
    world = world_with(Kept([shown().to_json().encode()]))
    assert isinstance(world.step(), Maintain)
    assert isinstance(world.step(), Report)


def test_what_is_no_event_or_comes_too_late_is_not_written() -> None:
    spool = Kept()
    world = world_with(spool)
    changed = shown(user_attributes={"age": 30})
    changed.user_attributes["age"] = object()  # type: ignore[index]  # after it was checked
    assert [world.outbox.put(event) for event in ("no event", changed, shown())] == [0, 0, 1]
    world.outbox.closed = True
    world.put()
    assert (world.stats.dropped, world.stats.spooled, spool.written) == ({"invalid": 2, "closed": 1}, 1, [1])
    assert [reason for _, reason in world.gone] == ["invalid", "invalid", "closed"]
    assert spool.done == []


def test_what_goes_because_the_queue_is_full_is_done_in_the_spool_too() -> None:
    spool = Kept()
    world = world_with(spool, size=2)
    made = world.put(3)
    assert (world.gone, spool.done, spool.calls) == ([(made[0], "full")], [(1, 0)], ["remove_done"])
    assert (world.stats.spooled, world.stats.dropped) == (2, {"full": 1})


def test_in_flight_counts_for_the_size_of_the_queue() -> None:
    world = World(size=2)
    made = world.put(2)
    taken = world.outbox.take(1)
    made += world.put(1)
    assert world.gone == [(made[1], "full")]
    assert [item.event for item in taken] == made[:1]


def test_an_event_that_is_put_while_it_closes_is_taken_if_it_stands_in_the_spool() -> None:
    spool = Kept()
    world = world_with(spool)

    def closes(events: Sequence[bytes]) -> list[tuple[int, int]]:
        world.outbox.closed = True
        return Kept.write(spool, events)

    spool.write = closes  # type: ignore[method-assign]
    world.put()
    assert (world.stats.spooled, world.stats.dropped) == (1, {})


def test_what_the_spool_could_not_take_is_written_later_in_chunks() -> None:
    spool = Kept()
    spool.room = 0
    world = world_with(spool)
    made = world.put(5)
    assert (world.stats.spooled, world.stats.queued) == (0, 5)
    flying = world.outbox.take(1)
    spool.room, spool.written = 4, []
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (spool.written, world.stats.spooled, world.stats.queued) == ([2, 2, 1], 4, 1)
    assert [*spool.rows.values()] == [event.to_json().encode() for event in made[:4]]
    assert spool.holds(flying[0].row)
    spool.room = 5
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (spool.written, world.stats.spooled, spool.done) == ([2, 2, 1, 1], 5, [])


def test_what_was_lost_while_it_was_written_is_done_at_once() -> None:
    spool = Kept()
    spool.room = 0
    world = world_with(spool)
    world.put(2)
    spool.room = 1000

    def meanwhile(events: Sequence[bytes]) -> list[tuple[int, int]]:
        world.outbox.drop(world.outbox.take(1), "refused")
        return Kept.write(spool, events)

    spool.write = meanwhile  # type: ignore[method-assign]
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (spool.done, world.stats.dropped, world.stats.spooled) == ([(1, 0)], {"refused": 1}, 1)


def test_what_others_left_is_sent_before_all_else() -> None:
    left = [shown() for _ in range(4)]
    spool = Kept([left[0].to_json().encode(), b"{}", *(event.to_json().encode() for event in left[1:])])
    world = world_with(spool)
    made = world.put(1)
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (world.stats.recovered, world.stats.spooled, world.stats.dropped) == (5, 5, {"invalid": 1})
    assert [(str(event), reason) for event, reason in world.gone] == [("b'{}'", "invalid")]
    assert spool.done == [(2, 2)]
    waiting = [item.event for item in world.outbox.take()]
    assert waiting == [left[3], left[1], left[2], left[0], made[0]]  # two are taken over at a time
    assert world.stats.oldest_age == 0.0


def test_of_what_others_left_the_oldest_go_where_there_is_no_room() -> None:
    left = [shown(), shown()]
    spool = Kept([event.to_json().encode() for event in left])
    world = world_with(spool, size=3)
    world.put(2)
    flying = world.outbox.take(1)
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert world.gone == [(left[0], "full")]
    assert spool.done == [(2, 2)]
    assert (world.stats.spooled, len(world.outbox), len(flying)) == (3, 2, 1)


def test_what_is_no_event_takes_no_room_from_the_others() -> None:
    left = shown()
    world = world_with(Kept([left.to_json().encode(), b"{}"]), size=3)
    world.put(2)
    world.outbox.maintain(world.outbox.spool)  # type: ignore[arg-type]
    assert (world.stats.spooled, world.stats.dropped) == (3, {"invalid": 1})


def test_nothing_is_waited_for_after_the_end() -> None:
    world = world_with(Kept([shown().to_json().encode()]))
    assert (world.outbox.empty, world.outbox.ended) == (False, False)
    world.outbox.end()
    assert (world.outbox.empty, world.outbox.ended) == (True, True)


def test_what_is_lost_for_one_reason_adds_up() -> None:
    world = World()
    world.put(3)
    world.outbox.drop(world.outbox.take(2), "refused")
    world.outbox.drop(world.outbox.take(1), "refused")
    world.outbox.drop([], "expired")
    assert world.stats.dropped == {"refused": 3}


def test_what_others_left_is_looked_for_at_least_once() -> None:
    left = [shown().to_json().encode() for _ in range(4)]
    spool = Kept(left)
    world = world_with(spool)
    world.outbox.closed = True
    assert not world.outbox.empty
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (world.stats.recovered, world.outbox.empty) == (4, False)
    spool.left = left
    world.outbox.maintain(spool)  # type: ignore[arg-type]
    assert (world.stats.recovered, len(spool.left)) == (4, 4)


def test_at_the_end_what_stands_in_the_spool_stays_and_the_rest_is_lost() -> None:
    spool = Kept()
    spool.room = 2
    world = world_with(spool)
    made = world.put(3)
    world.outbox.closed = True
    spool.calls.clear()
    world.outbox.end()
    assert (world.stats.spooled, world.stats.queued, world.stats.dropped) == (2, 0, {"closed": 1})
    assert world.gone == [(made[2], "closed")]
    assert (spool.done, spool.calls, world.outbox.ended) == ([], ["remove_done", "release"], True)


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
