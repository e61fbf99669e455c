"""No key and nothing of a visitor in what an error leaves behind, but for the API's own words on its attributes."""

from __future__ import annotations

import asyncio
import base64
import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from faces import Face
from servers import answers, cuts_off, hangs, hangs_up, serves, serving

import moengage_personalize
from moengage_personalize import (
    AsyncPersonalizeClient,
    ExperienceContext,
    InSession,
    InvalidRequestError,
    PersonalizeError,
    events,
)

KEY, CUSTOMER, MAIL, ADDRESS = "canary-key", "canary-customer", "canary@example.com", "203.0.113.199"
TOKEN = base64.b64encode(f"WS:{KEY}".encode()).decode()
CANARIES = [KEY, CUSTOMER, MAIL, ADDRESS, TOKEN, base64.b64encode(CUSTOMER.encode()).decode().rstrip("=")]
ECHO = {"title": f"{KEY} {CUSTOMER}", "description": f"Basic {TOKEN} {MAIL}", "code": ADDRESS}


def asked(**changed: Any) -> dict[str, Any]:
    session = InSession(ip_address=ADDRESS, attributes=changed.pop("attributes", {}))
    visitor = {"customer_id": CUSTOMER, "user_identifiers": {"u_em": MAIL}, "in_session": session}
    return {"keys": "banner", **visitor, "timeout": 0.3, **changed}


@pytest.fixture(params=["async", "uvloop"])
def loop_face(request: pytest.FixtureRequest) -> Iterator[Face]:
    face = Face(request.param)
    yield face
    face.finish()


def left_behind(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that a log or an error reporter could show of the frames of ours and of what they carry."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    links: list[traceback.TracebackException | None] = [report]
    others = {name: value for name, value in vars(error).items() if name not in ("title", "description", "code")}
    texts = [str(error), repr(error), repr(others)]
    while links:
        link = links.pop()
        if link is not None:
            frames = [frame for frame in link.stack if "tests" not in frame.filename]
            texts += [repr(frame.locals) + str(frame.line) for frame in frames]
            texts += link.format_exception_only()
            links += [link.__cause__, link.__context__]
    ours = [record for record in caplog.records if record.name == "moengage_personalize"]
    texts += [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    texts += [f"{record.getMessage()} {vars(record)!r}" for record in ours]
    return "\n".join(texts)


def check(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    text = left_behind(error, caplog)
    assert [canary for canary in CANARIES if canary in text] == []


@pytest.mark.parametrize(
    "bad",
    [hangs_up, cuts_off, hangs, *(answers(status, ECHO) for status in (200, 301, 400, 401, 403, 404, 429, 500))],
    ids=["hangs up", "cuts off", "hangs", "200", "301", "400", "401", "403", "404", "429", "500"],
)
def test_no_failure_leaks(face: Face, bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    with serving(bad) as server, caplog.at_level(logging.DEBUG):
        client = face.client(workspace_id="WS", api_key=KEY, base_url=server.base_url, max_retries=1)
        with pytest.raises(PersonalizeError) as caught:
            face.fetch(client, **asked())
        check(caught.value, caplog)
        experiences = face.fetch_or_empty(client, **asked(keys=[f"key-{number}" for number in range(30)]))
        assert experiences.error is not None
        check(experiences.error, caplog)
        assert len(server.requests) >= 2
        assert CUSTOMER.encode() in server.requests[0]
        face.close(client)


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": ""},
        {"customer_id": b"canary-customer"},
        {"user_identifiers": {"u_em": {MAIL}}},
        {"attributes": {"identifiers": CUSTOMER}},
        {"attributes": {"x": "\ud800"}},
        {"timeout": -1},
        {"in_session": {"ip": ADDRESS}},
    ],
    ids=repr,
)
def test_no_refusal_of_arguments_leaks(face: Face, changed: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    client = face.client(workspace_id="WS", api_key=KEY, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(PersonalizeError) as caught:
        face.fetch(client, **asked(**changed))
    check(caught.value, caplog)


def test_no_refusal_of_a_page_leaks(caplog: pytest.LogCaptureFixture) -> None:
    visitor = asked()
    del visitor["keys"]
    client = AsyncPersonalizeClient("WS", KEY, base_url="http://host/v1")
    with pytest.raises(InvalidRequestError) as caught:
        client.page(**visitor, linger=-1)
    check(caught.value, caplog)


@pytest.mark.parametrize("changed", [{"timeout": 0}, {"data_center": "7"}, {"workspace_id": "a:b"}], ids=repr)
def test_no_refusal_of_settings_leaks(face: Face, changed: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PersonalizeError) as caught:
        face.client_class(**{"workspace_id": "WS", "api_key": KEY, "data_center": "01"} | changed)
    check(caught.value, caplog)


def test_no_refusal_of_an_in_session_or_a_context_leaks(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PersonalizeError) as caught:
        InSession(ip_address=ADDRESS, attributes={5: CUSTOMER})  # type: ignore[dict-item]  # what is refused
    check(caught.value, caplog)
    with pytest.raises(PersonalizeError) as caught:
        ExperienceContext.from_json(f'"{CUSTOMER}')
    check(caught.value, caplog)


def visit(face: Face, client: Any, what: str) -> Any:
    """Begin one of what a service asks, for a visitor who must not be seen."""
    visitor = asked()
    keys = visitor.pop("keys")
    if what == "fetch":
        return client.fetch(keys, **visitor)
    if what == "split":
        return client.fetch([f"key-{number}" for number in range(60)], **visitor)
    if what == "fetch_or_empty":
        return client.fetch_or_empty(keys, **visitor)
    if what == "report_events":
        context = ExperienceContext(CONTEXT)
        attributes = {"mail": MAIL, "address": ADDRESS}
        event = events.shown(context, customer_id=CUSTOMER, platform="web", user_attributes=attributes)
        return client.report_events([event], timeout=0.5)
    page = client.page(**visitor)
    return page.experience(keys) if face.kind == "sync" else page.load([keys])


CONTEXT = dict.fromkeys(
    ["cid", "experience", "moe_locale_id", "moe_variation_id", "audience_name", "audience_id"], "canary@example.com"
)
ASKED = ["fetch", "split", "fetch_or_empty", "report_events", "page"]


@pytest.mark.parametrize("what", ASKED)
def test_no_call_that_asyncio_ends_leaks(what: str, loop_face: Face, caplog: pytest.LogCaptureFixture) -> None:
    async def within(seconds: float, client: Any) -> None:
        async with asyncio.timeout(seconds):
            await visit(loop_face, client, what)

    async def cancelled(client: Any) -> None:
        task = asyncio.create_task(within(9, client))
        await asyncio.sleep(0.1)
        task.cancel("too late")
        await task

    with serving(hangs) as server:
        client = loop_face.client(workspace_id="WS", api_key=KEY, base_url=server.base_url)
        for ends, kind in ((within(0.1, client), TimeoutError), (cancelled(client), asyncio.CancelledError)):
            with pytest.raises(kind) as caught:
                loop_face.run(ends)
            check(caught.value, caplog)
        loop_face.close(client)


class SoftTimeLimitExceeded(Exception):
    """As Celery's."""


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, SoftTimeLimitExceeded])
def test_no_call_that_a_signal_ends_leaks(
    what: str, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(*_: object) -> None:
        raise kind("canary")

    face = Face("sync")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with serving(hangs) as server:
            client = face.client(workspace_id="WS", api_key=KEY, base_url=server.base_url, timeout=5)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(kind) as caught:
                visit(face, client, what)
            check(caught.value, caplog)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        face.finish()


@pytest.mark.parametrize("what", ASKED)
def test_no_fault_of_a_transport_leaks(what: str, face: Face, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def perform(self, request: Any) -> Any:
            held = bytes(request.body)
            raise LookupError(f"a fault with {len(held)} bytes")

        def perform_all(self, requests: Any) -> Any:
            return [self.perform(request) for request in requests]

        def close(self) -> None: ...

    class AsyncBroken(Broken):
        async def perform(self, request: Any) -> Any:
            await asyncio.sleep(0)
            return super().perform(request)

        async def aclose(self) -> None: ...

    client = face.client(workspace_id="WS", api_key=KEY, base_url="http://127.0.0.1:9/v1")
    face.close(client)
    client._closed, client._transport = False, Broken() if face.kind == "sync" else AsyncBroken()
    with pytest.raises((LookupError, ExceptionGroup)) as caught:
        face.run(visit(face, client, what))
    check(caught.value, caplog)
    if isinstance(caught.value, LookupError):
        assert "perform" in caught.value.__notes__[0]


def shows(value: object) -> str:
    """All that can be reached from what is observed: fields, the attributes of errors, and what those hold."""
    if attrs.has(type(value)):
        return " ".join(shows(getattr(value, field.name)) for field in attrs.fields(type(value)))
    if isinstance(value, BaseException):
        return f"{value!r} {vars(value)!r} {value.__cause__!r} {value.__traceback__!r}"
    if isinstance(value, tuple | list):
        return " ".join(map(shows, value))
    return repr(value)


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize(
    "bad",
    [hangs_up, hangs, *(answers(status, ECHO) for status in (200, 400, 401, 429, 500)), serves("banner")],
    ids=["hangs up", "hangs", "200", "400", "401", "429", "500", "serves"],
)
def test_what_is_observed_holds_nothing_of_a_visitor(
    what: str, bad: Any, face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []
    with serving(bad) as server, caplog.at_level(logging.DEBUG, logger="moengage_personalize"):
        base_url = server.base_url
        client = face.client(workspace_id="WS", api_key=KEY, base_url=base_url, max_retries=1, observe=seen.append)

        async def ask() -> Any:
            return await visit(face, client, what)

        with suppress(PersonalizeError):
            if face.kind == "sync":
                visit(face, client, what)
            else:
                face.run(ask())
        assert all(CUSTOMER.encode() in request for request in server.requests)
    assert len(seen) == 1
    records = [record for record in caplog.records if record.name == "moengage_personalize"]
    assert records
    text = " ".join([shows(seen), *(f"{record.getMessage()} {vars(record)!r}" for record in records)])
    assert [canary for canary in CANARIES if canary in text] == []


def test_an_error_that_the_caller_was_handling_keeps_its_traceback(face: Face) -> None:
    client = face.client(base_url="http://127.0.0.1:9/v1", max_retries=0)

    def handle() -> None:
        try:
            raise LookupError("of the service's own")
        except LookupError:
            face.fetch(client, "banner")

    with pytest.raises(PersonalizeError) as caught:
        handle()
    context = caught.value.__context__
    while context is not None and not isinstance(context, LookupError):
        context = context.__context__
    assert context is not None
    assert [frame.name for frame in traceback.extract_tb(context.__traceback__)] == ["handle"]


def test_an_error_shows_one_frame_of_ours_and_its_cause(face: Face) -> None:
    with serving(hangs_up) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        with pytest.raises(PersonalizeError) as caught:
            face.fetch(client, "banner")
    package = str(Path(moengage_personalize.__file__).parent)
    ours = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename.startswith(package)]
    assert [frame.name for frame in ours] == ["call"]
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None
