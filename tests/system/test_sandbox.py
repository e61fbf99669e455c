"""The sandbox answers as documented; asked with plain httpx, so that nothing of the client stands between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st
from test_generated import EXAMPLES, MATCHED, OPERATION

from moengage_personalize import ConfigurationError, sandbox
from moengage_personalize.sandbox._experiences import Audience, Variation, When

HEADERS = {"MOE-APPKEY": sandbox.WORKSPACE_ID}
AUTH = (sandbox.WORKSPACE_ID, sandbox.API_KEY)
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
    "authorization", ["", "Basic", "Basic !!!", "Basic /w==", "Bearer U0FOREJPWDpzYW5kYm94LWtleQ=="]
)
def test_an_authorization_that_is_none_gets_a_401(sandbox_url: str, authorization: str) -> None:
    headers = HEADERS | {"Authorization": authorization}
    assert httpx.post(f"{sandbox_url}/experiences/fetch", json={}, headers=headers).status_code == 401


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


def ask_app(app: Any, bodies: list[Any]) -> list[httpx.Response]:
    """Ask an application inside the test, without a socket."""

    async def all_of_them() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sandbox/v1", headers=HEADERS, auth=AUTH
        ) as http:
            return [await http.post("/experiences/fetch", json=body) for body in bodies]

    return asyncio.run(all_of_them())


def test_past_the_limit_of_a_minute_the_answer_is_429(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_790_000_010
    monkeypatch.setattr("moengage_personalize.sandbox._app.time.time", lambda: now)
    app = sandbox.app(rate_limit=2)
    answers = ask_app(app, [{}, {}, {}])
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"2"}
    (reset,) = {int(answer.headers["x-ratelimit-reset"]) for answer in answers}
    assert now < reset <= now + 60
    now = reset
    assert [answer.status_code for answer in ask_app(app, [{}])] == [200]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "experiences.yaml"
    path.write_text(text, "utf-8")
    return path


OWN = """
experiences:
  - key: own
    name: My own
    audiences:
      - id: A
        name: Nights
        when: {hour: ["22-03", 5], attributes: {plan: [gold, null], beta: true}}
        variations:
          - {id: '1', weight: 1, payload: {N: {value: 1}}}
"""


def test_experiences_of_ones_own_are_served(tmp_path: Path) -> None:
    app = sandbox.app(write(tmp_path, OWN))
    match = {"TIME_OF_THE_DAY": "02", "plan": "gold", "beta": True}
    hours = [f"{hour:02}" for hour in range(24)]
    by_hour = ask_app(app, [match | {"TIME_OF_THE_DAY": hour} for hour in hours])
    served = [hour for hour, answer in zip(hours, by_hour, strict=True) if answer.json()["experiences"]]
    assert served == ["00", "01", "02", "03", "05", "22", "23"]
    others = ask_app(
        app, [match | {"plan": None}, match | {"plan": "free"}, match | {"beta": False}, {"beta": True}, {}]
    )
    assert [bool(answer.json()["experiences"]) for answer in others] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("experiences: {", "expected a readable YAML file of experiences"),
        ("", "got at $: None is not of type 'object'"),
        ("experiences: 5", "got at $.experiences: 5 is not of type 'array'"),
        ("experiences: [{key: a, name: b}]", "got at $.experiences[0]: 'audiences' is a required property"),
        (OWN.replace("22-03", "24"), "got at $.experiences[0].audiences[0].when.hour[0]: '24' does not match"),
        (OWN.replace('"22-03"', "24"), "when.hour[0]: 24 is greater than the maximum of 23"),
        (OWN.replace("hour:", "hours:"), "Additional properties are not allowed ('hours' was unexpected)"),
        (OWN.replace("weight: 1", "weight: 0"), "0 is less than or equal to the minimum of 0"),
        (OWN.replace("name: My own", "name: My own\n    status: Done"), "'Done' is not one of ['Active'"),
    ],
)
def test_a_file_that_is_not_one_of_experiences_is_refused_with_its_place(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sandbox.app(write(tmp_path, text))
    assert expected in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        sandbox.app(tmp_path / "missing.yaml")


@given(customer_id=st.text(), weights=st.lists(st.floats(0.001, 1000), min_size=1, max_size=5))
def test_a_customer_always_gets_the_same_variation(customer_id: str, weights: list[float]) -> None:
    variations = [Variation(id=str(number), payload={}, weight=weight) for number, weight in enumerate(weights)]
    audience = Audience(id="A", name="All", variations=variations)
    assert audience.variation("key", customer_id) is audience.variation("key", customer_id)
    assert audience.variation("key", customer_id) in variations


def test_variations_are_shared_out_by_weight() -> None:
    variations = [Variation(id="rare", payload={}, weight=1), Variation(id="usual", payload={}, weight=3)]
    audience = Audience(id="A", name="All", variations=variations)
    got = [audience.variation("key", f"customer {number}").id for number in range(4000)]
    assert 850 < got.count("rare") < 1150  # 1000 expected, five standard deviations are 137


def test_the_last_variation_takes_what_rounding_leaves() -> None:
    class Rounds(float):
        def __rsub__(self, other: float) -> float:
            return 0.0

    variation = Variation(id="1", payload={}, weight=Rounds(1))
    assert Audience(id="A", name="All", variations=[variation]).variation("key", "me") is variation


def test_no_rule_at_all_always_holds() -> None:
    assert When().holds({}, "")


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with sandbox.listen(0) as taken, pytest.raises(OSError, match="in use"):
        sandbox.listen(taken.getsockname()[1])


def test_the_sandbox_answers_with_json_that_is_utf_8(http: httpx.Client) -> None:
    answer = ask(http, EXAMPLES["Single Experience"]["value"])
    assert "₹999" in answer.content.decode("utf-8")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content) == MATCHED


def test_a_client_that_goes_within_its_request_is_no_trouble() -> None:
    token = base64.b64encode(f"{sandbox.WORKSPACE_ID}:{sandbox.API_KEY}".encode())
    headers = [(b"moe-appkey", sandbox.WORKSPACE_ID.encode()), (b"authorization", b"Basic " + token)]
    scope = {"type": "http", "method": "POST", "path": "/v1/experiences/fetch", "headers": headers, "query_string": b""}
    heard = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    said: list[Any] = []

    async def receive() -> Any:
        return next(heard)

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(sandbox.app()(scope, receive, send))
    assert said[0]["status"] == 400
