"""The `experience_context` of one experience, and how it travels through a page and back: every field as it came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import _json
from ._redact import redact_traceback


class Fields(Mapping[str, Any]):
    """A mapping that cannot be changed."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class ExperienceContext(Fields):
    """The `experience_context` of one experience: every field as it came, unknown ones too.

    Report it back unchanged when the experience is seen or clicked; without it the dashboard shows zero.
    https://www.moengage.com/docs/api/experiences/fetch-experience (response, experience_context)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"ExperienceContext({self._fields!r})"

    def attributes(self) -> dict[str, Any]:
        """A copy of the fields, as an event's `attributes` take them."""
        return dict(_json.loads(_json.written(self._fields, "the context")))

    def to_json(self) -> str:
        """The context as JSON text, for a session or a page; `from_json` brings it back unchanged."""
        return _json.written(self._fields, "the context").decode()

    @classmethod
    @redact_traceback
    def from_json(cls, text: str | bytes) -> ExperienceContext:
        """Bring a context back from what `to_json` gave; raise InvalidRequestError for anything but a JSON object."""
        return cls(_json.read_object(text, "a context"))
