"""What a caller passes, turned into plain values of Python or refused.

A caller's object may only claim to be text, a number or a mapping: Django's SimpleLazyObject and wrapt's proxies say
through `__class__` that they are what they stand for, lazy translations are no str but behave as one, and a property of
any of them may raise. So the real type decides, what code of a caller's object raises is caught, and what goes on is a
copy made of exact built-in types. An error names the argument and the type that was given, and never repeats a value
that may identify a visitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ._errors import ConfigurationError, InvalidRequestError

MAX_SECONDS = 30 * 86_400.0  # not every system can wait for much longer
REPR_LENGTH = 100  # characters

Refusal = type[Exception]


def plain_text(value: Any) -> str | None:
    """The text that a value is or stands for, as an exact str; None where it is none.

    A member of a str Enum is its value, not its name. What is no str counts as text if it folds its case as text does,
    which lazy translations and proxies do, and numbers, bytes and mocks do not.
    """
    if type(value) is str:
        return value
    if issubclass(type(value), str):
        return str.__str__(value)
    try:
        if issubclass(type(value.casefold()), str):
            return str.__str__(str(value))
    except Exception:  # noqa: BLE001 -- the code of a caller's object may raise anything
        return None
    return None


def check_text(name: str, value: object, error: Refusal = InvalidRequestError, wanted: str = "a non-empty str") -> str:
    """The text of an argument, which has to be more than white space; the error never repeats it."""
    text = plain_text(value)
    if text is None or not text.strip():
        raise error(f"expected {name} to be {wanted}, got {'an empty one' if text is not None else type_name(value)}")
    return text


def check_customer_id(value: object) -> str:
    """A customer id as text: a str, or an int or UUID as their text, which primary keys are; a bool is none.

    Raises:
        InvalidRequestError: anything else, or an empty text.
    """
    text: str | None = None
    with suppress(Exception):  # as above
        if isinstance(value, UUID):
            text = str.__str__(str(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            text = str(int(value))
    return check_text("customer_id", value if text is None else text, wanted="a non-empty str, an int or a UUID")


def check_seconds(name: str, value: object, error: Refusal) -> float:
    """A number of seconds that can pass: greater than 0, at most 30 days."""
    number = plain_number(value)
    if number is None or not 0 < number <= MAX_SECONDS:
        raise error(f"expected {name} to be a number of seconds greater than 0, up to 30 days, got {short_repr(value)}")
    return float(number)


def check_whole(name: str, value: object, least: int, error: Refusal = ConfigurationError) -> int:
    """A whole number that is large enough."""
    number = plain_number(value)
    if not isinstance(number, int) or number < least:
        raise error(f"expected {name} to be a whole number from {least}, got {short_repr(value)}")
    return number


def plain_number(value: Any) -> int | float | None:
    """The number that a value is, as an exact int or float; None for what is none, a bool included."""
    if issubclass(type(value), int) and not issubclass(type(value), bool):
        return int.__int__(value)
    return float.__float__(value) if issubclass(type(value), float) else None


def check_mapping(name: str, value: Any, wanted: str = "a mapping") -> dict[Any, Any]:
    """A copy of a mapping, whatever is in it."""
    found: dict[Any, Any] | None
    try:
        found = dict(value) if _claims(value, Mapping) else None
    except Exception:  # noqa: BLE001 -- as above
        found = None
    if found is None:
        raise InvalidRequestError(f"expected {name} to be {wanted}, got {type_name(value)}")
    return found


def check_items(name: str, value: Any, wanted: str) -> list[Any]:
    """What an iterable of a caller gives; text, bytes and mappings are none here, though Python can go through them."""
    items: list[Any] | None = None
    try:
        if _claims(value, Iterable) and not _claims(value, str, bytes, bytearray, Mapping):
            items = list(value)
    except Exception:  # noqa: BLE001 -- as above
        items = None
    if items is None:
        raise InvalidRequestError(f"expected {name} as {wanted}, got {type_name(value)}")
    return items


def one_or_many(name: str, value: object, wanted: str) -> list[Any]:
    """What a caller gives as one text or as an iterable of texts, as a list; what is in it is not checked."""
    text = plain_text(value)
    return [text] if text is not None else check_items(name, value, wanted)


def utc(name: str, at: Any) -> datetime:
    """An aware datetime as the same instant in UTC, without what a subclass or a zone of the caller adds."""
    if not issubclass(type(at), datetime):
        raise InvalidRequestError(f"expected {name} to be an aware datetime, got {type_name(at)}")
    moment: datetime | None = None
    try:
        if at.utcoffset() is not None:
            there: datetime = at.astimezone(UTC)
            moment = datetime(
                there.year, there.month, there.day, there.hour, there.minute, there.second, there.microsecond, UTC
            )
        problem = "a naive one"
    except OverflowError:
        problem = "a time that UTC cannot express"
    except Exception as error:  # noqa: BLE001 -- a time zone is the caller's code, and pandas' NaT is a datetime
        problem = f"a {type_name(at)} that raises {type_name(error)}"
    if moment is None:
        raise InvalidRequestError(f"expected {name} to be an aware datetime, got {problem}")
    return moment


def short_repr(value: object) -> str:
    """A value in an error text: as Python writes it where that is short and of a plain type, else only its type."""
    if type(value) in (bool, int, float, str, type(None)):
        try:
            text = repr(value)
        except ValueError:  # an int of more digits than Python writes
            return type_name(value)
        return text if len(text) <= REPR_LENGTH else f"{text[:REPR_LENGTH]}..."
    return type_name(value)


def type_name(value: object) -> str:
    """The name of the real type of a value, whatever it claims to be."""
    return type(value).__name__


def _claims(value: object, *kinds: type[Any]) -> bool:
    """Whether a value says that it is of one of these kinds."""
    return isinstance(value, kinds)
