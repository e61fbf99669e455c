"""What a fetch brings home: experiences by key, each with its values and the context to keep for tracking.

Nothing here raises because of what the API sent. A value that is missing or of another type is the caller's default; an
experience that is malformed is absent, and `reason` says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, NotRequired, Protocol, TypedDict, TypeGuard, TypeVar, overload

from . import _json
from ._arguments import plain_text
from ._context import ExperienceContext, Fields
from ._errors import InvalidRequestError, MalformedResponse, PersonalizeError, RateLimit

T = TypeVar("T")
Limit = Callable[[], RateLimit | None]
JSONList = list[Any]
JSONObject = dict[str, Any]
WrongType = Callable[[str, str, str, Any], object]  # of an experience key, a name, what was wanted, what was there
Reason = Literal["served", "not_served", "malformed", "failed", "not_requested"]


class ExperienceDict(TypedDict):
    """An experience as a service's own endpoint answers with it: JSON, and nothing of the context but its variation."""

    values: dict[str, Any]
    variation: str | None
    click: NotRequired[str]
    """The token of a click, where one was signed."""


class SignClick(Protocol):
    """What makes the token of a click, such as the `sign` of a ClickSigner."""

    def __call__(self, context: ExperienceContext, *, customer_id: str) -> str: ...


class Experience(Fields):
    """One experience that was served: its variables by name, as its data types say, and its context.

    Text that is a number, boolean or JSON by its `data_type` is read as one, and stays as it came where that cannot be.
    A variable whose value is null or missing is absent.
    """

    __slots__ = ("_context", "_key", "_wrong_type")

    def __init__(self, key: str, values: dict[str, Any], context: Mapping[str, Any]) -> None:
        """`values` are those of `typed_value`, and no longer the caller's."""
        self._fields = values
        self._key = key
        self._context = ExperienceContext(context)
        self._wrong_type: WrongType | None = None

    @property
    def key(self) -> str:
        """The experience key it was served for."""
        return self._key

    @property
    def context(self) -> ExperienceContext:
        """What to keep for reporting that it was shown or clicked."""
        return self._context

    def __repr__(self) -> str:
        return f"Experience({self._key!r}, variables={list(self._fields)!r})"

    def to_dict(self) -> ExperienceDict:
        """What an endpoint of a service answers an app or a single-page site with: the values and the variation."""
        variation = self._context.get("moe_variation_id")
        return {"values": dict(self._fields), "variation": variation if isinstance(variation, str) else None}

    def string(self, name: str, default: T) -> str | T:
        """The variable if it is text, else the default."""
        value = self._fields.get(name)
        return value if isinstance(value, str) else self._default(name, "a string", default)

    def number(self, name: str, default: T) -> int | float | T:
        """The variable if it is a number (a boolean is none), else the default."""
        value = self._fields.get(name)
        return value if _is_number(value) else self._default(name, "a number", default)

    def integer(self, name: str, default: T) -> int | T:
        """The variable as int if it is a whole number, which 2.0 is in JSON, too, else the default."""
        value = self._fields.get(name)
        if _is_number(value) and value == value // 1:
            return int(value)
        return self._default(name, "a whole number", default)

    def boolean(self, name: str, default: T) -> bool | T:
        """The variable if it is true or false, else the default."""
        value = self._fields.get(name)
        return value if isinstance(value, bool) else self._default(name, "true or false", default)

    def list(self, name: str, default: T) -> JSONList | T:
        """The variable if it is a JSON list, else the default."""
        value = self._fields.get(name)
        return value if _json.is_list(value) else self._default(name, "a list", default)

    def object(self, name: str, default: T) -> JSONObject | T:
        """The variable if it is a JSON object, else the default."""
        value = self._fields.get(name)
        return value if _json.is_object(value) else self._default(name, "an object", default)

    def _default(self, name: str, wanted: str, default: T) -> T:
        """The default, for a variable that is absent or of another type, which is reported if anybody is to know."""
        if self._wrong_type is not None and name in self._fields:
            self._wrong_type(self._key, name, wanted, self._fields[name])
        return default

    @overload
    def value(self, name: str, default: None) -> Any: ...
    @overload
    def value(self, name: str, default: T) -> T: ...
    def value(self, name: str, default: Any) -> Any:
        """The variable if it is of the default's type, else the default; whatever it is where the default is None.

        A whole number is of the type of an int, any number of that of a float; a bool is neither.
        """
        if default is None:
            return self._fields.get(name)
        for kind, read in _READERS:
            if isinstance(default, kind):
                found = read(self, name, default)
                return float(found) if kind is float else found
        return default


# By the type of a default; a bool is an int to Python, and stands before it.
_READERS: tuple[tuple[type[Any], Callable[[Experience, str, Any], Any]], ...] = (
    (str, Experience.string),
    (bool, Experience.boolean),
    (int, Experience.integer),
    (float, Experience.number),
    (list, Experience.list),
    (dict, Experience.object),
)


class KeyedValues(ABC):
    """One variable of one experience in one line, as a template wants it."""

    __slots__ = ()

    @abstractmethod
    def _find(self, key: str) -> Experience | None:
        """The experience of a key, None if there is none."""

    @overload
    def value(self, key: str, name: str, default: None) -> Any: ...
    @overload
    def value(self, key: str, name: str, default: T) -> T: ...
    def value(self, key: str, name: str, default: Any) -> Any:
        """As Experience.value, of the experience for a key; the default where there is none."""
        found = self._find(key)
        return default if found is None else found.value(name, default)

    def string(self, key: str, name: str, default: T) -> str | T:
        """As Experience.string, likewise."""
        found = self._find(key)
        return default if found is None else found.string(name, default)

    def number(self, key: str, name: str, default: T) -> int | float | T:
        """As Experience.number, likewise."""
        found = self._find(key)
        return default if found is None else found.number(name, default)

    def integer(self, key: str, name: str, default: T) -> int | T:
        """As Experience.integer, likewise."""
        found = self._find(key)
        return default if found is None else found.integer(name, default)

    def boolean(self, key: str, name: str, default: T) -> bool | T:
        """As Experience.boolean, likewise."""
        found = self._find(key)
        return default if found is None else found.boolean(name, default)

    def list(self, key: str, name: str, default: T) -> JSONList | T:
        """As Experience.list, likewise."""
        found = self._find(key)
        return default if found is None else found.list(name, default)

    def object(self, key: str, name: str, default: T) -> JSONObject | T:
        """As Experience.object, likewise."""
        found = self._find(key)
        return default if found is None else found.object(name, default)


class Experiences(KeyedValues, Mapping[str, Experience]):
    """What one fetch brought: experiences by key; one that was not served, for whatever reason, is absent.

    `error` is what kept some or all of the answer away.
    """

    __slots__ = ("_customer_id", "_failed", "_limit", "_raw", "_read", "_requested", "_served", "_wrong_type", "error")

    def __init__(
        self,
        raw: Mapping[str, Any],
        read: Callable[[str, Any], Experience],
        *,
        requested: Collection[str] | None,
        failed: Collection[str] | None = (),
        error: PersonalizeError | None = None,
        limit: Limit | None = None,
        customer_id: str | None = None,
    ) -> None:
        """`requested` and `failed` are keys, None for all there are; `read` raises MalformedResponse."""
        self._raw = raw
        self._read = read
        self._requested = requested
        self._failed = failed
        self._served: dict[str, Experience | None] = {}
        self._wrong_type: WrongType | None = None
        self.error = error
        self._limit = limit
        self._customer_id = customer_id

    def _find(self, key: str) -> Experience | None:
        """One experience, decoded when it is first asked for, so that a malformed one costs only itself."""
        key = plain_text(key) or ""
        if key not in self._served and key in self._raw:
            try:
                found = self._served[key] = self._read(key, self._raw[key])
            except MalformedResponse:
                self._served[key] = None
            else:
                found._wrong_type = self._wrong_type  # pyright: ignore[reportPrivateUsage] -- of this file
        return self._served.get(key)

    def __getitem__(self, key: str) -> Experience:
        experience = self._find(key)
        if experience is None:
            raise KeyError(key)
        return experience

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._raw if self._find(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Experiences({list(self._raw)!r}, error={self.error!r})"

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the answers said of the workspace's limit, the least that was left; None if they did not."""
        return None if self._limit is None else self._limit()

    def contexts(self) -> dict[str, ExperienceContext]:
        """The context of each experience that was served, by key."""
        return {key: experience.context for key, experience in self.items()}

    def to_dict(self, *, sign: SignClick | None = None) -> dict[str, ExperienceDict]:
        """What an endpoint of a service answers an app or a single-page site with: each experience by its key.

        Args:
            sign: makes the token of a click, in place of the raw context: `ClickSigner(...).sign`. There is none where
                the fetch had no customer id, or the context lacks what an event has to have: no event could come of it.
        """
        found = {key: experience.to_dict() for key, experience in self.items()}
        if sign is not None and self._customer_id is not None:
            for key, fields in found.items():
                with suppress(InvalidRequestError):
                    fields["click"] = sign(self[key].context, customer_id=self._customer_id)
        return found

    def reason(self, key: str) -> Reason:
        """Why a key is here or absent: "served", "not_served", "malformed", "failed" or "not_requested"."""
        key = plain_text(key) or ""
        if key in self._raw:
            return "malformed" if self._find(key) is None else "served"
        if self._requested is not None and key not in self._requested:
            return "not_requested"
        return "failed" if self._failed is None or key in self._failed else "not_served"


def watch_types(experiences: Experiences, wrong_type: WrongType) -> None:
    """Have each value that is there with another type than asked for reported."""
    experiences._wrong_type = wrong_type  # pyright: ignore[reportPrivateUsage] -- of this file


def reasons_of(experiences: Experiences, keys: Iterable[str] | None) -> dict[str, Reason]:
    """The reason for each of these keys; for all that came where the keys are None."""
    found = experiences._raw  # pyright: ignore[reportPrivateUsage] -- of this file
    return {key: experiences.reason(key) for key in (found if keys is None else keys)}


def typed_value(value: Any, data_type: object) -> Any:
    """A value as its data type says, or as it came where that cannot be."""
    if not isinstance(value, str) or data_type not in ("number", "float", "boolean", "json"):
        return value
    try:
        read, strict = _json.read(value.lower() if data_type == "boolean" else value)
        if not strict:
            _json.dumps(read)
    except ValueError:
        return value
    if data_type == "json":
        return read
    if data_type == "boolean":
        return read if isinstance(read, bool) else value
    return read if _is_number(read) else value


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value that was read is a JSON number; a bool is an int to Python, and is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
