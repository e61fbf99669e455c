"""Events: that a visitor has seen an experience, or clicked it; without them the dashboard shows zero.

    event = events.shown(experience.context, customer_id="user_8821")
    client.report_events([event])

An event is stamped once, when it is made: a retry sends the same uuid, and the API counts it once.
https://www.moengage.com/docs/api/experiences/track-experience-events
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeGuard
from uuid import UUID, uuid4

from attrs import field, frozen

from . import _json
from ._arguments import check_customer_id, check_mapping, check_text, plain_number, plain_text, short_repr, utc
from ._context import ExperienceContext
from ._errors import InvalidRequestError
from ._redact import redact_traceback

__all__ = ["ExperienceEvent", "Platform", "clicked", "shown"]

Platform = Literal["web", "android", "ios", "tv"]

SHOWN = "MOE_PERSONALIZATION_MESSAGE_SHOWN"
CLICKED = "MOE_PERSONALIZATION_MESSAGE_CLICKED"
PLATFORMS = ("web", "android", "ios", "tv")  # anything else the API counts as unknown, in silence
REQUIRED = ("cid", "experience", "moe_locale_id", "moe_variation_id", "audience_name", "audience_id")
OFFSET = 54_000  # seconds


@frozen
class ExperienceEvent:
    """One impression or click, checked and stamped; `shown` and `clicked` make it.

    Raises InvalidRequestError for what the API would refuse, or count wrongly in silence.
    """

    action: str
    uuid: str
    """A UUID of version 4, by which the API finds duplicates."""
    at: int
    """Unix time in seconds."""
    platform: str
    customer_id: str = field(repr=False)
    context: ExperienceContext = field(repr=False, hash=False)
    element: str | None = None
    user_timezone_offset: int | None = field(default=None, repr=False)
    """Seconds."""
    user_attributes: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)

    @redact_traceback
    def __attrs_post_init__(self) -> None:
        if self.action not in (SHOWN, CLICKED):
            raise InvalidRequestError(f"expected action to be {SHOWN} or {CLICKED}, got {short_repr(self.action)}")
        if not _is_uuid4(self.uuid):
            raise InvalidRequestError("expected uuid to be a UUID of version 4, got another text")
        if not _is_whole(self.at) or self.at < 0:
            raise InvalidRequestError(f"expected at to be Unix time in whole seconds, got {short_repr(self.at)}")
        if self.platform not in PLATFORMS:
            raise InvalidRequestError(
                f"expected platform to be one of {', '.join(PLATFORMS)}, got {short_repr(self.platform)}"
            )
        check_text("customer_id", self.customer_id)
        for name in REQUIRED:
            if self.context.get(name) is None:
                raise InvalidRequestError(f"expected {name!r} in the context, got a context without it")
        element = None if self.element is None else check_text("element", self.element)
        _json.written([self.customer_id, element], "customer_id and element")
        offset = self.user_timezone_offset
        if offset is not None and not (_is_whole(offset) and abs(offset) <= OFFSET):
            wanted = f"whole seconds from -{OFFSET:,} to {OFFSET:,}"
            raise InvalidRequestError(f"expected user_timezone_offset to be {wanted}, got {short_repr(offset)}")

    @redact_traceback
    def to_json(self) -> str:
        """The event as JSON text, for a queue; `from_json` brings the same event back, uuid and time included."""
        fields = {
            "action": self.action,
            "moe_event_uuid": self.uuid,
            "event_time": self.at,
            "platform": self.platform,
            "customer_id": self.customer_id,
            "attributes": dict(self.context),
            "b_id": self.element,
            "user_timezone_offset": self.user_timezone_offset,
            "user_attributes": self.user_attributes,
        }
        return _json.dumps({name: value for name, value in fields.items() if value is not None}).decode()

    @classmethod
    @redact_traceback
    def from_json(cls, text: str | bytes) -> ExperienceEvent:
        """Bring an event back from what `to_json` gave; raise InvalidRequestError for anything else."""
        fields = _json.read_object(text, "an event")
        return cls(
            action=fields.get("action", ""),
            uuid=fields.get("moe_event_uuid", ""),
            at=fields.get("event_time", ""),
            platform=fields.get("platform", ""),
            customer_id=fields.get("customer_id", ""),
            context=_context(fields.get("attributes")),
            element=fields.get("b_id"),
            user_timezone_offset=fields.get("user_timezone_offset"),
            user_attributes=_user_attributes(fields.get("user_attributes")),
        )


@redact_traceback
def shown(
    context: Mapping[str, Any],
    *,
    customer_id: str | int | UUID,
    platform: Platform = "web",
    at: datetime | None = None,
    uuid: str | UUID | None = None,
    user_timezone_offset: int | None = None,
    user_attributes: Mapping[str, Any] | None = None,
) -> ExperienceEvent:
    """Say that an experience has become visible.

    Args:
        context: the experience's `.context`, unchanged.
        customer_id: who has seen it, by the id in MoEngage; an unknown one makes a new profile there.
        platform: "web", "android", "ios" or "tv", in any case.
        at: when, an aware datetime; now by default.
        uuid: a UUID of version 4 of your own, such as one that a link carries: what comes with it again counts once.
        user_timezone_offset: seconds of the visitor's time zone, from -54,000 to 54,000.
        user_attributes: what else to keep of the visitor; any JSON.

    Raises:
        InvalidRequestError: what the API would refuse, such as a context without one of its six required fields.
    """
    return _event(SHOWN, context, customer_id, platform, at, uuid, None, user_timezone_offset, user_attributes)


@redact_traceback
def clicked(
    context: Mapping[str, Any],
    *,
    customer_id: str | int | UUID,
    platform: Platform = "web",
    element: str | None = None,
    at: datetime | None = None,
    uuid: str | UUID | None = None,
    user_timezone_offset: int | None = None,
    user_attributes: Mapping[str, Any] | None = None,
) -> ExperienceEvent:
    """Say that an experience was clicked: as `shown`; `element` tells which part of it, such as "Add to Cart"."""
    return _event(CLICKED, context, customer_id, platform, at, uuid, element, user_timezone_offset, user_attributes)


def _event(
    action: str,
    context: object,
    customer_id: object,
    platform: object,
    at: object,
    uuid: object,
    element: str | None,
    user_timezone_offset: int | None,
    user_attributes: object,
) -> ExperienceEvent:
    return ExperienceEvent(
        action=action,
        uuid=str(uuid4()) if uuid is None else _uuid_text(uuid),
        at=_seconds(datetime.now(UTC) if at is None else at),
        platform=(plain_text(platform) or short_repr(platform)).lower(),
        customer_id=check_customer_id(customer_id),
        context=_context(context),
        element=None if element is None else check_text("element", element),
        user_timezone_offset=user_timezone_offset,
        user_attributes=_user_attributes(user_attributes),
    )


def _seconds(at: object) -> int:
    return int(utc("at", at).timestamp())


def _uuid_text(value: object) -> str:
    """A caller's UUID as text; what is neither becomes an empty one, which the event refuses."""
    return str(value) if type(value) is UUID else plain_text(value) or ""


def _context(value: object) -> ExperienceContext:
    return ExperienceContext(_json.copy(check_mapping("the context", value), "the context"))


def _user_attributes(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    attributes: dict[str, Any] = _json.copy(check_mapping("user_attributes", value), "user_attributes")
    return attributes


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(plain_number(value), int)


def _is_uuid4(value: object) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value and UUID(value).version == 4
    except ValueError:
        return False
