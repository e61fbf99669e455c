"""Our client on each engine that is installed: the whole typed call, deadline, retries and circuit breaker armed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from moengage_personalize import (
    AsyncPersonalizeClient,
    Experiences,
    PersonalizeClient,
    PersonalizeError,
    _transport as engines,
)

from .canned import API_KEY, CUSTOMER, WORKSPACE_ID, Values
from .others import TIMEOUT, AsyncCall, Awaited, Blocking, Call, Target

DEFAULT = "ours"
# The engine of each name for PersonalizeClient and for AsyncPersonalizeClient, in moengage_personalize.engines.
ENGINES: dict[str, tuple[str | None, str | None]] = {DEFAULT: ("PooledTransport", "AsyncPooledTransport")}


def _engine(name: str | None) -> Any:
    """A new engine of that name; None if it is not here, or what it needs is not."""
    made = getattr(engines, name, None) if name else None
    try:
        return made and made()
    except (ImportError, PersonalizeError):
        return None


def settings(base_url: str) -> dict[str, Any]:
    """What our clients are made with."""
    return {"workspace_id": WORKSPACE_ID, "api_key": API_KEY, "base_url": base_url, "timeout": TIMEOUT}


def _read(target: Target, experiences: Experiences) -> Values:
    return tuple(experiences.value(key, variable, "") for key, variable in target.payload.reads)


@contextmanager
def _blocking(name: str, target: Target) -> Generator[Call]:
    engine, keys = _engine(name), target.payload.keys
    with PersonalizeClient(**settings(target.base_url), engine=engine) as client:
        yield lambda: _read(target, client.fetch(keys, customer_id=CUSTOMER))
    engine.close()


@asynccontextmanager
async def _awaited(name: str, target: Target) -> AsyncGenerator[AsyncCall]:
    engine, keys = _engine(name), target.payload.keys
    async with AsyncPersonalizeClient(**settings(target.base_url), engine=engine) as client:

        async def call() -> Values:
            return _read(target, await client.fetch(keys, customer_id=CUSTOMER))

        yield call
    await engine.aclose()


def blocking() -> dict[str, Blocking | None]:
    """The client on each engine; None where it is not installed."""
    names = {label: name for label, (name, _) in ENGINES.items() if name}
    return {label: partial(_blocking, name) if _engine(name) else None for label, name in names.items()}


def awaited() -> dict[str, Awaited | None]:
    """The async client on each engine; None where it is not installed."""
    names = {label: name for label, (_, name) in ENGINES.items() if name}
    return {label: partial(_awaited, name) if _engine(name) else None for label, name in names.items()}
