"""Contains all the data models used in inputs/outputs"""

from .day_of_the_week import DayOfTheWeek
from .error_response import ErrorResponse
from .event_action import EventAction
from .event_action_action import EventActionAction
from .event_attributes import EventAttributes
from .event_element import EventElement
from .experience import Experience
from .experience_context import ExperienceContext
from .experience_metadata import ExperienceMetadata
from .experiences import Experiences
from .fetch_experience_request import FetchExperienceRequest
from .fetch_experience_response import FetchExperienceResponse
from .identifiers import Identifiers
from .metadata import Metadata
from .metadata_response import MetadataResponse
from .payload import Payload
from .report_events_request import ReportEventsRequest
from .report_events_response import ReportEventsResponse
from .time_of_the_day import TimeOfTheDay
from .user_attributes import UserAttributes
from .user_identifiers import UserIdentifiers
from .variable import Variable

__all__ = (
    "DayOfTheWeek",
    "ErrorResponse",
    "EventAction",
    "EventActionAction",
    "EventAttributes",
    "EventElement",
    "Experience",
    "ExperienceContext",
    "ExperienceMetadata",
    "Experiences",
    "FetchExperienceRequest",
    "FetchExperienceResponse",
    "Identifiers",
    "Metadata",
    "MetadataResponse",
    "Payload",
    "ReportEventsRequest",
    "ReportEventsResponse",
    "TimeOfTheDay",
    "UserAttributes",
    "UserIdentifiers",
    "Variable",
)
