"""What a caller may ask: in-session attributes, keys and identifiers, and what is refused before anything is sent."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from typing import Any

import pytest
from faces import Face
from helpers import make_fetch, make_requests
from hypothesis import given, strategies as st
from odd import Lazy, Proxy
from servers import serves, serving

from moengage_personalize import InSession, InvalidRequestError

INDIA = timezone(timedelta(hours=5, minutes=30))
CIRCULAR: dict[str, Any] = {}
CIRCULAR["itself"] = CIRCULAR
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"keys": ""}, "expected an experience key to be a non-empty str, got ''"),
        ({"keys": ["good", " "]}, "expected an experience key to be a non-empty str, got ' '"),
        ({"keys": ["good", 5]}, "got 5"),
        ({"keys": [["nested"]]}, "got list"),
        ({"keys": 5}, "expected experience keys as a str or an iterable of str, got int"),
        ({"keys": b"banner"}, "got bytes"),
        ({"keys": {"banner": 1}}, "got dict"),
        ({"keys": ["\ud800"]}, "expected JSON in 'experience_key', got a lone surrogate"),
        ({"customer_id": ""}, "expected customer_id to be a non-empty str, an int or a UUID, got an empty one"),
        ({"customer_id": True}, "expected customer_id to be a non-empty str, an int or a UUID, got bool"),
        ({"customer_id": "canary\ud800"}, "expected JSON in 'identifiers', got a lone surrogate"),
        ({"user_identifiers": 5}, "expected user_identifiers to be a mapping or a non-empty str, got int"),
        ({"user_identifiers": ""}, "expected user_identifiers to be a mapping or a non-empty str, got an empty one"),
        ({"user_identifiers": {"u_em": {"canary"}}}, "expected user_identifiers to be JSON, got an object of type set"),
        ({"in_session": "email"}, "expected in_session to be an InSession or a mapping of attributes, got str"),
        ({"timeout": 0}, "expected timeout to be a number of seconds greater than 0, up to 30 days, got 0"),
        ({"timeout": -1}, "got -1"),
        ({"timeout": math.nan}, "got nan"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_sent(
    arguments: dict[str, Any], expected: str, face: Face
) -> None:
    with serving(serves()) as server:
        client = face.client(base_url=server.base_url)
        with pytest.raises(InvalidRequestError, match=expected) as caught:
            face.fetch(client, **arguments)
        experiences = face.fetch_or_empty(client, **arguments)
        assert str(experiences.error) == str(caught.value)
        assert experiences.reason("good") == "failed"
        assert "canary" not in str(caught.value)
        assert server.requests == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"identifiers": {}}, "expected an in-session attribute, got 'identifiers', a field of the request itself"),
        ({"experience_key": []}, "got 'experience_key'"),
        ({"DAY_OF_THE_WEEK": "Monday"}, "got 'DAY_OF_THE_WEEK'"),
        ({"TIME_OF_THE_DAY": "24"}, "got 'TIME_OF_THE_DAY'"),
        ({"USER_IP_ADDRESS": "canary"}, "got 'USER_IP_ADDRESS'"),
        ({"USER_AGENT": "x"}, "got 'USER_AGENT'"),
        ({"score": math.nan}, "expected the in-session attribute 'score' to be JSON, got a number that is not finite"),
        ({"score": math.inf}, "expected the in-session attribute 'score' to be JSON"),
        (
            {"good": 1, "raw": b"canary"},
            "attribute 'raw' to be JSON, got an object of type bytes",
        ),
        ({"some": {"canary"}}, "expected the in-session attribute 'some' to be JSON, got an object of type set"),
        ({"loop": CIRCULAR}, "expected the in-session attribute 'loop' to be JSON, got a value that holds itself"),
        ({"deep": DEEP}, "expected the in-session attribute 'deep' to be JSON, got nested too deep"),
        ({"text": "canary\ud800"}, "expected the in-session attribute 'text' to be JSON, got a lone surrogate"),
        (
            {"when": datetime(2026, 11, 23, tzinfo=UTC)},
            "'when' to be JSON, got an object of type datetime",
        ),
    ],
)
def test_attributes_that_cannot_travel_are_refused(attributes: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidRequestError, match=expected) as caught:
        InSession(attributes=attributes)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


class Nowhere(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, when: datetime | None, /) -> None:
        return None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"at": datetime(2026, 11, 23, 14)}, "expected at to be an aware datetime, got a naive one"),  # noqa: DTZ001
        ({"at": datetime(2026, 11, 23, 14, tzinfo=Nowhere())}, "got a naive one"),
        ({"at": "2026-11-23T14:00Z"}, "expected at to be an aware datetime, got str"),
        (
            {"at": datetime.min.replace(tzinfo=INDIA)},
            "got a time that UTC cannot express",
        ),
        ({"ip_address": 5}, "expected ip_address to be a non-empty str, got int"),
        ({"user_agent": b"canary"}, "expected user_agent to be a non-empty str, got bytes"),
        ({"attributes": [("a", 1)]}, "expected attributes to be a mapping of names to values, got list"),
        ({"attributes": {"": 1}}, "expected an in-session attribute's name to be a non-empty str, got ''"),
        ({"attributes": {5: 1}}, "got 5"),
    ],
)
def test_an_in_session_that_cannot_be_is_refused(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidRequestError, match=expected) as caught:
        InSession(**arguments)
    assert "canary" not in str(caught.value)


def test_an_in_session_is_frozen_and_shows_nothing_of_the_visitor() -> None:
    attributes = {"utm_medium": "canary"}
    session = InSession(
        at=datetime(2026, 11, 23, 14, tzinfo=INDIA),
        ip_address="203.0.113.42",
        user_agent="canary",
        attributes=attributes,
    )
    attributes["utm_medium"] = "changed"
    assert session.attributes == {"utm_medium": "canary"}
    assert session.at == datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert "canary" not in repr(session)
    assert "203" not in repr(session)
    with pytest.raises(AttributeError):
        session.at = None  # type: ignore[misc]


def test_what_a_request_left_empty_is_not_sent() -> None:
    assert InSession(ip_address="", user_agent="") == InSession()


def test_a_key_may_be_a_member_of_an_enum() -> None:
    class Key(str, Enum):  # noqa: UP042 -- of a StrEnum, str() is the value
        HERO = "hero"

    (request,) = make_requests([Key.HERO, "hero"])
    assert b'"experience_key":["hero"]' in request.body


@pytest.mark.parametrize("keys", [Lazy("banner"), [Lazy("banner")], Proxy("banner")], ids=["lazy", "list", "proxy"])
def test_a_text_that_is_no_str_is_one_key(keys: Any) -> None:
    assert make_fetch(keys).keys == ("banner",)


def test_a_session_may_be_of_a_class_of_the_callers_own() -> None:
    class Visit(InSession):
        pass

    (request,) = make_requests("banner", in_session=Visit(user_agent="Firefox"))
    assert b'"USER_AGENT":"Firefox"' in request.body


@given(keys=st.lists(st.text("abc", min_size=1, max_size=4), max_size=120))
def test_chunks_hold_every_key_once_in_order_and_at_most_25(keys: list[str]) -> None:
    chunks = [json.loads(request.body)["experience_key"] for request in make_requests(keys)]
    assert all(0 < len(chunk) <= 25 for chunk in chunks)
    assert [key for chunk in chunks for key in chunk] == list(dict.fromkeys(keys))
    assert len(chunks) == -(-len(set(keys)) // 25)
