"""What a caller asks in one fetch, checked before anything is made of it: the visitor, the keys and the visit itself.

An error names the argument and the type that was given; it never repeats what identifies the visitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Self, TypeGuard

from attrs import field, frozen

from ._errors import InvalidRequestError
from ._redact import redact_traceback

# The API leaves out the rest in silence.
# https://www.moengage.com/docs/api/experiences/fetch-experience (request body, experience_key)
KEYS_PER_REQUEST = 25


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

    @redact_traceback
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


NOT_GIVEN = InSession()


@frozen
class FetchRequest:
    """One fetch: which keys, None for all, for whom, and on which visit."""

    keys: tuple[str, ...] | None
    customer_id: str | None = field(repr=False)
    user_identifiers: Mapping[str, Any] | str | None = field(repr=False)
    in_session: InSession

    @classmethod
    def create(cls, keys: object, customer_id: object, user_identifiers: object, in_session: object) -> Self:
        """Check what a caller asks; raise InvalidRequestError for what cannot be asked."""
        session = NOT_GIVEN if in_session is None else in_session
        if not isinstance(session, InSession):
            raise InvalidRequestError(f"expected in_session to be an InSession, got {type(session).__name__}")
        if not is_mapping(user_identifiers):
            user_identifiers = text("user_identifiers", user_identifiers, "a mapping or a non-empty str")
        asked = None if keys is None else experience_keys(keys)
        return cls(asked, text("customer_id", customer_id), user_identifiers or None, session)

    def chunks(self) -> Iterator[tuple[str, ...] | None]:
        """The keys of each request: at most 25; one request without any for all, none at all for no key."""
        if self.keys is None:
            yield None
            return
        rest = iter(self.keys)
        while chunk := tuple(islice(rest, KEYS_PER_REQUEST)):
            yield chunk


def experience_keys(keys: object) -> tuple[str, ...]:
    """The experience keys that a caller gives, each once; raise InvalidRequestError for what is none."""
    if isinstance(keys, bytes) or is_mapping(keys) or not is_iterable(keys):
        raise InvalidRequestError(f"expected experience keys as a str or an iterable of str, got {type(keys).__name__}")
    once: dict[str, None] = {}
    for key in [keys] if isinstance(keys, str) else keys:
        if not isinstance(key, str) or not key.strip():
            raise InvalidRequestError(f"expected an experience key to be a non-empty str, got {key!r}")
        once[str.__str__(key)] = None  # not str(key), which of a member of an Enum would be the name
    return tuple(once)


def is_iterable(value: object) -> TypeGuard[Iterable[object]]:
    """Whether a caller gave something to go through, whatever is in it."""
    return isinstance(value, Iterable)
