"""Objects that a service may pass by accident: they only claim to be something, or their code raises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from typing import Any

from moengage_personalize import PersonalizeError


def tried(call: Callable[[], Any]) -> Any:
    """What a call gives, or the error of the tree that it raises, which shows nothing that was passed."""
    try:
        return call()
    except PersonalizeError as error:
        return shows_nothing(error)


def shows_nothing(error: PersonalizeError) -> PersonalizeError:
    """The error, whose text repeats nothing of an odd object."""
    assert "canary" not in str(error)
    return error


class Proxy:
    """Stands for a value and claims its class, as Django's SimpleLazyObject and wrapt's ObjectProxy do."""

    def __init__(self, value: Any) -> None:
        object.__setattr__(self, "_value", value)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._value)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_value"), name)

    def __str__(self) -> str:
        return str(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __iter__(self) -> Any:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, name: Any) -> Any:
        return self._value[name]

    def __hash__(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        return bool(self._value == other)


class Lazy:
    """A translation that is looked up when it is read, as those of Django and Babel are: it behaves as text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __iter__(self) -> Any:
        return iter(self._text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._text, name)


class Status(str, Enum):  # noqa: UP042 -- of a StrEnum, str() is the value
    """An Enum of the kind whose str() is its name."""

    ACTIVE = "Active"


class Hostile:
    """Raises whatever is done with it."""

    def _raises(self, *_: Any) -> Any:
        raise RuntimeError("canary")

    __iter__ = __len__ = __getitem__ = __bool__ = __hash__ = __eq__ = __str__ = __repr__ = __int__ = _raises  # type: ignore[assignment]
    __float__ = __lt__ = __gt__ = __le__ = __ge__ = __index__ = __fspath__ = __format__ = __contains__ = _raises  # type: ignore[assignment]
    __class__ = property(_raises)  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("canary")


class RaisingZone(tzinfo):
    """A time zone whose code raises."""

    def utcoffset(self, when: datetime | None, /) -> timedelta | None:
        raise RuntimeError("canary")


class NotATime(datetime):
    """A datetime that is none, as pandas' NaT is."""

    def utcoffset(self) -> Any:
        raise ValueError("NaTType does not support utcoffset")


class RaisesWithin:
    """An iterable that raises when one goes through it."""

    def __iter__(self) -> Any:
        yield "homepage-banner"
        raise RuntimeError("canary")


class RaisingMapping(dict[str, Any]):
    """A mapping that raises when one goes through it."""

    def keys(self) -> Any:
        raise RuntimeError("canary")

    def items(self) -> Any:
        raise RuntimeError("canary")

    def __iter__(self) -> Any:
        raise RuntimeError("canary")


ODD: dict[str, Any] = {
    "hostile": Hostile(),
    "hostile class": Hostile,
    "raises within": RaisesWithin(),
    "raising mapping": RaisingMapping(a=1),
    "list of hostile": [Hostile()],
    "mapping of hostile": {"a": Hostile()},
    "mapping with a hostile value below": {"a": [{"b": Hostile()}]},
    "mapping of bytes": {b"a": b"b"},
    "none": None,
    "object": object(),
    "bytes": b"bytes",
    "surrogate": "\ud800" * 20,
    "proxy of an object": Proxy(object()),
    "proxy of a list": Proxy([5]),
    "a number": 5.5,
    "not a number": float("nan"),
    "endless digits": 10**5000,
    "true": True,
    "naive": datetime(2026, 11, 25),  # noqa: DTZ001
    "raising zone": datetime(2026, 11, 25, tzinfo=RaisingZone()),
    "not a time": NotATime(2026, 11, 25),
    "empty": "",
    "white": " \t",
    "set": {1},
    "an exception": ValueError("canary"),
    "a NUL": "\0",
    "deep": [[[[[[{}]]]]]],
}
