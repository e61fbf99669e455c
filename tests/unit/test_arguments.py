"""What a caller passes becomes plain values of Python, or is refused by its real type."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from odd import ODD, Hostile, Lazy, NotATime, Proxy, RaisingZone, Status, tried

from moengage_personalize import ConfigurationError, InvalidRequestError
from moengage_personalize._arguments import (
    check_customer_id,
    check_items,
    check_mapping,
    check_seconds,
    check_text,
    check_whole,
    plain_number,
    plain_text,
    short_repr,
    utc,
)


def actual(value: Any) -> Any:
    """The value of a test, by its name where pytest could not even name it."""
    return ODD[value[4:]] if type(value) is str and value.startswith("ODD ") else value


class Safe(str):
    """A subclass of str, as Django's SafeString is; its str() is another text."""

    def __str__(self) -> str:
        return "another"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (Safe("text"), "text"),
        (Status.ACTIVE, "Active"),
        (Lazy("text"), "text"),
        (Proxy("text"), "text"),
        (Proxy(Safe("text")), "another"),
        ("", ""),
        (b"text", None),
        (bytearray(b"text"), None),
        (5, None),
        (None, None),
        (["t"], None),
        (Proxy(5), None),
        (MagicMock(), None),
        ("ODD hostile", None),
        (Hostile, None),
    ],
)
def test_text_is_what_behaves_as_text(value: Any, expected: str | None) -> None:
    text = plain_text(actual(value))
    assert text == expected
    assert type(text) in (str, type(None))


@given(st.text())
def test_text_is_itself(text: str) -> None:
    assert plain_text(text) is text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("user_8821", "user_8821"),
        (8821, "8821"),
        (-1, "-1"),
        (Proxy(8821), "8821"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Proxy(UUID(int=5)), "00000000-0000-0000-0000-000000000005"),
        (Lazy("lazy"), "lazy"),
    ],
)
def test_a_customer_id_is_a_text_or_a_primary_key(value: Any, expected: str) -> None:
    assert check_customer_id(value) == expected
    assert type(check_customer_id(value)) is str


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (True, "bool"),
        (Proxy(True), "Proxy"),
        (5.0, "float"),
        (b"5", "bytes"),
        ("", "an empty one"),
        ("  ", "an empty one"),
        (Lazy(""), "an empty one"),
        ([], "list"),
        ("ODD hostile", "Hostile"),
        (object(), "object"),
    ],
)
def test_anything_else_is_no_customer_id(value: Any, came: str) -> None:
    wanted = "expected customer_id to be a non-empty str, an int or a UUID"
    with pytest.raises(InvalidRequestError, match=f"{wanted}, got {came}$"):
        check_customer_id(actual(value))


@pytest.mark.parametrize(("value", "expected"), [(5, 5), (5.5, 5.5), (True, None), ("5", None), ("ODD hostile", None)])
def test_a_number_is_an_int_or_a_float(value: Any, expected: float | None) -> None:
    assert plain_number(actual(value)) == expected


@pytest.mark.parametrize("seconds", [5e-324, 1, 0.5, 30 * 86_400])
def test_seconds_are_greater_than_0_and_at_most_30_days(seconds: float) -> None:
    assert check_seconds("timeout", seconds, InvalidRequestError) == seconds


@pytest.mark.parametrize(
    "seconds", [0, -0.0, -1, 30 * 86_400 + 0.001, math.nan, math.inf, True, "1", None, "ODD hostile"]
)
def test_other_seconds_are_refused(seconds: Any) -> None:
    with pytest.raises(InvalidRequestError, match="expected timeout to be a number of seconds greater than 0, up to"):
        check_seconds("timeout", actual(seconds), InvalidRequestError)


@pytest.mark.parametrize(("value", "least"), [(0, 0), (1, 1), (7, 1)])
def test_a_whole_number_may_be_the_least(value: int, least: int) -> None:
    assert check_whole("max_retries", value, least) == value


@pytest.mark.parametrize(
    ("value", "least", "came"),
    [(0, 1, "0"), (-1, 0, "-1"), (1.0, 0, "1.0"), (True, 0, "True"), (None, 0, "None"), ("ODD hostile", 0, "Hostile")],
)
def test_other_numbers_are_not_whole_or_too_small(value: Any, least: int, came: str) -> None:
    wanted = f"expected max_retries to be a whole number from {least}"
    with pytest.raises(ConfigurationError, match=f"{wanted}, got {came}$"):
        check_whole("max_retries", actual(value), least)


def test_a_mapping_is_copied() -> None:
    given = {"a": [1]}
    copied = check_mapping("attributes", given)
    given["b"] = [2]
    assert copied == {"a": [1]}
    assert check_mapping("attributes", Proxy({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("value", [[("a", 1)], "a", None, "ODD hostile", "ODD raising mapping"])
def test_what_is_no_mapping_is_refused_by_its_type(value: Any) -> None:
    given = actual(value)
    with pytest.raises(InvalidRequestError, match=f"expected attributes to be a mapping, got {type(given).__name__}$"):
        check_mapping("attributes", given)


def test_items_are_those_of_any_iterable() -> None:
    assert check_items("keys", (key for key in "ab"), "keys") == ["a", "b"]
    assert check_items("keys", Proxy(["a"]), "keys") == ["a"]


@pytest.mark.parametrize(
    "value", ["ab", b"ab", bytearray(b"ab"), {"a": 1}, 5, None, "ODD hostile", "ODD raises within"]
)
def test_text_and_mappings_have_no_items(value: Any) -> None:
    given = actual(value)
    with pytest.raises(InvalidRequestError, match=f"expected keys as keys, got {type(given).__name__}$"):
        check_items("keys", given, "keys")


@pytest.fixture
def local_time_of_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("local_time_of_india")
def test_an_instant_is_in_utc_wherever_the_machine_is() -> None:
    at = utc("at", datetime(2026, 11, 23, 12, 0, 0, 7, tzinfo=timezone(timedelta(hours=-3))))
    assert (at, at.tzinfo) == (datetime(2026, 11, 23, 15, 0, 0, 7, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("at", "came"),
    [
        (NotATime(2026, 1, 1), "a NotATime that raises ValueError"),
        (datetime(2026, 1, 1, tzinfo=RaisingZone()), "a datetime that raises RuntimeError"),
        ("ODD hostile", "Hostile"),
    ],
    ids=["not a time", "raising zone", "hostile"],
)
def test_what_is_no_instant_is_refused_by_its_type(at: Any, came: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"expected at to be an aware datetime, got {came}$"):
        utc("at", actual(at))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        ("a" * 200, "'" + "a" * 99 + "..."),
        ("a" * 98, "'" + "a" * 98 + "'"),
        (None, "None"),
        ("ODD hostile", "Hostile"),
    ],
)
def test_only_plain_values_are_shown_and_shortly(value: Any, expected: str) -> None:
    assert short_repr(actual(value)) == expected


def test_an_int_of_too_many_digits_is_shown_by_its_type() -> None:
    assert short_repr(10**5000) == "int"


@pytest.mark.parametrize("name", ODD)
def test_nothing_but_the_error_asked_for_is_ever_raised(name: str) -> None:
    for check in (check_customer_id, lambda v: check_text("a", v), lambda v: check_mapping("a", v), plain_text):
        tried(lambda check=check: check(ODD[name]))  # type: ignore[misc]
