"""A fetch for each of many customers: results as they come, at a pace, and nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from faces import Face
from helpers import does_not_start
from servers import answers, hangs, serving

from moengage_personalize import (
    AuthenticationFailed,
    Call,
    ConfigurationError,
    Experiences,
    InSession,
    InvalidRequestError,
    RateLimited,
    sandbox,
)
from moengage_personalize._operations._batch import NAME

FAST = 600_000  # requests a minute
KEYS = [f"key-{number}" for number in range(60)]


@pytest.fixture
def app() -> sandbox.Sandbox:
    return sandbox.app({"a": {"Title": "Hello"}}, rate_limit=FAST)


@pytest.fixture
def client(face: Face, app: sandbox.Sandbox) -> Iterator[Any]:
    with sandbox.serve(app) as url:
        yield face.client(base_url=url, timeout=5)


def bodies(app: sandbox.Sandbox) -> list[Any]:
    return [request.body for request in app.requests]


def test_each_customer_comes_with_what_it_gets(face: Face, client: Any, app: sandbox.Sandbox) -> None:
    customers = ["anna", 7, UUID(int=1), *(f"user-{number}" for number in range(40))]
    found = face.fetch_each(client, iter(customers), "a", rate=FAST)
    assert sorted(str(customer) for customer, _ in found) == sorted(map(str, customers))
    assert all(experiences.string("a", "Title", "") == "Hello" for _, experiences in found)
    asked = [body["identifiers"]["customer_id"] for body in bodies(app)]
    assert sorted(asked) == sorted(map(str, customers))


def test_a_customer_may_be_a_mapping_with_a_session_of_its_own(face: Face, client: Any, app: sandbox.Sandbox) -> None:
    own = {"customer_id": "anna", "user_identifiers": {"u_em": "a@example.com"}, "in_session": {"plan": "gold"}}
    session = InSession(attributes={"plan": "none"})
    found = face.fetch_each(client, [own, "ben", {"user_identifiers": "x"}], ["a"], in_session=session, concurrency=1)
    assert [customer for customer, _ in found] == [own, "ben", {"user_identifiers": "x"}]
    assert [experiences.error for _, experiences in found] == [None] * 3
    first, second, third = bodies(app)
    assert first["identifiers"] == {"customer_id": "anna", "user_identifiers": {"u_em": "a@example.com"}}
    assert [body["plan"] for body in (first, second, third)] == ["gold", "none", "none"]
    assert third["identifiers"] == {"user_identifiers": "x"}


@pytest.mark.parametrize(
    "customer", [None, "", 1.5, b"x", {"id": "x"}, {1: 2}, {"customer_id": ""}, {"in_session": {"plan": object()}}]
)
def test_a_customer_that_cannot_be_costs_itself(face: Face, client: Any, app: sandbox.Sandbox, customer: Any) -> None:
    found = face.fetch_each(client, ["anna", customer, "ben"], "a", concurrency=1)
    assert [type(experiences.error) for _, experiences in found] == [type(None), InvalidRequestError, type(None)]
    assert len(app.requests) == 2


def test_each_customer_is_observed_as_a_fetch(face: Face, app: sandbox.Sandbox) -> None:
    seen: list[Call] = []
    with sandbox.serve(app) as url:
        client = face.client(base_url=url, timeout=5, observe=seen.append)
        face.fetch_each(client, range(5), "a", rate=FAST)
        assert client.stats.calls == 5
    assert [call.operation for call in seen] == ["fetch"] * 5


def test_a_customer_that_fails_costs_itself(face: Face, client: Any, app: sandbox.Sandbox) -> None:
    app.fail(401)
    found = face.fetch_each(client, ["anna", "ben"], "a", concurrency=1)
    assert [type(experiences.error) for _, experiences in found] == [AuthenticationFailed, type(None)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"customers": 7}, InvalidRequestError, "expected customers as an iterable of ids or mappings, got int"),
        ({"customers": "anna"}, InvalidRequestError, "expected customers as an iterable of ids or mappings, got str"),
        ({"customers": {"anna": 1}}, InvalidRequestError, "expected customers as an iterable .*, got dict"),
        ({"keys": [7]}, InvalidRequestError, "expected an experience key"),
        ({"keys": "\ud800"}, InvalidRequestError, "expected"),
        ({"rate": 0}, InvalidRequestError, "expected rate to be a number of requests a minute above 0, got 0"),
        ({"rate": float("nan")}, InvalidRequestError, "got nan"),
        ({"rate": float("inf")}, InvalidRequestError, "got inf"),
        ({"rate": True}, InvalidRequestError, "got True"),
        ({"concurrency": 0}, InvalidRequestError, "expected concurrency to be a whole number from 1, got 0"),
        ({"concurrency": 1.5}, InvalidRequestError, "got 1.5"),
        ({"timeout": 0}, InvalidRequestError, "expected timeout"),
        ({"in_session": {"customer_id": 7, "identifiers": 1}}, InvalidRequestError, "expected an in-session attribute"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused_at_once(
    face: Face, client: Any, app: sandbox.Sandbox, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    async def call() -> None:
        client.fetch_each(**{"customers": ["anna"], "keys": "a", **arguments})

    with pytest.raises(error, match=message):  # noqa: PT012 -- one call, which nobody goes through
        if face.kind == "async":
            face.run(call())
        else:
            client.fetch_each(**{"customers": ["anna"], "keys": "a", **arguments})
    assert app.requests == []


def test_a_closed_client_is_refused(face: Face, client: Any) -> None:
    face.close(client)
    with pytest.raises(ConfigurationError, match="expected an open client"):
        face.fetch_each(client, ["anna"])


def test_outside_of_an_event_loop_the_awaited_one_is_refused() -> None:
    client = Face("async").client(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ConfigurationError, match="expected a running event loop"):
        client.fetch_each(["anna"])


def test_no_more_than_so_many_are_here_at_once(face: Face, client: Any) -> None:
    """Of an iterable without an end; the rest is not taken until somebody takes results."""
    taken = [0]

    def endless() -> Iterator[int]:
        for number in count(1):
            taken[0] = number
            yield number

    async def some() -> int:
        found = client.fetch_each(endless(), "a", concurrency=4, rate=FAST)
        for _ in range(100):
            await anext(found)
        await found.aclose()
        return taken[0]

    if face.kind == "async":
        assert 100 <= face.run(some()) <= 106
        return
    found = client.fetch_each(endless(), "a", concurrency=4, rate=FAST)
    for _ in range(100):
        next(found)
    found.close()
    assert 100 <= taken[0] <= 104


def test_requests_are_under_way_side_by_side_but_no_more_than_so_many(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url, timeout=0.3, max_retries=0, circuit_breaker=None)
        started = time.monotonic()
        found = face.fetch_each(client, range(8), KEYS[:26], concurrency=4, rate=FAST)
        assert time.monotonic() - started < 8 * 0.3
        assert len(found) == 8
        assert len(server.requests) == 16


def test_a_customer_of_many_keys_costs_many_requests(face: Face, client: Any, app: sandbox.Sandbox) -> None:
    """60 keys are three requests: five customers at 1,800 a minute take four times a tenth of a second."""
    started = time.monotonic()
    found = face.fetch_each(client, range(5), KEYS, rate=1800)
    assert time.monotonic() - started >= 0.39
    assert (len(found), len(app.requests)) == (5, 15)


def test_the_rate_limit_is_waited_for(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace of 40 requests in two seconds, which others have used up."""
    monkeypatch.setattr("moengage_personalize.sandbox._state.MINUTE", 2)
    app = sandbox.app({"a": {}}, rate_limit=40)
    with sandbox.serve(app) as url:
        client, pages = (face.client(base_url=url, max_retries=0, timeout=5) for _ in range(2))
        while not isinstance(face.fetch_or_empty(pages, "a", timeout=0.2).error, RateLimited):
            pass
        found = face.fetch_each(client, range(20), "a", timeout=1, rate=FAST)
    assert [experiences.error for _, experiences in found] == [None] * 20


def test_a_rate_limit_for_ever_is_an_error_in_the_end(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moengage_personalize._operations._pacing.MIN_HOLD", 0.01)
    with serving(answers(429, {}, "Retry-After: 0")) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        ((_, found),) = face.fetch_each(client, ["anna"], "a")
        assert isinstance(found.error, RateLimited)
        assert len(server.requests) == 11


class CursorError(Exception):
    """Of the caller."""


CANARY = "canary-8821"


def test_what_the_customers_raise_comes_out_when_the_results_before_have(face: Face, client: Any) -> None:
    def cursor() -> Iterator[str]:
        yield CANARY
        yield CANARY + "2"
        raise CursorError("gone")

    got: list[tuple[Any, Experiences]] = []

    async def collect() -> None:
        async for one in client.fetch_each(cursor(), "a", rate=FAST):
            got.append(one)

    def go_through() -> None:
        for one in client.fetch_each(cursor(), "a", rate=FAST):
            got.append(one)

    with pytest.raises(CursorError) as caught:
        face.run((collect if face.kind == "async" else go_through)())
    assert len(got) == 2
    frames = list(traceback.walk_tb(caught.value.__traceback__))
    assert frames[-1][0].f_code.co_name == "cursor"
    for frame, _ in frames:
        if "moengage_personalize" in frame.f_code.co_filename:
            assert CANARY not in repr(frame.f_locals)


def test_what_a_transport_raises_comes_out(face: Face, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a fault of a client of the service's own; not a PersonalizeError, which is the customer's."""

    def fails(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(client.transport, "perform", fails)
    with pytest.raises(ZeroDivisionError) as caught:
        face.fetch_each(client, [CANARY], "a")
    for frame, _ in traceback.walk_tb(caught.value.__traceback__):
        if "moengage_personalize" in frame.f_code.co_filename:
            assert CANARY not in repr(frame.f_locals)


def threads() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


def test_closing_early_stops_the_threads_at_once() -> None:
    """Those that wait for their turn, minutes away, and after a moment those under way."""
    with serving(hangs) as server:
        face = Face("sync")
        client = face.client(base_url=server.base_url, timeout=0.5, max_retries=0)
        found = client.fetch_each(count(), "a", rate=1.0)
        next(found)
        assert threads() > 10
        found.close()
        until = time.monotonic() + 5
        while threads():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(server.requests) == 1
        with pytest.raises(StopIteration):
            next(found)
        face.finish()


def test_closing_or_cancelling_stops_the_tasks_at_once() -> None:
    async def begun(client: Any, rate: float) -> Any:
        found = client.fetch_each(count(), "a", rate=rate, timeout=600)
        waiting = asyncio.create_task(anext(found))
        await asyncio.sleep(0.2)
        return found, waiting

    async def left(client: Any) -> tuple[int, float]:
        started = time.monotonic()
        for rate in (1.0, FAST):
            found, waiting = await begun(client, rate)
            assert len(asyncio.all_tasks()) > 10
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await found.aclose()
        return len(asyncio.all_tasks()), time.monotonic() - started

    with serving(hangs) as server:
        face = Face("async")
        tasks, seconds = face.run(left(face.client(base_url=server.base_url)))
        face.finish()
    assert tasks == 1
    assert seconds < 10


def test_an_async_iterable_is_gone_through_beside_the_results() -> None:
    """A result does not wait for the next customer, who may never come; closing ends the iterable where it waits."""
    ended: list[bool] = []

    async def slow() -> AsyncIterator[str]:
        try:
            yield "anna"
            await asyncio.sleep(600)
        finally:
            ended.append(True)

    async def first(client: Any) -> Any:
        found = client.fetch_each(slow(), "a")
        customer, _ = await anext(found)
        await found.aclose()
        return customer

    face = Face("async")
    with sandbox.serve() as url:
        assert face.run(first(face.client(base_url=url))) == "anna"
    face.finish()
    assert ended == [True]


@pytest.mark.parametrize("fails", [False, True])
def test_an_async_iterable_may_end_or_raise(sandbox_url: str, fails: bool) -> None:
    async def rows() -> AsyncIterator[int]:
        for number in range(40):
            await asyncio.sleep(0)
            yield number
        if fails:
            raise CursorError

    got: list[int] = []

    async def collect(client: Any) -> None:
        async for number, _ in client.fetch_each(rows(), "a", rate=FAST):
            got.append(number)

    face = Face("async")
    with pytest.raises(CursorError) if fails else nullcontext():
        face.run(collect(face.client(base_url=sandbox_url)))
    face.finish()
    assert sorted(got) == list(range(40))


def test_customers_are_taken_in_the_thread_that_iterates(sandbox_url: str) -> None:
    """As the cursor of a database wants it."""
    seen: set[int] = set()

    def cursor() -> Iterator[int]:
        for number in range(20):
            seen.add(threading.get_ident())
            yield number

    face = Face("sync")
    assert len(face.fetch_each(face.client(base_url=sandbox_url), cursor(), rate=FAST)) == 20
    face.finish()
    assert seen == {threading.get_ident()}


def test_without_threads_customers_are_fetched_one_after_the_other(
    sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = Face("sync")
    client = face.client(base_url=sandbox_url)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", does_not_start)
        assert len(face.fetch_each(client, range(5), rate=FAST)) == 5
    with monkeypatch.context() as patched:
        patched.setattr(sys, "is_finalizing", lambda: True)
        assert len(face.fetch_each(client, range(5), rate=FAST)) == 5
    face.finish()


def test_a_batch_whose_threads_have_ended_with_the_interpreter_does_not_wait_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(hangs) as server:
        face = Face("sync")
        found = face.client(base_url=server.base_url, timeout=0.5).fetch_each(["anna", "ben"], concurrency=2, rate=60)
        next(found)
        monkeypatch.setattr(sys, "is_finalizing", lambda: True)
        with pytest.raises(ConfigurationError, match="whose threads have ended"):
            next(found)
        face.finish()


@pytest.mark.parametrize(
    "end",
    [
        "next(found)",
        "next(found); atexit.register(lambda: next(found))",
        "atexit.register(lambda: print(len(list(client.fetch_each(range(5), rate=60_000)))))",
        "next(found); sys.exit()",
    ],
)
def test_a_process_ends_with_a_batch_under_way(sandbox_url: str, end: str) -> None:
    code = f"""if True:
        import atexit, sys
        from moengage_personalize import PersonalizeClient, sandbox
        client = PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=sys.argv[1])
        found = client.fetch_each(iter(int, 1), rate=600)
        {end}
    """
    done = subprocess.run(
        [sys.executable, "-c", code, sandbox_url], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("", "5\n")
