from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st
from odd import Lazy
from servers import answers, serving

from moengage_personalize import (
    ConnectionFailed,
    Experience,
    ExperienceContext,
    Experiences,
    InvalidRequestError,
    MalformedResponse,
    PersonalizeClient,
)
from moengage_personalize._experiences import reasons_of, typed_value, watch_types

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        ("text", "string", "text"),
        ("12", "string", "12"),
        (5, "string", 5),
        ("12", "number", 12),
        ("-1.5e3", "number", -1500.0),
        ("12.5", "float", 12.5),
        (12, "float", 12),
        ("NaN", "number", "NaN"),
        ("1e999", "float", "1e999"),
        ("12 apples", "number", "12 apples"),
        ("true", "number", "true"),
        ("9" * 5000, "number", "9" * 5000),
        ("true", "boolean", True),
        ("False", "boolean", False),
        ("1", "boolean", "1"),
        (0, "boolean", 0),
        ('{"a": [1]}', "json", {"a": [1]}),
        ('{"Key": "Value"}', "json", {"Key": "Value"}),
        ({"a": 1}, "json", {"a": 1}),
        ("{broken", "json", "{broken"),
        ("[" * 100_000, "json", "[" * 100_000),
        ("null", "json", None),
        ("12", "unheard-of", "12"),
        ("12", None, "12"),
        (None, "string", None),
        (False, "boolean", False),
    ],
)
def test_a_value_is_read_as_its_data_type_says_or_stays_as_it_came(value: Any, data_type: Any, expected: Any) -> None:
    read = typed_value(value, data_type)
    assert read == expected
    assert type(read) is type(expected)


@given(value=JSON, data_type=st.sampled_from(["string", "number", "float", "boolean", "json", "", None]) | st.text())
def test_no_value_and_no_data_type_ever_raises(value: Any, data_type: Any) -> None:
    read = typed_value(value, data_type)
    assert read == value or isinstance(value, str)


@given(value=st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_travels_as_text_comes_back(value: float) -> None:
    assert typed_value(json.dumps(value), "number") == value


VALUES = {"Text": "Hello", "Count": 3, "Ratio": 0.5, "Whole": 2.0, "On": True, "Items": [1, 2], "Map": {"a": 1}}
EXPERIENCE = Experience("banner", dict(VALUES), {"cid": "c"})


def test_an_experience_is_a_mapping_of_its_values() -> None:
    assert dict(EXPERIENCE) == VALUES
    assert len(EXPERIENCE) == 7
    assert EXPERIENCE.key == "banner"
    assert "Nothing" not in EXPERIENCE
    with pytest.raises(KeyError):
        EXPERIENCE["Missing"]


@pytest.mark.parametrize(
    ("method", "fits"),
    [
        ("string", {"Text"}),
        ("number", {"Count", "Ratio", "Whole"}),
        ("boolean", {"On"}),
        ("integer", {"Count", "Whole"}),
        ("list", {"Items"}),
        ("object", {"Map"}),
    ],
)
def test_a_typed_value_has_its_type_or_is_the_default(method: str, fits: set[str]) -> None:
    default = object()
    got = {name: getattr(EXPERIENCE, method)(name, default) for name in [*EXPERIENCE, "Nothing", "Missing"]}
    assert {name for name, value in got.items() if value is not default} == fits
    assert all(got[name] == EXPERIENCE[name] for name in fits)


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("Text", "", "Hello"),
        ("Count", "", ""),
        ("Count", 0, 3),
        ("Count", 0.0, 3.0),
        ("Whole", 0, 2),
        ("Ratio", 0, 0),
        ("Ratio", 0.0, 0.5),
        ("Missing", 7, 7),
        ("On", False, True),
        ("On", 0, 0),
        ("Count", False, False),
        ("Items", [], [1, 2]),
        ("Items", {}, {}),
        ("Map", {}, {"a": 1}),
        ("Map", None, {"a": 1}),
        ("Missing", None, None),
        ("Text", ("a", "tuple"), ("a", "tuple")),
    ],
)
def test_value_is_of_the_type_of_its_default(name: str, default: Any, expected: Any) -> None:
    experiences = Experiences({"banner": 1}, lambda key, raw: EXPERIENCE, requested=None)
    for found in (EXPERIENCE.value(name, default), experiences.value("banner", name, default)):
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize("method", ["string", "number", "integer", "boolean", "list", "object", "value"])
def test_the_accessors_of_experiences_are_those_of_the_experience(method: str) -> None:
    experiences = Experiences({"banner": 1}, lambda key, raw: EXPERIENCE, requested=None)
    default = object()
    for name in [*EXPERIENCE, "Missing"]:
        assert getattr(experiences, method)("banner", name, default) == getattr(EXPERIENCE, method)(name, default)
    assert getattr(experiences, method)("no-such-key", "Text", default) is default


def test_reprs_name_keys_and_variables() -> None:
    assert repr(EXPERIENCE).startswith("Experience('banner', variables=['Text', 'Count'")
    assert repr(EXPERIENCE.context) == "ExperienceContext({'cid': 'c'})"


@given(fields=st.dictionaries(st.text(), JSON))
def test_json_brings_a_context_back_unchanged(fields: dict[str, Any]) -> None:
    context = ExperienceContext(fields)
    back = ExperienceContext.from_json(context.to_json())
    assert back == context == fields
    assert list(back) == list(fields)
    assert ExperienceContext.from_json(context.to_json().encode()) == context


def test_the_attributes_of_a_context_are_a_copy() -> None:
    context = ExperienceContext({"cid": "c", "new": {"deep": [1]}})
    context.attributes()["new"]["deep"].append(2)
    assert context["new"] == {"deep": [1]}


def test_a_context_that_is_not_json_is_refused_when_it_is_to_travel() -> None:
    context = ExperienceContext({"cid": b"c"})
    for travels in (context.to_json, context.attributes):
        with pytest.raises(InvalidRequestError, match="expected the context to be JSON, got an object of type bytes"):
            travels()


def test_a_context_survives_pickling_and_copying() -> None:
    context = ExperienceContext({"cid": "c"})
    assert pickle.loads(pickle.dumps(context)) == copy.deepcopy(context) == context


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '"canary"', "{", '{"a": NaN}', '{"a": "\\ud800"}', b"\xff", "[" * 100_000, 5, None]
)
def test_anything_but_a_json_object_is_no_context(text: Any) -> None:
    with pytest.raises(InvalidRequestError, match="expected a context as a JSON object, got") as caught:
        ExperienceContext.from_json(text)
    assert "canary" not in str(caught.value)


def decode(key: str, raw: Any) -> Experience:
    DECODED.append(key)
    if raw is None:
        raise MalformedResponse("none")
    return Experience(key, {"Title": raw}, {"cid": key})


DECODED: list[str] = []


def make(**given: Any) -> Experiences:
    DECODED.clear()
    return Experiences({"good": "one", "bad": None, "other": "two"}, decode, **{"requested": None, **given})


def test_an_experience_is_decoded_once_and_when_it_is_first_asked_for() -> None:
    experiences = make()
    assert not DECODED
    assert experiences["good"]["Title"] == experiences.value("good", "Title", "") == "one"
    assert DECODED == ["good"]


def test_a_malformed_experience_costs_itself_alone() -> None:
    experiences = make()
    assert dict(experiences).keys() == {"good", "other"}
    assert len(experiences) == 2
    assert "bad" not in experiences
    assert experiences.get("bad") is None
    assert experiences.value("bad", "Title", "default") == "default"
    assert experiences.contexts() == {"good": {"cid": "good"}, "other": {"cid": "other"}}
    assert DECODED == ["good", "bad", "other"]


def test_a_key_may_be_any_text_and_what_is_none_finds_nothing() -> None:
    experiences = make()
    assert experiences[Lazy("good")].key == "good"  # type: ignore[index]
    assert (experiences.reason(Lazy("bad")), experiences.reason(Lazy("good"))) == ("malformed", "served")  # type: ignore[arg-type]
    assert experiences.get(5) is None  # type: ignore[call-overload]
    with pytest.raises(KeyError, match="'missing'"):
        experiences["missing"]


def test_value_is_the_default_for_a_variable_that_is_missing() -> None:
    assert make().value("good", "Missing", "default") == "default"


@pytest.mark.parametrize(
    ("given", "key", "reason"),
    [
        ({}, "good", "served"),
        ({}, "bad", "malformed"),
        ({}, "missing", "not_served"),
        ({"requested": frozenset({"missing"})}, "missing", "not_served"),
        ({"requested": frozenset({"missing"})}, "another", "not_requested"),
        ({"requested": frozenset({"a", "b"}), "failed": frozenset({"a"})}, "a", "failed"),
        ({"requested": frozenset({"a", "b"}), "failed": frozenset({"a"})}, "b", "not_served"),
        ({"failed": None}, "anything", "failed"),
        ({"failed": None}, "good", "served"),
    ],
)
def test_reason_tells_why_a_key_is_here_or_absent(given: dict[str, Any], key: str, reason: str) -> None:
    assert make(**given).reason(key) == reason


def test_the_repr_of_experiences_names_keys_and_the_error() -> None:
    assert repr(make(error=ConnectionFailed("down"))) == (
        "Experiences(['good', 'bad', 'other'], error=ConnectionFailed('down'))"
    )


@pytest.mark.parametrize("keys", [[], ["a"], ""], ids=["no key", "served", "refused"])
def test_a_result_is_pickled_with_all_it_tells(keys: Any) -> None:
    answer = answers(200, {"experiences": {"a": {}}}, "x-ratelimit-remaining: 7")
    with serving(answer) as server, PersonalizeClient("WS", "key", base_url=server.base_url) as client:
        found = client.fetch_or_empty(keys)
    again = pickle.loads(pickle.dumps(found))
    assert (list(again), again.rate_limit, repr(again.error)) == (list(found), found.rate_limit, repr(found.error))


@pytest.mark.parametrize("value", ["text", 2, 2.0, 0.5, True, [1], {"a": 1}], ids=repr)
@pytest.mark.parametrize(
    ("read", "wanted", "fits"),
    [
        ("string", "a string", (str,)),
        ("number", "a number", (int, float)),
        ("integer", "a whole number", (int,)),
        ("boolean", "true or false", (bool,)),
        ("list", "a list", (list,)),
        ("object", "an object", (dict,)),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_value_of_another_type_is_reported_with_what_was_wanted(
    read: str, wanted: str, fits: tuple[type, ...], value: Any
) -> None:
    reported: list[Any] = []
    found = Experiences({"a": value}, lambda key, raw: Experience(key, {"v": raw}, {}), requested=None)
    watch_types(found, lambda *report: reported.append(report))
    default = object()
    got = getattr(found, read)("a", "v", default)
    is_fit = type(value) in fits or (read == "integer" and value == 2.0 and value is not True)
    assert (got is default) != is_fit
    assert reported == ([] if is_fit else [("a", "v", wanted, value)])
    assert getattr(found, read)("a", "absent", default) is default
    assert getattr(found, read)("absent", "v", default) is default
    assert len(reported) == (not is_fit)


def test_the_reasons_are_those_of_the_keys_or_of_all_that_came() -> None:
    assert reasons_of(make(), None) == {"good": "served", "bad": "malformed", "other": "served"}
    assert reasons_of(make(), ("good", "none")) == {"good": "served", "none": "not_served"}
