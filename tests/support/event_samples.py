"""Events that tests report, and what a sandbox says of those that it received."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx

from moengage_personalize import ExperienceContext, ExperienceEvent, events, sandbox

FIELDS: dict[str, Any] = {
    "cid": "65eae5738ea5032b0ef60138_F_T_WP_AB_2_P_0_AU_42D",
    "experience": "Homepage Banner",
    "moe_locale_id": "0",
    "moe_variation_id": "2",
    "audience_name": "High Intent Users",
    "audience_id": "42D",
    "type": "PERSONALIZE",
    "added later": {"deep": [1, None, "ä"]},
}
CONTEXT = ExperienceContext(FIELDS)
REFUSED: dict[str, Any] = {"context": {**FIELDS, "audience_id": 42}}  # by the API, which wants a text
ACCEPTED = b'{"status": "success", "message": "m", "req_id": "r"}'


def shown(**given: Any) -> ExperienceEvent:
    return events.shown(given.pop("context", CONTEXT), **{"customer_id": "user_8821", **given})


def received(url: str) -> dict[str, Any]:
    """The events that the sandbox at this base URL has accepted."""
    found: dict[str, Any] = httpx.get(url.removesuffix("/v1") + "/_sandbox/events", timeout=60).json()
    return found


def fail(url: str, **how: int) -> None:
    """Have the sandbox fail: `status`, `times`."""
    httpx.post(url.removesuffix("/v1") + "/_sandbox/fail", json=how).raise_for_status()


class Held:
    """Holds the answers of the API back while it is told to: it has the events, and the worker does not know it."""

    def __init__(self, inner: Any, free: threading.Event) -> None:
        self._inner, self._free = inner, free

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            if scope["path"] == "/v1/experiences/events":
                await asyncio.to_thread(self._free.wait)
            await send(message)

        await self._inner(scope, receive, answer)


class Limited:
    """Answers 413, as a gateway does, to a body of more bytes than the limit."""

    def __init__(self, inner: Any, limit: int) -> None:
        self._inner, self._limit = inner, limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length = int(dict(scope.get("headers", [])).get(b"content-length", 0))
        if length <= self._limit:
            await self._inner(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def serving_limited(limit: int) -> Generator[str]:
    """A sandbox behind such a gateway."""
    application = sandbox.app()
    application.add_middleware(Limited, limit=limit)
    with sandbox.serve(application) as base_url:
        yield base_url


def within(seconds: float, done: Callable[[], bool]) -> bool:
    """Look again and again until it is done, or the time is up."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.01)
    return done()
