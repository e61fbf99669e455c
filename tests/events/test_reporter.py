"""Reporters against the sandbox: threads, tasks, forks, and processes that end without a word."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import util
from pathlib import Path
from typing import Any

import event_programs
import pytest
import uvloop
from event_samples import ACCEPTED, fail, received, serving_limited, shown, within
from faces import CREDENTIALS, Face
from helpers import does_not_start
from servers import Server, answers, hangs, serving

from moengage_personalize import (
    AsyncPersonalizeClient,
    AsyncReporter,
    ConfigurationError,
    EventsNotAccepted,
    PersonalizeClient,
    Reporter,
    sandbox,
)
from moengage_personalize._policy import _fork as _forked
from moengage_personalize._reporting import _schedule as schedules
from moengage_personalize._reporting._background import BaseReporter
from moengage_personalize._reporting._schedule import FlushSchedule


@pytest.fixture
def url() -> Iterator[str]:
    with sandbox.serve() as base_url:
        yield base_url


def test_events_are_reported_in_the_background_and_at_the_close(face: Face, url: str) -> None:
    client = face.client(base_url=url)
    reporter = client.reporter(flush_interval=0.05)
    made = [shown() for _ in range(250)]

    async def main() -> None:
        async with reporter:
            for event in made[:120]:
                reporter.put(event)
            async with asyncio.timeout(10):
                while reporter.stats.sent < 120:  # noqa: ASYNC110 -- as a test looks
                    await asyncio.sleep(0.01)
            for event in made[120:]:
                reporter.put(event)

    if face.kind == "async":
        face.run(main())
    else:
        with reporter:
            for event in made[:120]:
                reporter.put(event)
            assert within(10, lambda: reporter.stats.sent == 120)
            for event in made[120:]:
                reporter.put(event)
    assert {event["moe_event_uuid"] for event in received(url)["events"]} == {event.uuid for event in made}
    assert received(url)["duplicates"] == 0
    assert (reporter.stats.sent, reporter.stats.queued, reporter.stats.dropped) == (250, 0, {})
    assert "sent=250" in repr(reporter)


def test_flush_sends_what_there_is_now(face: Face, url: str) -> None:
    reporter = face.client(base_url=url).reporter(flush_interval=60)

    async def main() -> bool:
        reporter.put(shown())
        return bool(await reporter.flush())

    if face.kind == "async":
        assert face.run(main())
    else:
        reporter.put(shown())
        assert reporter.flush()
    assert received(url)["count"] == 1
    assert face.run(reporter.close())


def test_a_flush_of_nothing_starts_no_thread(url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        reporter = client.reporter()
        assert reporter.flush()
        assert reporter._thread is None
        assert reporter.close()


def test_flush_and_close_are_bounded_and_say_so(face: Face) -> None:
    dropped: list[str] = []
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url)
        reporter = client.reporter(on_drop=lambda _, reason: dropped.append(reason))

        async def main() -> list[bool]:
            reporter.put(shown())
            return [await reporter.flush(0.2), await reporter.close(0.5)]

        started = time.monotonic()
        if face.kind == "async":
            found = face.run(main())
        else:
            reporter.put(shown())
            found = [reporter.flush(0.2), reporter.close(0.5)]
        assert found == [False, False]
        assert time.monotonic() - started < 2.5
        assert within(4, lambda: face.kind == "async" or dropped == ["closed"])


def test_a_reporter_without_events_closes_at_once(face: Face, url: str) -> None:
    reporter = face.client(base_url=url).reporter()
    assert face.run(reporter.close())
    reporter.put(shown())
    assert reporter.stats.dropped == {"closed": 1}
    assert not face.run(reporter.close())


def test_an_outage_delays_and_loses_nothing(face: Face, url: str) -> None:
    client = face.client(base_url=url, max_retries=0, circuit_breaker=None)
    reporter = client.reporter(flush_interval=0.02)
    fail(url, status=503, times=2)

    async def main() -> None:
        reporter.put(shown())
        while reporter.stats.sent == 0:  # noqa: ASYNC110 -- as a test looks
            await asyncio.sleep(0.01)

    if face.kind == "async":
        face.run(asyncio.wait_for(main(), 10))
    else:
        reporter.put(shown())
        assert within(10, lambda: reporter.stats.sent == 1)
    assert reporter.stats.retried == 2
    face.run(reporter.close())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queue_size": 0}, "expected queue_size to be a whole number from 1"),
        ({"flush_interval": 0}, "expected flush_interval to be a number of seconds"),
        ({"max_batch": 101}, "expected max_batch to be at most 100"),
        ({"on_drop": 7}, "expected on_drop to be callable, got int"),
    ],
)
def test_a_reporter_that_cannot_work_is_refused(face: Face, url: str, given: Any, message: str) -> None:
    client = face.client(base_url=url)
    with pytest.raises(ConfigurationError, match=message):
        client.reporter(**given)


def test_many_threads_put_at_once(url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client, client.reporter() as reporter:
        made = [[shown() for _ in range(100)] for _ in range(8)]
        threads = [
            threading.Thread(target=lambda events=events: [reporter.put(event) for event in events]) for events in made
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = reporter.stats
        assert stats.created == 800 == stats.sent + stats.queued
        assert reporter.flush(30)
    assert received(url)["count"] == 800


def test_a_put_from_outside_the_loop_is_sent_by_the_next_one_inside(url: str) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=url)
    reporter = client.reporter(max_batch=2, flush_interval=60)
    reporter.put(shown())

    async def main() -> None:
        reporter.put(shown())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(lambda: [reporter.put(shown()) for _ in range(2)])
        while reporter.stats.sent < 4:  # noqa: ASYNC110 -- as a test looks
            await asyncio.sleep(0.01)
        await client.aclose()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert received(url)["count"] == 4


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


async def put_some(reporter: AsyncReporter, count: int) -> None:
    for _ in range(count):
        reporter.put(shown())
    await asyncio.sleep(0)


async def wait_for_request(server: Server) -> None:
    while not server.requests:  # noqa: ASYNC110 -- as a test looks
        await asyncio.sleep(0.01)


@LOOPS
@pytest.mark.parametrize("close", [True, False], ids=["closed", "left"])
@pytest.mark.parametrize("way", ["put", "flush", "close"])
def test_a_loop_that_was_closed_or_left_keeps_no_event(url: str, new_loop: Any, close: bool, way: str) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=url, timeout=5)
    reporter = client.reporter(flush_interval=0.05)
    first, second = new_loop(), new_loop()
    first.run_until_complete(put_some(reporter, 50))
    if close:
        first.close()

    async def main() -> None:
        if way == "put":
            reporter.put(shown())
            while reporter.stats.queued:  # noqa: ASYNC110 -- as a test looks
                await asyncio.sleep(0.01)
        elif way == "flush":
            assert await reporter.flush(10)
        assert await reporter.close(10)
        await client.aclose()

    second.run_until_complete(asyncio.wait_for(main(), 20))
    second.close()
    if not close:
        first.run_until_complete(asyncio.sleep(0.01))  # the task of before goes on, and finds that it has ended
        first.close()
    assert received(url)["count"] == 50 + (way == "put")
    assert reporter.stats.dropped == {}
    assert reporter.stats.queued == 0


@LOOPS
def test_events_in_flight_when_their_loop_was_left_are_sent_again_and_counted_once(new_loop: Any) -> None:
    """With the same uuids: if the first request arrived after all, the API counts them once."""
    late, accepts = threading.Event(), answers(200, ACCEPTED)
    with serving(lambda connection: [late.wait(10), accepts(connection)], accepts) as server:
        client = AsyncPersonalizeClient(**CREDENTIALS, base_url=server.base_url)
        reporter = client.reporter(flush_interval=0.01)
        loop, second = new_loop(), new_loop()
        loop.run_until_complete(put_some(reporter, 5))
        loop.run_until_complete(wait_for_request(server))
        second.run_until_complete(flush_and_close(reporter))
        assert (reporter.stats.sent, reporter.stats.queued, reporter.stats.dropped) == (5, 0, {})
        late.set()
        loop.run_until_complete(asyncio.sleep(0.3))  # the first request is answered after all
        for each in (loop, second):
            each.run_until_complete(client.transport.aclose())
            each.run_until_complete(asyncio.sleep(0.01))
        first, again = ({a["moe_event_uuid"] for a in body["elements"][0]["actions"]} for body in server.bodies())
        second.close()
        loop.close()
    assert (len(first), first) == (5, again)
    assert (reporter.stats.sent, reporter.stats.queued) == (5, 0)


async def flush_and_close(reporter: AsyncReporter) -> None:
    assert await reporter.flush(10)
    assert await reporter.close()


def test_a_loop_that_runs_in_another_thread_goes_on_sending(url: str) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=url, timeout=5)
    reporter = client.reporter(flush_interval=60)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(put_some(reporter, 3), loop).result(5)
    task = reporter._task
    assert asyncio.run(reporter.flush(10))
    assert asyncio.run(reporter.close(10))
    assert reporter._task is task
    asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert received(url)["count"] == 3


def test_a_close_that_is_cancelled_loses_nothing(url: str) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=url)
    fail(url, status=503, times=4)
    reporter = client.reporter(flush_interval=60)

    async def main() -> None:
        reporter.put(shown())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reporter.close(60)
        assert reporter.stats.dropped == {}
        assert await reporter.close(10)
        await client.aclose()

    asyncio.run(main())
    assert received(url)["count"] == 1


def test_a_full_batch_wakes_the_thread() -> None:
    with (
        serving(answers(200, ACCEPTED)) as server,
        PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client,
    ):
        reporter = client.reporter(max_batch=5, flush_interval=60)
        reporter.put(shown())
        time.sleep(0.1)
        for _ in range(4):
            reporter.put(shown())
        assert within(5, lambda: reporter.stats.sent == 5)
        reporter.close()


def test_in_an_outage_a_page_does_not_wake_the_thread_for_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look(schedule: FlushSchedule, now: float) -> float:
        looks.append(pause(schedule, now))
        return looks[-1]

    pause = FlushSchedule._pause
    monkeypatch.setattr(FlushSchedule, "_pause", look)
    monkeypatch.setattr(schedules, "BACKOFF", 30.0)
    with (
        serving(answers(503, b"")) as server,
        PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client,
    ):
        reporter = client.reporter(max_batch=2, flush_interval=600)
        for _ in range(2):
            reporter.put(shown())
        assert within(10, lambda: bool(looks) and 0 < looks[-1] <= 30)
        before = len(looks)
        for _ in range(200):
            reporter.put(shown())
        time.sleep(0.2)
        assert len(looks) == before
        reporter.close(0.1)


def test_a_put_within_a_start_does_not_wait_for_it(url: str) -> None:
    """As a signal handler finds it, and a greenlet that runs while another one starts the thread."""
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter(flush_interval=0.05)
        with reporter._exclusively() as mine:
            assert mine
            reporter.put(shown())
            assert not reporter.close(0.05)
        assert reporter.close()
    assert received(url)["count"] == 1


def test_a_thread_that_died_is_replaced_and_what_it_had_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter(flush_interval=0.02)
        report, reporter._report = reporter._report, lambda *_: 1 / 0
        reporter.put(shown())
        assert within(5, lambda: bool(died))
        reporter._report = report
        assert within(5, lambda: not reporter._is_running())
        reporter.put(shown())
        assert within(5, lambda: reporter.stats.sent == 2)
        assert reporter.close()


def test_where_no_thread_can_be_started_the_close_sends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", does_not_start)
            reporter.put(shown())
        assert reporter.close()
    assert received(url)["count"] == 1


def faults(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a program wrote to stderr, without the failed reports that are in the log."""
    logged = ("report_events: ConnectionFailed", "report_events: DeadlineExceeded")
    return [line for line in done.stderr.splitlines() if not line.startswith(logged)]


def run_program(way: str, url: str, count: int) -> subprocess.CompletedProcess[str]:
    quiet = "-Wignore:This process:DeprecationWarning"  # a fork beside threads, which is what is tried here
    command = [sys.executable, quiet, str(Path(event_programs.__file__)), way, url, str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("exit_without_close", {"end": 20}),
        ("async_exit_without_close", {"loop": 20}),
        ("async_exit_with_a_loop_that_was_left", {"left": 20, "outside": 20}),
        ("put_while_finalizing", {"before": 20}),
        ("fork", {"parent": 20, "child": 20}),
        ("fork_by_multiprocessing", {"parent": 20, "child": 20}),
    ],
)
def test_a_process_that_ends_without_close_loses_nothing(url: str, way: str, expected: dict[str, int]) -> None:
    done = run_program(way, url, 20)
    assert (done.returncode, faults(done)) == (0, [])
    kept = received(url)
    from_whom = [event["customer_id"].partition("-")[0] for event in kept["events"]]
    assert {name: from_whom.count(name) for name in set(from_whom)} == expected
    assert kept["duplicates"] == 0


def test_the_end_of_a_process_is_bounded_when_nobody_answers() -> None:
    with serving(hangs) as server:
        done = run_program("down_at_the_end", server.base_url, 20)
    assert (done.returncode, done.stdout) == (0, "closed: False {'closed': 20} True\n"), done.stderr


def test_all_reporters_share_one_budget_at_the_end_of_a_process(url: str) -> None:
    """Four whose API is down take no more time than one, and none from the two whose API is well."""
    with serving(hangs) as server:
        done = run_program("exit_with_many", f"{server.base_url},{url}", 5)
    seconds = float(done.stdout)
    assert (done.returncode, faults(done)) == (0, [])
    assert seconds < 5
    assert received(url)["count"] == 10


def test_a_reporter_is_bound_to_its_client() -> None:
    client = PersonalizeClient(**CREDENTIALS, base_url="http://127.0.0.1:9/v1", timeout=0.2)
    reporter: Reporter = client.reporter()
    client.close()
    reporter.put(shown())
    assert not reporter.close(0.3)
    assert reporter.stats.dropped == {"closed": 1}


def test_a_child_of_a_fork_begins_with_an_empty_queue(face: Face, url: str) -> None:
    """What `fork` runs in the child, here without one: the parent's events are the parent's to send."""
    reporter = face.client(base_url=url).reporter(flush_interval=60)
    reporter.put("no event")
    assert reporter.stats.created == 1
    face.run(reporter.close())
    _forked._after_fork()
    assert reporter.stats.created == 0


def test_a_child_of_multiprocessing_reports_at_its_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        reporter = client.reporter(flush_interval=60)
        with monkeypatch.context() as patched:
            patched.setattr(multiprocessing, "parent_process", lambda: "a parent")
            patched.setattr(util, "Finalize", lambda _, callback, exitpriority: ends.append(callback))
            ends: list[Any] = []
            reporter.put(shown())
        assert ends
        ends[0]()
    assert reporter.stats.sent == 1


def test_multiprocessing_is_not_imported_for_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing")
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client, client.reporter() as reporter:
        reporter.put(shown())
    assert "multiprocessing" not in sys.modules


def test_a_reporter_that_was_closed_is_forgotten(face: Face, url: str) -> None:
    reporter = face.client(base_url=url).reporter()
    reporter.put(shown())
    assert reporter in BaseReporter._open.values()
    assert face.run(reporter.close())
    assert reporter not in BaseReporter._open.values()


def test_while_the_interpreter_is_finalizing_no_thread_is_started(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "is_finalizing", lambda: True)
            patched.setattr(threading.Thread, "start", lambda _: pytest.fail("a start that never returns"))
            reporter.put(shown())
            assert not reporter.flush(60)
        assert reporter.close()
    assert received(url)["count"] == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b"OK", b"{", ACCEPTED])
def test_any_2xx_is_an_accepted_report_whatever_its_body(face: Face, status: int, body: bytes) -> None:
    body = b"" if status == 204 else body
    with serving(answers(status, body)) as server:
        client = face.client(base_url=server.base_url)
        face.run(client.report_events([shown()]))
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 304])
def test_a_redirection_is_no_accepted_report(face: Face, status: int) -> None:
    with serving(answers(status, b"")) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        with pytest.raises(EventsNotAccepted, match=f"got {status}"):
            face.run(client.report_events([shown()]))


@pytest.mark.parametrize("way", ["report_events", "reporter"])
def test_what_is_too_long_together_is_sent_in_halves(face: Face, way: str) -> None:
    made = [shown(customer_id=f"user_{number}") for number in range(100)]
    with serving_limited(20_000) as base_url:
        client = face.client(base_url=base_url, timeout=5)
        if way == "report_events":
            face.run(client.report_events(made))
        else:
            reporter = client.reporter(flush_interval=60)
            for event in made:
                reporter.put(event)
            assert face.run(reporter.close(10))
            assert (reporter.stats.sent, reporter.stats.dropped) == (100, {})
        kept = received(base_url)
    assert ({event["moe_event_uuid"] for event in kept["events"]}) == {event.uuid for event in made}
    assert kept["duplicates"] == 0


def test_one_event_that_is_too_long_alone_is_refused_and_takes_no_other_with_it(face: Face) -> None:
    long = shown(user_attributes={"note": "x" * 30_000})
    made = [shown(customer_id=f"user_{number}") for number in range(20)]
    with serving_limited(20_000) as base_url:
        client = face.client(base_url=base_url, timeout=5)
        with pytest.raises(EventsNotAccepted) as caught:
            face.run(client.report_events([*made[:7], long, *made[7:]]))
        assert caught.value.events == (long,)
        assert not caught.value.retryable
        assert received(base_url)["count"] == 20


def test_no_thread_begins_for_a_reporter_that_is_closed(url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        reporter = client.reporter()
        assert reporter.close()
        reporter._start()
        assert reporter._thread is None


def test_events_of_a_client_that_was_closed_are_counted_as_lost(face: Face, url: str) -> None:
    client = face.client(base_url=url)
    reporter = client.reporter()

    async def put_and_close() -> None:
        await client.aclose()
        reporter.put(shown())
        assert not await reporter.close(1)

    if face.kind == "async":
        face.run(put_and_close())
    else:
        client.close()
        reporter.put(shown())
        assert not reporter.close(1)
    assert sum(reporter.stats.dropped.values()) == 1
