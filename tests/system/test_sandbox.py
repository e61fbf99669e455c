"""The sandbox answers as documented; asked with plain httpx, so that nothing of the client stands between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given, strategies as st
from sandboxing import AUTH, EXAMPLES, HEADERS, MATCHED, OPERATION, ask_app, root

from moengage_personalize import sandbox
from moengage_personalize.sandbox import _answer, _experiences

PUBLISHED = {
    name: example["value"]
    for name, example in OPERATION["responses"]["400"]["content"]["application/json"]["examples"].items()
}
UNAUTHORIZED = OPERATION["responses"]["401"]["content"]["application/json"]["example"]


@pytest.fixture(scope="module")
def http(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, headers=HEADERS, auth=AUTH) as client:
        yield client


def ask(http: httpx.Client, body: Any = None, **arguments: Any) -> httpx.Response:
    return http.post("/experiences/fetch", **{"json": {} if body is None else body, **arguments})


def test_the_published_request_gets_the_published_answer(http: httpx.Client) -> None:
    answer = ask(http, EXAMPLES["Single Experience"]["value"])
    assert answer.status_code == 200
    assert answer.json() == MATCHED


def test_the_other_published_requests_are_served_too(http: httpx.Client) -> None:
    for name in ("Multiple Experiences", "Contextual Targeting (UTM)"):
        request = EXAMPLES[name]["value"]
        assert set(ask(http, request).json()["experiences"]) == set(request["experience_key"])


@pytest.mark.parametrize(
    "auth", [None, ("SANDBOX", "wrong"), ("OTHER", sandbox.API_KEY)], ids=["none", "wrong key", "other workspace"]
)
def test_wrong_credentials_get_the_published_401(sandbox_url: str, auth: Any) -> None:
    answer = httpx.post(f"{sandbox_url}/experiences/fetch", json={}, headers=HEADERS, auth=auth)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic /w==",
        "Bearer U0FOREJPWDpzYW5kYm94LWtleQ==",
        "Basic U0FOREJPWDpzYW5kYm94LWtleQ==!",
    ],
)
def test_an_authorization_that_is_none_gets_a_401(sandbox_url: str, authorization: str) -> None:
    headers = HEADERS | {"Authorization": authorization}
    assert httpx.post(f"{sandbox_url}/experiences/fetch", json={}, headers=headers).status_code == 401


def test_a_key_may_hold_a_colon() -> None:
    world = _answer.World((), "WS", "key:with:colons")
    token = base64.b64encode(b"WS:key:with:colons").decode()
    headers = {"authorization": f"Basic {token}", "moe-appkey": "WS"}
    _answer.check(world, headers, _answer.Usage(limit=1, used=1, reset=0))
    with pytest.raises(_answer.Refusal) as refused:
        _answer.check(world, headers, _answer.Usage(limit=1, used=2, reset=0))
    assert refused.value.status == 429
    assert refused.value.body == {
        "title": "Too Many Requests",
        "description": "The rate limit of the workspace is used up until the reset.",
    }


@pytest.mark.parametrize("headers", [{}, {"MOE-APPKEY": "OTHER"}])
def test_a_missing_or_unknown_workspace_gets_the_published_400(sandbox_url: str, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{sandbox_url}/experiences/fetch", json={}, headers=headers, auth=AUTH)
    assert (answer.status_code, answer.json()) == (400, PUBLISHED["Invalid Workspace"])


@pytest.mark.parametrize("content", [b"", b"{", b'"\xff"', b"[" * 100_000])
def test_malformed_json_gets_the_published_400(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/experiences/fetch", content=content)
    assert (answer.status_code, answer.json()) == (400, PUBLISHED["Malformed JSON"])


def test_a_wrong_enum_gets_the_published_400(http: httpx.Client) -> None:
    answer = ask(http, {"DAY_OF_THE_WEEK": "funday"})
    published = PUBLISHED["Invalid Field Value"]
    assert answer.status_code == 400
    assert answer.json() | {"code": published["code"]} == published
    assert len(answer.json()["code"]) == len(published["code"])
    assert "TIME_OF_THE_DAY - Enum doesnt allow value: 24, allowed" in ask(http, {"TIME_OF_THE_DAY": "24"}).text


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ([], "payload - type should be object"),
        ({"experience_key": "one"}, "experience_key - type should be array"),
        ({"experience_key": [5]}, "experience_key.0 - type should be string"),
        ({"identifiers": {"customer_id": 5}}, "identifiers.customer_id - type should be string"),
        ({"identifiers": {"user_identifiers": 5}}, "identifiers.user_identifiers - type should be string"),
    ],
)
def test_what_the_document_does_not_admit_is_refused(http: httpx.Client, body: Any, description: str) -> None:
    answer = ask(http, body)
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid Field Value")
    assert answer.json()["description"] == description


def test_more_than_25_keys_get_the_first_25(http: httpx.Client) -> None:
    keys = [f"unknown-{number}" for number in range(24)]
    assert set(ask(http, {"experience_key": [*keys, "promo-strip", "cart-upsell"]}).json()["experiences"]) == {
        "promo-strip"
    }


def test_unknown_paused_and_unmatched_keys_are_absent(http: httpx.Client) -> None:
    keys = ["unknown", "summer-sale", "homepage-banner", "email-landing-banner"]
    assert ask(http, {"experience_key": keys}).json() == {"experiences": {}}


def test_no_key_asks_for_all_that_match(http: httpx.Client) -> None:
    everyone = {"promo-strip", "cart-upsell"}
    assert set(ask(http).json()["experiences"]) == everyone
    mine = ask(http, {"identifiers": {"customer_id": "user_8822"}}).json()["experiences"]
    assert set(mine) == everyone | {"homepage-banner"}
    assert mine["homepage-banner"]["experience_context"]["moe_variation_id"] == "1"


def test_a_visitor_without_an_id_gets_what_one_with_an_empty_id_gets() -> None:
    variations = [_experiences.Variation(str(number), {}) for number in range(100)]
    everyone = _experiences.Audience("A", "Everyone", variations)
    world = _answer.World((_experiences.Experience("banner", "Banner", [everyone]),), "WS", "key")
    empty = _answer.answer(world, b'{"identifiers": {"customer_id": ""}}')
    assert [_answer.answer(world, body) for body in (b"{}", b'{"identifiers": {}}')] == [empty, empty]


def test_every_context_has_the_eight_fields_of_the_document(http: httpx.Client) -> None:
    schema = OPERATION["responses"]["200"]["content"]["application/json"]["schema"]
    one = schema["properties"]["experiences"]["additionalProperties"]
    fields = set(one["properties"]["experience_context"]["properties"])
    for served in ask(http).json()["experiences"].values():
        assert set(served["experience_context"]) == fields
        assert all(isinstance(value, str) for value in served["experience_context"].values())


@pytest.mark.parametrize(
    ("day", "hour", "text"),
    [
        ("Sunday", "18", "Tonight only: two for one"),
        ("Sunday", "23", "Tonight only: two for one"),
        ("Sunday", "17", "Returns are free for 30 days"),
        ("Friday", "18", "Returns are free for 30 days"),
    ],
)
def test_day_and_hour_decide(http: httpx.Client, day: str, hour: str, text: str) -> None:
    served = ask(http, {"DAY_OF_THE_WEEK": day, "TIME_OF_THE_DAY": hour}).json()["experiences"]["promo-strip"]
    assert served["payload"]["Text"]["value"] == text


def test_past_the_limit_of_a_minute_the_answer_is_429(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_790_000_010
    monkeypatch.setattr("moengage_personalize.sandbox._state.time.time", lambda: now)
    app = sandbox.app(rate_limit=2)
    answers = ask_app(app, [{}, {}, {}])
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"2"}
    (reset,) = {int(answer.headers["x-ratelimit-reset"]) for answer in answers}
    assert now < reset <= now + 60
    now = reset
    assert [answer.status_code for answer in ask_app(app, [{}])] == [200]


def test_the_sandbox_answers_with_json_that_is_utf_8(http: httpx.Client) -> None:
    answer = ask(http, EXAMPLES["Single Experience"]["value"])
    assert "₹999" in answer.content.decode("utf-8")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content) == MATCHED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
FIELDS = st.sampled_from(["status", "times", "delay", "drop", "elements", "actions", "identifiers", "experience_key"])
BODIES |= st.dictionaries(FIELDS, JSON, max_size=4).map(lambda value: json.dumps(value).encode())
PATHS = ["/v1/experiences/fetch", "/v1/experiences/events", "/_sandbox/fail"]


@given(bodies=st.lists(st.tuples(st.sampled_from(PATHS), BODIES), max_size=5))
def test_no_body_is_answered_with_an_error_of_the_sandbox(bodies: list[tuple[str, bytes]]) -> None:
    app = sandbox.app()

    async def all_of_them() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://s", headers=HEADERS, auth=AUTH) as http:
            for path, body in bodies:
                answer = await http.post(path, content=body)
                assert answer.status_code in (200, 400)
                assert answer.json()
                app.fail(times=0)  # or a fault that was armed would be met
            assert len((await http.get("/_sandbox/requests")).json()["requests"]) == len(app.requests)

    asyncio.run(all_of_them())


def event(uuid: str = "6c7b5a0e-8a3e-4f0b-9a55-000000000001", **attributes: Any) -> dict[str, Any]:
    context = dict.fromkeys(
        ["cid", "experience", "moe_locale_id", "moe_variation_id", "audience_name", "audience_id"], "x"
    )
    action = {
        "action": "MOE_PERSONALIZATION_MESSAGE_SHOWN",
        "moe_event_uuid": uuid,
        "event_time": 1_795_000_000,
        "platform": "web",
        "attributes": context | attributes,
    }
    return {"elements": [{"customer_id": "user_8821", "actions": [action]}]}


def test_events_are_kept_once_and_forgotten_when_they_are_deleted() -> None:
    app = sandbox.app()
    with sandbox.serve(app) as url, httpx.Client(base_url=root(url), headers=HEADERS, auth=AUTH) as http:
        for _ in range(2):
            assert http.post("/v1/experiences/events", json=event()).status_code == 200
        kept = http.get("/_sandbox/events").json()
        assert (kept["count"], kept["duplicates"]) == (1, 1)
        assert kept["events"] == app.events
        assert (app.events[0]["customer_id"], app.events[0]["received"]) == ("user_8821", 2)
        assert http.delete("/_sandbox/events").json() == {"count": 0, "duplicates": 0, "events": []}
        assert app.events == []


def test_what_utf_8_cannot_hold_is_kept_and_shown(http: httpx.Client) -> None:
    odd = json.dumps(event("6c7b5a0e-8a3e-4f0b-9a55-000000000002", cid="\ud800")).encode()
    assert http.post("/experiences/events", content=odd).status_code == 200
    assert http.get(root(str(http.base_url).rstrip("/")) + "/_sandbox/events").json()["events"]


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        (None, ["running", "resting", "ended"]),
        ("Active", ["running"]),
        ("Paused,Completed", ["resting", "ended"]),
        ("Scheduled", []),
    ],
)
def test_metadata_lists_what_has_one_of_the_statuses(status: str | None, listed: list[str]) -> None:
    found = {"running": "Active", "resting": "Paused", "ended": "Completed"}
    experiences = tuple(_experiences.Experience(key, key.title(), [], status) for key, status in found.items())
    answer = _answer.metadata(_answer.World(experiences, "WS", "key"), status)["metadata"]
    assert answer["count"] == len(listed)
    assert [one["experience_key"] for one in answer["experiences"]] == listed
    assert [one["experience_name"] for one in answer["experiences"]] == [key.title() for key in listed]
    assert [one["status"] for one in answer["experiences"]] == [found[key] for key in listed]


def test_each_report_of_events_gets_an_id_of_its_own() -> None:
    ids = {ask_app(sandbox.app(), [event()], "/v1/experiences/events")[0].json()["req_id"] for _ in range(2)}
    assert [UUID(one).version for one in ids] == [4, 4]


def test_what_the_sandbox_says_itself_is_json_with_its_status() -> None:
    response = _answer.response({"é": 1}, 418)
    assert (response.status_code, response.body) == (418, '{"é": 1}'.encode())
    assert response.headers["content-type"] == "application/json"


def test_a_number_may_have_a_fraction(http: httpx.Client) -> None:
    assert http.post("/experiences/fetch", content=b'{"a": 1.5}').status_code == 200


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e400"])
def test_a_number_that_json_has_not_is_malformed(http: httpx.Client, number: bytes) -> None:
    answer = http.post("/experiences/fetch", content=b'{"a": ' + number + b"}")
    assert (answer.status_code, answer.json()) == (400, PUBLISHED["Malformed JSON"])


def test_the_requests_are_kept_with_what_they_asked_and_got() -> None:
    app = sandbox.app({"banner": {"Title": "Hello"}})
    with sandbox.serve(app) as url, httpx.Client(base_url=root(url), headers=HEADERS, auth=AUTH) as http:
        http.post("/v1/experiences/fetch", json={"utm_medium": "email"})
        http.post("/v1/experiences/fetch", content=b"{")
        http.get("/v1/experiences/metadata", params={"status": "Active"})
        seen = [(one.method, one.path, one.query, one.body, one.status) for one in app.requests]
        assert seen == [
            ("POST", "/v1/experiences/fetch", "", {"utm_medium": "email"}, 200),
            ("POST", "/v1/experiences/fetch", "", None, 400),
            ("GET", "/v1/experiences/metadata", "status=Active", None, 200),
        ]
        shown = http.get("/_sandbox/requests").json()
        assert shown["count"] == 3
        assert shown["requests"][0]["body"] == {"utm_medium": "email"}
        assert sandbox.API_KEY not in json.dumps(shown)
        assert AUTH[1] not in repr(app.requests)


def test_only_the_last_requests_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moengage_personalize.sandbox._state.REQUESTS_KEPT", 2)
    app = sandbox.app()
    ask_app(app, [{"n": 1}, {"n": 2}, {"n": 3}])
    assert [one.body for one in app.requests] == [{"n": 2}, {"n": 3}]


def test_a_reset_forgets_all_but_the_experiences() -> None:
    app = sandbox.app({"banner": {"Title": "Hello"}}, rate_limit=2)
    ask_app(app, [event()], "/v1/experiences/events")
    app.fail(503, times=5)
    assert [answer.status_code for answer in ask_app(app, [{}, {}])] == [503, 503]
    app.reset()
    assert (app.requests, app.events) == ([], [])
    assert [answer.status_code for answer in ask_app(app, [{}, {}])] == [200, 200]
