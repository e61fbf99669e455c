"""Every public function is called with objects that only claim to be something: an error of the tree, or a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faces import CREDENTIALS, Face
from odd import ODD, Lazy, Proxy, Status, tried
from servers import answers, hangs, serves, serving

from moengage_personalize import (
    AsyncPersonalizeClient,
    AsyncReporter,
    CircuitBreaker,
    ConfigurationError,
    ExperienceContext,
    ExperienceEvent,
    InSession,
    InvalidRequestError,
    PersonalizeError,
    Reporter,
    events,
)

CONTEXT = {
    "cid": "1",
    "experience": "Banner",
    "moe_locale_id": "0",
    "moe_variation_id": "2",
    "audience_name": "All",
    "audience_id": "3",
}
MADE: dict[str, Callable[[Any], Any]] = {
    "InSession at": lambda value: InSession(at=value),
    "InSession ip_address": lambda value: InSession(ip_address=value),
    "InSession user_agent": lambda value: InSession(user_agent=value),
    "InSession attributes": lambda value: InSession(attributes=value),
    "InSession attribute": lambda value: InSession(attributes={"a": value}),
    "CircuitBreaker failures": lambda value: CircuitBreaker(failures=value),
    "CircuitBreaker within": lambda value: CircuitBreaker(within=value),
    "CircuitBreaker pause": lambda value: CircuitBreaker(pause=value),
    "CircuitBreaker max_pause": lambda value: CircuitBreaker(max_pause=value),
    "shown context": lambda value: events.shown(value, customer_id="me"),
    "shown field of the context": lambda value: events.shown({**CONTEXT, "new": value}, customer_id="me"),
    "shown customer_id": lambda value: events.shown(CONTEXT, customer_id=value),
    "shown platform": lambda value: events.shown(CONTEXT, customer_id="me", platform=value),
    "shown at": lambda value: events.shown(CONTEXT, customer_id="me", at=value),
    "shown offset": lambda value: events.shown(CONTEXT, customer_id="me", user_timezone_offset=value),
    "shown user_attributes": lambda value: events.shown(CONTEXT, customer_id="me", user_attributes=value),
    "clicked element": lambda value: events.clicked(CONTEXT, customer_id="me", element=value),
    "event from_json": lambda value: ExperienceEvent.from_json(value),
    "context from_json": lambda value: ExperienceContext.from_json(value),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("make", MADE)
def test_a_value_is_made_or_refused(make: str, name: str) -> None:
    made = tried(lambda: MADE[make](ODD[name]))
    assert not isinstance(made, PersonalizeError) or isinstance(made, InvalidRequestError | ConfigurationError)


@pytest.mark.parametrize("name", ODD)
def test_a_client_is_made_or_refused(face: Face, name: str) -> None:
    given: dict[str, Any] = {**CREDENTIALS, "base_url": "http://127.0.0.1:9/v1"}
    for argument in (*given, "timeout", "max_retries", "circuit_breaker", "http_client", "observe", "data_center"):
        made = tried(lambda argument=argument: face.client_class(**{**given, argument: ODD[name]}))  # type: ignore[misc]
        if not isinstance(made, ConfigurationError):
            face.close(made)


@pytest.mark.parametrize("name", ODD)
def test_a_fetch_raises_only_errors_of_the_tree_and_fetch_or_empty_none(face: Face, name: str) -> None:
    with serving(serves("homepage-banner")) as server:
        client = face.client(base_url=server.base_url)
        for argument in ("keys", "customer_id", "user_identifiers", "in_session", "timeout"):
            found = face.fetch_or_empty(client, **{"timeout": 5, argument: ODD[name]})
            arguments = {"timeout": 5, argument: ODD[name]}
            raised = tried(lambda arguments=arguments: face.fetch(client, **arguments))  # type: ignore[misc]
            assert str(found.error) == (str(raised) if isinstance(raised, PersonalizeError) else "None")
        assert found.value(ODD[name], "Title", "default") == "default"
        assert found.reason(ODD[name]) in ("not_served", "not_requested", "failed")


@pytest.mark.parametrize("name", ODD)
def test_a_page_raises_nothing(face: Face, name: str) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url, timeout=5)

        async def render(page: Any) -> None:
            page.prefetch(ODD[name])
            await page.load(ODD[name])
            await page.experience(ODD[name])
            read(page)

        def read(page: Any) -> None:
            assert page.value(ODD[name], "Title", "default") == "default"
            assert page.reason(ODD[name]) in ("not_requested", "failed", "not_served")

        for argument in ("customer_id", "user_identifiers", "in_session", "timeout"):
            page = client.page(**{argument: ODD[name]})
            if face.kind == "async":
                face.run(render(page))
            else:
                page.prefetch(ODD[name])
                page.experience(ODD[name])
                read(page)


@pytest.mark.parametrize("name", ODD)
def test_the_other_operations_raise_only_errors_of_the_tree(
    face: Face, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a spool may be made
    with serving(answers(200, {"metadata": {"experiences": []}})) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        calls: list[Callable[[], Any]] = [
            lambda: client.metadata(ODD[name]),
            lambda: client.metadata(timeout=ODD[name]),
            lambda: client.warm(ODD[name]),
            lambda: client.report_events(ODD[name]),
            lambda: client.report_events([ODD[name]]),
            lambda: client.report_events([], timeout=ODD[name]),
            lambda: client.reporter(queue_size=ODD[name]),
            lambda: client.reporter(flush_interval=ODD[name]),
            lambda: client.reporter(max_batch=ODD[name]),
            lambda: client.reporter(on_drop=ODD[name]),
            lambda: client.reporter(spool=ODD[name]),
        ]
        for call in calls:
            made = tried(lambda call=call: face.run(call()))  # type: ignore[misc]
            assert not isinstance(made, PersonalizeError) or isinstance(made, InvalidRequestError | ConfigurationError)
            if isinstance(made, Reporter | AsyncReporter):
                face.run(made.close(1))


@pytest.mark.parametrize("key", [Lazy("banner"), Proxy("banner"), [Lazy("banner")], (Proxy("banner"),)])
def test_a_lazy_text_is_one_key(face: Face, key: Any) -> None:
    with serving(serves("banner")) as server:
        client = face.client(base_url=server.base_url)
        assert list(face.fetch(client, key)) == ["banner"]
        assert [body["experience_key"] for body in server.bodies()] == [["banner"]]


def test_a_status_may_be_a_member_of_a_str_enum(face: Face) -> None:
    with serving(answers(200, {"metadata": {"experiences": []}})) as server:
        client = face.client(base_url=server.base_url)
        assert face.run(client.metadata(Status.ACTIVE)) == []
        assert b"?status=Active " in server.requests[0]


def test_a_mapping_is_short_for_an_in_session(face: Face) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url)
        face.fetch(client, "a", customer_id=8821, in_session={"utm_medium": "email"})
        assert server.bodies() == [
            {"experience_key": ["a"], "identifiers": {"customer_id": "8821"}, "utm_medium": "email"}
        ]


def test_what_the_caller_did_wrong_is_logged_each_time_it_is_another_mistake(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    client = face.client(base_url="http://127.0.0.1:9/v1")
    for _ in range(2):
        face.fetch_or_empty(client, customer_id=True)
        face.fetch_or_empty(client, customer_id=5.5)
        face.fetch_or_empty(client, [7])
    assert [(record.levelname, record.getMessage().partition("got ")[2]) for record in caplog.records] == [
        ("ERROR", "bool"),
        ("ERROR", "float"),
        ("ERROR", "7"),
    ]


def test_a_strict_client_raises_what_the_caller_did_wrong_and_nothing_else(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url, strict=True, timeout=0.1)
        with pytest.raises(InvalidRequestError, match="expected customer_id"):
            face.fetch_or_empty(client, customer_id=True)
        assert face.fetch_or_empty(client, "a").error is not None
        assert len(server.requests) == 1


def test_a_client_is_not_copied_and_not_pickled(face: Face) -> None:
    import copy
    import pickle

    client = face.client(base_url="http://127.0.0.1:9/v1")
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=f"expected each process to make a {type(client).__name__} of its own, got"):
            copied(client)


def test_a_client_that_is_awaited_without_asyncio_says_so() -> None:
    """As under trio, whose event loop is another."""
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url="http://127.0.0.1:9/v1")
    for call, raises in ((client.fetch("a"), True), (client.metadata(), True), (client.fetch_or_empty("a"), False)):
        with pytest.raises((ConfigurationError, StopIteration)) as caught:
            call.send(None)
        error = caught.value if raises else caught.value.value.error  # type: ignore[attr-defined]
        assert str(error) == "expected a running event loop of asyncio, got none; trio has another"


class OwnSession(InSession):
    """A service's own subclass."""


def test_a_subclass_of_in_session_is_one(face: Face) -> None:
    with serving(serves("a")) as server:
        face.fetch(face.client(base_url=server.base_url), "a", in_session=OwnSession(attributes={"utm": "x"}))
        assert server.bodies() == [{"experience_key": ["a"], "utm": "x"}]


def test_what_was_logged_is_remembered_within_bounds(
    face: Face, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moengage_personalize._base.LOGGED", 2)
    client = face.client(base_url="http://127.0.0.1:9/v1")
    for key in (1, 2, 3, 3, 1):
        face.fetch_or_empty(client, [key])
    assert [record.getMessage()[-1] for record in caplog.records] == ["1", "2", "3", "1"]


def test_a_page_of_tasks_outside_asyncio_tells_its_error() -> None:
    page = AsyncPersonalizeClient(**CREDENTIALS, base_url="http://127.0.0.1:9/v1").page()
    page.prefetch("a")
    assert str(page.error) == "expected a running event loop of asyncio, got none"
    assert page.value("a", "Title", "default") == "default"
