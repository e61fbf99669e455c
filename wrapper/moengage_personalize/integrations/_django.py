"""What the setting PERSONALIZE of Django says, checked, and what a process makes of it: clients and a reporter."""

# Django has no types of its own, and no stubs are needed to use this: what is taken from it is little and plain.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable
from functools import cache, cached_property
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .. import AsyncPersonalizeClient, ConfigurationError, InSession, PersonalizeClient, Reporter
from ._visits import Visit, check_options, reporter_of


def nobody(_: Any) -> None:
    """The customer id where no function says who the visitor is."""


FUNCTIONS: dict[str, Callable[..., Any]] = {  # or their dotted paths
    "CUSTOMER_ID": nobody,
    "MAKE_CLIENT": PersonalizeClient.from_env,
    "MAKE_ASYNC_CLIENT": AsyncPersonalizeClient.from_env,
    "MAKE_REPORTER": reporter_of,
}
VALUES: dict[str, Any] = {"QUERY": ("utm_*",), "TIMEOUT": None, "IMPRESSIONS": True}


class Process:
    """What the setting PERSONALIZE makes, once a process."""

    def __init__(self, setting: dict[str, Any]) -> None:
        if unknown := sorted(setting.keys() - FUNCTIONS.keys() - VALUES.keys()):
            raise ConfigurationError(f"expected in PERSONALIZE {', '.join(FUNCTIONS | VALUES)}, got {unknown}")
        known: dict[str, Any] = FUNCTIONS | VALUES | setting
        known |= {name: import_string(known[name]) for name in FUNCTIONS if isinstance(known[name], str)}
        self.timeout, self.impressions, self.customer_id = known["TIMEOUT"], known["IMPRESSIONS"], known["CUSTOMER_ID"]
        self.query = check_options(self.customer_id, known["QUERY"], self.timeout)
        self._make_async_client = known["MAKE_ASYNC_CLIENT"]
        self.client: PersonalizeClient = known["MAKE_CLIENT"]()
        self.reporter: Reporter = known["MAKE_REPORTER"](self.client)
        atexit.register(self.close)

    @cached_property
    def async_client(self) -> AsyncPersonalizeClient:
        """Made by the first view that needs it."""
        client: AsyncPersonalizeClient = self._make_async_client()
        atexit.register(lambda: asyncio.run(client.aclose()))  # when all loops of the process have ended
        return client

    def begin_visit(self, client: Any, request: Any, who: Any) -> Visit[Any]:
        """Make the page of a request, of either client."""
        session = InSession.from_wsgi(request.META, query=self.query)
        return Visit(client.page(customer_id=who, in_session=session, timeout=self.timeout), who)

    def close(self) -> None:
        """Send what was reported, and close the connections of `client`."""
        self.reporter.close()
        self.client.close()

    async def aclose(self) -> None:
        """As `close`, and close the connections of the awaited client, too."""
        await asyncio.to_thread(self.close)
        if "async_client" in vars(self):
            await self.async_client.aclose()


@cache  # without a lock, because gevent may patch threading later; the middleware makes it before there are requests
def current_process() -> Process:
    """What this process has, made by whoever asks first."""
    return Process(getattr(settings, "PERSONALIZE", {}))


def _forget(*, setting: str, **_: Any) -> None:
    """Make all of it again when a test overrides the setting."""
    if setting == "PERSONALIZE" and current_process.cache_info().currsize:
        current_process().close()
        current_process.cache_clear()


setting_changed.connect(_forget)


def with_lifespan(application: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Close all of it when an ASGI server stops: uvicorn ends by a signal, after which no other Python code runs.

    In asgi.py: application = with_lifespan(get_asgi_application()), because Django has no lifespan of its own.
    https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    """

    async def application_with_lifespan(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await current_process().aclose()
        await send({"type": "lifespan.shutdown.complete"})

    return application_with_lifespan
