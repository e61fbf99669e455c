"""Events and contexts as values: what is stamped, what is refused, and what survives a page or a queue."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid1, uuid4

import pytest
from attrs.exceptions import FrozenInstanceError
from event_samples import CONTEXT, FIELDS, shown
from flush_world import deliver
from hypothesis import given, strategies as st

from moengage_personalize import (
    APIError,
    BadRequest,
    EventsNotAccepted,
    ExperienceEvent,
    InvalidRequestError,
    PersonalizeError,
    ServerError,
    events,
)
from moengage_personalize._generated import events_body
from moengage_personalize._reporting._delivery import Delivery, make_batches

SOME = [shown(customer_id=f"user_{number}") for number in range(230)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
).filter(lambda value: "\\ud" not in json.dumps(value))
CONTEXTS = st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), JSON, max_size=8)


def test_an_event_is_stamped_once_when_it_is_made() -> None:
    before = int(datetime.now(UTC).timestamp())
    one, other = shown(), shown()
    assert UUID(one.uuid).version == 4
    assert one.uuid != other.uuid
    assert before <= one.at <= int(datetime.now(UTC).timestamp())
    with pytest.raises(FrozenInstanceError):
        one.uuid = other.uuid  # type: ignore[misc]


class Safe(str):
    """A subclass of str; its str() is another text."""

    def __str__(self) -> str:
        return "another"


@pytest.mark.parametrize("make", [events.shown, events.clicked])
@pytest.mark.parametrize("kind", [str, Safe, UUID])
def test_the_uuid_of_an_event_may_be_given(make: Any, kind: Any) -> None:
    uuid = "5f0c1f7e-9a3c-4c8e-8c55-0f3c8d3f2a10"
    assert make(CONTEXT, customer_id="user_8821", uuid=kind(uuid)).uuid == uuid


@pytest.mark.parametrize("uuid", ["", "no-uuid", UUID(int=0), 5, b"x", object()])
def test_a_uuid_that_is_none_of_version_4_is_refused(uuid: Any) -> None:
    with pytest.raises(InvalidRequestError, match="expected uuid to be a UUID of version 4"):
        shown(uuid=uuid)


def test_the_time_of_an_event_may_be_given_in_any_zone() -> None:
    at = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert shown(at=at).at == 1_795_415_400
    assert shown(at=datetime(1970, 1, 1, tzinfo=UTC)).at == 0


def test_a_repr_shows_nothing_of_the_visitor() -> None:
    assert "user_8821" not in repr(shown(user_attributes={"name": "Jane"}))
    assert "Jane" not in repr(shown(user_attributes={"name": "Jane"}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"at": datetime(2026, 1, 1)}, "expected at to be an aware datetime"),  # noqa: DTZ001
        ({"at": "now"}, "expected at to be an aware datetime, got str"),
        ({"at": datetime(1960, 1, 1, tzinfo=UTC)}, "expected at to be Unix time in whole seconds, got -31"),
        (
            {"at": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)},
            "expected at to be Unix time in whole seconds, got -1",
        ),
        ({"platform": "fridge"}, "expected platform to be one of web, android, ios, tv, got 'fridge'"),
        ({"platform": None}, "expected platform to be one of web, android, ios, tv"),
        ({"platform": 5}, "expected platform to be one of web, android, ios, tv, got '5'"),
        ({"customer_id": ""}, "expected customer_id to be a non-empty str, an int or a UUID, got an empty one"),
        ({"customer_id": None}, "expected customer_id to be a non-empty str, an int or a UUID, got NoneType"),
        ({"customer_id": 5.5}, "expected customer_id to be a non-empty str, an int or a UUID, got float"),
        ({"user_timezone_offset": 54_001}, "whole seconds from -54,000 to 54,000, got 54001"),
        ({"user_timezone_offset": -54_001}, "whole seconds from -54,000 to 54,000, got -54001"),
        ({"user_timezone_offset": True}, "whole seconds from -54,000 to 54,000, got True"),
        ({"user_timezone_offset": 3.5}, "whole seconds from -54,000 to 54,000, got 3.5"),
        ({"user_attributes": ["a"]}, "expected user_attributes to be a mapping, got list"),
        ({"user_attributes": {"a": float("nan")}}, "expected user_attributes to be JSON"),
        ({"context": "cid"}, "expected the context to be a mapping, got str"),
        ({"context": {"cid": b"1"}}, "expected the context to be JSON"),
    ],
)
def test_what_the_api_would_refuse_is_refused_here(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(message)):
        shown(**given)


@pytest.mark.parametrize("name", events.REQUIRED)
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_context_without_a_required_field_is_refused(name: str, value: str | None) -> None:
    fields = {key: given for key, given in FIELDS.items() if key != name} | ({name: None} if value is None else {})
    with pytest.raises(InvalidRequestError, match=f"expected '{name}' in the context, got a context without it"):
        shown(context=fields)


def test_a_click_says_which_element() -> None:
    event = events.clicked(CONTEXT, customer_id="u", platform="WEB", element="Add to Cart")  # type: ignore[arg-type]
    assert (event.platform, event.element) == ("web", "Add to Cart")
    with pytest.raises(InvalidRequestError, match="expected element to be a non-empty str, got an empty one"):
        events.clicked(CONTEXT, customer_id="u", element="")


def body(made: Iterable[ExperienceEvent]) -> Any:
    """What is sent for these events, in one request."""
    (batch,) = make_batches(made)
    return json.loads(events_body(batch.elements))


def test_a_click_has_its_element_in_both_places_that_are_published() -> None:
    event = events.clicked(CONTEXT, customer_id="u", element="Buy")
    action = body([event])["elements"][0]["actions"][0]
    assert action["b_id"] == "Buy"
    assert action["attributes"] == {**FIELDS, "b_id": "Buy"}
    assert "b_id" not in body([shown()])["elements"][0]["actions"][0]["attributes"]


@given(more=CONTEXTS)
def test_the_attributes_of_an_event_are_the_context_exactly_as_it_came(more: dict[str, Any]) -> None:
    context = {**more, **FIELDS}
    assert body([shown(context=context)])["elements"][0]["actions"][0]["attributes"] == context


@given(
    attributes=st.none() | CONTEXTS,
    offset=st.none() | st.integers(-54_000, 54_000),
    element=st.sampled_from([None, "x"]),
)
def test_an_event_survives_a_queue(attributes: Any, offset: int | None, element: str | None) -> None:
    event = events.clicked(
        CONTEXT, customer_id="u", user_attributes=attributes, user_timezone_offset=offset, element=element
    )
    assert ExperienceEvent.from_json(event.to_json()) == event
    assert ExperienceEvent.from_json(event.to_json().encode()) == event
    assert pickle.loads(pickle.dumps(event)) == event


@pytest.mark.parametrize("name", ["action", "moe_event_uuid", "event_time", "platform", "customer_id", "attributes"])
def test_text_that_is_no_event_is_refused(name: str) -> None:
    fields = json.loads(shown().to_json())
    for wrong in ({}, {name: 1.5}, {name: None}, {name: ""}, {name: []}):
        with pytest.raises(InvalidRequestError):
            ExperienceEvent.from_json(json.dumps({key: value for key, value in fields.items() if key != name} | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"action": "seen"}, "expected action to be MOE_.*_SHOWN or MOE_.*_CLICKED, got 'seen'"),
        ({"customer_id": 5}, "expected customer_id to be a non-empty str, got int"),
        ({"b_id": 5}, "expected element to be a non-empty str, got int"),
    ],
    ids=["action", "customer", "element"],
)
def test_the_field_that_makes_a_text_no_event_is_named(wrong: dict[str, Any], said: str) -> None:
    fields = json.loads(shown().to_json()) | wrong
    with pytest.raises(InvalidRequestError, match=f"^{said}$"):
        ExperienceEvent.from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"event"', b"\xff"])
def test_text_that_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidRequestError, match="expected an event as a JSON object"):
        ExperienceEvent.from_json(text)


def test_a_uuid_of_another_version_is_refused() -> None:
    fields = json.loads(shown().to_json()) | {"moe_event_uuid": "c9bf9e58-1685-1c89-bafb-ff5af830be8a"}
    with pytest.raises(InvalidRequestError, match="expected uuid to be a UUID of version 4"):
        ExperienceEvent.from_json(json.dumps(fields))


def test_events_travel_grouped_by_customer_a_hundred_a_request() -> None:
    made = [shown(customer_id=f"user_{number % 150}") for number in range(300)]
    delivery = Delivery([*made, made[0]])
    batches = delivery.next_batches()
    assert [len(batch.elements) for batch in batches] == [100, 50]
    assert all(len(element) == 2 for batch in batches for element in batch.elements)
    assert sorted(event.uuid for batch in batches for event in batch.events) == sorted(event.uuid for event in made)


def test_what_differs_between_visits_of_one_customer_is_not_mixed_up() -> None:
    made = [
        shown(user_timezone_offset=0),
        shown(),
        shown(user_attributes={"a": "x"}),
        shown(user_attributes={"a": "y"}),
    ]
    elements = body(made)["elements"]
    assert [element.get("user_attributes") for element in elements] == [None, None, {"a": "x"}, {"a": "y"}]
    assert [element.get("user_timezone_offset") for element in elements] == [0, None, None, None]


def test_many_events_of_one_customer_become_several_elements() -> None:
    (batch,) = make_batches([shown() for _ in range(250)])
    assert [len(element) for element in batch.elements] == [100, 100, 50]


def test_no_more_than_sixteen_requests_are_under_way_at_a_time() -> None:
    delivery, counts = Delivery([shown(customer_id=f"user_{number}") for number in range(1_750)]), []
    for _ in range(3):
        batches = delivery.next_batches()
        counts.append(len(batches))
        delivery.handle_results(batches, [None] * len(batches))
    assert counts == [16, 2, 0]


def test_each_request_needs_its_outcome() -> None:
    delivery = Delivery([shown()])
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        delivery.handle_results(delivery.next_batches(), [])


def test_something_else_than_an_event_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="expected events to be ExperienceEvents, got dict"):
        Delivery([{}])  # type: ignore[list-item]
    with pytest.raises(InvalidRequestError, match=r"^expected events as an iterable of ExperienceEvents, got int$"):
        Delivery(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", ["user_attributes", "context"])
def test_an_event_that_was_changed_into_what_is_not_json_costs_itself_alone(changed: str) -> None:
    bad = shown(user_attributes={"deep": []}, context={**FIELDS, "deep": []})
    getattr(bad, changed)["deep"].append(object())
    good = [shown(), shown()]
    delivery = Delivery([good[0], bad, good[1]])
    assert [batch.events for batch in delivery.next_batches()] == [tuple(good)]
    with pytest.raises(
        EventsNotAccepted, match="expected 3 events to be accepted, got 1 rejected: expected an event as"
    ):
        delivery.raise_for_rejected()


@pytest.mark.parametrize("retryable_first", [True, False])
def test_an_error_for_a_mix_of_failures_is_retryable_and_carries_each(retryable_first: bool) -> None:
    made = [shown(customer_id=f"user_{number}") for number in range(300)]
    errors = [ServerError("503"), BadRequest("400")] if retryable_first else [BadRequest("400"), ServerError("503")]
    first, second = made[7], made[290]

    def answer(requested: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        for event, error in zip((first, second), errors, strict=True):
            if event in requested:
                return error
        return None

    delivery = deliver(made, answer)
    with pytest.raises(EventsNotAccepted) as caught:
        delivery.raise_for_rejected()
    refused = second if retryable_first else first
    whole = made[:100] if retryable_first else made[200:]
    assert caught.value.retryable
    assert sorted(map(type, caught.value.errors), key=str) == [BadRequest, ServerError]
    assert caught.value.events == tuple(event for event in made if event in whole or event is refused)
    assert caught.value.__cause__ is caught.value.errors[0]
    assert str(caught.value).endswith(f"101 rejected: {caught.value.errors[0]}")
    assert str(len(caught.value.events)) == "101"


@pytest.mark.parametrize("error", [BadRequest("400"), APIError("413", status=413)])
def test_a_report_that_is_refused_in_full_is_not_retryable(error: PersonalizeError) -> None:
    with pytest.raises(EventsNotAccepted) as caught:
        deliver([shown(), shown()], lambda _: error).raise_for_rejected()
    assert not caught.value.retryable
    assert caught.value.errors == (error, error)


@given(
    count=st.integers(0, 230),
    bad=st.sets(st.integers(0, 229), max_size=5),
    fails_at=st.integers(0, 12),
    refusal=st.sampled_from([BadRequest("400"), APIError("413", status=413)]),
)
def test_each_event_is_accepted_once_or_rejected(
    count: int, bad: set[int], fails_at: int, refusal: PersonalizeError
) -> None:
    made = [SOME[number] for number in range(count)]
    wrong = {event.uuid for number, event in enumerate(made) if number in bad}
    accepted: list[str] = []
    calls = 0

    def answer(requested: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            return ServerError("503")
        if wrong & {event.uuid for event in requested}:
            return refusal
        accepted.extend(event.uuid for event in requested)
        return None

    rejected = [event.uuid for rejection in deliver(made, answer).rejections for event in rejection.events]
    assert sorted(accepted + rejected) == sorted(event.uuid for event in made)
    assert set(rejected) >= wrong
    assert 0 < fails_at <= calls or set(rejected) == wrong


def test_an_event_may_have_a_uuid_of_the_services_own() -> None:
    uuid = uuid4()
    assert events.clicked(CONTEXT, customer_id="u", uuid=uuid).uuid == str(uuid)
    assert shown(uuid=str(uuid)).uuid == str(uuid)
    for wrong in ("one", uuid1(), 7):
        with pytest.raises(InvalidRequestError, match="expected uuid to be a UUID of version 4"):
            shown(uuid=wrong)


def test_what_cannot_be_written_as_json_is_no_event() -> None:
    for wrong in ({"customer_id": "\ud800"}, {"element": "\udfff"}):
        with pytest.raises(
            InvalidRequestError, match="expected customer_id and element to be JSON, got a lone surrogate"
        ):
            events.clicked(**{"context": CONTEXT, "customer_id": "me", **wrong})  # type: ignore[arg-type]
