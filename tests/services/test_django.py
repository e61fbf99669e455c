"""Django: a page for each request, for both kinds of views, in templates, and impressions of what 2xx has shown."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.http import HttpResponse, HttpResponseGone
from django.shortcuts import render
from django.template import engines
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path

from moengage_personalize import ConfigurationError
from moengage_personalize.testing import FakeAsyncPersonalize, FakePersonalize

INTEGRATION = "moengage_personalize.integrations.django"
TAG = '{% personalize "banner" "Title" "Welcome" %} {% personalize "strip" "Text" as text %}{{ text }}'
JINJA = '{{ personalize.string("banner", "Title", "Welcome") }} {{ personalize.string("strip", "Text", "") }}'

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[f"{INTEGRATION}.middleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of these tests",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "builtins": [INTEGRATION],
                "loaders": [("django.template.loaders.locmem.Loader", {"tag.html": TAG})],
            },
        },
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "OPTIONS": {"context_processors": [f"{INTEGRATION}.context_processor"]},
        },
    ],
)
django.setup()

from moengage_personalize.integrations.django import (  # noqa: E402 -- after the settings
    apage,
    get_client,
    get_reporter,
    page,
    with_lifespan,
)


def tag(request: Any) -> HttpResponse:
    page(request).prefetch(["banner", "strip"])
    return render(request, "tag.html")


def jinja(request: Any) -> HttpResponse:
    return HttpResponse(engines["jinja2"].from_string(JINJA).render({}, request))


async def tag_async(request: Any) -> HttpResponse:
    await asyncio.gather(apage(request, "banner"), apage(request, "strip"))
    assert await apage(request) is await apage(request)
    return render(request, "tag.html")


async def jinja_async(request: Any) -> HttpResponse:
    await apage(request, "banner", "strip")
    return jinja(request)


async def blocks(request: Any) -> HttpResponse:
    return render(request, "tag.html")


def fails(request: Any) -> HttpResponse:
    return HttpResponseGone(page(request).string("banner", "Title", ""))


def plain(request: Any) -> HttpResponse:
    return HttpResponse("plain")


urlpatterns = [path(view.__name__, view) for view in (tag, jinja, tag_async, jinja_async, blocks, fails, plain)]
SYNC, ASYNC = ["tag", "jinja"], ["tag_async", "jinja_async"]


def of_cookie(request: Any) -> Any:
    return request.COOKIES.get("customer")


async def of_cookie_async(request: Any) -> Any:
    return request.COOKIES.get("customer")


@pytest.fixture
def fakes(personalize: FakePersonalize, async_personalize: FakeAsyncPersonalize) -> Iterator[list[Any]]:
    for fake in (personalize, async_personalize):
        fake.serve("banner", {"Title": "Hi"}, customer_id="u1", variation="2")
        fake.serve("strip", {"Text": "Free"})
    with given(personalize, async_personalize):
        yield [personalize, async_personalize]


def given(fake: FakePersonalize, async_fake: FakeAsyncPersonalize, **options: Any) -> Any:
    """The setting that makes these clients."""
    made = {"MAKE_CLIENT": lambda: fake.client, "MAKE_ASYNC_CLIENT": lambda: async_fake.client}
    return override_settings(PERSONALIZE={"CUSTOMER_ID": of_cookie, **made, **options})


def visit(server: str, name: str, customer: str | None = "u1", **options: Any) -> str:
    """A view as a WSGI server has it called, or an ASGI server."""
    if server == "wsgi":
        http = Client()
        http.cookies.load({} if customer is None else {"customer": customer})
        return str(http.get(f"/{name}", **options).content.decode())
    async_http = AsyncClient()
    async_http.cookies.load({} if customer is None else {"customer": customer})
    return str(asyncio.run(async_http.get(f"/{name}", **options)).content.decode())


def shown(fake: FakePersonalize) -> list[tuple[str, str, str]]:
    return sorted((event.action, event.customer_id, event.context["moe_variation_id"]) for event in fake.events)


every_way = pytest.mark.parametrize(
    ("server", "name"), [(server, name) for server in ("wsgi", "asgi") for name in SYNC + ASYNC]
)


@every_way
def test_each_visitor_sees_their_variation_and_it_is_reported_once(server: str, name: str, fakes: list[Any]) -> None:
    assert visit(server, name) == "Hi Free"
    assert visit(server, name, "u2") == "Welcome Free"
    assert shown(fakes[0]) == [("shown", "u1", "1"), ("shown", "u1", "2"), ("shown", "u2", "1")]
    asked = fakes[name in ASYNC].requests
    assert {request.customer_id for request in asked} == {"u1", "u2"}
    assert fakes[name not in ASYNC].requests == []


@every_way
def test_an_outage_costs_the_page_its_content_alone(server: str, name: str, fakes: list[Any]) -> None:
    for fake in fakes:
        fake.fail(503, times=9)
    assert visit(server, name) == "Welcome "
    assert fakes[0].events == []


@every_way
def test_who_has_no_customer_id_is_not_reported(server: str, name: str, fakes: list[Any]) -> None:
    assert visit(server, name, None) == "Welcome Free"
    assert fakes[0].events == []


@pytest.mark.parametrize("name", ["fails", "plain"])
def test_what_shows_no_page_reports_none(name: str, fakes: list[Any]) -> None:
    visit("wsgi", name)
    assert fakes[0].events == []


def test_a_page_that_would_block_an_event_loop_is_refused(fakes: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match="await apage"):
        visit("asgi", "blocks")


def test_a_template_without_a_request_is_refused(fakes: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match="rendered with its request"):
        engines["django"].from_string(TAG).render({})


def test_a_value_is_escaped_and_of_the_type_of_its_default(fakes: list[Any]) -> None:
    fakes[0].serve("banner", {"Title": "<b>", "Limit": 2})
    request = RequestFactory().get("/")
    template = (
        '{% personalize "banner" "Title" %} {% personalize "banner" "Limit" 3 %} {% personalize "banner" "Limit" %}'
    )
    assert engines["django"].from_string(template).render({}, request) == "&lt;b&gt; 2 "


def test_what_the_request_tells_of_the_visit_is_sent(fakes: list[Any]) -> None:
    with given(*fakes, QUERY="campaign*", TIMEOUT=0.5):
        visit("wsgi", "tag?campaign=spring&utm_medium=email", headers={"User-Agent": "Firefox"})
    sent = fakes[0].requests[0].in_session
    assert (sent["campaign"], sent["USER_AGENT"], "utm_medium" in sent) == ("spring", "Firefox", False)
    assert sent["USER_IP_ADDRESS"] == "127.0.0.1"


def test_impressions_are_left_to_the_service_on_demand(fakes: list[Any]) -> None:
    with given(*fakes, IMPRESSIONS=False):
        assert visit("wsgi", "tag") == "Hi Free"
    assert fakes[0].events == []


def test_functions_are_named_by_their_paths_and_may_be_awaited(fakes: list[Any]) -> None:
    with given(*fakes, CUSTOMER_ID=f"{__name__}.of_cookie"):
        assert visit("wsgi", "tag") == "Hi Free"


def test_who_the_visitor_is_may_be_awaited(fakes: list[Any]) -> None:
    with given(*fakes, CUSTOMER_ID=of_cookie_async):
        assert visit("asgi", "tag_async") == "Hi Free"


def test_client_and_reporter_are_made_once(fakes: list[Any]) -> None:
    assert get_client() is get_client() is fakes[0].client
    assert get_reporter() is get_reporter()


def test_without_the_setting_the_client_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="MOENGAGE_WORKSPACE_ID"):
        visit("wsgi", "plain")
    monkeypatch.setenv("MOENGAGE_WORKSPACE_ID", "TEST")
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", "none")
    monkeypatch.setenv("MOENGAGE_BASE_URL", "http://127.0.0.1:9/v1")
    assert visit("wsgi", "fails") == ""
    with override_settings(PERSONALIZE={}):  # and what was made is closed
        pass


@pytest.mark.parametrize(
    "options", [{"CUSTOMER": "u1"}, {"CUSTOMER_ID": 5}, {"QUERY": 5}, {"QUERY": [""]}, {"TIMEOUT": -1}], ids=repr
)
def test_a_setting_that_cannot_work_is_seen_when_the_server_starts(options: dict[str, Any], fakes: list[Any]) -> None:
    with given(*fakes, **options), pytest.raises(ConfigurationError, match="expected"):
        visit("wsgi", "plain")


def test_the_end_of_the_process_sends_what_was_reported_and_closes_both_clients(
    fakes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    with given(*fakes):
        visit("asgi", "tag_async")
        monkeypatch.undo()
        reporter = get_reporter()
        for close in reversed(at_exit):
            if ".integrations." in close.__module__:  # and not what a reporter has registered, for all there are
                close()
        assert reporter.stats.sent == 2
    for fetch in (fakes[0].client.fetch, lambda key: asyncio.run(fakes[1].client.fetch(key))):
        with pytest.raises(ConfigurationError, match="closed"):
            fetch("banner")


def messages(*types: str) -> Any:
    remaining = iter([{"type": one} for one in types])

    async def receive() -> Any:
        return next(remaining)

    return receive


@pytest.mark.parametrize("name", [None, *ASYNC])
def test_an_asgi_server_that_stops_closes_the_clients(name: str | None, fakes: list[Any]) -> None:
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": scope["type"]})

    async def serve() -> None:
        wrapped = with_lifespan(application)
        await wrapped({"type": "http"}, messages(), send)
        if name is not None:
            await AsyncClient().get(f"/{name}")
        await wrapped({"type": "lifespan"}, messages("lifespan.startup", "lifespan.shutdown"), send)

    asyncio.run(serve())
    assert sent == ["http", "lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ConfigurationError, match="closed"):
        get_client().fetch("banner")
    if name is not None:
        with pytest.raises(ConfigurationError, match="closed"):
            asyncio.run(fakes[1].client.fetch("banner"))
