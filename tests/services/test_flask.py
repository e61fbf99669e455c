"""Flask: a page for each request, in its templates, too, and impressions of what a response of 2xx has shown."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort, redirect, render_template_string, request, stream_template_string
from werkzeug.wrappers import Response

from moengage_personalize import ConfigurationError
from moengage_personalize.integrations.flask import Personalize
from moengage_personalize.testing import FakePersonalize

Fake = FakePersonalize
HOME = '{{ personalize.string("banner", "Title", "Welcome") }} {{ personalize.string("strip", "Text", "") }}'


@pytest.fixture
def fake(personalize: Fake) -> Fake:
    personalize.serve("banner", {"Title": "Hi"}, customer_id="u1", variation="2")
    personalize.serve("strip", {"Text": "Free"})
    return personalize


def shop(fake: Fake, **options: Any) -> Flask:
    app = Flask(__name__)
    known: dict[str, Any] = {"customer_id": lambda: request.cookies.get("customer"), "make_client": lambda: fake.client}
    personalize = Personalize(app, **known | options)

    @app.get("/")
    def home() -> str:
        personalize.page.prefetch(["banner", "strip"])
        return render_template_string(HOME)

    @app.get("/streamed")
    def streamed() -> Iterator[str]:
        return stream_template_string(HOME)

    @app.get("/away")
    def away() -> Response:
        personalize.page.experience("banner")
        return redirect("/")

    @app.get("/fails")
    def fails() -> str:
        personalize.page.experience("banner")
        abort(410)

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    return app


def visit(app: Flask, path: str = "/", customer: str | None = "u1", **options: Any) -> str:
    http = app.test_client()
    if customer is not None:
        http.set_cookie("customer", customer)
    with http.get(path, **options) as answer:
        return answer.text


def shown(fake: Fake) -> list[tuple[str, str, str]]:
    return sorted((event.action, event.customer_id, event.context["moe_variation_id"]) for event in fake.events)


@pytest.mark.parametrize("path", ["/", "/streamed"])
def test_each_visitor_sees_their_variation_and_it_is_reported_once(path: str, fake: Fake) -> None:
    app = shop(fake)
    assert visit(app, path) == "Hi Free"
    assert visit(app, path, "u2") == "Welcome Free"
    assert shown(fake) == [("shown", "u1", "1"), ("shown", "u1", "2"), ("shown", "u2", "1")]


def test_a_request_has_one_page(fake: Fake) -> None:
    visit(shop(fake))
    assert [request.keys for request in fake.requests] == [("banner", "strip")]


def test_two_requests_in_one_application_context_have_two_pages(fake: Fake) -> None:
    app = shop(fake)
    with app.app_context():
        assert [visit(app), visit(app, "/", "u2")] == ["Hi Free", "Welcome Free"]


def test_an_outage_costs_the_page_its_content_alone(fake: Fake) -> None:
    fake.fail(503, times=9)
    assert visit(shop(fake)) == "Welcome "
    assert fake.events == []


def test_who_has_no_customer_id_is_not_reported(fake: Fake) -> None:
    assert visit(shop(fake), "/", None) == "Welcome Free"
    assert visit(shop(fake, customer_id=lambda: None)) == "Welcome Free"
    assert fake.events == []


@pytest.mark.parametrize("path", ["/away", "/fails", "/plain"])
def test_what_shows_no_page_reports_none(path: str, fake: Fake) -> None:
    visit(shop(fake), path)
    assert fake.events == []


def test_impressions_are_left_to_the_service_on_demand(fake: Fake) -> None:
    assert visit(shop(fake, impressions=False)) == "Hi Free"
    assert fake.events == []


def test_what_the_request_tells_of_the_visit_is_sent(fake: Fake) -> None:
    visit(shop(fake, query="campaign*", timeout=0.5), "/?campaign=spring&utm_medium=email", headers={"User-Agent": "F"})
    sent = fake.requests[0].in_session
    assert (sent["campaign"], sent["USER_AGENT"], "utm_medium" in sent) == ("spring", "F", False)
    assert sent["USER_IP_ADDRESS"] == "127.0.0.1"


def test_each_application_has_a_client_of_its_own(fake: Fake) -> None:
    fakes = [fake, Fake()]
    personalize = Personalize(make_client=lambda: fakes.pop().client)
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        personalize.init_app(app)
    with apps[0].app_context():
        first, reporter = personalize.client, personalize.reporter
    with apps[1].app_context():
        assert personalize.client is fake.client is not first
        assert personalize.reporter is not reporter
    with pytest.raises(ConfigurationError, match="got an app without it"), Flask("three").app_context():
        _ = personalize.client


def test_another_client_for_the_same_application_reports_once(fake: Fake) -> None:
    app, other = shop(fake), Fake()
    other.serve("banner", {"Title": "Other"})
    Personalize(app, make_client=lambda: other.client)
    assert visit(app) == "Other "
    assert (fake.events, shown(other)) == ([], [("shown", "u1", "1")])


def test_the_end_of_the_process_sends_what_was_reported_and_closes_the_client(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr(atexit, "register", lambda function, *given: at_exit.append((function, given)))
    app = shop(fake)
    monkeypatch.undo()
    visit(app)
    ((close, given),) = at_exit
    close(*given)
    assert given[1].stats.sent == 2
    with pytest.raises(ConfigurationError, match="closed"):
        fake.client.fetch("banner")


def test_a_wrong_setting_is_seen_when_the_application_is_made() -> None:
    with pytest.raises(ConfigurationError, match="MOENGAGE_WORKSPACE_ID"):
        Personalize(Flask(__name__))


@pytest.mark.parametrize("options", [{"customer_id": "u1"}, {"query": 5}, {"query": [""]}, {"timeout": -1}], ids=repr)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Personalize(**options)
