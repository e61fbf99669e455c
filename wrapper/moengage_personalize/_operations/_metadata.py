"""The experiences that a workspace has: which statuses may be asked for, and what an answer lists."""

from __future__ import annotations

from attrs import frozen

from .. import _json
from .._errors import InvalidRequestError, MalformedResponse
from .._request import is_iterable

# Case-sensitive; another spelling is no error to the API, it finds nothing.
# https://www.moengage.com/docs/api/experiences/fetch-experience-metadata (query, status)
STATUSES = ("Active", "Paused", "Scheduled")


@frozen
class ExperienceMetadata:
    """One server-side experience of the workspace; status is "Active", "Paused", "Scheduled", or what else there is."""

    key: str
    name: str
    status: str


def statuses(given: object) -> tuple[str, ...]:
    """Check the statuses that are asked for; none for all."""
    if given is None:
        return ()
    asked = list(given) if is_iterable(given) and not isinstance(given, str) else [given]
    for status in asked:
        if status not in STATUSES:
            raise InvalidRequestError(f"expected status to be of {', '.join(STATUSES)}, got {status!r}")
    if not asked:
        raise InvalidRequestError("expected at least one status, or None for all, got none")
    return tuple(dict.fromkeys(str(status) for status in asked))


def listed(body: object) -> list[ExperienceMetadata]:
    """The experiences of an answer; an entry that is malformed costs itself alone."""
    metadata = body.get("metadata") if _json.is_object(body) else None
    entries = metadata.get("experiences") if _json.is_object(metadata) else None
    if not _json.is_list(entries):
        raise MalformedResponse("expected a list of experiences, got other JSON", status=200)
    return [found for entry in entries if (found := _one(entry)) is not None]


def _one(entry: object) -> ExperienceMetadata | None:
    given = entry if _json.is_object(entry) else {}
    key, name, status = (given.get(name) for name in ("experience_key", "experience_name", "status"))
    if not isinstance(key, str) or not key:
        return None
    return ExperienceMetadata(key, name if isinstance(name, str) else "", status if isinstance(status, str) else "")
