"""Ask MoEngage Personalize, while a page renders, which content this visitor gets.

    from moengage_personalize import InSession, PersonalizeClient

    client = PersonalizeClient.from_env()
    experiences = client.fetch_or_empty(
        ["homepage-banner"],
        customer_id="user_8821",
        in_session=InSession(attributes={"utm_medium": "email"}),
        timeout=0.3,
    )
    title = experiences.value("homepage-banner", "Title", "Free shipping")

Unofficial. AsyncPersonalizeClient has the same methods, awaited.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import events
    from ._async_client import AsyncPersonalizeClient
    from ._async_reporter import AsyncReporter
    from ._client import PersonalizeClient
    from ._context import ExperienceContext
    from ._errors import (
        APIError,
        AuthenticationFailed,
        BadRequest,
        CircuitOpen,
        ConfigurationError,
        ConnectionFailed,
        DeadlineExceeded,
        EventsNotAccepted,
        InvalidRequestError,
        MalformedResponse,
        PermissionDenied,
        PersonalizeError,
        RateLimit,
        RateLimited,
        ServerError,
    )
    from ._experiences import Experience, Experiences
    from ._item import ReporterStats
    from ._metadata import ExperienceMetadata
    from ._page import AsyncPage, Page
    from ._reporter import Reporter
    from ._session import InSession
    from ._settings import CircuitBreaker, DataCenter
    from .engines import AsyncHttpxEngine, HttpxEngine
    from .events import ExperienceEvent
else:
    # Each name is imported when it is first asked for, so that to import this package costs next to nothing: not every
    # process that imports it asks for an experience.
    _NAMES = {
        "_async_client": "AsyncPersonalizeClient",
        "_async_reporter": "AsyncReporter",
        "_client": "PersonalizeClient",
        "_context": "ExperienceContext",
        "_errors": "APIError AuthenticationFailed BadRequest CircuitOpen ConfigurationError ConnectionFailed "
        "DeadlineExceeded EventsNotAccepted InvalidRequestError MalformedResponse PermissionDenied PersonalizeError "
        "RateLimit RateLimited ServerError",
        "_experiences": "Experience Experiences",
        "_item": "ReporterStats",
        "_metadata": "ExperienceMetadata",
        "_page": "AsyncPage Page",
        "_reporter": "Reporter",
        "_session": "InSession",
        "_settings": "CircuitBreaker DataCenter",
        "engines": "AsyncHttpxEngine HttpxEngine",
        "events": "ExperienceEvent",
    }
    _HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name in ("engines", "events"):
            return import_module(f".{name}", __name__)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return found

    def __dir__() -> list[str]:
        return __all__


__all__ = [
    "APIError",
    "AsyncHttpxEngine",
    "AsyncPage",
    "AsyncPersonalizeClient",
    "AsyncReporter",
    "AuthenticationFailed",
    "BadRequest",
    "CircuitBreaker",
    "CircuitOpen",
    "ConfigurationError",
    "ConnectionFailed",
    "DataCenter",
    "DeadlineExceeded",
    "EventsNotAccepted",
    "Experience",
    "ExperienceContext",
    "ExperienceEvent",
    "ExperienceMetadata",
    "Experiences",
    "HttpxEngine",
    "InSession",
    "InvalidRequestError",
    "MalformedResponse",
    "Page",
    "PermissionDenied",
    "PersonalizeClient",
    "PersonalizeError",
    "RateLimit",
    "RateLimited",
    "Reporter",
    "ReporterStats",
    "ServerError",
    "events",
]
