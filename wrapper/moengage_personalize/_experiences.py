"""What a fetch brings home: experiences by key, each with its values and the context to keep for tracking.

Law of this module: nothing here raises because of what the API sent. A value that is missing or of another type is the
caller's default; an experience that is malformed is absent, and `reason` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from . import _json
from ._context import ExperienceContext, Fields
from ._errors import MalformedResponse, PersonalizeError, RateLimit

T = TypeVar("T")
Limit = Callable[[], RateLimit | None]
Reason = Literal["served", "not_served", "malformed", "failed", "not_requested"]


def no_limit() -> RateLimit | None:
    """Of an answer that said nothing of one."""
    return None


class Experience(Fields):
    """One experience that was served: its variables by name, as its data types say, and its context.

    Text that is a number, boolean or JSON by its `data_type` is read as one, and stays as it came where that cannot be.
    A variable whose value is null or missing is absent.
    """

    __slots__ = ("_context", "_key")

    def __init__(self, key: str, variables: Mapping[str, tuple[Any, Any]], context: Mapping[str, Any]) -> None:
        super().__init__({name: read for name, given in variables.items() if (read := _value(*given)) is not None})
        self._key = key
        self._context = ExperienceContext(context)

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

    def string(self, name: str, default: T) -> str | T:
        """The variable if it is text, else the default."""
        value = self._fields.get(name)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: T) -> int | float | T:
        """The variable if it is a number (a boolean is none), else the default."""
        value = self._fields.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else default

    def boolean(self, name: str, default: T) -> bool | T:
        """The variable if it is true or false, else the default."""
        value = self._fields.get(name)
        return value if isinstance(value, bool) else default

    def json(self, name: str, default: T) -> dict[str, Any] | list[Any] | T:
        """The variable if it is a JSON object or list, else the default."""
        value = self._fields.get(name)
        return value if _json.is_object(value) or _json.is_list(value) else default


class Experiences(Mapping[str, Experience]):
    """What one fetch brought: experiences by key; one that was not served, for whatever reason, is absent.

    `error` is what kept some or all of the answer away.
    """

    __slots__ = ("_failed", "_limit", "_raw", "_read", "_requested", "_served", "error")

    def __init__(
        self,
        raw: Mapping[str, object],
        read: Callable[[str, object], Experience],
        *,
        requested: frozenset[str] | None,
        failed: frozenset[str] | None = frozenset(),
        error: PersonalizeError | None = None,
        limit: Limit = no_limit,
    ) -> None:
        """`requested` and `failed` are sets of keys, None for all there are; `read` raises MalformedResponse."""
        self._raw = raw
        self._read = read
        self._requested = requested
        self._failed = failed
        self._served: dict[str, Experience | None] = {}
        self.error = error
        self._limit = limit

    def _decoded(self, key: str) -> Experience | None:
        """One experience, decoded when it is first asked for, so that a malformed one costs only itself."""
        if key not in self._served and key in self._raw:
            try:
                self._served[key] = self._read(key, self._raw[key])
            except MalformedResponse:
                self._served[key] = None
        return self._served.get(key)

    def __getitem__(self, key: str) -> Experience:
        experience = self._decoded(key)
        if experience is None:
            raise KeyError(key)
        return experience

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._raw if self._decoded(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Experiences({list(self._raw)!r}, error={self.error!r})"

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the answers said of the workspace's limit, the least that was left; None if they did not."""
        return self._limit()

    def value(self, key: str, name: str, default: T) -> Any | T:
        """One variable of one experience, or the default: a line for a template."""
        experience = self._decoded(key)
        return default if experience is None else experience.get(name, default)

    def contexts(self) -> dict[str, ExperienceContext]:
        """The context of each experience that was served, by key."""
        return {key: experience.context for key, experience in self.items()}

    def reason(self, key: str) -> Reason:
        """Why a key is here or absent: "served", "not_served", "malformed", "failed" or "not_requested"."""
        if key in self._raw:
            return "malformed" if self._decoded(key) is None else "served"
        if self._requested is not None and key not in self._requested:
            return "not_requested"
        return "failed" if self._failed is None or key in self._failed else "not_served"


def _value(value: Any, data_type: object) -> Any:
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
    return read if isinstance(read, int | float) and not isinstance(read, bool) else value
