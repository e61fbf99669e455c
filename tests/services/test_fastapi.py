"""FastAPI: a page for each request, shared by its dependencies, and impressions once the operation has succeeded."""

# Not `from __future__ import annotations`: FastAPI could not read those of functions within a function.
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Cookie, Depends, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient

from moengage_personalize import AsyncPage, ConfigurationError, InvalidRequestError
from moengage_personalize.integrations.fastapi import Personalize
from moengage_personalize.testing import FakeAsyncPersonalize

Fake = FakeAsyncPersonalize


async def visitor(customer: Annotated[str | None, Cookie()] = None) -> str | None:
    return customer


@pytest.fixture
def fake(async_personalize: Fake) -> Fake:
    async_personalize.serve("banner", {"Title": "Hi"}, customer_id="u1", variation="2")
    async_personalize.serve("strip", {"Text": "Free"})
    return async_personalize


def shop(fake: Fake, customer_id: Any = visitor, **options: Any) -> FastAPI:
    personalize = Personalize(customer_id, make_client=lambda: fake.client, **options)
    app = FastAPI(lifespan=personalize.lifespan)

    async def strip(page: Annotated[AsyncPage, Depends(personalize.page("strip"))]) -> str:
        return page.string("strip", "Text", "")

    @app.get("/")
    async def home(
        page: Annotated[AsyncPage, Depends(personalize.page("banner"))], text: Annotated[str, Depends(strip)]
    ) -> list[str]:
        return [page.string("banner", "Title", "Welcome"), text]

    @app.get("/threaded")
    def threaded(page: Annotated[AsyncPage, Depends(personalize.page("banner"))]) -> str:
        return page.string("banner", "Title", "Welcome")

    @app.get("/later")
    async def later(page: Annotated[AsyncPage, Depends(personalize.page())]) -> str:
        assert page.string("banner", "Title", "Welcome") == "Welcome"
        await page.load("banner")
        return page.string("banner", "Title", "Welcome")

    @app.websocket("/socket")
    async def socket(socket: WebSocket, page: Annotated[AsyncPage, Depends(personalize.page("banner"))]) -> None:
        await socket.accept()
        await socket.send_text(page.string("banner", "Title", "Welcome"))
        await socket.close()

    @app.get("/fails")
    async def fails(page: Annotated[AsyncPage, Depends(personalize.page("banner"))]) -> None:
        raise HTTPException(410)

    @app.get("/breaks")
    async def breaks(page: Annotated[AsyncPage, Depends(personalize.page("banner"))]) -> None:
        raise LookupError

    @app.get("/asks-wrongly")
    async def asks_wrongly(page: Annotated[AsyncPage, Depends(personalize.page(""))]) -> None:
        pass

    return app


def visit(app: FastAPI, path: str, customer: str | None = "u1", **options: Any) -> Any:
    with TestClient(app, cookies={} if customer is None else {"customer": customer}) as http:
        answer = http.get(path, **options)
        return answer.json() if answer.status_code == 200 else answer.status_code


def shown(fake: Fake) -> list[tuple[str, str, str]]:
    return sorted((event.action, event.customer_id, event.context["moe_variation_id"]) for event in fake.events)


def test_each_visitor_sees_their_variation_and_it_is_reported_once(fake: Fake) -> None:
    with TestClient(shop(fake)) as http:
        assert http.get("/", headers={"Cookie": "customer=u1"}).json() == ["Hi", "Free"]
        assert http.get("/", headers={"Cookie": "customer=u2"}).json() == ["Welcome", "Free"]
    assert shown(fake) == [("shown", "u1", "1"), ("shown", "u1", "2"), ("shown", "u2", "1")]


def test_the_dependencies_of_a_request_share_its_page(fake: Fake) -> None:
    visit(shop(fake), "/")
    assert [request.keys for request in fake.requests] == [("banner",), ("strip",)]
    assert {request.customer_id for request in fake.requests} == {"u1"}


@pytest.mark.parametrize("path", ["/threaded", "/later"])
def test_a_page_is_read_in_a_thread_and_loaded_later(path: str, fake: Fake) -> None:
    assert visit(shop(fake), path) == "Hi"
    assert shown(fake) == [("shown", "u1", "2")]


def test_a_web_socket_has_a_page(fake: Fake) -> None:
    with TestClient(shop(fake), cookies={"customer": "u1"}) as http, http.websocket_connect("/socket") as socket:
        assert socket.receive_text() == "Hi"
    assert shown(fake) == [("shown", "u1", "2")]


def test_an_outage_costs_the_page_its_content_alone(fake: Fake) -> None:
    fake.fail(503, times=9)
    assert visit(shop(fake), "/") == ["Welcome", ""]
    assert fake.events == []


def test_who_has_no_customer_id_is_not_reported(fake: Fake) -> None:
    assert visit(shop(fake), "/", None) == ["Welcome", "Free"]
    assert fake.events == []


def test_without_a_customer_id_what_is_for_all_is_served(fake: Fake) -> None:
    personalize = Personalize(make_client=lambda: fake.client)
    app = FastAPI(lifespan=personalize.lifespan)

    @app.get("/")
    async def home(page: Annotated[AsyncPage, Depends(personalize.page("strip"))]) -> str:
        return page.string("strip", "Text", "")

    assert visit(app, "/") == "Free"
    assert fake.requests[0].customer_id is None


def test_what_fails_has_shown_nothing(fake: Fake) -> None:
    assert visit(shop(fake), "/fails") == 410
    assert fake.events == []


@pytest.mark.parametrize(("path", "kind"), [("/breaks", LookupError), ("/asks-wrongly", InvalidRequestError)])
def test_no_frame_of_a_failure_holds_the_customer_id(path: str, kind: type[Exception], fake: Fake) -> None:
    with pytest.raises(kind) as caught:
        visit(shop(fake), path, "canary")
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "canary" not in "".join(repr(frame.locals) for frame in report.stack if "/wrapper/" in frame.filename)


def test_impressions_are_left_to_the_service_on_demand(fake: Fake) -> None:
    visit(shop(fake, impressions=False), "/")
    assert fake.events == []


def test_what_the_request_tells_of_the_visit_is_sent(fake: Fake) -> None:
    app = shop(fake, query="campaign*", timeout=0.5)
    visit(app, "/later?campaign=spring&utm_medium=email", headers={"User-Agent": "Firefox"})
    sent = fake.requests[0].in_session
    assert (sent["campaign"], sent["USER_AGENT"], "utm_medium" in sent) == ("spring", "Firefox", False)


def test_client_and_reporter_are_there_while_the_application_runs(fake: Fake) -> None:
    personalize = Personalize(make_client=lambda: fake.client)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with personalize.lifespan(app):
            assert personalize.client is fake.client
            assert personalize.reporter.stats.created == 0
            yield

    with TestClient(FastAPI(lifespan=lifespan)):
        pass
    for outside in ("client", "reporter"):
        with pytest.raises(ConfigurationError, match="to have begun, got no lifespan"):
            getattr(personalize, outside)


def test_a_wrong_setting_is_seen_when_the_server_starts() -> None:
    app = FastAPI(lifespan=Personalize().lifespan)
    with pytest.raises(ConfigurationError, match="MOENGAGE_WORKSPACE_ID"), TestClient(app):
        pass


@pytest.mark.parametrize("options", [{"customer_id": "u1"}, {"query": 5}, {"query": [""]}, {"timeout": -1}], ids=repr)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Personalize(**options)
