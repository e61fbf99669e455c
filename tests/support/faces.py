"""One way to use both clients, so that each promise is tested for sync and async by one test."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import uvloop

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient, sandbox
from moengage_personalize._transport import AsyncPooledTransport, PooledTransport

CREDENTIALS = {"workspace_id": sandbox.WORKSPACE_ID, "api_key": sandbox.API_KEY}


class Face:
    """Either client behind blocking methods; `run` awaits whatever is awaitable, always in one event loop."""

    def __init__(self, kind: str) -> None:
        self.kind = "sync" if kind == "sync" else "async"
        self.client_class: Any = PersonalizeClient if self.kind == "sync" else AsyncPersonalizeClient
        self.transport_class: Any = PooledTransport if self.kind == "sync" else AsyncPooledTransport
        self.httpx_class: Any = httpx.Client if self.kind == "sync" else httpx.AsyncClient
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop if kind == "uvloop" else None)
        self._made: list[Any] = []

    def client(self, **arguments: Any) -> Any:
        client = self.client_class(**(CREDENTIALS | arguments))
        self._made.append(client)
        return client

    def fetch(self, client: Any, *arguments: Any, **keywords: Any) -> Experiences:
        return self.run(client.fetch(*arguments, **keywords))

    def fetch_or_empty(self, client: Any, *arguments: Any, **keywords: Any) -> Experiences:
        return self.run(client.fetch_or_empty(*arguments, **keywords))

    def fetch_each(self, client: Any, *arguments: Any, **keywords: Any) -> list[tuple[Any, Experiences]]:
        async def collect() -> list[tuple[Any, Experiences]]:
            return [one async for one in client.fetch_each(*arguments, **keywords)]

        return list(client.fetch_each(*arguments, **keywords)) if self.kind == "sync" else self.run(collect())

    def close(self, client: Any) -> None:
        self.run(client.close() if self.kind == "sync" else client.aclose())

    def run(self, result: Any) -> Any:
        if asyncio.iscoroutine(result):
            return self._runner.run(result)
        return result

    def finish(self) -> None:
        for client in self._made:
            self.close(client)
        self._runner.close()
