"""Experiences come from a file or a dict, and every mistake in them is named, with its line, in one run."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sandboxing import OWN, ask_app, write

from moengage_personalize import ConfigurationError, sandbox
from moengage_personalize.sandbox._experiences import Audience, Variation, When


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
        ("experiences: {", "expected experiences in"),
        ("", "$: None is not of type 'object'"),
        ("experiences: 5", "$.experiences: 5 is not of type 'array'"),
        ("experiences: [{key: a, name: b}]", "$.experiences[0]: 'audiences' is a required property"),
        (OWN.replace("22-03", "24"), "$.experiences[0].audiences[0].when.hour[0]: '24' does not match"),
        (OWN.replace('"22-03"', "24"), "when.hour[0]: 24 is greater than the maximum of 23"),
        (OWN.replace("hour:", "hours:"), "'hours' is not a field: did you mean 'hour'?"),
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


VALUE = "$.experiences[0].audiences[0].variations[0].payload.N.value"


def refusal(source: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        sandbox.app(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-25", "a date"),
        ("2026-11-25T10:00:00Z", "a date"),
        ("!!set {a, b}", "a set"),
        ("!!binary aGk=", "bytes"),
        ("!!omap [a: 1]", "an ordered mapping"),
        ("!money 5", "a value with the tag '!money'"),
        ("!!int x", "invalid literal"),
    ],
)
def test_a_value_that_is_not_json_is_refused_with_its_line(tmp_path: Path, value: str, expected: str) -> None:
    found = refusal(write(tmp_path, OWN.replace("value: 1", f"\n            value: {value}\n            ")))
    assert f"line 11, {VALUE}: expected a JSON value, got {expected}" in found


@pytest.mark.parametrize("number", [".nan", ".inf", "1e400"])
def test_a_number_that_json_has_not_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    found = refusal(write(tmp_path, OWN.replace("value: 1", f"value: {number}")))
    assert f"line 10, {VALUE}: expected a finite number" in found


def test_an_integer_of_thousands_of_digits_is_a_value(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, OWN.replace("value: 1", f"value: {'1' * 5000}")))
    assert "expected a JSON value, got Exceeds the limit" in found


def test_every_mistake_is_named_with_its_line_in_one_run(tmp_path: Path) -> None:
    text = """\
experiences:
  - key: one
    name: 2026-11-25
    audiences:
      - id: A
        name: Nights
        name: Again
        when: {hour: ["24"], days: [Monday], attributes: {plan: !!set {x, y}, 5: 3, [a]: 4}}
        variation: []
  - key: one
    name: x
    colour: red
    audiences:
      - {id: B, name: y, variations: [{id: '1', payload: {"a b": {value: 1, kind: z}}}]}
"""
    head, *lines = refusal(write(tmp_path, text)).splitlines()
    assert head.endswith("experiences.yaml, got:")
    assert [line.strip() for line in lines] == [
        "line 3, $.experiences[0].name: expected a JSON value, got a date (in quotes it is text)",
        "line 5, $.experiences[0].audiences[0]: 'variations' is a required property",
        "line 7, $.experiences[0].audiences[0].name: expected each field once, got it again",
        "line 8, $.experiences[0].audiences[0].when.attributes: expected text as the name of a field, got '5' "
        "(in quotes it is text)",
        "line 8, $.experiences[0].audiences[0].when.attributes: expected text as the name of a field, got "
        "a collection (in quotes it is text)",
        "line 8, $.experiences[0].audiences[0].when.attributes.plan: expected a JSON value, got a set "
        "(in quotes it is text)",
        "line 8, $.experiences[0].audiences[0].when.days: 'days' is not a field: did you mean 'day'?",
        "line 8, $.experiences[0].audiences[0].when.hour[0]: '24' does not match "
        "'^([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?$'",
        "line 9, $.experiences[0].audiences[0].variation: 'variation' is not a field: did you mean 'variations'?",
        "line 10, $.experiences[1].key: expected each key once, got 'one' again",
        "line 12, $.experiences[1].colour: 'colour' is not a field: known are key, name, campaign, status, audiences",
        "line 14, $.experiences[1].audiences[0].variations[0].payload['a b'].kind: 'kind' is not a field: "
        "known are value, data_type",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("experiences: {", "line 1, $: expected YAML, got a mistake: expected the node content"),
        ("experiences: []\nexperiences: []", "line 2, $.experiences: expected each field once, got it again"),
        ("a: 1\n---\nb: 2", "line 2, $: expected YAML, got a mistake: but found another document"),
        ("a: \x07", "$: expected YAML, got a mistake: unacceptable character"),
        ("a: *x", "line 1, $: expected YAML, got a mistake: found undefined alias"),
        ("- " * 1000, "$: expected YAML, got one that is nested too deep"),
        ("experiences: &a [*a]", "line 1, $.experiences[0]: expected a JSON value, got one that holds itself"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert f"experiences.yaml, got: {expected}" in refusal(write(tmp_path, text)).replace("got:\n  ", "got: ")


def test_a_reason_is_no_longer_than_a_screen(tmp_path: Path) -> None:
    assert len(refusal(write(tmp_path, f"experiences: {{a: {'x' * 5000}}}"))) < 500


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"experiences: \xff")
    assert "expected a readable YAML file of experiences" in refusal(str(path))


def test_one_value_may_stand_in_two_places(tmp_path: Path) -> None:
    text = OWN.replace("payload: {N: {value: 1}}", "payload: {N: &n {value: 1}, M: *n}").replace("when:", "#")
    (answer,) = ask_app(sandbox.app(write(tmp_path, text)), [{}])
    assert answer.json()["experiences"]["own"]["payload"] == {"N": {"value": 1}, "M": {"value": 1}}


def test_a_dict_has_the_shape_of_a_file_or_is_short() -> None:
    variation = {"id": "7", "payload": {"Title": {"value": "Hi", "data_type": "string"}}}
    audience = {"id": "A", "name": "All", "variations": (variation,)}
    whole = {"experiences": [{"key": "banner", "name": "Banner", "audiences": [audience]}]}
    short = {"banner": {"Title": "Hi", "Limit": 2, "On": True, "List": [1]}, "experiences": {"x": None}}
    (from_whole,), (from_short,) = (ask_app(sandbox.app(source), [{}]) for source in (whole, short))
    assert from_whole.json()["experiences"]["banner"]["payload"] == variation["payload"]
    served = from_short.json()["experiences"]
    assert served["banner"]["payload"] == {
        "Title": {"value": "Hi", "data_type": "string"},
        "Limit": {"value": 2, "data_type": "number"},
        "On": {"value": True, "data_type": "boolean"},
        "List": {"value": [1], "data_type": "json"},
    }
    assert served["experiences"]["payload"] == {"x": {"value": None, "data_type": "json"}}


LOOP: list[Any] = []
LOOP.append(LOOP)
DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"a": {"T": {1, 2}}}, "payload.T.value: expected a JSON value, got set"),
        ({"a": {"T": datetime.date(2026, 11, 25)}}, "payload.T.value: expected a JSON value, got date"),
        ({"a": {"T": b"x"}}, "payload.T.value: expected a JSON value, got bytes"),
        ({"a": {"T": float("inf")}}, "payload.T.value: expected a finite number, got inf"),
        ({"a": {5: 1}}, "payload: expected text as the name of a field, got 5"),
        ({"a": {"T": LOOP}}, "payload.T.value[0]: expected a JSON value, got one that holds itself"),
        ({"a": {"T": DEEP}}, "$: expected a JSON value, got one that is nested too deep"),
        ({"a": "Hello"}, "payload: 'Hello' is not of type 'object'"),
        ({5: {}}, "$.experiences[0].key: 5 is not of type 'string'"),
        ({"experiences": 5}, "$.experiences: 5 is not of type 'array'"),
    ],
)
def test_a_dict_that_holds_no_experiences_is_refused_with_the_place(source: Any, expected: str) -> None:
    assert expected in refusal(source)


@given(
    st.recursive(
        st.none() | st.text() | st.dates() | st.binary() | st.floats() | st.sets(st.integers()),
        lambda part: st.lists(part) | st.dictionaries(st.text() | st.integers(), part),
    )
)
def test_whatever_is_given_is_served_or_refused(value: Any) -> None:
    try:
        app = sandbox.app({"key": {"Value": value}})
    except ConfigurationError:
        return
    (answer,) = ask_app(app, [{}])
    assert set(answer.json()["experiences"]) == {"key"}
