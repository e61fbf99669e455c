"""What a Call says of its attempts, tested with values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from moengage_personalize import Attempt, Call

START = datetime(2026, 11, 23, tzinfo=UTC)


def attempt(request: int, failure: Any = None) -> Attempt:
    status = 200 if failure is None else None
    return Attempt(request, "POST", "http://host:1/v1", START, 0.1, status, failure)


def call(*attempts: Attempt) -> Call:
    return Call("fetch", None, {}, {}, attempts, START, 0.1, None, "closed", "ok", None)


@pytest.mark.parametrize(
    ("attempts", "retries"),
    [
        ([], 0),
        ([attempt(0)], 0),
        ([attempt(0, "stale")], 0),
        ([attempt(0, "stale"), attempt(0)], 0),
        ([attempt(0, "connection"), attempt(0, "stale"), attempt(0)], 1),
        ([attempt(0, "stale"), attempt(0, "stale"), attempt(0)], 1),
        ([attempt(1), attempt(0, "timeout"), attempt(0, "timeout"), attempt(1), attempt(0)], 3),
    ],
    ids=["none", "one", "stale alone", "stale", "stale later", "stale twice", "two requests"],
)
def test_the_keep_alive_race_is_no_retry(attempts: list[Attempt], retries: int) -> None:
    assert call(*attempts).retries == retries


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://sdk-03.moengage.com/v1/experiences/fetch", "sdk-03.moengage.com"),
        ("http://127.0.0.1:8025/v1", "127.0.0.1"),
        ("http://[::1]:8025/v1", "::1"),
        ("", ""),
    ],
)
def test_an_attempt_names_its_host(url: str, host: str) -> None:
    assert evolve(attempt(0), url=url).host == host


def test_only_what_was_served_is_served() -> None:
    reasons: dict[str, Any] = {"a": "served", "b": "not_served", "c": "malformed", "d": "failed", "e": "served"}
    assert evolve(call(), reasons=reasons).served == ("a", "e")
