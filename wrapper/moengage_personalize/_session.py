"""What is known of the visit itself: when, from where, with what, and the attributes that the workspace defined."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeGuard

from attrs import field, frozen

from ._errors import InvalidRequestError, guarded


@frozen(init=False)
class InSession:
    """The in-session attributes of one visit; what is not given is not sent.

    Args:
        at: when the page is rendered, an aware datetime in any zone. Sent in UTC as day of the week and hour.
        ip_address: the visitor's IP address, for audiences by place; an empty one is not sent.
        user_agent: the visitor's User-Agent header, for audiences by device; an empty one is not sent.
        attributes: any other attribute of the workspace, by its own name, such as {"utm_medium": "email"}; any JSON
            value. A name of the request itself (`identifiers`, `experience_key`, ...) is refused when it is sent.

    Raises:
        InvalidRequestError: a naive datetime, an empty name, or a value of another type.

    https://www.moengage.com/docs/api/experiences/fetch-experience (request body)
    """

    at: datetime | None
    ip_address: str | None = field(repr=False)
    user_agent: str | None = field(repr=False)
    attributes: Mapping[str, Any] = field(repr=False)

    @guarded
    def __init__(
        self,
        *,
        at: datetime | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        keep = partial(object.__setattr__, self)  # frozen
        keep("at", None if at is None else _utc(at))
        keep("ip_address", text("ip_address", ip_address or None))
        keep("user_agent", text("user_agent", user_agent or None))
        keep("attributes", {} if attributes is None else _attributes(attributes))


def text(name: str, value: object, wanted: str = "a non-empty str") -> str | None:
    """A non-empty str or None; the error names the argument and never repeats the value."""
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    came = "an empty one" if isinstance(value, str) else type(value).__name__
    raise InvalidRequestError(f"expected {name} to be {wanted}, got {came}")


def _utc(at: object) -> datetime:
    if not isinstance(at, datetime):
        raise InvalidRequestError(f"expected at to be an aware datetime, got {type(at).__name__}")
    if at.utcoffset() is None:
        raise InvalidRequestError(f"expected at to be an aware datetime, got a naive one: {at!r}")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequestError(f"expected at to be a time that UTC can express, got {at!r}") from error


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a caller gave a mapping, whatever is in it."""
    return isinstance(value, Mapping)


def _attributes(given: object) -> dict[str, Any]:
    if not is_mapping(given):
        raise InvalidRequestError(f"expected attributes to be a mapping of names to values, got {type(given).__name__}")
    for name in given:
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(f"expected an in-session attribute's name to be a non-empty str, got {name!r}")
    return dict(given)
