"""What an endpoint of a service answers with: values, variations and click tokens, and nothing else of a context."""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import partial
from typing import Any

import pytest
from servers import answers, serving

from moengage_personalize import Experience, InvalidRequestError, PersonalizeClient
from moengage_personalize.integrations.clicks import ClickSigner
from moengage_personalize.testing import FakeAsyncPersonalize, FakePersonalize

SIGNER = ClickSigner([secrets.token_hex(32)])
VALUES = {"Title": "Hi", "Limit": 2, "Products": [{"sku": "A-17"}]}


@pytest.fixture
def served(personalize: FakePersonalize) -> FakePersonalize:
    personalize.serve("homepage-banner", VALUES, variation="2")
    personalize.serve("promo-strip", {})
    return personalize


def test_an_experience_is_its_values_and_its_variation(served: FakePersonalize) -> None:
    experiences = served.client.fetch(customer_id="u1")
    assert experiences["homepage-banner"].to_dict() == {"values": VALUES, "variation": "2"}
    assert experiences.to_dict() == {
        "homepage-banner": {"values": VALUES, "variation": "2"},
        "promo-strip": {"values": {}, "variation": "1"},
    }
    assert json.loads(json.dumps(experiences.to_dict())) == experiences.to_dict()


@pytest.mark.parametrize("variation", [None, 2, ["2"]])
def test_a_variation_that_is_no_text_is_none(variation: Any) -> None:
    assert Experience("k", {}, {"moe_variation_id": variation}).to_dict() == {"values": {}, "variation": None}


def test_each_has_a_token_that_becomes_the_click_of_the_customer_who_was_asked_for(served: FakePersonalize) -> None:
    listed = served.client.fetch(customer_id=7).to_dict(sign=SIGNER.sign)
    assert [*listed] == ["homepage-banner", "promo-strip"]
    served.client.report_events([SIGNER.event(one["click"]) for one in listed.values()])
    assert [(event.action, event.customer_id) for event in served.events] == [("clicked", "7"), ("clicked", "7")]
    assert served.events[0].context["moe_variation_id"] == "2"


def test_more_can_be_signed_in(served: FakePersonalize) -> None:
    sign = partial(SIGNER.sign, element="Buy", platform="ios")
    listed = served.client.fetch("promo-strip", customer_id="u1").to_dict(sign=sign)
    event = SIGNER.event(listed["promo-strip"]["click"])
    assert (event.element, event.platform) == ("Buy", "ios")


def test_a_visitor_without_an_id_has_no_token(served: FakePersonalize) -> None:
    assert "click" not in served.client.fetch("promo-strip").to_dict(sign=SIGNER.sign)["promo-strip"]


def test_a_context_that_no_event_can_be_made_of_has_no_token_and_costs_itself_alone(served: FakePersonalize) -> None:
    body = {"experiences": {"broken": {"payload": {}, "experience_context": {"cid": "x"}}}}
    with serving(answers(200, body)) as server, PersonalizeClient("W", "k", base_url=server.base_url) as client:
        experiences = client.fetch("broken", customer_id="u1")
    assert experiences.to_dict(sign=SIGNER.sign) == {"broken": {"values": {}, "variation": None}}


def test_what_fails_in_a_function_of_the_service_is_raised(served: FakePersonalize) -> None:
    def sign(*_: Any, **__: Any) -> str:
        raise RuntimeError("no key")

    with pytest.raises(RuntimeError, match="no key"):
        served.client.fetch(customer_id="u1").to_dict(sign=sign)


def test_a_fetch_that_failed_is_an_empty_object(served: FakePersonalize) -> None:
    served.fail(503, times=3)
    assert served.client.fetch_or_empty("promo-strip", customer_id="u1").to_dict(sign=SIGNER.sign) == {}
    with pytest.raises(InvalidRequestError):
        served.client.fetch_or_empty("", customer_id="u1")


def test_an_async_fetch_over_several_requests_has_tokens_too(async_personalize: FakeAsyncPersonalize) -> None:
    keys = [f"key-{number}" for number in range(30)]
    for key in keys:
        async_personalize.serve(key, {"N": key})
    found = asyncio.run(async_personalize.client.fetch(keys, customer_id="u1")).to_dict(sign=SIGNER.sign)
    assert [*found] == keys
    assert {SIGNER.event(one["click"]).customer_id for one in found.values()} == {"u1"}


def test_the_customer_is_in_no_repr(served: FakePersonalize) -> None:
    assert "canary" not in repr(served.client.fetch(customer_id="canary"))
