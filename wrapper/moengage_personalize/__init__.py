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
