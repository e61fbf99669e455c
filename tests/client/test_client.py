"""Both clients against real sockets: the sandbox, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
import time
from typing import Any

import httpx
import pytest
from faces import CREDENTIALS, Face
from moengage_personalize_api.api.experiences import get_metadata
from moengage_personalize_api.models import MetadataResponse
from servers import (
    answers,
    cuts_off,
    drips,
    experience,
    hangs,
    hangs_up,
    raw,
    serves,
    serving,
    then_closes,
)

from moengage_personalize import (
    AsyncPersonalizeClient,
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InSession,
    MalformedResponse,
    PersonalizeClient,
    RateLimited,
    ServerError,
    sandbox,
)

KEY = "homepage-banner"


def test_a_visitor_is_served_by_the_sandbox(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    experiences = face.fetch(client, [KEY, "no-such-key"], customer_id="user_8821")
    assert list(experiences) == [KEY]
    assert experiences.value(KEY, "CtaLabel", "") == "Shop Now"
    assert experiences[KEY].context["moe_variation_id"] == "2"
    assert [experiences.reason(key) for key in (KEY, "no-such-key", "x")] == ["served", "not_served", "not_requested"]
    assert experiences.error is None
    assert experiences.rate_limit is not None
    assert experiences.rate_limit.limit == sandbox.RATE_LIMIT


@pytest.mark.parametrize("ask", ["fetch()", "fetch(None)"])
def test_no_key_asks_for_all(face: Face, sandbox_url: str, ask: str) -> None:
    client = face.client(base_url=sandbox_url)
    keys = () if ask == "fetch()" else (None,)
    experiences = face.fetch(client, *keys, in_session=InSession(attributes={"utm_medium": "email"}))
    assert set(experiences) == {"promo-strip", "cart-upsell", "email-landing-banner"}


def test_an_empty_list_asks_nothing_and_is_empty(face: Face) -> None:
    with serving(serves("a")) as server:
        experiences = face.fetch(face.client(base_url=server.base_url), [])
        assert (len(experiences), experiences.error, server.requests) == (0, None, [])
        assert experiences.reason("a") == "not_requested"


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (25, 1), (26, 2), (1000, 40)])
def test_many_keys_are_split_and_merged(face: Face, count: int, requests: int) -> None:
    keys = [f"key-{number}" for number in range(count)]

    with serving(serves(*keys)) as server:
        experiences = face.fetch(face.client(base_url=server.base_url), [*keys, keys[0]], timeout=20)
        assert sorted(experiences) == sorted(keys)
        assert all(experiences.value(key, "Title", "") == f"title of {key}" for key in keys)
        asked = [body["experience_key"] for body in server.bodies()]
    assert len(asked) == requests
    assert sorted(key for chunk in asked for key in chunk) == sorted(keys)


def test_requests_of_one_fetch_run_side_by_side(face: Face) -> None:
    def slow(connection: Any) -> None:
        time.sleep(0.3)
        serves("key-0", "key-30")(connection)

    with serving(slow) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        experiences = face.fetch(client, [f"key-{number}" for number in range(100)], timeout=5)
        assert time.monotonic() - started < 0.9  # one after another it would be 1.2
        assert set(experiences) == {"key-0", "key-30"}


def test_one_request_that_fails_costs_its_own_keys(face: Face) -> None:
    keys = [f"key-{number}" for number in range(26)]
    seconds_until_allowed = then_closes(answers(401, {"title": "t", "description": "d"}))
    with serving(seconds_until_allowed, serves(*keys)) as server, pytest.raises(AuthenticationFailed):
        face.fetch(face.client(base_url=server.base_url), keys)
    with serving(seconds_until_allowed, serves(*keys)) as server:
        experiences = face.fetch_or_empty(face.client(base_url=server.base_url), keys)
    assert isinstance(experiences.error, AuthenticationFailed)
    reasons = [experiences.reason(key) for key in keys]
    assert sorted(set(reasons)) == ["failed", "served"]
    assert reasons.count("failed") in (1, 25)


@pytest.mark.parametrize(
    "bad",
    [
        hangs_up,
        cuts_off,
        answers(500, b"<html>"),
        answers(503, b""),
        answers(429, b"", "retry-after: 0"),
        answers(200, b'{"experiences": {'),
    ],
    ids=["hangs up", "cuts off", "500", "503", "429", "half a JSON"],
)
def test_a_passing_failure_is_saved_by_a_retry(face: Face, bad: Any) -> None:
    with serving(then_closes(bad), serves("a")) as server:
        experiences = face.fetch(face.client(base_url=server.base_url), "a", timeout=5)
        assert experiences.value("a", "Title", "") == "title of a"
        assert len(server.requests) == 2
        assert server.requests[0] == server.requests[1]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (hangs_up, ConnectionFailed),
        (cuts_off, ConnectionFailed),
        (answers(500, b"<html>"), ServerError),
        (answers(429, b""), RateLimited),
        (answers(200, b"<html>"), MalformedResponse),
        (answers(200, b"\x1f\x8b broken", "content-encoding: gzip"), MalformedResponse),
    ],
    ids=["hangs up", "cuts off", "500", "429", "html", "gzip"],
)
def test_a_lasting_failure_ends_as_its_error_after_three_attempts(face: Face, bad: Any, error: type[Exception]) -> None:
    with serving(bad) as server:
        client = face.client(base_url=server.base_url)
        with pytest.raises(error):
            face.fetch(client, "a", timeout=5)
        assert len(server.requests) == 3


def test_a_server_that_is_not_there_is_a_failed_connection(face: Face) -> None:
    with serving(serves()) as server:
        gone = server.base_url
    address = gone.removeprefix("http://").removesuffix("/v1")
    with pytest.raises(ConnectionFailed, match=rf"expected an answer, got none: .*{address}"):
        face.fetch(face.client(base_url=gone), "a")


@pytest.mark.parametrize("bad", [hangs, drips], ids=["hangs", "drips"])
def test_a_call_ends_by_its_deadline(face: Face, bad: Any) -> None:
    with serving(bad) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s") as caught:
            face.fetch(client, "a", timeout=0.3)
        assert time.monotonic() - started < 0.8
        assert caught.value.timeout == 0.3
        face.close(client)


def test_the_timeout_of_the_client_holds_where_a_call_gives_none(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url, timeout=0.2)
        with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
            face.fetch(client, "a")
        face.close(client)


def test_a_429_that_asks_for_long_is_not_waited_for(face: Face) -> None:
    with serving(answers(429, b"", "retry-after: 60")) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        with pytest.raises(RateLimited) as caught:
            face.fetch(client, "a", timeout=5)
        assert time.monotonic() - started < 2
        assert caught.value.retry_after == 60
        assert len(server.requests) == 1


def test_fetch_or_empty_tells_the_error_and_logs_one_line(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    with serving(answers(401, {"title": "No", "description": "user_canary is not known"})) as server:
        client = face.client(base_url=server.base_url)
        with caplog.at_level(logging.INFO, logger="moengage_personalize"):
            experiences = face.fetch_or_empty(client, "a", customer_id="user_canary")
    assert isinstance(experiences.error, AuthenticationFailed)
    assert experiences.error.__traceback__ is None
    assert experiences.value("a", "Title", "default") == "default"
    assert experiences.reason("a") == "failed"
    (record,) = [record for record in caplog.records if record.name == "moengage_personalize"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == ("fetch_or_empty: AuthenticationFailed: expected status 200, got 401 Unauthorized")


def test_fetch_or_empty_logs_each_kind_of_error_once_in_half_a_minute(
    face: Face, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answers(401, b""), answers(403, b"")) as server:
        client = face.client(base_url=server.base_url)
        for _ in range(3):
            face.fetch_or_empty(client, "a")
            face.fetch_or_empty(client, "")
        logged = [(record.levelno, record.getMessage().split(": ")[1]) for record in caplog.records]
        assert logged == [(logging.WARNING, "AuthenticationFailed"), (logging.ERROR, "InvalidRequestError")]
        monkeypatch.setattr("moengage_personalize._base.LOG_INTERVAL", 0.0)
        face.fetch_or_empty(client, "a")
        assert caplog.records[-1].getMessage().startswith("fetch_or_empty: AuthenticationFailed")


def test_fetch_or_empty_logs_nothing_when_all_is_well(
    face: Face, sandbox_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    face.fetch_or_empty(face.client(base_url=sandbox_url), KEY)
    assert not [record for record in caplog.records if record.name == "moengage_personalize"]


def test_no_redirect_is_followed_and_nothing_is_sent_elsewhere(face: Face) -> None:
    with serving(serves("a")) as other, serving(answers(307, b"", f"location: {other.base_url}")) as server:
        with pytest.raises(MalformedResponse, match="expected status 200, got 307"):
            face.fetch(face.client(base_url=server.base_url), "a")
        assert other.requests == []


@pytest.mark.parametrize("own", [False, True], ids=["our client", "own client"])
def test_no_cookie_travels_from_one_visit_to_the_next(face: Face, own: bool) -> None:
    http = face.httpx_class()
    with serving(answers(200, {"experiences": {}}, "set-cookie: visitor=canary")) as server:
        client = face.client(base_url=server.base_url, http_client=http if own else None)
        face.fetch(client, "a")
        face.fetch(client, "a")
        assert len(server.requests) == 2
        assert b"canary" not in b"".join(server.requests)
    face.run(http.close() if face.kind == "sync" else http.aclose())


def test_an_httpx_client_of_ones_own_is_used_and_stays_open(face: Face) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-trace"] == "1"
        assert request.headers["authorization"].startswith("Basic ")
        return httpx.Response(200, json={"experiences": {"a": experience("a")}})

    http = face.httpx_class(
        transport=httpx.MockTransport(handle), headers={"x-trace": "1"}, auth=("other", "auth"), follow_redirects=True
    )
    client = face.client(base_url="http://host/v1", http_client=http)
    assert face.fetch(client, "a").value("a", "Title", "") == "title of a"
    face.close(client)
    assert not http.is_closed
    assert "HttpxTransport" in repr(client.transport)
    face.run(http.close() if face.kind == "sync" else http.aclose())


def test_what_no_input_or_output_raises_reaches_the_caller_at_once(face: Face) -> None:
    """Such as the exception of a signal handler, or a mistake in a mock."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("no such thing")

    http = face.httpx_class(transport=httpx.MockTransport(handle))
    client = face.client(base_url="http://host/v1", http_client=http, max_retries=0)
    with pytest.raises(RuntimeError, match="no such thing"):
        face.fetch_or_empty(client, "a")
    face.run(http.close() if face.kind == "sync" else http.aclose())


def test_a_workspace_that_is_not_latin_travels_as_utf_8(face: Face) -> None:
    app = sandbox.app(workspace_id="Größe-例", api_key="ключ")
    with sandbox.serve(app) as base_url:
        client = face.client(workspace_id="Größe-例", api_key="ключ", base_url=base_url)
        assert "promo-strip" in face.fetch(client, "promo-strip")


def test_a_client_that_was_closed_says_so(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    face.close(client)
    face.close(client)
    with pytest.raises(ConfigurationError, match=r"expected an open client, got .* after it was closed"):
        face.fetch(client, KEY)
    assert isinstance(face.fetch_or_empty(client, KEY).error, ConfigurationError)


def test_both_clients_are_context_managers(sandbox_url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url) as client:
        assert "promo-strip" in client.fetch("promo-strip")
    with pytest.raises(ConfigurationError):
        client.fetch("promo-strip")

    async def use() -> AsyncPersonalizeClient:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=sandbox_url) as client:
            assert "promo-strip" in await client.fetch("promo-strip")
        return client

    assert asyncio.run(use())._closed


def test_the_generated_client_is_the_way_out(sandbox_url: str) -> None:
    from moengage_personalize_api.api.experiences import fetch_experience
    from moengage_personalize_api.models import FetchExperienceRequest, FetchExperienceResponse

    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url) as client:
        request = FetchExperienceRequest(experience_key=["promo-strip"])
        parsed = fetch_experience.sync(client=client.api, body=request, moe_appkey=sandbox.WORKSPACE_ID)
    assert isinstance(parsed, FetchExperienceResponse)
    assert parsed.experiences


def test_a_sync_client_may_be_used_in_a_running_event_loop(sandbox_url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url) as client:

        async def view() -> bool:
            return "promo-strip" in client.fetch([f"key-{number}" for number in range(30)] + ["promo-strip"])

        assert asyncio.run(view())


def test_an_async_client_has_a_pool_for_each_event_loop(sandbox_url: str) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url=sandbox_url)

    async def ask() -> bool:
        try:
            return "promo-strip" in await client.fetch("promo-strip")
        finally:
            await client._transport.aclose()  # of this loop, so that nothing is left open when it ends

    assert asyncio.run(ask())
    assert asyncio.run(ask())


def test_a_callers_context_goes_along_into_the_threads() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace")
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(trace.get())
        return httpx.Response(200, json={"experiences": {}})

    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        client = PersonalizeClient("WS", "key", base_url="http://host/v1", http_client=http)
        trace.set("this page")
        client.fetch([f"key-{number}" for number in range(60)])
    assert seen == ["this page"] * 3


def test_a_cancelled_fetch_stays_cancelled() -> None:
    async def use(base_url: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url) as client:
            task = asyncio.create_task(client.fetch_or_empty([f"key-{number}" for number in range(30)], timeout=5))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(hangs) as server:
        asyncio.run(use(server.base_url))


def test_the_way_out_goes_through_the_transport_of_the_client_and_keeps_its_deadline(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url, timeout=0.2)
        started = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            face.run(list_experiences(face, client))
        assert time.monotonic() - started < 2
        assert b"Authorization: Basic " in server.requests[0] or b"authorization: Basic " in server.requests[0]


def test_the_way_out_reaches_what_is_missing_here(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    found = face.run(list_experiences(face, client))
    assert isinstance(found, MetadataResponse)
    assert client._settings.credentials.token not in repr(client.api)


def list_experiences(face: Face, client: Any) -> Any:
    """By a function of the generated client."""
    call = get_metadata.sync if face.kind == "sync" else get_metadata.asyncio
    return call(client=client.api, moe_appkey=sandbox.WORKSPACE_ID)


def test_nothing_is_left_open(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    face.fetch(client, KEY)
    face.close(client)
    gc.collect()  # a socket left open is a ResourceWarning here, and warnings are errors


def test_an_answer_may_come_in_pieces(face: Face) -> None:
    whole = raw(200, b'{"experiences": {}}')

    def pieces(connection: Any) -> None:
        for start in range(0, len(whole), 7):
            connection.sendall(whole[start : start + 7])
            time.sleep(0.002)

    with serving(pieces) as server:
        assert len(face.fetch(face.client(base_url=server.base_url), timeout=5)) == 0


def test_connections_are_open_before_the_first_page(face: Face) -> None:
    metadata = answers(200, {"metadata": {"count": 0, "experiences": []}})

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.1)  # so that all are under way at once
        metadata(connection)

    with serving(slowly) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        assert face.run(client.warm(3)) is None
        assert len(server._connections) == 3
        face.run(client.metadata())
        assert len(server._connections) == 3


def test_a_warm_up_says_what_keeps_all_connections_away(face: Face, sandbox_url: str) -> None:
    with pytest.raises(AuthenticationFailed):
        face.run(face.client(base_url=sandbox_url, api_key="another").warm(2))
    for wrong in (0, 17, "2"):
        with pytest.raises(ConfigurationError, match="expected connections to be"):
            face.run(face.client(base_url=sandbox_url).warm(wrong))


def test_a_warm_up_that_opens_some_connections_is_one(face: Face) -> None:
    with serving(then_closes(answers(401, {})), answers(200, {"metadata": {"experiences": []}})) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        assert face.run(client.warm(2)) is None
