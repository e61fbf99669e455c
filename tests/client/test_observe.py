"""What `observe`, `stats` and the log show of each operation, for both clients."""

from __future__ import annotations

import asyncio
import logging
import pickle
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import attrs
import httpx
import pytest
from event_samples import ACCEPTED, REFUSED, shown
from faces import CREDENTIALS, Face
from helpers import ROOT
from servers import answers, hangs, hangs_up, raw, serves, serving, then_closes

from moengage_personalize import (
    AsyncPersonalizeClient,
    AuthenticationFailed,
    BadRequest,
    Call,
    CircuitBreaker,
    ConfigurationError,
    ConnectionFailed,
    InvalidRequestError,
    MalformedResponse,
    PersonalizeClient,
    PersonalizeError,
    RateLimited,
    ServerError,
    _telemetry,
)
from moengage_personalize.testing import FakeAsyncPersonalize, FakePersonalize

KEYS = ["homepage-banner", "nothing"]
CLOSES = "connection: close"  # so that no request goes into a closed connection, which would be an attempt


def where() -> object:
    """The thread, or the task, that this is called in."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()


def perform(face: Face, client: Any, operation: str) -> None:
    """Each of what a service can ask for."""

    async def load() -> None:
        await client.page(customer_id="user_8821").load(KEYS)

    if operation == "page" and face.kind == "sync":
        client.page(customer_id="user_8821").experience(KEYS[0])
    elif operation == "page":
        face.run(load())
    elif operation == "warm":
        face.run(client.warm())
    elif operation == "metadata":
        face.run(client.metadata())
    elif operation == "report_events":
        face.run(client.report_events([shown()]))
    else:
        face.run(getattr(client, operation)(KEYS, customer_id="user_8821"))


OPERATIONS = {
    "fetch": "fetch",
    "fetch_or_empty": "fetch",
    "page": "fetch",
    "metadata": "metadata",
    "warm": "warm",
    "report_events": "report_events",
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_is_shown_once_when_it_has_ended(face: Face, sandbox_url: str, operation: str) -> None:
    seen: list[Call] = []
    client = face.client(base_url=sandbox_url, observe=seen.append)
    before = datetime.now(UTC)
    perform(face, client, operation)
    (one,) = seen
    assert (one.operation, one.outcome, one.error) == (OPERATIONS[operation], "ok", None)
    (sent,) = one.attempts
    assert (sent.request, sent.status, sent.failure, sent.host) == (0, 200, None, "127.0.0.1")
    assert sent.method == ("GET" if one.operation in ("metadata", "warm") else "POST")
    assert sent.url.startswith(f"{sandbox_url}/experiences/")
    assert before <= one.started <= sent.started <= datetime.now(UTC)
    assert sent.started.utcoffset() == timedelta(0)
    assert 0 < sent.seconds <= one.seconds < 60
    assert (one.retries, one.circuit) == (0, "closed")
    assert one.rate_limit is not None
    assert one.rate_limit.limit == 10_000
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.outcome = "other"  # type: ignore[misc]  # what frozen refuses


def test_a_fetch_shows_what_was_asked_for_and_what_was_served(face: Face, sandbox_url: str) -> None:
    seen: list[Call] = []
    found = face.fetch(face.client(base_url=sandbox_url, observe=seen.append), [*KEYS, *KEYS], customer_id="user_8821")
    assert seen[0].keys == tuple(KEYS)
    assert seen[0].reasons == {"homepage-banner": "served", "nothing": "not_served"}
    assert seen[0].served == ("homepage-banner",)
    assert seen[0].variations == {"homepage-banner": found["homepage-banner"].context["moe_variation_id"]}
    assert seen[0].rate_limit == found.rate_limit


def test_a_fetch_of_all_there_is_shows_all_that_came(face: Face) -> None:
    seen: list[Call] = []
    with serving(answers(200, {"experiences": {"good": {}, "bad": 7}})) as server:
        face.fetch(face.client(base_url=server.base_url, observe=seen.append))
    assert (seen[0].keys, seen[0].reasons) == (None, {"good": "served", "bad": "malformed"})
    assert seen[0].variations == {}


def test_the_requests_of_a_split_are_told_apart(face: Face, sandbox_url: str) -> None:
    seen: list[Call] = []
    keys = [f"key-{number}" for number in range(60)]
    face.fetch(face.client(base_url=sandbox_url, observe=seen.append), keys)
    (one,) = seen
    assert sorted(attempt.request for attempt in one.attempts) == [0, 1, 2]
    assert (one.keys, set(one.reasons.values())) == (tuple(keys), {"not_served"})


def test_what_a_split_lost_is_shown_with_what_came(face: Face) -> None:
    seen: list[Call] = []

    def answer(connection: socket.socket) -> None:
        body = server.requests[-1]
        refused = b"key-0" in body
        connection.sendall(raw(400, b"{}") if refused else raw(200, b'{"experiences": {"key-29": {}}}'))

    with serving(answer) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)
        face.fetch_or_empty(client, [f"key-{number}" for number in range(30)])
    (one,) = seen
    assert (one.outcome, type(one.error)) == ("BadRequest", BadRequest)
    assert (one.reasons["key-0"], one.reasons["key-28"], one.served) == ("failed", "not_served", ("key-29",))


def test_retries_are_attempts_of_one_request(face: Face) -> None:
    seen: list[Call] = []
    with serving(then_closes(answers(503, b"", CLOSES)), hangs_up, serves("a")) as server:
        face.fetch(face.client(base_url=server.base_url, observe=seen.append, timeout=5), "a")
    (one,) = seen
    assert [(sent.request, sent.status, sent.failure) for sent in one.attempts] == [
        (0, 503, None),
        (0, None, "connection"),
        (0, 200, None),
    ]
    ends = [(sent.started, sent.started + timedelta(seconds=sent.seconds)) for sent in one.attempts]
    assert all(end < start for (_, end), (start, _) in pairwise(ends))
    assert (one.retries, one.outcome) == (2, "ok")


def test_a_failure_shows_its_error_without_the_words_of_the_api(face: Face) -> None:
    seen: list[Call] = []
    with serving(answers(401, {"title": "T", "description": "D", "code": "C"}, "x-ratelimit-remaining: 7")) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)
        with pytest.raises(AuthenticationFailed) as caught:
            face.fetch(client, "a")
        assert caught.value.description == "D"
        for operation in ("metadata", "report_events"):
            with pytest.raises(PersonalizeError, match="401"):
                perform(face, client, operation)
    assert [one.operation for one in seen] == ["fetch", "metadata", "report_events"]
    for one in seen:
        assert one.outcome == "AuthenticationFailed"
        assert isinstance(one.error, AuthenticationFailed)
        assert (one.error.status, str(one.error)) == (401, str(caught.value))
        assert (one.error.title, one.error.description, one.error.code) == (None, None, None)
        assert one.rate_limit is not None
        assert one.rate_limit.remaining == 7
    assert seen[0].reasons == {"a": "failed"}


@pytest.mark.parametrize("operation", ["fetch_or_empty", "metadata", "warm", "report_events"])
def test_a_call_that_cannot_be_made_is_shown_too(face: Face, sandbox_url: str, operation: str) -> None:
    seen: list[Call] = []
    client = face.client(base_url=sandbox_url, observe=seen.append)
    if operation == "fetch_or_empty":
        face.fetch_or_empty(client, "")
    else:
        with pytest.raises((InvalidRequestError, ConfigurationError)):
            face.run(getattr(client, operation)(0))
    (one,) = seen
    assert isinstance(one.error, InvalidRequestError | ConfigurationError)
    assert (one.outcome, one.attempts, one.keys) == (type(one.error).__name__, (), ())


def test_an_operation_that_is_left_is_shown_with_what_ended_it() -> None:
    seen: list[Call] = []

    async def leave(base_url: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url, timeout=5, observe=seen.append) as client:
            for ask in (client.fetch, client.metadata):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await ask()
            assert (client.stats.calls, client.stats.failures) == (2, {})

    with serving(hangs) as server:
        asyncio.run(leave(server.base_url))
    assert [(one.operation, one.outcome, one.error) for one in seen] == [
        ("fetch", "CancelledError", None),
        ("metadata", "CancelledError", None),
    ]
    assert all(0.04 < one.seconds < 4 for one in seen)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_shown_in_the_thread_or_task_that_called(face: Face, sandbox_url: str, operation: str) -> None:
    seen: list[object] = []
    client = face.client(base_url=sandbox_url, observe=lambda _: seen.append(where()))
    if face.kind == "sync" or operation == "page":
        perform(face, client, operation)
        assert operation == "page" or seen == [threading.get_ident()]
        assert len(seen) == 1
        return
    arguments: list[Any] = {"fetch": [[f"{n}" for n in range(60)]], "report_events": [[shown()]], "warm": [2]}.get(
        operation, []
    )

    async def here() -> object:
        await getattr(client, operation)(*arguments)
        return where()

    assert face.run(here()) == seen[0]


def test_deliveries_of_a_reporter_are_shown_and_their_failures_logged(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Call] = []
    with serving(then_closes(answers(400, b"{}", CLOSES)), answers(200, ACCEPTED)) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)
        reporter = client.reporter(flush_interval=0.01)

        async def report() -> None:
            reporter.put(shown(**REFUSED))
            await reporter.flush()
            reporter.put(shown())
            await reporter.close()

        if face.kind == "sync":
            reporter.put(shown(**REFUSED))
            reporter.flush()
            reporter.put(shown())
            reporter.close()
        else:
            face.run(report())
    assert [(one.operation, one.outcome) for one in seen] == [("report_events", "BadRequest"), ("report_events", "ok")]
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "report_events: BadRequest: expected status 200, got 400 Bad Request"
    assert extra(record) == {"personalize_operation": "report_events", "personalize_outcome": "BadRequest"}


def test_an_observe_that_raises_costs_no_page_and_is_logged_once(
    face: Face, sandbox_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(_: Call) -> None:
        raise ZeroDivisionError("of the observer")

    client = face.client(base_url=sandbox_url, observe=observe)
    for _ in range(3):
        assert face.fetch(client, KEYS[0]).error is None
    face.run(client.metadata())
    (record,) = [record for record in caplog.records if record.name == "moengage_personalize"]
    assert (record.levelno, record.getMessage().partition(":")[0]) == (logging.WARNING, "observe")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def awaited(_: Call) -> None:
    """What nobody would await."""


class Awaited:
    """An object of which the same is true."""

    async def __call__(self, _: Call) -> None: ...


@pytest.mark.parametrize(
    "observe",
    [7, "print", awaited, Awaited(), partial(awaited)],
    ids=["number", "text", "coroutine function", "object", "partial"],
)
def test_what_cannot_be_called_is_refused(observe: Any) -> None:
    for make in (PersonalizeClient, AsyncPersonalizeClient):
        with pytest.raises(ConfigurationError, match="expected observe to be a function that returns, got"):
            make("WS", "key", base_url="http://host/v1", observe=observe)


def test_what_raises_when_it_is_looked_at_is_refused() -> None:
    class Odd:
        def __call__(self, _: Call) -> None: ...

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ConfigurationError, match="expected observe to be a function that returns, got Odd"):
        PersonalizeClient("WS", "key", base_url="http://host/v1", observe=Odd())


def test_from_env_takes_an_observe(face: Face, sandbox_url: str) -> None:
    seen: list[Call] = []
    client = face.client_class.from_env(**CREDENTIALS, base_url=sandbox_url, observe=seen.append)
    face.fetch(client, KEYS)
    face.close(client)
    assert len(seen) == 1


def test_without_observe_a_fetch_is_not_recorded(
    face: Face, sandbox_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a Recorder was made")

    monkeypatch.setattr(_telemetry.Recorder, "__init__", never)
    with caplog.at_level(logging.INFO, logger="moengage_personalize"):
        client = face.client(base_url=sandbox_url)
        assert face.fetch(client, KEYS).error is None
        assert face.fetch_or_empty(client, KEYS).error is None


# ---- Values of another type ------------------------------------------------------------------------------------------


READS: dict[str, Callable[[Any], object]] = {
    "string": lambda found: found.string("banner", "Limit", "default"),
    "number": lambda found: found.number("banner", "Title", 1),
    "integer": lambda found: found.integer("banner", "Share", 1),
    "boolean": lambda found: found.boolean("banner", "Limit", False),
    "list": lambda found: found.list("banner", "Title", []),
    "object": lambda found: found.object("banner", "Title", {}),
    "value": lambda found: found.value("banner", "Title", 7),
    "experience": lambda found: found["banner"].string("Limit", None),
}
WANTED = {
    "string": "'Limit' of 'banner' to be a string, got int",
    "number": "'Title' of 'banner' to be a number, got str",
    "integer": "'Share' of 'banner' to be a whole number, got float",
    "boolean": "'Limit' of 'banner' to be true or false, got int",
    "list": "'Title' of 'banner' to be a list, got str",
    "object": "'Title' of 'banner' to be an object, got str",
    "value": "'Title' of 'banner' to be a whole number, got str",
    "experience": "'Limit' of 'banner' to be a string, got int",
}
BANNER = {
    "payload": {
        "Title": {"value": "Hi", "data_type": "string"},
        "Limit": {"value": 2, "data_type": "number"},
        "Share": {"value": 0.5, "data_type": "number"},
        "Nothing": {"value": None, "data_type": "string"},
    }
}


@pytest.mark.parametrize("read", READS)
def test_a_value_of_another_type_is_told_once_a_key(face: Face, read: str, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Call] = []
    with serving(answers(200, {"experiences": {"banner": BANNER, "other": BANNER}})) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)
        for _ in range(2):
            found = face.fetch(client, ["banner", "other"])
            READS[read](found)
            READS[read](found)
        found.string("other", "Limit", "")
    told = [one for one in seen if one.operation == "value"]
    assert [one.keys for one in told] == [("banner",), ("other",)]
    assert isinstance(told[0].error, MalformedResponse)
    assert str(told[0].error) == f"expected {WANTED[read]}"
    assert (told[0].outcome, told[0].attempts, told[0].circuit) == ("MalformedResponse", (), "closed")
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert logged == [f"value: {one.error}" for one in told]


def test_a_value_that_fits_or_is_absent_is_not_told(face: Face) -> None:
    seen: list[Call] = []
    with serving(answers(200, {"experiences": {"banner": BANNER}})) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)
        found = face.fetch(client, "banner")
        assert found.string("banner", "Title", "") == "Hi"
        assert found.integer("banner", "Limit", 0) == found.number("banner", "Limit", 0) == 2
        for name in ("Nothing", "absent"):
            assert found.string("banner", name, "default") == "default"
            assert found.value("banner", name, None) is None
        assert found.value("banner", "Limit", None) == 2
        assert found.string("absent", "Title", "default") == "default"
    assert [one.operation for one in seen] == ["fetch"]


def test_a_page_tells_of_values_too(face: Face) -> None:
    seen: list[Call] = []
    with serving(answers(200, {"experiences": {"banner": BANNER}})) as server:
        client = face.client(base_url=server.base_url, observe=seen.append)

        async def load() -> Any:
            page = client.page()
            await page.load("banner")
            return page

        page = client.page() if face.kind == "sync" else face.run(load())
        assert page.string("banner", "Limit", "default") == "default"
    assert [one.operation for one in seen] == ["fetch", "value"]


def test_a_result_that_is_observed_can_be_pickled_and_then_tells_nobody(sandbox_url: str) -> None:
    seen: list[Call] = []
    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url, observe=lambda one: seen.append(one)) as client:
        found = client.fetch(KEYS, customer_id="user_8821")
        again = pickle.loads(pickle.dumps(found))
        assert again.integer("homepage-banner", "Title", 1) == 1
        assert pickle.loads(pickle.dumps(found["homepage-banner"])).integer("Title", 1) == 1
    assert [one.operation for one in seen] == ["fetch"]


# ---- Stats -----------------------------------------------------------------------------------------------------------


def test_stats_count_operations_and_failures_by_kind(face: Face) -> None:
    with serving(
        then_closes(answers(401, b"{}", CLOSES)), then_closes(answers(400, b"{}", CLOSES)), serves("a")
    ) as server:
        client = face.client(base_url=server.base_url)
        assert (client.stats.calls, client.stats.failures) == (0, {})
        face.fetch_or_empty(client, "a")
        with pytest.raises(BadRequest):
            face.run(client.metadata())
        face.fetch_or_empty(client, "")
        face.fetch(client, "a")
        assert client.stats.calls == client.stats.calls == 4
        assert client.stats.failures == {"AuthenticationFailed": 1, "BadRequest": 1, "InvalidRequestError": 1}


@pytest.mark.parametrize("observe", [None, lambda _: None], ids=["off", "on"])
def test_stats_are_exact_with_many_threads(sandbox_url: str, observe: Any) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url, observe=observe) as client:

        def ask() -> None:
            for _ in range(50):
                client.fetch_or_empty("")

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (client.stats.calls, client.stats.failures) == (400, {"InvalidRequestError": 400})


def test_stats_show_the_connections(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    assert (client.stats.connections_open, client.stats.connections_idle) == (0, 0)
    face.fetch(client, KEYS)
    assert (client.stats.connections_open, client.stats.connections_idle) == (1, 1)
    face.run(client.warm(3))  # over fewer, if one has ended before another began
    assert 1 <= client.stats.connections_idle == client.stats.connections_open <= 3


def test_a_connection_in_use_is_open_and_not_idle() -> None:
    with serving(hangs) as server, PersonalizeClient(**CREDENTIALS, base_url=server.base_url, timeout=5) as client:
        asking = threading.Thread(target=client.fetch_or_empty)
        asking.start()
        until = time.monotonic() + 5
        while not server.requests and time.monotonic() < until:
            time.sleep(0.005)
        found = client.stats
        server.close()
        asking.join()
    assert (found.connections_open, found.connections_idle) == (1, 0)


def test_the_connections_of_an_http_client_are_its_own(face: Face, sandbox_url: str) -> None:
    http_client = face.httpx_class()
    client = face.client(base_url=sandbox_url, http_client=http_client)
    assert (client.stats.connections_open, client.stats.connections_idle) == (None, None)
    face.run(http_client.close() if isinstance(http_client, httpx.Client) else http_client.aclose())


@pytest.mark.parametrize("make", [FakePersonalize, FakeAsyncPersonalize], ids=["sync", "async"])
def test_a_client_without_a_network_is_observed_too(make: Any) -> None:
    seen: list[Call] = []
    fake = make(observe=seen.append)
    fake.serve("banner", {"Title": "Hi"}, variation="7")
    fake.fail(503)
    found = fake.client.fetch("banner")
    if asyncio.iscoroutine(found):
        asyncio.run(found)
    assert [attempt.status for attempt in seen[0].attempts] == [503, 200]
    assert (seen[0].retries, seen[0].variations) == (1, {"banner": "7"})
    assert (fake.client.stats.calls, fake.client.stats.connections_open) == (1, 0)


def test_stats_show_an_outage_and_its_end(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Call] = []
    with serving(hangs_up, hangs_up, serves("a")) as server, caplog.at_level(logging.INFO):
        breaker = CircuitBreaker(failures=1, pause=0.6)
        client = face.client(base_url=server.base_url, circuit_breaker=breaker, max_retries=0, observe=seen.append)
        for _ in range(2):
            face.fetch_or_empty(client, "a")
        assert client.stats.circuit == "open"
        time.sleep(0.85)
        assert client.stats.circuit == "half_open"
        face.fetch_or_empty(client, "a")
        assert client.stats.circuit == "open"
        time.sleep(0.85)
        face.fetch(client, "a")
        assert client.stats.circuit == "closed"
        assert client.stats.failures == {"ConnectionFailed": 2, "CircuitOpen": 1}
    assert [one.circuit for one in seen] == ["open", "open", "open", "closed"]
    assert [one.outcome for one in seen] == ["ConnectionFailed", "CircuitOpen", "ConnectionFailed", "ok"]
    assert len(seen[1].attempts) == 0
    logged = [record for record in caplog.records if record.levelno == logging.INFO and "circuit" in record.msg]
    assert [record.getMessage() for record in logged] == ["circuit of fetch: open", "circuit of fetch: closed"]
    assert extra(logged[0]) == {"personalize_operation": "fetch", "personalize_circuit": "open"}


def test_stats_show_for_how_long_a_429_keeps_fetches_back(face: Face) -> None:
    with serving(answers(429, b"", "retry-after: 30")) as server:
        client = face.client(base_url=server.base_url)
        assert client.stats.throttled == 0
        assert isinstance(face.fetch_or_empty(client, "a").error, RateLimited)
        assert 25 < client.stats.throttled < 34


def test_a_client_without_a_circuit_breaker_has_one_that_is_closed(face: Face) -> None:
    client = face.client(base_url="http://127.0.0.1:9/v1", circuit_breaker=None, max_retries=0)
    assert isinstance(face.fetch_or_empty(client, "a").error, ConnectionFailed)
    assert client.stats.circuit == "closed"


# ---- The log ---------------------------------------------------------------------------------------------------------


def extra(record: logging.LogRecord) -> dict[str, Any]:
    """What `extra=` has added to a record."""
    plain = vars(logging.makeLogRecord({}))
    return {name: value for name, value in vars(record).items() if name not in plain and name != "message"}


def test_the_guide_lists_each_field_and_no_other(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    with serving(answers(200, {"experiences": {"banner": BANNER}}), hangs_up) as server:
        breaker = CircuitBreaker(failures=1)
        client = face.client(base_url=server.base_url, observe=lambda _: None, circuit_breaker=breaker, max_retries=0)
        with caplog.at_level(logging.DEBUG, logger="moengage_personalize"):
            face.fetch(client, "banner").string("banner", "Limit", "")
            server.close()
            face.fetch_or_empty(client, "banner")
            face.fetch_or_empty(client, "")
    records = [record for record in caplog.records if record.name == "moengage_personalize"]
    assert {record.levelname for record in records} == {"DEBUG", "INFO", "WARNING", "ERROR"}
    guide = (ROOT / "wrapper" / "guides" / "telemetry.md").read_text("utf-8")
    listed = set(re.findall(r"`(personalize_\w+)`", guide))
    assert {name for record in records for name in extra(record)} == listed


def test_debug_has_a_line_for_each_attempt_and_each_call(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    with serving(then_closes(answers(503, b"", CLOSES)), serves("a")) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        with caplog.at_level(logging.DEBUG, logger="moengage_personalize"):
            face.fetch(client, ["a", "b"])
    records = [record for record in caplog.records if record.name == "moengage_personalize"]
    assert [record.levelno for record in records] == [logging.DEBUG] * 3
    first, second, last = (record.getMessage().partition(" in 0.")[0] for record in records)
    assert (first, second) == ("fetch: attempt at 127.0.0.1: 503", "fetch: attempt at 127.0.0.1: 200")
    assert last == "fetch: ok"
    found = extra(records[0])
    assert found.pop("personalize_seconds") > 0
    assert found == {
        "personalize_operation": "fetch",
        "personalize_request": 0,
        "personalize_host": "127.0.0.1",
        "personalize_status": 503,
        "personalize_failure": None,
    }
    found = extra(records[2])
    assert found.pop("personalize_seconds") > 0
    assert found == {
        "personalize_operation": "fetch",
        "personalize_keys": ("a", "b"),
        "personalize_served": ("a",),
        "personalize_attempts": 2,
        "personalize_retries": 1,
        "personalize_circuit": "closed",
        "personalize_outcome": "ok",
    }


def test_the_level_may_change_while_a_client_is_in_use(
    face: Face, sandbox_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = face.client(base_url=sandbox_url)
    for level, lines in ((logging.INFO, 0), (logging.DEBUG, 2), (logging.INFO, 0)):
        caplog.clear()
        with caplog.at_level(level, logger="moengage_personalize"):
            face.fetch(client, KEYS)
        assert len([record for record in caplog.records if record.name == "moengage_personalize"]) == lines


def test_a_fetch_that_came_back_empty_is_logged_with_fields(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    with serving(answers(500, b"")) as server:
        assert isinstance(
            face.fetch_or_empty(face.client(base_url=server.base_url, max_retries=0), "a").error, ServerError
        )
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert extra(record) == {"personalize_operation": "fetch", "personalize_outcome": "ServerError"}
