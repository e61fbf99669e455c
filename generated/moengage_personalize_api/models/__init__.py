"""Contains all the data models used in inputs/outputs"""

from .day_of_the_week import DayOfTheWeek
from .error_response import ErrorResponse
from .experience import Experience
from .experience_context import ExperienceContext
from .experiences import Experiences
from .fetch_experience_request import FetchExperienceRequest
from .fetch_experience_response import FetchExperienceResponse
from .identifiers import Identifiers
from .payload import Payload
from .time_of_the_day import TimeOfTheDay
from .user_identifiers import UserIdentifiers
from .variable import Variable

__all__ = (
    "DayOfTheWeek",
    "ErrorResponse",
    "Experience",
    "ExperienceContext",
    "Experiences",
    "FetchExperienceRequest",
    "FetchExperienceResponse",
    "Identifiers",
    "Payload",
    "TimeOfTheDay",
    "UserIdentifiers",
    "Variable",
)
