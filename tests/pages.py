"""Pages of a service, made the way a service is: one client, before the workers are forked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient

KEY = "homepage-banner"
client = PersonalizeClient.from_env(timeout=5)
client.fetch(KEY, customer_id="user_8821")  # a connection is open before any fork
async_client = AsyncPersonalizeClient.from_env(timeout=5)


def page(customer: str, experiences: Experiences) -> dict[str, Any]:
    return {
        "worker": os.getpid(),
        "customer": customer,
        "title": experiences.value(KEY, "Title", "default"),
        "error": None if experiences.error is None else repr(experiences.error),
    }


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    customer = environ["QUERY_STRING"]
    body = json.dumps(page(customer, client.fetch_or_empty(KEY, customer_id=customer))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def view(request: Request) -> Response:
    customer = request.url.query
    return JSONResponse(page(customer, await async_client.fetch_or_empty(KEY, customer_id=customer)))


asgi = Starlette(routes=[Route("/", view)])
