"""What an error answer becomes, tested with values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from document import OPERATION
from hypothesis import given, strategies as st

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
)
from moengage_personalize._messages import Response
from moengage_personalize._split import read_part


def refused(status: int, content: object = b"", strict: bool = False, **headers: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(PersonalizeError) as caught:
        read_part(Response(status, given, body), strict=strict)
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
        code = f" (code {words['code']})" if "code" in words else ""
        assert str(error) == f"expected status 200, got {status} {words['title']}{code}"
        assert words["description"] in str(refused(int(status), words, strict=True))


@pytest.mark.parametrize(
    ("content", "title"),
    [({"title": "Only a title"}, "Only a title"), ({"title": 5, "description": None}, None), ([], None), ({}, None)],
)
def test_an_error_that_lacks_fields_keeps_the_others(content: object, title: str | None) -> None:
    error = refused(400, content)
    assert (error.title, error.description) == (title, None)


@pytest.mark.parametrize(
    "word",
    [
        "Jane@Example.com",
        "919876543210",
        "user_8821",
        "jane%40example.com",
        "V1M6dGhlLWtleQ",
        "JANEROES",
        "u",
        "Jane Roe",
    ],
)
def test_a_word_that_may_repeat_what_was_sent_stands_on_the_error_and_not_in_its_text(word: str) -> None:
    error = refused(400, {"title": word, "description": f"no user {word}", "code": word})
    assert (error.title, error.description, error.code) == (word, f"no user {word}", word)
    assert str(error) == "expected status 200, got 400 Bad Request"
    assert repr(error) == "BadRequest('expected status 200, got 400 Bad Request')"


@pytest.mark.parametrize("title", ["Request Error for jane", "request error", " Request Error", "Request Error\n"])
def test_only_a_documented_title_word_for_word_stands_in_the_text(title: str) -> None:
    assert str(refused(400, {"title": title})) == "expected status 200, got 400 Bad Request"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("GvHogFKc", True),
        ("a1B2c3D4", True),
        ("GvHogFK", False),
        ("GvHogFKcd", False),
        ("gvhogfkc", False),
        ("GVHOGFKC", False),
        ("12345678", False),
        ("GvHo-FKc", False),
        ("GvHogFKc\n", False),
        ("ÄvHogFKc", False),
        (7, False),
    ],
)
def test_only_a_code_of_the_documented_shape_stands_in_the_text(code: object, shown: bool) -> None:
    error = refused(400, {"title": "Request Error", "code": code})
    assert str(error) == "expected status 200, got 400 Request Error" + (f" (code {code})" if shown else "")


def test_a_strict_client_shows_all_words_of_the_api() -> None:
    words = {"title": "No", "description": "no user jane@example.com", "code": "user_8821"}
    assert str(refused(400, words, strict=True)) == (
        "expected status 200, got 400 No: no user jane@example.com (code user_8821)"
    )
    assert str(refused(503, {"description": "down"}, strict=True)) == (
        "expected status 200, got 503 Service Unavailable: down"
    )


@given(words=st.tuples(st.text(), st.text(), st.text()), strict=st.booleans())
def test_no_word_of_an_answer_brings_what_cannot_be_printed_into_the_text(
    words: tuple[str, str, str], strict: bool
) -> None:
    error = refused(400, dict(zip(("title", "description", "code"), words, strict=True)), strict)
    assert str(error).isprintable()
    assert [error.title or "", error.description or "", error.code or ""] == [word[:500] for word in words]


def test_what_cannot_be_printed_is_escaped() -> None:
    error = refused(400, {"title": "\x1b[2J", "description": "x\nfake: line \u202e\ud800 größe"}, strict=True)
    assert str(error) == "expected status 200, got 400 \\x1b[2J: x\\nfake: line \\u202e\\ud800 größe"
    assert error.description == "x\nfake: line \u202e\ud800 größe"


def test_the_words_of_an_error_are_kept_short() -> None:
    error = refused(400, {"title": "t" * 500, "description": "x" * 10_000, "code": "y" * 501}, strict=True)
    assert (error.title, error.description, error.code) == ("t" * 500, "x" * 500 + "...", "y" * 500 + "...")
    assert len(str(error)) < 1600


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
    assert read_part(Response(200, given, b'{"experiences": {}}'), strict=False).limit() == expected


@given(
    status=st.integers(0, 1200),
    content=st.binary().filter(lambda content: b"experiences" not in content),
    header=st.text(),
)
def test_no_answer_does_more_than_end_as_one_of_our_errors(status: int, content: bytes, header: str) -> None:
    names = ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    answer = Response(status, dict.fromkeys(names, header), content)
    with pytest.raises(PersonalizeError if status != 200 else MalformedResponse):
        read_part(answer, strict=False)
