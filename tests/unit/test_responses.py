"""What an error answer becomes, tested with values."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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
from moengage_personalize._responses import ErrorBody, error_from_response, rate_limit
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
def test_only_a_code_of_the_documented_shape_beside_a_documented_title_stands_in_the_text(
    code: object, shown: bool
) -> None:
    error = refused(400, {"title": "Request Error", "code": code})
    assert str(error) == "expected status 200, got 400 Request Error" + (f" (code {code})" if shown else "")
    assert str(refused(400, {"title": "No", "code": code})) == "expected status 200, got 400 Bad Request"


def test_a_strict_client_shows_all_words_of_the_api() -> None:
    words = {"title": "No", "description": "no user jane@example.com", "code": "user_8821"}
    assert str(refused(400, words, strict=True)) == (
        "expected status 200, got 400 No: no user jane@example.com (code user_8821)"
    )
    assert str(refused(503, {"description": "down"}, strict=True)) == (
        "expected status 200, got 503 Service Unavailable: down"
    )
    assert (
        str(refused(503, {"title": "", "code": ""}, strict=True)) == "expected status 200, got 503 Service Unavailable"
    )


def test_words_of_no_letters_are_none() -> None:
    error = refused(400, {"title": "", "description": "", "code": ""})
    assert (error.title, error.description, error.code) == (None, None, None)


def test_the_api_speaks_only_if_a_strict_client_asks() -> None:
    error = error_from_response(Response(400, {}, b""), ErrorBody("No", "no user jane", None))
    assert str(error) == "expected status 200, got 400 Bad Request"


def test_a_status_without_a_name_is_said_to_have_none() -> None:
    assert str(refused(520)) == "expected status 200, got 520 a status without a name"
    assert str(refused(302)) == "expected status 200, got 302 Found"


def test_only_a_429_says_when_to_come_back() -> None:
    assert not hasattr(refused(503, retry_after="7"), "retry_after")


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


NOW = 1_790_000_000  # Monday, 21 September 2026, 13:33:20 UTC
DAY = 86_400.0


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("_responses", "_split"):
        monkeypatch.setattr(f"moengage_personalize.{module}.time", lambda: NOW)


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def http_date(seconds_from_now: float, form: str = "%a, %d %b %Y %H:%M:%S GMT") -> str:
    return (datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds_from_now)).strftime(form)


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 7 "}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "7, 7"}, 7.0),
        ({"retry_after": "86399"}, 86_399.0),
        ({"retry_after": "999999999999999999"}, DAY),
        ({"retry_after": "9" * 19}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1e3"}, None),
        ({"retry_after": "7 s"}, None),
        ({"retry_after": "\u0667"}, None),
        ({"retry_after": "7", "x_ratelimit_reset": str(NOW + 9)}, 7.0),
        ({"retry_after": "0", "x_ratelimit_reset": str(NOW + 9)}, 0.0),
        ({"retry_after": "soon", "x_ratelimit_reset": str(NOW + 9)}, 9.0),
        ({"retry_after": "-5", "x_ratelimit_reset": str(NOW + 9)}, 9.0),
        ({"x_ratelimit_reset": "37"}, 37.0),
        ({"x_ratelimit_reset": "37.5"}, 37.5),
        ({"x_ratelimit_reset": "0"}, 0.0),
        ({"x_ratelimit_reset": "37, 37;w=60"}, 37.0),
        ({"x_ratelimit_reset": "37;w=60"}, 37.0),
        ({"x_ratelimit_reset": "999999999"}, DAY),
        ({"x_ratelimit_reset": "1000000000"}, 0.0),
        ({"x_ratelimit_reset": str(NOW + 12)}, 12.0),
        ({"x_ratelimit_reset": f"{NOW + 12}.25"}, 12.25),
        ({"x_ratelimit_reset": str((NOW + 12) * 1000 + 500)}, 12.5),
        ({"x_ratelimit_reset": str(NOW - 12)}, 0.0),
        ({"x_ratelimit_reset": str(NOW + 10**7)}, DAY),
        ({"x_ratelimit_reset": "99999999999999"}, DAY),
        ({"x_ratelimit_reset": "100000000000"}, 0.0),
        ({"x_ratelimit_reset": "100000000000000"}, None),
        ({"x_ratelimit_reset": "9" * 18}, None),
        ({"x_ratelimit_reset": "-37"}, None),
        ({"x_ratelimit_reset": "tomorrow"}, None),
        ({"x_envoy_ratelimited": "true"}, None),
    ],
)
def test_a_429_says_when_to_come_back(headers: dict[str, str], expected: float | None) -> None:
    assert refused(429, **headers).retry_after == (None if expected is None else pytest.approx(expected))


FORMS = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S -0000",
]


@pytest.mark.usefixtures("_clock", "_zone")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("seconds", "expected"), [(30, 30.0), (0, 0.0), (-86_400, 0.0), (3_600, 3_600.0), (2e6, DAY)])
def test_a_date_to_come_back_is_utc_in_whichever_of_its_forms_and_wherever_we_are(
    form: str, seconds: float, expected: float
) -> None:
    assert refused(429, retry_after=http_date(seconds, form)).retry_after == expected


def test_a_day_of_one_digit_is_a_date_too() -> None:
    date = {"retry_after": "Sun Nov  6 08:49:37 1994", "date": "Sun, 06 Nov 1994 08:49:00 GMT"}
    assert refused(429, **date).retry_after == 37.0


def test_a_date_of_another_zone_is_that_time() -> None:
    date = {"retry_after": "Sun, 06 Nov 1994 14:19:37 +0530", "date": "Sun, 06 Nov 1994 08:49:00 GMT"}
    assert refused(429, **date).retry_after == 37.0


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize("date", ["Mon, 99 Nov 99999 00:00:00 GMT", "21 Sep", "a b c d e f", ":"])
def test_what_is_no_date_says_nothing(date: str) -> None:
    assert refused(429, retry_after=date).retry_after is None
    assert refused(429, x_ratelimit_reset=str(NOW + 9), date=date).retry_after == 9.0


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize("off", [-3_600, 3_600, 0])
@pytest.mark.parametrize("form", FORMS)
def test_a_clock_that_is_an_hour_off_is_told_by_the_date_of_the_answer(off: int, form: str) -> None:
    date = http_date(off, form)
    assert refused(429, date=date, retry_after=http_date(off + 30)).retry_after == 30.0
    assert refused(429, date=date, x_ratelimit_reset=str(NOW + off + 30)).retry_after == 30.0
    assert refused(429, date=date, x_ratelimit_reset="30").retry_after == 30.0
    assert refused(429, date=date, x_ratelimit_reset="30").rate_limit == RateLimit(
        None, None, datetime.fromtimestamp(NOW + off + 30, UTC)
    )


RESET = datetime.fromtimestamp(NOW, UTC)


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x_ratelimit_limit": "garbage"}, None),
        ({"retry_after": "5"}, None),
        ({"x_ratelimit_remaining": "5"}, RateLimit(None, 5, None)),
        ({"x_ratelimit_remaining": "-5", "x_ratelimit_limit": "7"}, RateLimit(7, None, None)),
        ({"x_ratelimit_limit": "999999999999999999"}, RateLimit(10**18 - 1, None, None)),
        ({"x_ratelimit_limit": "10000, 10000;w=60"}, RateLimit(10_000, None, None)),
        ({"x_ratelimit_limit": "10000;w=60", "x_ratelimit_remaining": " 9.7 "}, RateLimit(10_000, 9, None)),
        (
            {"x_ratelimit_limit": "100", "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW)},
            RateLimit(100, 0, RESET),
        ),
        ({"x_ratelimit_reset": f"{NOW}500"}, RateLimit(None, None, RESET + timedelta(seconds=0.5))),
        ({"x_ratelimit_reset": "37"}, RateLimit(None, None, RESET + timedelta(seconds=37))),
        ({"x_ratelimit_reset": "999999999"}, RateLimit(None, None, RESET + timedelta(days=1))),
        ({"x_ratelimit_reset": "9" * 18}, RateLimit(None, None, None)),
        ({"x_ratelimit_reset": "37", "date": "Fri, 31 Dec 9999 23:59:59 GMT"}, RateLimit(None, None, None)),
    ],
)
def test_the_rate_limit_is_read_from_answers_and_errors(headers: dict[str, str], expected: RateLimit | None) -> None:
    assert refused(500, **headers).rate_limit == expected
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    assert rate_limit(given) == expected


def test_a_reset_in_seconds_counts_from_when_the_answer_came_not_from_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = read_part(Response(200, {"x-ratelimit-reset": "37"}, b'{"experiences": {}}'))
    before = datetime.now(UTC)
    monkeypatch.setattr("moengage_personalize._responses.time", lambda: NOW)
    limit = rate_limit(part.headers, part.received_at)
    assert limit is not None
    assert limit.reset_at is not None
    assert abs((limit.reset_at - before).total_seconds() - 37) < 5


# ---- Whatever comes --------------------------------------------------------------------------------------------------

BROKEN = [b"", b"<html>", b"{", b"\x1f\x8b\x08", b"\xff\xfe", b"[" * 100_000, b'{"title": NaN}', b"null"]


@pytest.mark.parametrize("body", BROKEN, ids=repr)
@pytest.mark.parametrize("coding", ["gzip", "br", "utf-8", "none", "gzip, identity"])
def test_status_and_headers_decide_whatever_the_body_and_its_coding(body: bytes, coding: str) -> None:
    headers = {"content_encoding": coding, "retry_after": "7"}
    error = refused(429, body, **headers)
    assert (type(error), error.retry_after, error.title) == (RateLimited, 7.0, None)
    assert str(error) == "expected status 200, got 429 Too Many Requests"
    assert type(refused(401, body, **headers)) is AuthenticationFailed
    assert type(refused(403, body, **headers)) is PermissionDenied
    assert type(refused(503, body, **headers)) is ServerError
    for status in (204, 205, 304):
        assert type(refused(status, body, **headers)) is MalformedResponse


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
