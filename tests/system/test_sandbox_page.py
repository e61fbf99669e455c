"""What the page of the sandbox asks for: why a visitor gets what, changes as they come, experiences edited in place."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandboxing import AUTH, HEADERS, OWN, ask_app, root, write

from moengage_personalize import sandbox
from moengage_personalize.sandbox import _page


@pytest.fixture
def app(tmp_path: Path) -> sandbox.Sandbox:
    return sandbox.app(write(tmp_path), reload=True)


@pytest.fixture
def http(app: sandbox.Sandbox) -> Iterator[httpx.Client]:
    with sandbox.serve(app) as url, httpx.Client(base_url=root(url), headers=HEADERS, auth=AUTH) as client:
        yield client


def state(http: httpx.Client) -> Any:
    return http.get("/_sandbox/state").json()


def test_the_page_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert not [word for word in ("http://", "https://", "//cdn", "src=", "@import") if word in page.text]


def explain(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = http.post("/_sandbox/explain", json=body)
    assert answer.status_code == 200
    return {one["key"]: one for one in answer.json()["keys"]}


def test_each_condition_that_did_not_hold_is_named(http: httpx.Client) -> None:
    own = explain(http, TIME_OF_THE_DAY="04", plan="free")["own"]
    assert (own["served"], own["reason"]) == (False, "in none of its audiences")
    assert own["audiences"][0]["misses"] == [
        "hour is 04, not one of 22-03, 5",
        'plan is "free", but wanted: ["gold", null]',
        "beta is not given, but wanted: true",
    ]
    served = explain(http, TIME_OF_THE_DAY="05", plan=None, beta=True)["own"]
    assert (served["served"], served["reason"]) == (True, "variation 1 of Nights")
    assert served["audiences"][0]["misses"] == []


def test_the_reason_of_every_key_is_named() -> None:
    with sandbox.serve() as url, httpx.Client(base_url=root(url)) as http:
        found = explain(http, experience_key=["homepage-banner", "summer-sale", "unknown", "promo-strip"])
        assert [one["reason"] for one in found.values()] == [
            "in none of its audiences",
            "paused",
            "unknown",
            "variation 1 of All Users",
        ]
        assert found["homepage-banner"]["audiences"][0]["misses"][0].startswith(
            "customer_id is '', not one of user_8821"
        )
        assert explain(http, DAY_OF_THE_WEEK="Monday", TIME_OF_THE_DAY="07")["promo-strip"]["audiences"][0][
            "misses"
        ] == [
            "day is Monday, not one of Saturday, Sunday",
            "hour is 07, not one of 18-23",
        ]
        assert explain(http)["promo-strip"]["audiences"][0]["misses"][0].startswith("day is not given, not one of")
        many = explain(http, experience_key=[*map(str, range(25)), "promo-strip"])
        assert many["promo-strip"]["reason"] == "beyond the first 25 keys"


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"{", "Could not decode"), (b"[]", "type should be object"), (b'{"experience_key": 5}', "array")],
)
def test_what_cannot_be_asked_is_not_explained(http: httpx.Client, body: bytes, expected: str) -> None:
    answer = http.post("/_sandbox/explain", content=body)
    assert answer.status_code == 400
    assert expected in answer.json()["description"]


def test_the_explanation_agrees_with_the_answer() -> None:
    app = sandbox.app()
    for customer in ("user_8821", "user_8822", "nobody"):
        for day in ("Sunday", "Monday"):
            body = {"identifiers": {"customer_id": customer}, "DAY_OF_THE_WEEK": day, "TIME_OF_THE_DAY": "19"}
            (answer,) = ask_app(app, [body])
            (explained,) = ask_app(app, [body], "/_sandbox/explain")
            served = {one["key"] for one in explained.json()["keys"] if one["served"]}
            assert served == set(answer.json()["experiences"])


def test_the_state_shows_shares_near_their_weights() -> None:
    with sandbox.serve() as url, httpx.Client(base_url=root(url)) as http:
        found = state(http)
    banner = found["experiences"][0]["audiences"][0]["variations"]
    assert [one["weight"] for one in banner] == [50, 50]
    assert sum(one["share"] for one in banner) == 1
    assert all(0.42 < one["share"] < 0.58 for one in banner)  # five standard deviations of 1,000 customers
    assert found["file"] is None
    assert "homepage-banner" in found["text"]
    assert found["rate_limit"] == {"limit": 10_000, "used": 0}


def test_experiences_are_edited_in_place(http: httpx.Client, app: sandbox.Sandbox, tmp_path: Path) -> None:
    before = state(http)
    assert (before["text"], before["file"]) == (OWN, str(tmp_path / "experiences.yaml"))
    text = OWN.replace("key: own", "key: other")
    assert http.put("/_sandbox/experiences", content=text).json() == {"mistakes": []}
    assert app.keys == ["other"]
    assert (tmp_path / "experiences.yaml").read_text("utf-8") == text
    assert state(http)["text"] == text


def test_mistakes_are_shown_at_their_line_and_nothing_is_saved(
    http: httpx.Client, app: sandbox.Sandbox, tmp_path: Path
) -> None:
    refused = http.put("/_sandbox/experiences", content=OWN.replace("variations", "variation").replace("My own", "5"))
    assert refused.status_code == 400
    assert [one["line"] for one in refused.json()["mistakes"]] == [4, 6, 9]
    assert refused.json()["mistakes"][0]["text"] == "$.experiences[0].name: 5 is not of type 'string'"
    assert http.put("/_sandbox/experiences", content=b"\xff").json() == {
        "mistakes": [{"line": 0, "text": "expected UTF-8"}]
    }
    assert (tmp_path / "experiences.yaml").read_text("utf-8") == OWN
    assert app.keys == ["own"]


def test_a_file_that_cannot_be_written_is_said(http: httpx.Client, app: sandbox.Sandbox, tmp_path: Path) -> None:
    (tmp_path / "experiences.yaml").unlink()
    (tmp_path / "experiences.yaml").mkdir()
    refused = http.put("/_sandbox/experiences", content=OWN.replace("key: own", "key: other"))
    assert refused.status_code == 400
    assert "expected a file to write, got" in refused.json()["mistakes"][0]["text"]
    assert app.keys == ["own"]


@pytest.mark.parametrize("source", [None, {"banner": {"Title": "Hello"}}])
def test_what_came_from_no_file_is_edited_until_the_end(source: Any) -> None:
    app = sandbox.app(source)
    with sandbox.serve(app) as url, httpx.Client(base_url=root(url)) as http:
        assert (state(http)["text"] is None) == (source is not None)
        assert http.put("/_sandbox/experiences", content=OWN).status_code == 200
    assert app.keys == ["own"]
    assert sandbox.app().keys[0] == "homepage-banner"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"limit": 1}', 200),
        (b'{"limit": -1}', 400),
        (b'{"limit": true}', 400),
        (b"{}", 400),
        (b"[]", 400),
        (b"{", 400),
    ],
)
def test_the_rate_limit_can_be_set(http: httpx.Client, body: bytes, status: int) -> None:
    assert http.put("/_sandbox/rate-limit", content=body).status_code == status
    assert state(http)["rate_limit"]["limit"] == (1 if status == 200 else 10_000)


def test_changes_are_sent_as_they_come(http: httpx.Client, app: sandbox.Sandbox, tmp_path: Path) -> None:
    with http.stream("GET", "/_sandbox/changes") as stream:
        lines = (json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line)
        first = next(lines)
        assert (first["edition"], first["events"], first["requests"]) == (0, 0, 0)
        time.sleep(3 * _page.LOOK)  # nothing changes, and nothing is sent
        app.fail(503)
        assert next(lines)["failure"] == {"status": 503, "times": 1, "delay": 0, "drop": False}
        httpx.post(http.base_url.join("/v1/experiences/fetch"), json={})
        changed = next(lines)
        assert (changed["requests"], changed["used"], changed["failure"]["times"]) == (1, 1, 0)
        write(tmp_path, OWN.replace("key: own", "key: other"))
        assert next(lines)["edition"] == 1
        assert app.keys == ["other"]
        write(tmp_path, "experiences: 5")
        assert next(lines)["edition"] == 2
    assert app.keys == ["other"]
    (mistake,) = state(http)["mistakes"]
    assert mistake == {"line": 1, "text": "$.experiences: 5 is not of type 'array'"}
    (tmp_path / "experiences.yaml").unlink()
    (missing,) = state(http)["mistakes"]
    assert (missing["line"], "No such file" in missing["text"]) == (0, True)


def test_an_open_page_does_not_keep_the_sandbox_from_stopping(app: sandbox.Sandbox) -> None:
    with (
        sandbox.serve(app) as url,
        httpx.Client(base_url=root(url)) as http,
        http.stream("GET", "/_sandbox/changes") as stream,
    ):
        assert next(stream.iter_lines()).startswith("data: ")
