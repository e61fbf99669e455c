"""The request that is sent and what is made of an answer, tested with values."""

from __future__ import annotations

import json
import time
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from helpers import ROOT, make_fetch, make_requests, make_settings
from hypothesis import given, strategies as st
from moengage_personalize_api import models as api
from moengage_personalize_api.api.events import report_experience_events
from moengage_personalize_api.api.experiences import fetch_experience, get_metadata
from ruamel.yaml import YAML

from moengage_personalize import (
    BadRequest,
    InSession,
    MalformedResponse,
    PersonalizeError,
    RateLimit,
    ServerError,
    _generated,
    _json,
)
from moengage_personalize._messages import Response
from moengage_personalize._split import KEYS_PER_REQUEST, PartialResult, merge_results, read_part

DOCUMENT = YAML(typ="safe", pure=True).load(ROOT / "spec" / "personalize-experience.yaml")
OPERATION = DOCUMENT["paths"]["/experiences/fetch"]["post"]
EXAMPLES = OPERATION["requestBody"]["content"]["application/json"]["examples"]
MATCHED = OPERATION["responses"]["200"]["content"]["application/json"]["examples"]["Matched Experience"]["value"]
AT = datetime(2026, 11, 23, 19, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))  # Monday, 14:00 UTC


def body(*arguments: Any, **keywords: Any) -> Any:
    (request,) = make_requests(*arguments, **keywords)
    return json.loads(request.body)


def test_the_request_goes_where_and_how_the_document_says() -> None:
    (request,) = make_requests("banner")
    assert (request.method, request.url) == ("POST", "http://host/v1/experiences/fetch")
    assert request.headers == {
        "MOE-APPKEY": "WS",
        "Content-Type": "application/json",
        "Authorization": "Basic V1M6dGhlLWtleQ==",
    }


def test_the_published_examples_can_be_asked_word_for_word() -> None:
    single = EXAMPLES["Single Experience"]["value"]
    assert single == body(
        "homepage-banner",
        "user_8821",
        single["identifiers"]["user_identifiers"],
        InSession(at=AT, ip_address=single["USER_IP_ADDRESS"], user_agent=single["USER_AGENT"]),
    )
    many = EXAMPLES["Multiple Experiences"]["value"]
    assert many == body(many["experience_key"], "user_8821")
    utm = EXAMPLES["Contextual Targeting (UTM)"]["value"]
    assert utm == body(utm["experience_key"], "user_8821", in_session=InSession(attributes={"utm_medium": "email"}))


def test_the_number_of_keys_of_a_request_is_that_of_the_document() -> None:
    schema = OPERATION["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["experience_key"]["maxItems"] == KEYS_PER_REQUEST


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None,), {}),
        (("one",), {"experience_key": ["one"]}),
        ((["b", "a", "b"],), {"experience_key": ["b", "a"]}),
        ((None, "me"), {"identifiers": {"customer_id": "me"}}),
        ((None, None, {"u_em": "x"}), {"identifiers": {"user_identifiers": {"u_em": "x"}}}),
        ((None, None, {}), {}),
        ((None, None, "plain"), {"identifiers": {"user_identifiers": "plain"}}),
    ],
)
def test_only_what_was_given_is_sent(arguments: tuple[Any, ...], expected: Any) -> None:
    assert body(*arguments) == expected


def test_keys_that_can_be_gone_through_once_are_sent() -> None:
    assert body(key for key in "ab") == {"experience_key": ["a", "b"]}


def test_no_key_at_all_asks_nothing() -> None:
    assert make_requests([]) == []


FIELDS = set(OPERATION["requestBody"]["content"]["application/json"]["schema"]["properties"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(
    attributes=st.dictionaries(
        TEXT.filter(lambda name: name not in FIELDS),
        st.none() | st.booleans() | st.integers() | TEXT,
    )
)
def test_any_in_session_attribute_travels_as_it_is(attributes: dict[str, Any]) -> None:
    assert body(in_session=InSession(attributes=attributes)) == attributes


def test_text_travels_as_utf_8_and_not_escaped() -> None:
    (request,) = make_requests("größe")
    assert request.body == '{"experience_key":["größe"]}'.encode()


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_day_and_hour_are_those_of_utc(at: datetime) -> None:
    sent = body(in_session=InSession(at=at))
    utc = at.astimezone(UTC)
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    assert sent == {"DAY_OF_THE_WEEK": days[(utc.date() - monday.date()).days % 7], "TIME_OF_THE_DAY": f"{utc.hour:02}"}


def read(content: object, status: int = 200, **headers: str) -> PartialResult:
    given = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_part(Response(status, headers, given), strict=False)


def test_the_published_answer_is_read_whole() -> None:
    raw = read(MATCHED).experiences["homepage-banner"]
    experience = _generated.decode("homepage-banner", raw)
    published = MATCHED["experiences"]["homepage-banner"]
    assert dict(experience) == {name: variable["value"] for name, variable in published["payload"].items()}
    assert experience.context == published["experience_context"]
    assert list(experience.context) == list(published["experience_context"])


@pytest.mark.parametrize("content", [{"experiences": {}}, {"experiences": None}])
def test_no_match_is_an_empty_answer(content: object) -> None:
    assert read(content).experiences == {}


@pytest.mark.parametrize("content", [[], {}, "text", 5, None, {"experiences": []}, {"experiences": "x"}, {"error": 1}])
def test_other_json_is_no_answer(content: object) -> None:
    with pytest.raises(MalformedResponse, match="expected an object of experiences") as caught:
        read(content)
    assert (caught.value.status, caught.value.retryable) == (200, False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected JSON, got Expecting value at character 0"),
        (b'{"experiences": {', "expected JSON, got Expecting property name"),
        (b"{} trailing", "expected JSON, got Extra data at character 3"),
        (b"<html>", "expected JSON, got Expecting value"),
        (b'{"a": "\xff"}', "expected JSON, got not utf-8 at byte 7"),
        (b"[" * 100_000, "expected JSON, got nested too deep"),
        (b"9" * 10_000, "expected JSON, got a number of too many digits"),
    ],
)
def test_an_answer_that_is_not_json_may_be_tried_again(content: bytes, expected: str) -> None:
    with pytest.raises(MalformedResponse, match=expected) as caught:
        read(content)
    assert caught.value.retryable


def test_an_answer_of_too_many_values_is_not_read() -> None:
    with pytest.raises(MalformedResponse, match="expected JSON of at most 100,000 values, got more") as caught:
        read(b'{"experiences": {"a": [' + b"[]," * 100_000 + b"0]}}")
    assert not caught.value.retryable


def test_an_answer_of_too_many_names_is_not_read() -> None:
    content = json.dumps({"experiences": {f"key-{number}": "text" for number in range(101_000)}}).encode()
    with pytest.raises(MalformedResponse, match="expected JSON of at most 100,000 values, got more"):
        read(content)


def test_commas_in_text_are_no_values() -> None:
    text = "one, [two], {three}, \\" * 50_000
    answer = read({"experiences": {"a": {"payload": {"Text": {"value": text}}}}})
    assert _generated.decode("a", answer.experiences["a"])["Text"] == text


VARIABLE = {"value": "text", "data_type": "string"}


@pytest.mark.parametrize(
    ("raw", "values", "context"),
    [
        ({}, {}, {}),
        ({"payload": None, "experience_context": None}, {}, {}),
        ({"payload": {"a": VARIABLE, "b": None, "c": {}, "d": {"value": None}}}, {"a": "text"}, {}),
        ({"payload": {"a": {"value": 5, "data_type": "new type", "more": 1}}, "new": 1}, {"a": 5}, {}),
        ({"payload": {"a": {"value": [None]}}}, {"a": [None]}, {}),
        ({"payload": {"a": {"value": 0, "data_type": "number"}}}, {"a": 0}, {}),
        (
            {"experience_context": {"type": "New", "cid": None, "x": {"y": 1}}},
            {},
            {"type": "New", "cid": None, "x": {"y": 1}},
        ),
    ],
)
def test_what_is_null_missing_or_new_breaks_nothing(raw: Any, values: Any, context: Any) -> None:
    experience = _generated.decode("key", raw)
    assert (dict(experience), dict(experience.context)) == (values, context)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "text",
        [],
        5,
        "\ud800",
        {"payload": "text"},
        {"payload": "\udfff\ud800"},
        {"payload": []},
        {"payload": 0},
        {"payload": {"a": "text"}},
        {"payload": {"a": ["text"]}},
        {"experience_context": "text"},
        {"experience_context": False},
    ],
)
def test_an_experience_that_is_none_is_malformed(raw: Any) -> None:
    with pytest.raises(MalformedResponse, match="expected an experience, got JSON of another shape"):
        _generated.decode("key", came(raw))


def came(raw: Any) -> object:
    """One experience as an answer brings it."""
    body = json.dumps({"experiences": {"key": raw}}).encode()
    return _generated.read_experiences(Response(200, {}, body))["key"]


NAMES = st.sampled_from(["payload", "experience_context", "value", "data_type", "cid", "a"])
SCALARS = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_no_json_does_more_than_be_malformed(raw: Any) -> None:
    try:
        experience = _generated.decode("key", came(raw))
    except MalformedResponse:
        return
    sent = raw.get("experience_context") or {}
    kept = {name: value for name, value in sent.items() if _json.is_json({name: value})}
    assert json.loads(experience.context.to_json()) == kept


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400", '"\\ud800"'])
def test_a_value_that_is_not_json_costs_its_variable_and_its_field_alone(number: str) -> None:
    variables = f'"Bad": {{"value": {number}}}, "Deep": {{"value": [{{"a": {number}}}]}}, "Good": {{"value": 1}}'
    context = f'"cid": "1", "new": {number}'
    experience = f'{{"payload": {{{variables}}}, "experience_context": {{{context}}}, "unknown": {number}}}'
    content = f'{{"experiences": {{"key": {experience}}}}}'.encode()
    decoded = _generated.decode("key", read(content).experiences["key"])
    assert dict(decoded) == {"Good": 1}
    assert decoded.context == {"cid": "1"}


def test_an_experience_that_nothing_reads_costs_itself_alone() -> None:
    """A number of more digits than Python takes; whoever asks for its key finds no experience."""
    good = '{"payload": {"Title": {"value": "text"}}}'
    content = f'{{"experiences": {{"bad": {{"payload": {"9" * 5_000}}}, "good": {good}}}}}'.encode()
    found = read(content).experiences
    with pytest.raises(MalformedResponse, match="expected JSON in an experience, got a number of too many digits"):
        _generated.decode("bad", found["bad"])
    assert _generated.decode("good", found["good"])["Title"] == "text"


@pytest.mark.parametrize("text", ["é", "\U0001f600", "ascii"])
def test_the_text_of_an_experience_is_utf_8_or_the_answer_is_none(text: str) -> None:
    content = json.dumps({"experiences": {"a": {"payload": {"Title": {"value": text}}}}}, ensure_ascii=False)
    assert _generated.decode("a", read(content.encode()).experiences["a"])["Title"] == text
    with pytest.raises(MalformedResponse, match="expected JSON, got not utf-8 at byte"):
        read(content.replace(text, f"{text}é").encode("latin-1", "replace"))


LIMIT, LESS, UNKNOWN = RateLimit(100, 7, None), RateLimit(100, 6, None), RateLimit(5, None, None)


def part(*keys: str, limit: RateLimit | None = None) -> PartialResult:
    """What an answer brings that serves these keys and tells this limit."""
    told = {} if limit is None else {"limit": limit.limit, "remaining": limit.remaining}
    headers = {f"x-ratelimit-{name}": str(number) for name, number in told.items() if number is not None}
    return PartialResult({key: {} for key in keys}, headers, time.time())


def test_parts_are_merged_and_what_was_not_asked_for_is_left_out() -> None:
    fetch = make_fetch([f"k{n}" for n in range(30)])
    error = ServerError("500", rate_limit=LESS)
    first = part("k1", "k26", "unasked", limit=LIMIT)

    both = merge_results(fetch, [first, part("k26")])
    assert list(both) == ["k1", "k26"]
    assert (both.error, both.rate_limit) == (None, LIMIT)

    half = merge_results(fetch, [first, error])
    assert [half.reason(key) for key in ("k1", "k2", "k26", "unasked")] == [
        "served",
        "not_served",
        "failed",
        "not_requested",
    ]
    assert (half.error, half.rate_limit) == (error, LESS)


def test_of_several_failures_the_first_is_told_and_the_keys_of_each_failed() -> None:
    fetch = make_fetch([f"k{n}" for n in range(75)])
    errors = [ServerError("first"), PersonalizeError("second")]
    merged = merge_results(fetch, [errors[0], part("k30"), errors[1]])
    reasons = [merged.reason(key) for key in ("k0", "k24", "k25", "k30", "k50", "k74")]
    assert reasons == ["failed", "failed", "not_served", "served", "failed", "failed"]
    assert (merged.error, merged.rate_limit) == (errors[0], None)


@pytest.mark.parametrize(
    ("limits", "least"),
    [
        ([LIMIT, LESS, None], LESS),
        ([LESS, LIMIT, UNKNOWN], LESS),
        ([UNKNOWN, None, LIMIT], LIMIT),
        ([None, UNKNOWN, None], UNKNOWN),
        ([None, None, None], None),
    ],
)
def test_the_limit_of_a_fetch_is_the_least_that_any_answer_tells(limits: Any, least: RateLimit | None) -> None:
    fetch = make_fetch([f"k{n}" for n in range(75)])
    answers = [part(limit=limit) for limit in limits]
    assert merge_results(fetch, answers).rate_limit == least


def test_a_fetch_is_split_in_the_order_of_its_keys() -> None:
    keys = [f"k{n}" for n in range(51)]
    sent = [json.loads(request.body)["experience_key"] for request in make_requests(keys)]
    assert sent == [keys[:25], keys[25:50], keys[50:]]
    assert [len(make_requests(keys[:count])) for count in (1, 25, 26)] == [1, 1, 2]


def test_experiences_come_in_the_order_in_which_they_were_asked_for() -> None:
    merged = merge_results(make_fetch(["b", "c", "a"]), [part("a", "b", "c")])
    assert list(merged) == ["b", "c", "a"]
    assert list(merge_results(make_fetch(None), [part("c", "a", "b")])) == ["c", "a", "b"]  # that of the answer


def test_a_result_signs_for_the_customer_who_was_asked_for() -> None:
    signed = merge_results(make_fetch("a", "me"), [part("a")])
    assert signed.to_dict(sign=lambda _, customer_id: f"for {customer_id}")["a"].get("click") == "for me"


def test_the_limit_of_a_part_is_read_off_its_answer() -> None:
    headers = {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "60"}
    answer = read_part(Response(200, headers, b'{"experiences": {}}'))
    fetched = merge_results(make_fetch(None), [answer])
    limit = fetched.rate_limit
    assert limit is not None
    assert limit.remaining == 7
    assert limit.reset_at is not None
    assert timedelta(seconds=30) < limit.reset_at - datetime.now(UTC) <= timedelta(seconds=60)
    time.sleep(0.001)
    assert fetched.rate_limit == limit  # counted from when the answer came, not from when it is asked for


def test_a_strict_client_is_told_the_words_of_a_refusal() -> None:
    refusal = Response(400, {}, b'{"title": "Request Error", "description": "no such workspace"}')
    for strict in (False, True):
        with pytest.raises(BadRequest) as caught:
            read_part(refusal, strict=strict)
        assert ("no such workspace" in str(caught.value)) is strict


def test_each_part_of_a_fetch_needs_its_outcome() -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        merge_results(make_fetch("a"), [])


def test_a_request_for_all_keeps_whatever_is_served_and_fails_for_all() -> None:
    fetch = make_fetch(None)
    assert list(merge_results(fetch, [part("any", limit=UNKNOWN)])) == ["any"]
    failed = merge_results(fetch, [PersonalizeError("down")])
    assert failed.reason("any") == "failed"


def test_the_generated_client_has_our_credentials_timeout_and_no_telling_repr() -> None:
    client = _generated.generated_client(make_settings(timeout=0.5), None)
    http = client.get_httpx_client()
    assert http.headers["Authorization"] == "Basic V1M6dGhlLWtleQ=="
    assert http.timeout.read == 0.5
    assert repr(client) == repr(client.with_headers({})) == "AuthenticatedClient('http://host/v1')"
    http.close()


def test_what_is_private_to_the_generator_is_as_the_pinned_version_has_it() -> None:
    """`_get_kwargs` of openapi-python-client 0.29.1: with another version, look whether these still hold."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "openapi-python-client==0.29.1" in project["dependency-groups"]["regenerate"]
    fetched = fetch_experience._get_kwargs(body=api.FetchExperienceRequest(), moe_appkey="WS")
    listed = get_metadata._get_kwargs(moe_appkey="WS")
    reported = report_experience_events._get_kwargs(body=api.ReportEventsRequest(elements=[]), moe_appkey="WS")
    for kwargs in (fetched, listed, reported):
        assert set(kwargs) - {"json", "params"} == {"method", "url", "headers"}
        assert kwargs["headers"]["MOE-APPKEY"] == "WS"
    assert (fetched["json"], reported["json"], "json" in listed) == ({}, {"elements": []}, False)


def test_no_value_of_a_fetch_shows_its_visitor_or_its_key() -> None:
    visitor: Any = ["a"], "canary", {"u_em": "canary"}, InSession(attributes={"x": "canary"})
    endpoint = _generated.Endpoint("POST", "http://host/v1", {"Authorization": "canary"})
    shown = repr((make_fetch(*visitor), make_requests(*visitor), endpoint))
    assert "canary" not in shown
    assert all(
        part in shown for part in ("Request('POST'", "FetchRequest(('a',))", "Endpoint('POST', 'http://host/v1')")
    )
