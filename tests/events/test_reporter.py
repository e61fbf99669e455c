"""Reporters against the sandbox: threads, tasks, forks, and processes that end without a word."""

from __future__ import annotations

import asyncio
import atexit
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
from event_samples import ACCEPTED, fail, received, shown, within
from faces import CREDENTIALS, Face
from helpers import does_not_start
from servers import answers, hangs, serving

from moengage_personalize import (
    AsyncPersonalizeClient,
    AsyncReporter,
    ConfigurationError,
    PersonalizeClient,
    Reporter,
    sandbox,
)
from moengage_personalize._policy import _fork as _forked
from moengage_personalize._reporting import _reporter, _schedule as _delivery
from moengage_personalize._reporting._schedule import Delivery
from moengage_personalize._transport import AsyncPooledTransport


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
            await asyncio.sleep(0.5)
            assert reporter.stats.sent == 120
            for event in made[120:]:
                reporter.put(event)

    if face.kind == "async":
        face.run(main())
    else:
        with reporter:
            for event in made[:120]:
                reporter.put(event)
            assert within(2, lambda: reporter.stats.sent == 120)
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
    assert received(url)["count"] == 800


def test_a_put_from_outside_the_loop_is_sent_by_the_next_one_inside(url: str) -> None:
    engine = AsyncPooledTransport()
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=url, http_client=engine)
    reporter = client.reporter(max_batch=2, flush_interval=60)
    reporter.put(shown())

    async def main() -> None:
        reporter.put(shown())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(lambda: [reporter.put(shown()) for _ in range(2)])
        while reporter.stats.sent < 4:  # noqa: ASYNC110 -- as a test looks
            await asyncio.sleep(0.01)
        await engine.aclose()  # the connections of this loop

    asyncio.run(asyncio.wait_for(main(), 10))
    reporter.put(shown())  # the loop is closed
    asyncio.run(again(reporter, engine))
    assert received(url)["count"] == 5


async def again(reporter: AsyncReporter, engine: AsyncPooledTransport) -> None:
    assert await reporter.flush()
    assert await reporter.close()
    await engine.aclose()


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

    def look(delivery: Delivery) -> float:
        looks.append(pause(delivery))
        return looks[-1]

    pause = Delivery._pause
    monkeypatch.setattr(Delivery, "_pause", look)
    monkeypatch.setattr(_delivery, "BACKOFF", 30.0)
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


def test_a_put_within_a_put_does_not_wait_for_it(url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter(flush_interval=0.05)
        with reporter._starting:  # as a signal handler finds it
            reporter.put(shown())
        reporter.put(shown())
        assert reporter.close()
    assert received(url)["count"] == 2


def test_where_no_thread_can_be_started_the_close_sends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", does_not_start)
            reporter.put(shown())
        assert reporter.close()
    assert received(url)["count"] == 1


def ran(way: str, url: str, count: int) -> subprocess.CompletedProcess[str]:
    quiet = "-Wignore:This process:DeprecationWarning"  # a fork beside threads, which is what is tried here
    command = [sys.executable, quiet, str(Path(event_programs.__file__)), way, url, str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("exit_without_close", {"end": 20}),
        ("async_exit_without_close", {"loop": 20}),
        ("fork", {"parent": 20, "child": 20}),
        ("fork_by_multiprocessing", {"parent": 20, "child": 20}),
    ],
)
def test_a_process_that_ends_without_close_loses_nothing(url: str, way: str, expected: dict[str, int]) -> None:
    done = ran(way, url, 20)
    assert (done.returncode, done.stderr) == (0, "")
    kept = received(url)
    from_whom = [event["customer_id"].partition("-")[0] for event in kept["events"]]
    assert {name: from_whom.count(name) for name in set(from_whom)} == expected
    assert kept["duplicates"] == 0


def test_the_end_of_a_process_is_bounded_when_nobody_answers() -> None:
    with serving(hangs) as server:
        done = ran("down_at_the_end", server.base_url, 20)
    assert (done.returncode, done.stdout) == (0, "closed: False {'closed': 20} True\n"), done.stderr


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


def test_a_child_of_multiprocessing_reports_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "a parent")
    monkeypatch.setattr(util, "Finalize", lambda _, callback, exitpriority: callback())
    _reporter.at_exit(close := lambda: called.append("closed"))
    atexit.unregister(close)
    assert called == ["closed"]


def test_multiprocessing_is_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing")
    _reporter.at_exit(close := lambda: None)
    atexit.unregister(close)
    assert "multiprocessing" not in sys.modules


def test_the_end_of_the_interpreter_reports_what_no_loop_could(url: str) -> None:
    reporter = AsyncPersonalizeClient(**CREDENTIALS, base_url=url).reporter()
    reporter._at_exit()
    assert reporter.stats.created == 0
