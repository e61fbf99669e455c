"""The provider for OpenFeature: each numbered requirement that is a provider's to keep has a test that names it.

https://openfeature.dev/specification/sections/providers and https://openfeature.dev/specification/sections/tracking;
what the client of the SDK has to keep, such as 6.2.1 and 6.2.2, is there as far as this provider makes use of it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from moengage_personalize import AuthenticationFailed, CircuitBreaker, events
from moengage_personalize._messages import Response
from moengage_personalize.integrations.openfeature import PersonalizeProvider
from moengage_personalize.testing import FakeAsyncPersonalize, FakePersonalize

VISIT = EvaluationContext("u1", {"utm_medium": "email", "user_identifiers": {"u_em": "j@example.com"}})
VALUES = {
    "Title": "Hi",
    "Limit": 2,
    "Share": 0.5,
    "Whole": 3.0,
    "On": True,
    "Products": [{"sku": "A"}],
    "Style": {"a": 1},
}


@pytest.fixture
def provider(personalize: FakePersonalize) -> PersonalizeProvider:
    personalize.serve("banner", VALUES, variation="2")
    return PersonalizeProvider(personalize.client)


@pytest.fixture
def client(provider: PersonalizeProvider) -> Iterator[OpenFeatureClient]:
    api.set_provider(provider)
    deadline = time.monotonic() + 5
    client = api.get_client()
    while client.get_provider_status() is ProviderStatus.NOT_READY and time.monotonic() < deadline:
        time.sleep(0.001)
    yield client
    api.clear_providers()


def test_2_1_1_the_metadata_has_a_name(provider: PersonalizeProvider) -> None:
    assert provider.get_metadata().name == "moengage-personalize"


KINDS = [
    ("boolean", "On", False, True),
    ("string", "Title", "default", "Hi"),
    ("integer", "Limit", 0, 2),
    ("integer", "Whole", 0, 3),
    ("float", "Share", 0.0, 0.5),
    ("float", "Limit", 0.0, 2.0),
    ("object", "Products", [], [{"sku": "A"}]),
    ("object", "Style", {}, {"a": 1}),
]


@pytest.mark.parametrize(("kind", "name", "default", "expected"), KINDS)
def test_2_2_1_and_2_2_2_1_and_2_2_3_flags_are_resolved_by_type(
    client: OpenFeatureClient, provider: PersonalizeProvider, kind: str, name: str, default: Any, expected: Any
) -> None:
    value = getattr(client, f"get_{kind}_value")(f"banner.{name}", default, VISIT)
    assert (value, type(value)) == (expected, type(expected))
    awaited = getattr(client, f"get_{kind}_value_async")(f"banner.{name}", default, VISIT)
    assert asyncio.run(awaited) == expected
    assert getattr(provider, f"resolve_{kind}_details")(f"banner.{name}", default).value == expected


def test_2_2_3_a_flag_without_a_variable_is_the_whole_experience(client: OpenFeatureClient) -> None:
    assert client.get_object_value("banner", {}, VISIT) == VALUES


def test_2_2_4_the_variant_is_the_variation(client: OpenFeatureClient) -> None:
    assert client.get_string_details("banner.Title", "", VISIT).variant == "2"


def test_2_2_5_the_reason_says_whether_it_was_served(client: OpenFeatureClient) -> None:
    assert client.get_string_details("banner.Title", "", VISIT).reason == "TARGETING_MATCH"
    for flag in ("banner.Other", "other.Title"):
        details = client.get_string_details(flag, "default", VISIT)
        assert (details.value, details.reason, details.variant, details.error_code) == (
            "default",
            "DEFAULT",
            None,
            None,
        )


def test_2_2_6_and_2_3_2_what_is_resolved_has_no_error(client: OpenFeatureClient) -> None:
    details = client.get_string_details("banner.Title", "", VISIT)
    assert (details.error_code, details.error_message) == (None, None)


@pytest.mark.parametrize(
    ("kind", "name", "default"),
    [
        ("string", "Limit", ""),
        ("boolean", "Limit", False),
        ("integer", "Share", 0),
        ("float", "On", 0.0),
        ("object", "Title", {}),
    ],
)
def test_2_2_7_another_type_is_a_mismatch(client: OpenFeatureClient, kind: str, name: str, default: Any) -> None:
    details = getattr(client, f"get_{kind}_details")(f"banner.{name}", default, VISIT)
    assert (details.value, details.reason, details.error_code) == (default, "ERROR", ErrorCode.TYPE_MISMATCH)


def test_2_2_7_a_flag_that_is_a_whole_experience_is_no_text(client: OpenFeatureClient) -> None:
    details = client.get_string_details("banner", "default", VISIT)
    assert (details.value, details.error_code) == ("default", ErrorCode.TYPE_MISMATCH)


def test_2_2_7_and_2_3_3_a_failure_is_a_general_error_with_a_message(
    client: OpenFeatureClient, personalize: FakePersonalize
) -> None:
    personalize.fail(503, times=3)
    details = client.get_string_details("banner.Title", "default", VISIT)
    assert (details.value, details.reason, details.error_code) == ("default", "ERROR", ErrorCode.GENERAL)
    assert "expected status 200, got 503" in (details.error_message or "")


def test_2_2_7_a_malformed_experience_is_a_parse_error(client: OpenFeatureClient, personalize: FakePersonalize) -> None:
    body = json.dumps({"experiences": {"broken": []}}).encode()
    personalize._armed, personalize._times = (Response(200, {}, body), 0.0), 1
    details = client.get_string_details("broken.Title", "default", VISIT)
    assert (details.value, details.error_code) == ("default", ErrorCode.PARSE_ERROR)


@pytest.mark.parametrize(
    "context",
    [
        EvaluationContext("u1", {"identifiers": "x"}),
        EvaluationContext("u1", {"": "x"}),
        EvaluationContext("u1", {"a": float("nan")}),
        EvaluationContext("u1", {"at": "noon"}),
        EvaluationContext("u1", {"user_identifiers": 5}),
    ],
)
def test_2_2_7_a_context_that_cannot_be_sent_is_an_invalid_one(
    client: OpenFeatureClient, context: EvaluationContext
) -> None:
    for details in (
        client.get_string_details("banner.Title", "default", context),
        asyncio.run(client.get_string_details_async("banner.Title", "default", context)),
    ):
        assert (details.value, details.error_code) == ("default", ErrorCode.INVALID_CONTEXT)


def test_2_2_8_1_details_are_those_of_the_sdk(provider: PersonalizeProvider) -> None:
    assert isinstance(provider.resolve_string_details("banner.Title", "", VISIT), FlagResolutionDetails)


def test_2_2_9_and_2_2_10_the_metadata_is_the_context_in_plain_values(client: OpenFeatureClient) -> None:
    metadata = client.get_string_details("banner.Title", "", VISIT).flag_metadata
    assert metadata["experience"] == "banner"
    assert metadata["moe_variation_id"] == "2"
    assert json.loads(str(metadata["context"]))["audience_id"] == "ALL"
    assert {type(value) for value in metadata.values()} <= {str, int, float, bool}


def test_2_3_1_there_are_no_hooks_of_its_own(provider: PersonalizeProvider) -> None:
    assert provider.get_provider_hooks() == []


def test_2_4_1_initializing_opens_a_connection(client: OpenFeatureClient, personalize: FakePersonalize) -> None:
    assert client.get_provider_status() is ProviderStatus.READY
    assert personalize.requests == []


@pytest.mark.parametrize(("kind", "error"), [(AuthenticationFailed, ProviderFatalError), (503, GeneralError)])
def test_2_4_2_1_what_fails_to_initialize_ends_abnormally(
    provider: PersonalizeProvider, personalize: FakePersonalize, kind: Any, error: type[Exception]
) -> None:
    personalize.fail(kind, times=3)
    with pytest.raises(error):
        provider.initialize(EvaluationContext())
    provider.shutdown()


def test_2_5_1_and_2_5_2_a_shutdown_sends_what_was_tracked_and_leaves_the_client_open(
    provider: PersonalizeProvider, personalize: FakePersonalize
) -> None:
    for _ in range(2):  # and it can be initialized again
        provider.initialize(EvaluationContext())
        details = provider.resolve_string_details("banner.Title", "", VISIT)
        provider.track("shown", VISIT, TrackingEventDetails(attributes=dict(details.flag_metadata)))
        provider.shutdown()
    assert len(personalize.events) == 2
    assert personalize.client.fetch("banner").reason("banner") == "served"


def test_2_6_1_an_evaluation_context_that_changes_is_another_visit(
    client: OpenFeatureClient, personalize: FakePersonalize
) -> None:
    personalize.serve("banner", {"Title": "for u2"}, customer_id="u2")
    assert client.get_string_value("banner.Title", "", VISIT) == "Hi"
    assert client.get_string_value("banner.Title", "", EvaluationContext("u2")) == "for u2"


def test_6_1_3_the_contexts_of_all_levels_are_merged(client: OpenFeatureClient, personalize: FakePersonalize) -> None:
    client.context = EvaluationContext("u7", {"utm_source": "client"})
    details = client.get_string_details("banner.Title", "", EvaluationContext(attributes={"utm_medium": "email"}))
    client.track("shown", None, TrackingEventDetails(attributes=dict(details.flag_metadata)))
    assert [event.customer_id for event in personalize.events] == ["u7"]
    sent = personalize.requests[0].in_session
    assert (sent["utm_source"], sent["utm_medium"]) == ("client", "email")


def test_2_7_1_and_6_1_1_1_and_6_2_1_and_6_2_2_what_is_tracked_is_reported(
    client: OpenFeatureClient, personalize: FakePersonalize
) -> None:
    details = client.get_string_details("banner.Title", "", VISIT)
    client.track("shown", VISIT, TrackingEventDetails(attributes=dict(details.flag_metadata)))
    attributes = {"context": details.flag_metadata["context"], "element": "Buy", "platform": "ios"}
    client.track("clicked", VISIT, TrackingEventDetails(value=9.5, attributes=attributes))
    first, second = personalize.events
    assert (first.action, first.customer_id, first.context["experience"]) == ("shown", "u1", "banner")
    assert (second.action, second.element, second.platform) == ("clicked", "Buy", "ios")


@pytest.mark.parametrize(
    ("name", "visit", "attributes"),
    [
        ("bought", VISIT, {}),
        ("shown", VISIT, None),
        ("shown", VISIT, {"context": "no JSON"}),
        ("shown", VISIT, {"context": 5}),
        ("shown", VISIT, {"context": "{}"}),
        ("shown", None, {"context": "{}"}),
    ],
)
def test_2_7_1_what_no_event_can_be_made_of_is_logged_and_raises_nothing(
    client: OpenFeatureClient,
    personalize: FakePersonalize,
    caplog: pytest.LogCaptureFixture,
    name: str,
    visit: Any,
    attributes: Any,
) -> None:
    with caplog.at_level(logging.WARNING):
        client.track(name, visit, None if attributes is None else TrackingEventDetails(attributes=attributes))
    assert "track: expected shown or clicked" in caplog.text
    assert personalize.events == []


def test_6_1_4_a_provider_that_was_shut_down_takes_nothing(
    provider: PersonalizeProvider, personalize: FakePersonalize
) -> None:
    context = personalize.client.fetch("banner")["banner"].context
    provider.track("shown", VISIT, TrackingEventDetails(attributes={"context": context.to_json()}))
    assert personalize.events == []


def test_a_reporter_of_the_service_is_used_and_left_open(personalize: FakePersonalize) -> None:
    personalize.serve("banner", {})
    reporter = personalize.client.reporter()
    provider = PersonalizeProvider(personalize.client, reporter=reporter)
    context = personalize.client.fetch("banner")["banner"].context
    provider.initialize(EvaluationContext())
    provider.track("shown", VISIT, TrackingEventDetails(attributes={"context": context.to_json()}))
    provider.shutdown()
    reporter.put(events.shown(context, customer_id="u2"))
    assert [event.customer_id for event in personalize.events] == ["u1", "u2"]


def test_5_1_2_and_5_1_3_the_circuit_is_told_by_events(personalize: FakePersonalize) -> None:
    """PROVIDER_ERROR once it has opened, PROVIDER_READY once an answer has come."""
    breaker = CircuitBreaker(failures=2, within=60.0, pause=0.05, max_pause=0.05)
    fake = FakePersonalize(circuit_breaker=breaker, max_retries=0)
    provider = PersonalizeProvider(fake.client)
    told: list[ProviderEvent] = []
    provider.attach(lambda _, event, details: told.append(event))
    fake.fail(503, times=1_000)
    deadline = time.monotonic() + 5
    number = 0
    while not told and time.monotonic() < deadline:
        provider.resolve_string_details("banner.Title", "", EvaluationContext(f"u{number}"))
        number += 1
        time.sleep(0.01)
    assert told == [ProviderEvent.PROVIDER_ERROR]
    fake.fail(503, times=1)  # of the probe: still down
    provider.resolve_string_details("banner.Title", "", EvaluationContext("probe"))
    assert told == [ProviderEvent.PROVIDER_ERROR]
    fake.fail(times=0)
    while len(told) < 2 and time.monotonic() < deadline:
        provider.resolve_string_details("banner.Title", "", EvaluationContext(f"u{number}"))
        number += 1
        time.sleep(0.01)
    assert told == [ProviderEvent.PROVIDER_ERROR, ProviderEvent.PROVIDER_READY]


def test_the_context_becomes_the_visit(client: OpenFeatureClient, personalize: FakePersonalize) -> None:
    at = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    attributes = {"utm_medium": "email", "at": at, "ip_address": "203.0.113.42", "user_agent": "Firefox", "since": at}
    client.get_string_value(
        "banner.Title", "", EvaluationContext("u1", attributes | {"user_identifiers": {"u_em": "j"}})
    )
    (request,) = personalize.requests
    assert (request.customer_id, request.user_identifiers, request.keys) == ("u1", {"u_em": "j"}, ("banner",))
    assert request.in_session == {
        "utm_medium": "email",
        "since": str(at),
        "DAY_OF_THE_WEEK": "Monday",
        "TIME_OF_THE_DAY": "08",
        "USER_IP_ADDRESS": "203.0.113.42",
        "USER_AGENT": "Firefox",
    }


def test_flags_of_one_experience_are_one_request_and_so_are_those_of_one_turn_of_a_loop(
    personalize: FakePersonalize, async_personalize: FakeAsyncPersonalize
) -> None:
    personalize.serve("banner", VALUES)
    provider = PersonalizeProvider(personalize.client, async_client=async_personalize.client)
    assert [provider.resolve_string_details(f"banner.{name}", "", VISIT).value for name in ("Title", "Title")] == [
        "Hi",
        "Hi",
    ]
    assert len(personalize.requests) == 1

    async def evaluate() -> list[Any]:
        flags = ("banner.Title", "strip.Text", "banner.Subtitle", "upsell.Text")
        return await asyncio.gather(*(provider.resolve_string_details_async(flag, "", VISIT) for flag in flags))

    async_personalize.serve("banner", {"Title": "async"})
    for expected in (1, 2):  # of a loop that has ended, nothing is left to another
        assert asyncio.run(evaluate())[0].value == "async"
        assert [request.keys for request in async_personalize.requests] == [("banner", "strip", "upsell")] * expected


def test_a_page_is_kept_for_a_moment_only(provider: PersonalizeProvider, personalize: FakePersonalize) -> None:
    provider.resolve_string_details("banner.Title", "", VISIT)
    time.sleep(0.06)
    provider.resolve_string_details("banner.Title", "", VISIT)
    assert len(personalize.requests) == 2
    assert len(provider._pages._pages) == 1


def test_the_methods_have_the_names_of_the_interface(provider: PersonalizeProvider) -> None:
    for kind in ("boolean", "string", "integer", "float", "object"):
        for method in (
            getattr(provider, f"resolve_{kind}_details"),
            getattr(provider, f"resolve_{kind}_details_async"),
        ):
            assert [*inspect.signature(method).parameters] == ["flag_key", "default_value", "evaluation_context"]


def test_without_the_extra_the_import_says_which() -> None:
    code = """if True:
        import sys
        sys.modules["openfeature"] = None
        try:
            import moengage_personalize.integrations.openfeature
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        'expected the extra of OpenFeature (pip install "moengage-personalize[openfeature]"), got no openfeature'
    )
