"""The public types, as a service's type checker sees them; only checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type
from uuid import UUID

import httpx
from celery import Celery
from celery.result import AsyncResult
from fastapi import FastAPI
from flask import Flask

from moengage_personalize import (
    APIError,
    AsyncPage,
    AsyncPersonalizeClient,
    AsyncReporter,
    Attempt,
    Call,
    ClientStats,
    DataCenter,
    DeadlineExceeded,
    Experience,
    ExperienceContext,
    ExperienceDict,
    ExperienceEvent,
    ExperienceMetadata,
    Experiences,
    InSession,
    MalformedResponse,
    Page,
    PersonalizeClient,
    PersonalizeError,
    RateLimit,
    RateLimited,
    Reporter,
    ReporterStats,
    events,
)
from moengage_personalize.integrations import fastapi, flask
from moengage_personalize.integrations.celery import ReportTask, report_task
from moengage_personalize.integrations.clicks import ClickSigner
from moengage_personalize.integrations.django import apage, get_client, get_reporter, page as page_of, with_lifespan
from moengage_personalize.integrations.opentelemetry import Telemetry
from moengage_personalize.testing import (
    FakeAsyncPersonalize,
    FakePersonalize,
    ReceivedEvent,
    ReceivedFetch,
    SandboxPersonalize,
)

client = PersonalizeClient("WS", "key", DataCenter.DC_03, timeout=0.5, max_retries=0)
PersonalizeClient(workspace_id="WS", api_key="key", data_center="03")
PersonalizeClient("WS", "key", base_url="http://127.0.0.1:8025/v1", http_client=httpx.Client())
assert_type(PersonalizeClient.from_env(data_center=3), PersonalizeClient)
assert_type(AsyncPersonalizeClient.from_env(), AsyncPersonalizeClient)

session = InSession(at=datetime.now(UTC), ip_address="203.0.113.1", attributes={"utm_medium": "email", "n": 1})
experiences = client.fetch(
    ["a", "b"], customer_id="me", user_identifiers={"u_em": "x"}, in_session=session, timeout=0.3
)
assert_type(experiences, Experiences)
assert_type(client.fetch(), Experiences)
assert_type(client.fetch("a"), Experiences)
assert_type(client.fetch_or_empty(key for key in "ab"), Experiences)

for customer, found in client.fetch_each(["a", "b"], ["key"], rate=1_000, in_session=session):
    assert_type(customer, str)
    assert_type(found, Experiences)
assert_type(client.fetch_each(range(3)), Generator[tuple[int, Experiences], None, None])
people: list[dict[str, Any]] = [{"customer_id": 7, "user_identifiers": {"u_em": "x"}, "in_session": {"plan": "gold"}}]
assert_type(next(client.fetch_each(people, concurrency=4)), tuple[dict[str, Any], Experiences])


async def each(asked: AsyncPersonalizeClient, ids: AsyncIterator[UUID]) -> None:
    async for one, got in asked.fetch_each(ids, "key", timeout=1):
        assert_type(one, UUID)
        assert_type(got, Experiences)


mapping: Mapping[str, Experience] = experiences
experience = experiences["a"]
assert_type(experience, Experience)
assert_type(experiences.get("a"), Experience | None)
assert_type(experience["Title"], Any)
assert_type(experience.string("Title", "default"), str)
assert_type(experience.string("Title", None), str | None)
assert_type(experience.number("Limit", 1), int | float)
assert_type(experience.boolean("On", False), bool)
assert_type(experience.integer("Limit", 1), int)
assert_type(experience.list("Items", None), list[Any] | None)
assert_type(experience.object("Map", None), dict[str, Any] | None)
assert_type(experience.value("Title", "default"), str)
assert_type(experience.value("Limit", 1), int)
assert_type(experience.value("Ratio", 0.5), float)
assert_type(experience.value("On", False), bool)
assert_type(experience.value("Title", None), Any)
assert_type(experiences.value("a", "Title", "default"), str)
assert_type(experiences.value("a", "Title", None), Any)
assert_type(experiences.string("a", "Title", "default"), str)
assert_type(experiences.integer("a", "Limit", None), int | None)
assert_type(experience.context, ExperienceContext)
assert_type(ExperienceContext.from_json(experience.context.to_json()), ExperienceContext)
assert_type(experience.context.attributes(), dict[str, Any])
assert_type(experiences.contexts(), dict[str, ExperienceContext])
assert_type(experiences.rate_limit, RateLimit | None)
assert_type(experiences.error, PersonalizeError | None)
if experiences.reason("a") == "served":
    pass
assert experiences.reason("a") != "surved"  # type: ignore[comparison-overlap]  # pyright: ignore


async def page(client: AsyncPersonalizeClient) -> None:
    async with client as same:
        assert_type(same, AsyncPersonalizeClient)
        assert_type(await client.fetch("a", customer_id="me"), Experiences)
        assert_type(await client.fetch_or_empty(None, timeout=1), Experiences)


def handle(error: PersonalizeError) -> None:
    assert_type(error.retryable, bool)
    if isinstance(error, RateLimited):
        assert_type(error.retry_after, float | None)
    if isinstance(error, APIError):
        assert_type(error.status, int)
        assert_type(error.description, str | None)
        assert_type(error.rate_limit, RateLimit | None)
    if isinstance(error, DeadlineExceeded):
        assert_type(error.timeout, float)
    if isinstance(error, MalformedResponse):
        assert_type(error.status, int)


client.fetch(5)  # type: ignore[arg-type]  # pyright: ignore
client.fetch(customer_id=5, in_session={"utm_medium": "email"})
client.fetch(customer_id=UUID(int=5))
client.fetch(customer_id=5.5)  # type: ignore[arg-type]  # pyright: ignore
client.fetch(in_session="email")  # type: ignore[arg-type]  # pyright: ignore
client.fetch("a", "positional")  # type: ignore[call-arg]  # pyright: ignore
InSession(at="2026-11-23")  # type: ignore[arg-type]  # pyright: ignore
PersonalizeClient("WS", "key", 1.5)  # type: ignore[arg-type]  # pyright: ignore

event = events.shown(experience.context, customer_id="me", at=datetime.now(UTC), user_timezone_offset=19_800)
assert_type(event, ExperienceEvent)
assert_type(events.clicked({"cid": "1"}, customer_id="me", platform="ios", element="Buy"), ExperienceEvent)
assert_type(ExperienceEvent.from_json(event.to_json()), ExperienceEvent)
assert_type(client.metadata(["Active"]), list[ExperienceMetadata])
client.report_events([event], timeout=2)
with client.reporter(queue_size=100, on_drop=lambda event, reason: (event.uuid, reason)) as reporter:
    assert_type(reporter, Reporter)
    reporter.put(event)
    assert_type(reporter.flush(1.0), bool)
    assert_type(reporter.stats, ReporterStats)
assert_type(client.reporter(spool="events.spool").stats.spooled, int)
assert_type(client.reporter(spool=Path("events.spool")).stats.spool_errors, Mapping[str, int])
client.reporter(spool=7)  # type: ignore[arg-type]  # pyright: ignore


async def report(asked: AsyncPersonalizeClient) -> None:
    assert_type(await asked.metadata(), list[ExperienceMetadata])
    async with asked.reporter() as in_background:
        assert_type(in_background, AsyncReporter)
        in_background.put(event)
        assert_type(await in_background.close(), bool)


shared = client.page(customer_id="me", user_identifiers={"u_em": "x"}, in_session=session, timeout=0.3)
assert_type(shared, Page)
shared.prefetch(["a", "b"])
assert_type(shared.experience("a"), Experience | None)
assert_type(shared.value("a", "Title", "default"), str)
assert_type(shared.number("a", "Limit", 1), int | float)
assert_type(shared.contexts(), dict[str, ExperienceContext])
assert_type(shared.error, PersonalizeError | None)
assert shared.reason("a") != "surved"  # type: ignore[comparison-overlap]  # pyright: ignore
client.page("positional")  # type: ignore[call-arg]  # pyright: ignore
client.page(linger=0.1)  # type: ignore[call-arg]  # pyright: ignore


async def components(asked: AsyncPersonalizeClient) -> None:
    assert_type(asked.page(linger=0.005), AsyncPage)
    asked.page().prefetch(key for key in "ab")
    assert_type(await asked.page().experience("a"), Experience | None)
    loaded = asked.page()
    await loaded.load(["a", "b"])
    assert_type(loaded.value("a", "Title", "default"), str)


task = report_task(Celery("service"), PersonalizeClient.from_env, timeout=5, max_retries=None, rate_limit="10/s")
assert_type(task, ReportTask)
assert_type(task.send([event], queue="events"), AsyncResult[int])
assert_type(task.delay([event.to_json()]), AsyncResult[int])
report_task(Celery("service"), client)
report_task(Celery("service"), page)  # type: ignore[arg-type]  # pyright: ignore
task.send([event.to_json()])  # type: ignore[list-item]  # pyright: ignore

signer = ClickSigner(["key"], max_age=60)
assert_type(signer.sign(experience.context, customer_id=7, element="Buy"), str)
assert_type(signer.event("token"), ExperienceEvent)
signer.event(b"token")  # type: ignore[arg-type]  # pyright: ignore
assert_type(experience.to_dict(), ExperienceDict)
assert_type(experiences.to_dict(sign=signer.sign), dict[str, ExperienceDict])
experiences.to_dict(sign=experience.string)  # type: ignore[arg-type]  # pyright: ignore
assert_type(InSession.from_asgi({"type": "http"}, query=("utm_*",), referrer="referrer"), InSession)
assert_type(InSession.from_wsgi({}, query="utm_*"), InSession)

in_fastapi = fastapi.Personalize(page, query="utm_*", timeout=0.3, make_client=AsyncPersonalizeClient.from_env)
FastAPI(lifespan=in_fastapi.lifespan)
assert_type(in_fastapi.client, AsyncPersonalizeClient)
assert_type(in_fastapi.reporter, AsyncReporter)
fastapi.Personalize(make_client=PersonalizeClient.from_env)  # type: ignore[arg-type]  # pyright: ignore

in_flask = flask.Personalize(Flask("shop"), customer_id=lambda: 7, make_reporter=lambda made: made.reporter())
assert_type(in_flask.page, Page)
assert_type(in_flask.reporter, Reporter)
flask.Personalize(customer_id=lambda request: 7)  # type: ignore  # pyright: ignore

request: Any = None
assert_type(page_of(request), Page)
assert_type(get_client(), PersonalizeClient)
assert_type(get_reporter(), Reporter)
with_lifespan(with_lifespan(request))


async def view() -> None:
    assert_type(await apage(request, "a", "b"), AsyncPage)


def uses_the_fixtures(personalize: FakePersonalize, asked: FakeAsyncPersonalize, sandboxed: SandboxPersonalize) -> None:
    personalize.serve("a", {"Title": "Hi"}, customer_id=7, variation="2")
    personalize.fail(503, times=2, delay=0.1, malformed=True)
    personalize.fail(RateLimited)
    personalize.fail("503")  # type: ignore[arg-type]  # pyright: ignore
    sandboxed.serve("a", {})
    assert_type(personalize.client, PersonalizeClient)
    assert_type(asked.client, AsyncPersonalizeClient)
    assert_type(personalize.requests, list[ReceivedFetch])
    assert_type(sandboxed.events, list[ReceivedEvent])


def watch(call: Call) -> None:
    assert_type(call.keys, tuple[str, ...] | None)
    assert_type(call.served, tuple[str, ...])
    assert_type(call.variations, Mapping[str, str])
    assert_type(call.attempts, tuple[Attempt, ...])
    assert_type(call.attempts[0].started, datetime)
    assert_type(call.attempts[0].status, int | None)
    assert_type(call.attempts[0].host, str)
    assert_type(call.retries, int)
    assert_type(call.rate_limit, RateLimit | None)
    assert_type(call.error, PersonalizeError | None)
    assert call.operation != "fetsh"  # type: ignore[comparison-overlap]  # pyright: ignore
    assert call.circuit != "half open"  # type: ignore[comparison-overlap]  # pyright: ignore


PersonalizeClient("WS", "key", "03", observe=watch)
seen: list[Call] = []
AsyncPersonalizeClient.from_env(observe=seen.append)
PersonalizeClient.from_env(observe=Telemetry())
PersonalizeClient("WS", "key", "03", observe=handle)  # type: ignore[arg-type]  # pyright: ignore
assert_type(client.stats, ClientStats)
assert_type(client.stats.failures, Mapping[str, int])
assert_type(client.stats.connections_open, int | None)
assert_type(Telemetry().watch(client.reporter()), Reporter)
