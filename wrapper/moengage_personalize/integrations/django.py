"""Django: one client for the process, a page for a request, a template tag, impressions after the view.

    MIDDLEWARE = [..., "moengage_personalize.integrations.django.middleware"]  # in the settings
    PERSONALIZE = {"CUSTOMER_ID": "shop.visitors.customer_id"}  # a function of the request

    def home(request):
        page(request).prefetch(["homepage-banner", "promo-strip"])
        return render(request, "home.html")  # <h1>{% personalize "homepage-banner" "Title" "Welcome" %}</h1>

    async def strip(request):
        found = await apage(request, "promo-strip")
        return HttpResponse(found.string("promo-strip", "Text", ""))

The tag comes with "builtins": ["moengage_personalize.integrations.django"] in the OPTIONS of TEMPLATES. The client is
made with the middleware, so that a wrong setting is seen when the server starts; it works in workers that are forked
later (gunicorn --preload), and in those of gevent. It is closed at the end of the process, under uvicorn by
`with_lifespan`. Which of the two clients a view needs depends on the view and not on the server, so that the awaited
one is made by the first `apage`.

Needs the extra: pip install "moengage-personalize[django]". https://docs.djangoproject.com/en/stable/topics/async/
"""

# Django has no types of its own, and no stubs are needed to use this: what is taken from it is little and plain.
# mypy: disable-error-code="untyped-decorator"
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeAlias

try:
    from django.template import Library
    from django.utils.decorators import sync_and_async_middleware
    from django.utils.functional import SimpleLazyObject
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[django]"'
    raise ImportError(f"expected the extra of Django ({needed}), got no {missing.name}") from missing

from .. import AsyncPage, ConfigurationError, Page, PersonalizeClient, Reporter
from ._django import current_process, with_lifespan
from ._visits import Visit

__all__ = [
    "apage",
    "context_processor",
    "get_client",
    "get_reporter",
    "middleware",
    "page",
    "register",
    "with_lifespan",
]

HttpRequest: TypeAlias = Any
VISIT, ASYNC_VISIT = "moengage_personalize.visit", "moengage_personalize.async_visit"  # in the META of a request


def get_client() -> PersonalizeClient:
    """The client of this process."""
    return current_process().client


def get_reporter() -> Reporter:
    """The reporter of this process, for clicks; its `put` never blocks, so that an async view may call it, too."""
    return current_process().reporter


def page(request: HttpRequest) -> Page:
    """The page of this request, for a view that is no coroutine.

    Raises:
        ConfigurationError: within an event loop, which this page would block.
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigurationError("expected `await apage(request)` in an event loop, got page(request)")
    if VISIT not in request.META:
        process = current_process()
        request.META[VISIT] = process.begin_visit(process.client, request, process.customer_id(request))
    visit: Visit[Page] = request.META[VISIT]
    return visit.page


async def apage(request: HttpRequest, *keys: str) -> AsyncPage:
    """The page of this request, for an async view, with these keys loaded; its templates and the tag read it, too.

    The function CUSTOMER_ID may be a coroutine function where all views that ask are async.
    """
    if ASYNC_VISIT not in request.META:
        request.META.setdefault(ASYNC_VISIT, await _begin_async_visit(request))  # another task may have been quicker
    visit: Visit[AsyncPage] = request.META[ASYNC_VISIT]
    if keys:
        await visit.page.load(keys)
    return visit.page


async def _begin_async_visit(request: HttpRequest) -> Visit[AsyncPage]:
    process = current_process()
    who = process.customer_id(request)
    return process.begin_visit(process.async_client, request, await who if isawaitable(who) else who)


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Report what the page of a request has loaded as shown, where the response has a status of 2xx."""
    current_process()

    def respond(request: HttpRequest) -> Any:
        return _report_shown(request, get_response(request))

    async def respond_async(request: HttpRequest) -> Any:
        return _report_shown(request, await get_response(request))

    return respond_async if iscoroutinefunction(get_response) else respond


def _report_shown(request: HttpRequest, response: Any) -> Any:
    if current_process().impressions and 200 <= response.status_code < 300:
        for name in {VISIT, ASYNC_VISIT} & request.META.keys():
            request.META[name].report_shown(current_process().reporter)
    return response


def context_processor(request: HttpRequest) -> dict[str, Any]:
    """The page of the request as `personalize`, for Jinja: {{ personalize.string("homepage-banner", "Title", "") }}."""
    return {"personalize": SimpleLazyObject(lambda: _readable(request))}


def _readable(request: HttpRequest) -> Page | AsyncPage:
    """The page that a template reads: where an async view has loaded one, this."""
    visit: Visit[AsyncPage] | None = request.META.get(ASYNC_VISIT)
    return page(request) if visit is None else visit.page


def _value(context: Any, key: str, name: str, default: Any = "") -> Any:
    """{% personalize KEY NAME DEFAULT %}: a value of the default's type, or the default; also with `as`."""
    request: HttpRequest = getattr(context, "request", None)
    if request is None:
        raise ConfigurationError("expected a template that is rendered with its request, got one without")
    return _readable(request).value(key, name, default)


register = Library()
register.simple_tag(_value, takes_context=True, name="personalize")
