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

from . import events as events
from ._async_client import AsyncPersonalizeClient as AsyncPersonalizeClient
from ._client import PersonalizeClient as PersonalizeClient
from ._context import ExperienceContext as ExperienceContext
from ._errors import (
    APIError as APIError,
    AuthenticationFailed as AuthenticationFailed,
    BadRequest as BadRequest,
    CircuitOpen as CircuitOpen,
    ConfigurationError as ConfigurationError,
    ConnectionFailed as ConnectionFailed,
    DeadlineExceeded as DeadlineExceeded,
    EventsNotAccepted as EventsNotAccepted,
    InvalidRequestError as InvalidRequestError,
    MalformedResponse as MalformedResponse,
    PermissionDenied as PermissionDenied,
    PersonalizeError as PersonalizeError,
    RateLimit as RateLimit,
    RateLimited as RateLimited,
    ServerError as ServerError,
)
from ._experiences import (
    Experience as Experience,
    ExperienceDict as ExperienceDict,
    Experiences as Experiences,
)
from ._operations import ExperienceMetadata as ExperienceMetadata
from ._page import AsyncPage as AsyncPage, Page as Page
from ._policy import CircuitBreaker as CircuitBreaker
from ._reporting import AsyncReporter as AsyncReporter, Reporter as Reporter, ReporterStats as ReporterStats
from ._request import InSession as InSession
from ._settings import DataCenter as DataCenter
from ._telemetry import Attempt as Attempt, Call as Call, ClientStats as ClientStats
from .events import ExperienceEvent as ExperienceEvent

__all__ = [name for name in dir() if not name.startswith("_")]  # pyright: ignore[reportUnsupportedDunderAll]
