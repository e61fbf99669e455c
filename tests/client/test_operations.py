"""Metadata and events over both clients, against the sandbox and servers that misbehave."""

from __future__ import annotations

import json
import pickle
import time
import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from event_samples import CONTEXT, FIELDS, REFUSED, fail, received, shown
from faces import CREDENTIALS, Face
from servers import answers, hangs, serving

from moengage_personalize import (
    AuthenticationFailed,
    ConfigurationError,
    DeadlineExceeded,
    EventsNotAccepted,
    ExperienceMetadata,
    InvalidRequestError,
    MalformedResponse,
    events,
    sandbox,
)

LISTED = (
    b'{"metadata": {"count": 1, "experiences": [{"experience_key": "a", "experience_name": "A", "status": "Active"}]}}'
)


@pytest.fixture
def url() -> Iterator[str]:
    """A sandbox of its own, so that what it received is known."""
    with sandbox.serve() as base_url:
        yield base_url


def test_metadata_lists_the_experiences_of_the_workspace(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url)
    everything = face.run(client.metadata())
    assert ExperienceMetadata("homepage-banner", "Homepage Banner — Free Shipping", "Active") in everything
    active, other = (face.run(client.metadata(status)) for status in ("Active", ["Paused", "Scheduled"]))
    assert {one.status for one in active} == {"Active"}
    assert other
    assert len(active) + len(other) == len(everything)


@pytest.mark.parametrize("status", ["active", ["Active", "Archived"], [], 7, [None]])
def test_a_status_that_would_find_nothing_in_silence_is_refused(face: Face, status: Any) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url)
        with pytest.raises(InvalidRequestError, match=r"expected (status .* of Active|at least one status)"):
            face.run(client.metadata(status))
        assert server.requests == []


def test_what_is_asked_for_metadata(face: Face) -> None:
    with serving(answers(200, LISTED)) as server:
        client = face.client(base_url=server.base_url)
        assert face.run(client.metadata(["Active", "Paused", "Active"])) == [ExperienceMetadata("a", "A", "Active")]
    head = server.requests[0].decode()
    assert head.startswith("GET /v1/experiences/metadata?status=Active,Paused HTTP/1.1")
    assert f"MOE-APPKEY: {sandbox.WORKSPACE_ID}" in head


def test_metadata_that_is_malformed_costs_itself(face: Face) -> None:
    entries = [None, {}, {"experience_key": ""}, {"experience_key": "a"}, {"experience_key": "b", "status": "New"}]
    with serving(answers(200, json.dumps({"metadata": {"experiences": entries}}).encode())) as server:
        found = face.run(face.client(base_url=server.base_url).metadata())
    assert found == [ExperienceMetadata("a", "", ""), ExperienceMetadata("b", "", "New")]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"metadata": []}', b'{"metadata": {"experiences": {}}}', b"<html>"])
def test_an_answer_that_is_no_metadata_is_malformed(face: Face, body: bytes) -> None:
    with serving(answers(200, body)) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        with pytest.raises(MalformedResponse):
            face.run(client.metadata())


def test_events_are_reported_and_kept_once(face: Face, url: str) -> None:
    client = face.client(base_url=url, timeout=5)
    click = events.clicked(CONTEXT, customer_id="user_1", element="Buy", user_timezone_offset=19_800)
    made = [*(shown(customer_id=f"user_{number}") for number in range(250)), click]
    face.run(client.report_events(made))
    face.run(client.report_events(made[:10]))
    kept = received(url)
    assert (kept["count"], kept["duplicates"]) == (251, 10)
    by_uuid = {event["moe_event_uuid"]: event for event in kept["events"]}
    assert set(by_uuid) == {event.uuid for event in made}
    assert by_uuid[click.uuid] == {
        "customer_id": "user_1",
        "user_timezone_offset": 19_800,
        "action": "MOE_PERSONALIZATION_MESSAGE_CLICKED",
        "moe_event_uuid": click.uuid,
        "event_time": click.at,
        "platform": "web",
        "attributes": {**FIELDS, "b_id": "Buy"},
        "b_id": "Buy",
        "received": 1,
    }


def test_no_events_are_no_request(face: Face) -> None:
    with serving(hangs) as server:
        face.run(face.client(base_url=server.base_url).report_events([]))
        assert server.requests == []


def test_a_retry_has_the_same_uuids(face: Face, url: str) -> None:
    fail(url, status=500)
    client = face.client(base_url=url, timeout=5)
    event = shown()
    face.run(client.report_events([event]))
    assert [kept["moe_event_uuid"] for kept in received(url)["events"]] == [event.uuid]


def test_the_error_carries_the_events_that_were_not_accepted(face: Face, url: str) -> None:
    made = [shown(customer_id=f"user_{number:03}", **(REFUSED if number in (3, 103) else {})) for number in range(150)]
    client = face.client(base_url=url, max_retries=0, timeout=5)
    with pytest.raises(EventsNotAccepted) as caught:
        face.run(client.report_events(made))
    error = caught.value
    assert error.events == (made[3], made[103])
    assert received(url)["count"] == 148
    assert not error.retryable
    assert error.__cause__ is error.errors[0]
    assert [one.status for one in error.errors] == [400, 400]
    shown_text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert sandbox.API_KEY not in shown_text
    again = pickle.loads(pickle.dumps(error))
    assert (again.events, str(again)) == (error.events, str(error))


def test_several_requests_of_events_share_one_deadline(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        with pytest.raises(EventsNotAccepted) as caught:
            face.run(client.report_events([shown(customer_id=f"u{n}") for n in range(450)], timeout=0.3))
        assert time.monotonic() - started < 3
    assert len(caught.value.events) == 450
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, DeadlineExceeded)


def test_events_that_cannot_be_reported_do_not_keep_pages_from_being_served(face: Face, url: str) -> None:
    client = face.client(base_url=url, max_retries=0)
    fail(url, status=503, times=10)
    for _ in range(10):
        with pytest.raises(EventsNotAccepted):
            face.run(client.report_events([shown()]))
    fail(url, times=0)
    assert "homepage-banner" in face.fetch(client, "homepage-banner", customer_id="user_8821")


def test_a_wrong_key_is_said(face: Face, url: str) -> None:
    client = face.client(base_url=url, api_key="wrong")
    with pytest.raises(AuthenticationFailed):
        face.run(client.metadata())
    with pytest.raises(EventsNotAccepted, match="401"):
        face.run(client.report_events([shown()]))


def test_a_closed_client_reports_nothing(face: Face, url: str) -> None:
    client = face.client(base_url=url)
    face.close(client)
    for call in (client.metadata, lambda: client.report_events([shown()])):
        with pytest.raises(ConfigurationError, match="expected an open client"):
            face.run(call())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"action": "SEEN"}, "elements.0.actions.0.action - Enum doesnt allow value: SEEN"),
        ({"attributes": {"cid": "1"}}, "elements.0.actions.0.attributes - required"),
        ({"event_time": "now"}, "elements.0.actions.0.event_time - type should be integer"),
    ],
)
def test_the_sandbox_refuses_what_the_api_refuses(url: str, change: dict[str, Any], problem: str) -> None:
    action = {
        "action": events.SHOWN,
        "moe_event_uuid": shown().uuid,
        "event_time": 1,
        "platform": "web",
        "attributes": FIELDS,
    }
    good = {"customer_id": "u", "actions": [action]}
    for elements, words in (
        ([{**good, "actions": [action | change]}], problem),
        ([good] * 101, "elements - maxItems should be 100"),
        ([good | {"user_timezone_offset": 54_001}], "elements.0.user_timezone_offset - maximum should be 54000"),
    ):
        answer = post(url, json.dumps({"elements": elements}).encode())
        assert answer.status_code == 400
        assert answer.json()["description"].startswith(words)
    assert post(url, b"{").json()["title"] == "Malformed JSON"
    assert received(url)["count"] == 0
    assert post(url, json.dumps({"elements": [good]}).encode()).json()["status"] == "success"
    assert received(url)["count"] == 1


def post(url: str, body: bytes) -> httpx.Response:
    headers = {"MOE-APPKEY": sandbox.WORKSPACE_ID}
    return httpx.post(f"{url}/experiences/events", content=body, headers=headers, auth=tuple(CREDENTIALS.values()))  # type: ignore[arg-type]


def test_the_sandbox_finds_nothing_for_a_status_it_does_not_know(url: str) -> None:
    headers = {"MOE-APPKEY": sandbox.WORKSPACE_ID}
    found = httpx.get(f"{url}/experiences/metadata?status=active", headers=headers, auth=tuple(CREDENTIALS.values()))  # type: ignore[arg-type]
    assert found.json() == {"metadata": {"count": 0, "experiences": []}}
