"""What an error answer becomes, tested with values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st
from test_generated import OPERATION

from moengage_personalize import (
    APIError,
    AuthenticationFailed,
    BadRequest,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimit,
    RateLimited,
    ServerError,
    _generated as _wire,
)
from moengage_personalize._messages import Response


def refused(status: int, content: object = b"", secrets: tuple[str, ...] = (), **headers: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(PersonalizeError) as caught:
        _wire.read(Response(status, given, body), lambda: secrets)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, APIError),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
        (520, ServerError),
        (599, ServerError),
    ],
)
def test_a_status_has_its_error(status: int, kind: type[APIError]) -> None:
    error = refused(status, b"<html>")
    assert type(error) is kind
    assert (error.status, error.title, error.description, error.code) == (status, None, None, None)
    assert f"got {status}" in str(error)


@pytest.mark.parametrize("status", [100, 101, 201, 204, 206, 301, 304, 308, 600, 999])
def test_a_status_that_is_neither_answer_nor_error_is_malformed(status: int) -> None:
    error = refused(status)
    assert type(error) is MalformedResponse
    assert (error.status, error.retryable) == (status, False)


@pytest.mark.parametrize(("status", "kind"), [("400", BadRequest), ("401", AuthenticationFailed)])
def test_the_published_errors_are_read_whole(status: str, kind: type[APIError]) -> None:
    content = OPERATION["responses"][status]["content"]["application/json"]
    published = [example["value"] for example in content.get("examples", {}).values()] or [content["example"]]
    for words in published:
        error = refused(int(status), words)
        assert type(error) is kind
        assert (error.title, error.description) == (words["title"], words["description"])
        assert error.code == words.get("code")
        assert words["description"] in str(error)


@pytest.mark.parametrize(
    ("content", "title"),
    [({"title": "Only a title"}, "Only a title"), ({"title": 5, "description": None}, None), ([], None), ({}, None)],
)
def test_an_error_that_lacks_fields_keeps_the_others(content: object, title: str | None) -> None:
    error = refused(400, content)
    assert (error.title, error.description) == (title, None)


def test_what_was_sent_is_struck_out_of_what_comes_back() -> None:
    words = {"title": "no user_8821", "description": "jane@example.com has user_8821_more", "code": "user_8821"}
    error = refused(400, words, ("user_8821", "user_8821_more", "jane@example.com"))
    assert error.title == "no [redacted]"
    assert error.description == "[redacted] has [redacted]"
    assert error.code == "[redacted]"
    assert "user_8821" not in str(error)


def test_the_words_of_an_error_are_kept_short() -> None:
    error = refused(400, {"title": "t", "description": "x" * 10_000})
    assert len(error.description) == 503


NOW = 1_790_000_000


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moengage_personalize._responses.time", lambda: NOW)


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 7 "}, 7.0),
        ({"retry_after": format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"retry_after": format_datetime(datetime.fromtimestamp(NOW, UTC) - timedelta(days=1), usegmt=True)}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "Mon, 99 Nov 99999 00:00:00 GMT"}, None),
        ({"retry_after": "soon", "x_ratelimit_reset": str(NOW + 9)}, 9.0),
        ({"x_ratelimit_reset": str(NOW + 12)}, 12.0),
        ({"x_ratelimit_reset": str((NOW + 12) * 1000)}, 12.0),
        ({"x_ratelimit_reset": str(NOW - 12)}, 0.0),
        ({"x_ratelimit_reset": "9" * 18}, 999999999999999.999 - NOW),
        ({"x_ratelimit_reset": "tomorrow"}, None),
        ({"x_envoy_ratelimited": "true"}, None),
    ],
)
def test_a_429_says_when_to_come_back(headers: dict[str, str], expected: float | None) -> None:
    assert refused(429, **headers).retry_after == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x_ratelimit_limit": "garbage"}, None),
        ({"x_ratelimit_remaining": "5"}, RateLimit(None, 5, None)),
        (
            {"x_ratelimit_limit": "100", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "1790000000"},
            RateLimit(100, 0, datetime.fromtimestamp(1790000000, UTC)),
        ),
        ({"x_ratelimit_reset": "1790000000500"}, RateLimit(None, None, datetime.fromtimestamp(1790000000.5, UTC))),
        ({"x_ratelimit_reset": "9" * 18}, RateLimit(None, None, None)),
    ],
)
def test_the_rate_limit_is_read_from_answers_and_errors(headers: dict[str, str], expected: RateLimit | None) -> None:
    assert refused(500, **headers).rate_limit == expected
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    assert _wire.read(Response(200, given, b'{"experiences": {}}'), ()).limit() == expected


@given(
    status=st.integers(0, 1200),
    content=st.binary().filter(lambda content: b"experiences" not in content),
    header=st.text(),
)
def test_no_answer_does_more_than_end_as_one_of_our_errors(status: int, content: bytes, header: str) -> None:
    names = ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    answer = Response(status, dict.fromkeys(names, header), content)
    with pytest.raises(PersonalizeError if status != 200 else MalformedResponse):
        _wire.read(answer, lambda: ("secret",))
