"""Pages of a service, made the way a service is: one client, before the workers are forked."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from event_programs import event
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient

KEY = "homepage-banner"
client = PersonalizeClient.from_env(timeout=5)
client.fetch(KEY, customer_id="user_8821")  # a connection is open before any fork
async_client = AsyncPersonalizeClient.from_env(timeout=5)
reporter, async_reporter = client.reporter(), async_client.reporter()


def page(customer: str, experiences: Experiences) -> dict[str, Any]:
    return {
        "worker": os.getpid(),
        "customer": customer,
        "title": experiences.value(KEY, "Title", "default"),
        "error": None if experiences.error is None else repr(experiences.error),
    }


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    customer = environ["QUERY_STRING"]
    if environ["PATH_INFO"] == "/event":
        reporter.put(event(customer))
        body = b"{}"
    else:
        body = json.dumps(page(customer, client.fetch_or_empty(KEY, customer_id=customer))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def view(request: Request) -> Response:
    customer = request.url.query
    return JSONResponse(page(customer, await async_client.fetch_or_empty(KEY, customer_id=customer)))


async def report(request: Request) -> Response:
    async_reporter.put(event(request.url.query))
    return JSONResponse({})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    # uvicorn ends a worker by a signal, after which nothing is run that waits for the end of the interpreter.
    async with async_reporter:
        yield


asgi = Starlette(routes=[Route("/", view), Route("/event", report)], lifespan=lifespan)
