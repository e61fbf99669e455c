"""The experiences that a workspace has: which statuses may be asked for, and what an answer lists."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from .. import _json
from .._arguments import one_or_many, plain_text, short_repr
from .._errors import InvalidRequestError, MalformedResponse
from .._generated import (
    METADATA,
    METADATA_EXPERIENCES,
    METADATA_KEY,
    METADATA_NAME,
    METADATA_STATUS,
    read_json,
)
from .._messages import Response

# Case-sensitive; another spelling is no error to the API, it finds nothing.
# https://www.moengage.com/docs/api/experiences/fetch-experience-metadata (query, status)
STATUSES = ("Active", "Paused", "Scheduled")


@frozen
class ExperienceMetadata:
    """One server-side experience of the workspace; status is "Active", "Paused", "Scheduled", or what else there is."""

    key: str
    name: str
    status: str


def check_statuses(value: object) -> tuple[str, ...]:
    """The statuses that are asked for, each once; none for all."""
    if value is None:
        return ()
    values = one_or_many("status", value, f"one or many of {', '.join(STATUSES)}")
    statuses = [plain_text(status) for status in values]
    for status, text in zip(values, statuses, strict=True):
        if text not in STATUSES:
            raise InvalidRequestError(f"expected status to be of {', '.join(STATUSES)}, got {short_repr(status)}")
    if not statuses:
        raise InvalidRequestError("expected at least one status, or None for all, got none")
    return tuple(dict.fromkeys(filter(None, statuses)))


def metadata_query(statuses: Sequence[str]) -> str:
    """The query that asks for these statuses, beside the generated function, which may come to take one, or a list."""
    return f"?status={','.join(statuses)}" if statuses else ""


def read_metadata(response: Response, *, strict: bool) -> list[ExperienceMetadata]:
    """The experiences of an answer; an entry that is malformed costs itself alone."""
    body = read_json(response, strict=strict)
    metadata = body.get(METADATA) if _json.is_object(body) else None
    entries = metadata.get(METADATA_EXPERIENCES) if _json.is_object(metadata) else None
    if not _json.is_list(entries):
        raise MalformedResponse("expected a list of experiences, got other JSON", status=200)
    return [found for entry in entries if (found := _entry(entry)) is not None]


def _entry(entry: object) -> ExperienceMetadata | None:
    fields = entry if _json.is_object(entry) else {}
    key, name, status = (fields.get(field) for field in (METADATA_KEY, METADATA_NAME, METADATA_STATUS))
    if not isinstance(key, str) or not key:
        return None
    return ExperienceMetadata(key, name if isinstance(name, str) else "", status if isinstance(status, str) else "")
