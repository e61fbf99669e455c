"""The fixtures for pytest: the same results as the sandbox and recorded answers have, and no network."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from odd import ODD, tried

from moengage_personalize import (
    AsyncPersonalizeClient,
    AuthenticationFailed,
    BadRequest,
    CircuitOpen,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    EventsNotAccepted,
    InSession,
    InvalidRequestError,
    MalformedResponse,
    PermissionDenied,
    PersonalizeClient,
    PersonalizeError,
    RateLimited,
    ServerError,
    events,
)
from moengage_personalize._messages import Response
from moengage_personalize.testing import Fake, FakeAsyncPersonalize, FakePersonalize, SandboxPersonalize

VALUES: dict[str, Any] = {
    "Title": "Hi ₹",
    "Limit": 2,
    "Share": 0.5,
    "Countdown": True,
    "Products": [{"sku": "A-17"}],
    "Style": {"color": "red"},
    "Nothing": None,
    "Digits": "12",
}
CONTEXT = {
    "cid": "homepage-banner_F_T_WP_AB_2_P_0_AU_ONE",
    "experience": "homepage-banner",
    "moe_locale_id": "0",
    "moe_variation_id": "2",
    "audience_name": "ONE",
    "audience_id": "ONE",
    "type": "Web Personalization",
    "experience_type": "API based Experience",
}
# What the API has been seen to answer, in its documented shape, for what `served` says.
RECORDED: dict[str, Any] = {
    "fetch": {
        "experiences": {
            "homepage-banner": {
                "payload": {
                    "Title": {"value": "Hi ₹", "data_type": "string"},
                    "Limit": {"value": 2, "data_type": "number"},
                    "Share": {"value": 0.5, "data_type": "float"},
                    "Countdown": {"value": True, "data_type": "boolean"},
                    "Products": {"value": '[{"sku": "A-17"}]', "data_type": "json"},
                    "Style": {"value": {"color": "red"}, "data_type": "json"},
                    "Nothing": {"value": None, "data_type": "string"},
                    "Digits": {"value": "12", "data_type": "string"},
                },
                "experience_context": CONTEXT,
            }
        }
    },
    "metadata": {
        "metadata": {
            "count": 1,
            "experiences": [
                {"experience_name": "homepage-banner", "experience_key": "homepage-banner", "status": "Active"}
            ],
        }
    },
    "events": {"status": "success", "message": "The events are accepted.", "req_id": "7"},
}
ASKED: dict[str, Any] = {"customer_id": "u1", "in_session": {"utm_medium": "email"}}
KEYS = ["homepage-banner", "promo-strip"]


def recorded(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=RECORDED[request.url.path.rpartition("/")[2]])


def run(result: Any) -> Any:
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.fixture(params=["fake", "async fake", "sandbox", "recorded", "recorded, async"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client for which homepage-banner is served to u1, by each of the stand-ins."""
    made: Any
    settings: dict[str, Any] = {
        "workspace_id": "W",
        "api_key": "k",
        "base_url": "http://api.invalid/v1",
        "strict": True,
    }
    if request.param == "recorded":
        with httpx.Client(transport=httpx.MockTransport(recorded)) as http:
            yield PersonalizeClient(**settings, http_client=http)
    elif request.param == "recorded, async":
        http_client = httpx.AsyncClient(transport=httpx.MockTransport(recorded))
        yield AsyncPersonalizeClient(**settings, http_client=http_client)
    else:
        made = {"fake": FakePersonalize, "async fake": FakeAsyncPersonalize, "sandbox": SandboxPersonalize}
        fake: Any = made[request.param]()
        fake.serve("homepage-banner", VALUES, customer_id="u1", variation="2")
        yield fake.client
        if request.param != "async fake":
            fake.close()


def page_values(client: Any) -> Any:
    if isinstance(client, PersonalizeClient):
        page = client.page(**ASKED)
        page.prefetch(KEYS)
        return [page.string("homepage-banner", "Title", ""), page.reason("promo-strip"), page.contexts()]

    async def render() -> Any:
        page = client.page(**ASKED)
        await page.load(KEYS)
        return [page.string("homepage-banner", "Title", ""), page.reason("promo-strip"), page.contexts()]

    return render()


def shown() -> Any:
    return events.shown(CONTEXT, customer_id="u1", user_attributes={"tier": "gold"}, user_timezone_offset=3_600)


@pytest.mark.parametrize(
    ("method", "result", "expected"),
    [
        ("fetch", lambda found: dict(found["homepage-banner"]), {k: v for k, v in VALUES.items() if v is not None}),
        ("fetch", lambda found: found.contexts(), {"homepage-banner": CONTEXT}),
        (
            "fetch",
            lambda found: [found.reason(key) for key in (*KEYS, "other")],
            ["served", "not_served", "not_requested"],
        ),
        ("fetch", lambda found: found.integer("homepage-banner", "Limit", 0), 2),
        ("fetch", lambda found: found.boolean("homepage-banner", "Countdown", False), True),
        ("fetch", lambda found: found.string("homepage-banner", "Limit", "text"), "text"),
        ("fetch_or_empty", lambda found: (len(found), found.error), (1, None)),
    ],
)
def test_a_fetch_has_the_same_result_everywhere(
    client: Any, method: str, result: Callable[[Any], Any], expected: Any
) -> None:
    assert result(run(getattr(client, method)(KEYS, **ASKED))) == expected


def test_a_page_has_the_same_result_everywhere(client: Any) -> None:
    assert run(page_values(client)) == ["Hi ₹", "not_served", {"homepage-banner": CONTEXT}]


def test_everything_is_the_same_where_all_keys_are_asked_for(client: Any) -> None:
    assert [*run(client.fetch(**ASKED))] == ["homepage-banner"]


def test_metadata_is_the_same_everywhere(client: Any) -> None:
    (one,) = run(client.metadata())
    assert (one.key, one.name, one.status) == ("homepage-banner", "homepage-banner", "Active")
    assert run(client.metadata("Active")) == [one]


def test_warming_and_reporting_end_well_everywhere(client: Any) -> None:
    assert run(client.warm(2)) is None
    assert run(client.report_events([shown()])) is None
    assert run(client.report_events([])) is None


def test_a_wrong_argument_raises_everywhere(client: Any) -> None:
    with pytest.raises(InvalidRequestError):
        run(client.fetch_or_empty(KEYS, customer_id=""))


@pytest.fixture(params=["personalize", "async_personalize", "personalize_sandbox"])
def fake(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_what_is_served_is_for_one_customer_or_for_all_and_the_last_word_counts(fake: Any) -> None:
    def title(**who: Any) -> str:
        found = run(fake.client.fetch("a", **who))
        return f"{found.string('a', 'T', 'default')} {found['a'].context['moe_variation_id'] if 'a' in found else ''}"

    assert title(customer_id="u1") == "default "
    fake.serve("a", {"T": "for 1"}, customer_id=1, variation="3")
    assert (title(), title(customer_id=1), title(customer_id="u1")) == ("default ", "for 1 3", "default ")
    fake.serve("a", {"T": "for all"})
    assert (title(), title(customer_id="1"), title(customer_id="u1")) == ("for all 1", "for 1 3", "for all 1")
    fake.serve("a", {"T": "again"})
    assert (title(), title(customer_id="1")) == ("again 1", "for 1 3")


def test_requests_show_what_was_sent(fake: Any) -> None:
    visit = InSession(ip_address="203.0.113.42", user_agent="Firefox", attributes={"utm_medium": "email"})
    run(fake.client.fetch(["a", "b"], customer_id=7, user_identifiers={"u_em": "j@example.com"}, in_session=visit))
    run(fake.client.fetch())
    run(fake.client.metadata())
    first, second = fake.requests
    assert (first.keys, first.customer_id, first.user_identifiers) == (("a", "b"), "7", {"u_em": "j@example.com"})
    assert first.in_session["utm_medium"] == "email"
    assert first.in_session["USER_AGENT"] == "Firefox"
    assert (second.keys, second.customer_id, second.in_session) == (None, None, {})


def test_more_than_25_keys_are_several_requests(fake: Any) -> None:
    keys = [f"key-{number}" for number in range(30)]
    for key in keys:
        fake.serve(key, {"N": key})
    assert [*run(fake.client.fetch(keys))] == keys
    assert sorted(len(request.keys) for request in fake.requests) == [5, 25]


def test_events_show_what_was_reported_each_once(fake: Any) -> None:
    one = shown()
    other = events.clicked(CONTEXT, customer_id="u2", platform="ios", element="Buy")
    run(fake.client.report_events([one, other]))
    run(fake.client.report_events([one]))
    first, second = fake.events
    assert (first.action, first.customer_id, first.uuid, first.at) == ("shown", "u1", one.uuid, one.at)
    assert (first.context, first.element, first.platform) == (CONTEXT, None, "web")
    assert (second.action, second.customer_id, second.element, second.platform) == ("clicked", "u2", "Buy", "ios")
    assert second.context == CONTEXT


@pytest.mark.parametrize("name", ["personalize", "personalize_sandbox"])
def test_what_a_reporter_has_in_its_queue_is_among_the_events(name: str, request: pytest.FixtureRequest) -> None:
    fake = request.getfixturevalue(name)
    reporter = fake.client.reporter()
    reporter.put(shown())
    assert [event.action for event in fake.events] == ["shown"]


def test_an_async_reporter_sends_to_the_fake(async_personalize: FakeAsyncPersonalize) -> None:
    async def report() -> None:
        async with async_personalize.client.reporter() as reporter:
            reporter.put(shown())
            assert await reporter.flush()

    asyncio.run(report())
    assert [event.customer_id for event in async_personalize.events] == ["u1"]


FAILURES = [
    (None, ServerError, 3),
    (503, ServerError, 3),
    (ServerError, ServerError, 3),
    (400, BadRequest, 1),
    (AuthenticationFailed, AuthenticationFailed, 1),
    (PermissionDenied, PermissionDenied, 1),
    (RateLimited, RateLimited, 3),
    (ConnectionFailed, ConnectionFailed, 3),
    (DeadlineExceeded, DeadlineExceeded, 1),
]


@pytest.mark.parametrize(
    ("kind", "error", "requests"), FAILURES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_failure_ends_a_call_as_it_does_with_the_sandbox(
    fake: Any, kind: Any, error: type[PersonalizeError], requests: int
) -> None:
    fake.fail(kind, times=10)
    found = run(fake.client.fetch_or_empty("a", timeout=0.15 if kind is DeadlineExceeded else 1.0))
    assert type(found.error) is error
    assert found.reason("a") == "failed"
    if not isinstance(fake, SandboxPersonalize):  # which notes what it has answered, and says when its limit resets
        assert len(fake.requests) == requests
    fake.fail(times=0)
    assert run(fake.client.fetch_or_empty("a", timeout=5.0)).error is None or kind is RateLimited


@pytest.mark.parametrize("kind", [500, 502, ServerError, ConnectionFailed])
def test_a_failure_that_passes_is_tried_again(fake: Any, kind: Any) -> None:
    fake.serve("a", {"T": "served"})
    fake.fail(kind, times=1)
    assert run(fake.client.fetch("a")).string("a", "T", "") == "served"
    assert len(fake.requests) == 2


def test_an_answer_may_be_late(fake: Any) -> None:
    fake.serve("a", {"T": "served"})
    fake.fail(delay=0.05)
    assert run(fake.client.fetch("a")).string("a", "T", "") == "served"
    fake.fail(delay=5.0)
    assert type(run(fake.client.fetch_or_empty("a", timeout=0.05)).error) is DeadlineExceeded
    fake.fail(503, delay=0.01)
    assert run(fake.client.fetch("a")).string("a", "T", "") == "served"


@pytest.mark.parametrize("arguments", [{"malformed": True}, {"kind": MalformedResponse}])
@pytest.mark.parametrize("name", ["personalize", "async_personalize"])
def test_an_answer_may_be_malformed(name: str, arguments: Any, request: pytest.FixtureRequest) -> None:
    fake = request.getfixturevalue(name)
    fake.fail(times=10, **arguments)
    assert type(run(fake.client.fetch_or_empty("a")).error) is MalformedResponse
    fake.fail(503, malformed=True, times=10)
    assert type(run(fake.client.fetch_or_empty("a")).error) is ServerError


def test_the_sandbox_says_that_it_knows_no_malformed_answer(personalize_sandbox: SandboxPersonalize) -> None:
    with pytest.raises(InvalidRequestError, match="expected a failure that the sandbox knows, got a malformed answer"):
        personalize_sandbox.fail(malformed=True)


def test_events_that_fail_are_not_received(fake: Any) -> None:
    fake.fail(400)
    with pytest.raises(EventsNotAccepted):
        run(fake.client.report_events([shown()]))
    assert fake.events == []


@pytest.mark.parametrize(
    ("arguments", "came"),
    [
        ({"kind": 200}, "got 200"),
        ({"kind": 600}, "got 600"),
        ({"kind": "503"}, "got '503'"),
        ({"kind": True}, "got True"),
        ({"kind": CircuitOpen}, "got CircuitOpen"),
        ({"kind": PersonalizeError}, "got PersonalizeError"),
        ({"kind": ValueError}, "got ValueError"),
        ({"times": -1}, "expected times to be a whole number from 0, got -1"),
        ({"delay": -1}, "expected delay to be a number of seconds"),
        ({"delay": float("nan")}, "expected delay to be a number of seconds"),
    ],
)
def test_a_failure_that_cannot_be_is_refused(fake: Any, arguments: Any, came: str) -> None:
    with pytest.raises(InvalidRequestError, match=came):
        fake.fail(**arguments)
    assert run(fake.client.fetch("a")).error is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": "", "values": {}},
        {"key": "a", "values": ["T"]},
        {"key": "a", "values": {"T": {1}}},
        {"key": "a", "values": {"T": float("nan")}},
        {"key": "a", "values": {}, "customer_id": ""},
        {"key": "a", "values": {}, "variation": 5},
    ],
)
def test_what_the_api_could_not_serve_is_refused(fake: Any, arguments: Any) -> None:
    with pytest.raises(InvalidRequestError, match="expected"):
        fake.serve(**arguments)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_object_raises_only_the_tree(personalize: Fake, name: str) -> None:
    odd = ODD[name]
    for arguments in ([odd, {}], ["a", odd], ["a", {"T": odd}]):
        tried(lambda arguments=arguments: personalize.serve(*arguments))  # type: ignore[misc]
    tried(lambda: personalize.serve("a", {}, customer_id=odd))
    tried(lambda: personalize.serve("a", {}, variation=odd))
    tried(lambda: personalize.fail(odd))
    tried(lambda: personalize.fail(times=odd))
    tried(lambda: personalize.fail(delay=odd))


def test_a_rate_limit_that_says_how_long_is_waited_for() -> None:
    fake = FakePersonalize(timeout=5.0)
    fake.serve("a", {"T": "served"})
    fake._armed, fake._times = (Response(429, {"retry-after": "0.1"}, b"{}"), 0.0), 1
    began = time.monotonic()
    assert fake.client.fetch("a").string("a", "T", "") == "served"
    assert time.monotonic() - began >= 0.1


def test_the_async_client_is_a_context_manager(async_personalize: FakeAsyncPersonalize) -> None:
    async def fetch() -> None:
        async with async_personalize.client as client:
            assert await client.fetch("a") == {}
        with pytest.raises(ConfigurationError, match="expected an open client"):
            await client.fetch("a")

    asyncio.run(fetch())


def test_the_client_takes_other_settings() -> None:
    fake = FakePersonalize(max_retries=0, strict=False)
    fake.fail(503)
    assert type(fake.client.fetch_or_empty("a", timeout=0.3).error) is ServerError
    assert len(fake.requests) == 1
    assert type(fake.client.fetch_or_empty("a", customer_id="").error) is InvalidRequestError
    with pytest.raises(ConfigurationError):
        FakeAsyncPersonalize(timeout=0)


EXAMPLE = """
from moengage_personalize import events

def render_home(client, customer_id):
    experiences = client.fetch_or_empty(
        "homepage-banner", customer_id=customer_id, in_session={"utm_medium": "email"}
    )
    with client.reporter() as reporter:
        for context in experiences.contexts().values():
            reporter.put(events.shown(context, customer_id=customer_id))
    return f"<h1>{experiences.string('homepage-banner', 'Title', 'Welcome')}</h1>"

def check(personalize):
    personalize.serve("homepage-banner", {"Title": "Hi", "Limit": 2}, customer_id="u1", variation="2")
    personalize.fail(503, times=1)
    assert render_home(personalize.client, "u1") == "<h1>Hi</h1>"
    assert personalize.requests[0].in_session["utm_medium"] == "email"
    assert [(e.action, e.customer_id) for e in personalize.events] == [("shown", "u1")]

def test_home(personalize):
    check(personalize)

def test_home_over_the_sandbox(personalize_sandbox):
    check(personalize_sandbox)

async def home(fake):
    experiences = await fake.client.fetch_or_empty("homepage-banner", customer_id="u1")
    return experiences.string("homepage-banner", "Title", "Welcome")

def test_async_home(async_personalize):
    import asyncio
    async_personalize.serve("homepage-banner", {"Title": "Hi"})
    assert asyncio.run(home(async_personalize)) == "Hi"
"""
SOCKETS = """
import os, pathlib, sys

opened = set()

def note(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        opened.add(os.environ.get("PYTEST_CURRENT_TEST", "outside of tests").partition(" ")[0])

def pytest_sessionfinish():
    pathlib.Path("opened").write_text(" ".join(sorted(opened)))

sys.addaudithook(note)
"""


def pytest_run(folder: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own, which has the package installed and nothing else of ours."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-q", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_fixtures_are_there_and_measured_and_only_the_sandbox_opens_a_socket(tmp_path: Path) -> None:
    """The lines that run at the import of a module are measured only if it is imported after coverage began."""
    measure = ["--cov=moengage_personalize.testing", "--cov-report=json:measured.json"]
    done = pytest_run(tmp_path, *measure, conftest=SOCKETS, test_shop=EXAMPLE)
    assert "3 passed" in done.stdout, done.stdout
    assert (tmp_path / "opened").read_text() == "test_shop.py::test_home_over_the_sandbox"
    measured = json.loads((tmp_path / "measured.json").read_text())["files"]
    (door,) = (found for name, found in measured.items() if name.endswith("testing/__init__.py"))
    assert door["summary"]["percent_covered"] == 100.0


def test_a_project_that_does_not_use_the_fixtures_imports_nothing(tmp_path: Path) -> None:
    code = """
import sys

def test_nothing_is_imported():
    assert "moengage_personalize_pytest" in sys.modules
    ours = ("moengage_personalize", "moengage_personalize_api", "msgspec", "httptools")  # which no other plugin imports
    assert [name for name in ours if name in sys.modules] == []
"""
    done = pytest_run(tmp_path, test_other=code)
    assert "1 passed" in done.stdout, done.stdout
