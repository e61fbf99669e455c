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

from ._client import AsyncPersonalizeClient, PersonalizeClient
from ._errors import (
    APIError,
    AuthenticationFailed,
    BadRequest,
    CircuitOpen,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidRequestError,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimit,
    RateLimited,
    ServerError,
)
from ._experiences import Experience, ExperienceContext, Experiences
from ._session import InSession
from ._settings import CircuitBreaker, DataCenter
from .engines import AsyncHttpxEngine, HttpxEngine

__all__ = [
    "APIError",
    "AsyncHttpxEngine",
    "AsyncPersonalizeClient",
    "AuthenticationFailed",
    "BadRequest",
    "CircuitBreaker",
    "CircuitOpen",
    "ConfigurationError",
    "ConnectionFailed",
    "DataCenter",
    "DeadlineExceeded",
    "Experience",
    "ExperienceContext",
    "Experiences",
    "HttpxEngine",
    "InSession",
    "InvalidRequestError",
    "MalformedResponse",
    "PermissionDenied",
    "PersonalizeClient",
    "PersonalizeError",
    "RateLimit",
    "RateLimited",
    "ServerError",
]
