"""Documents for the tests of regeneration: what MoEngage publishes, and ways to change it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from helpers import ROOT

from regeneration import Project, reading

PROJECT = Project(ROOT)
Edit = Callable[[Any], object]


def untitled(part: Any) -> Any:
    """A description without the titles that are ours alone."""
    if isinstance(part, dict):
        return {key: untitled(value) for key, value in part.items() if key != "title" or isinstance(value, dict)}
    return [untitled(value) for value in part] if isinstance(part, list) else part


@cache
def _read(path: Path) -> Any:
    return reading.parse(path.read_text("utf-8"))


def vendored() -> Any:
    """The vendored document, with fetch alone, whatever else the edition has that is vendored now."""
    document = copy.deepcopy(_read(PROJECT.vendored))
    document["paths"] = {"/experiences/fetch": document["paths"]["/experiences/fetch"]}
    return document


def full() -> Any:
    """A document with all three operations, as upstream publishes them: without our titles, enums closed."""
    document = vendored()
    companion = untitled(_read(PROJECT.companion))
    document["paths"] |= companion["paths"]
    document["components"]["responses"] = companion["components"]["responses"]
    listed(document)["status"]["enum"] = ["Active", "Paused", "Scheduled"]
    event(document)["attributes"]["properties"]["type"]["enum"] = ["Web Personalization"]
    event(document)["moe_event_uuid"]["format"] = "uuid"
    return document


def edited(document: Any, *edits: Edit) -> Any:
    """A copy of a document with edits made to it."""
    document = copy.deepcopy(document)
    for edit in edits:
        edit(document)
    return document


def operation(document: Any) -> Any:
    """POST /experiences/fetch."""
    return document["paths"]["/experiences/fetch"]["post"]


def metadata(document: Any) -> Any:
    """GET /experiences/metadata."""
    return document["paths"]["/experiences/metadata"]["get"]


def events(document: Any) -> Any:
    """POST /experiences/events."""
    return document["paths"]["/experiences/events"]["post"]


def body(operation: Any) -> Any:
    """The schema of what an operation sends."""
    return operation["requestBody"]["content"]["application/json"]["schema"]


def answer(operation: Any, status: str = "200") -> Any:
    """The schema of what an operation answers."""
    return operation["responses"][status]["content"]["application/json"]["schema"]


def request(document: Any) -> Any:
    """The fields of a fetch."""
    return body(operation(document))["properties"]


def experience(document: Any) -> Any:
    """The fields of an experience."""
    return answer(operation(document))["properties"]["experiences"]["additionalProperties"]["properties"]


def variable(document: Any) -> Any:
    """The fields of a variable."""
    return experience(document)["payload"]["additionalProperties"]["properties"]


def context(document: Any) -> Any:
    """The fields of a context."""
    return experience(document)["experience_context"]["properties"]


def listed(document: Any) -> Any:
    """The fields of an experience in the list."""
    return answer(metadata(document))["properties"]["metadata"]["properties"]["experiences"]["items"]["properties"]


def elements(document: Any) -> Any:
    """What events are sent in."""
    return body(events(document))["properties"]["elements"]


def event(document: Any) -> Any:
    """The fields of an event."""
    return elements(document)["items"]["properties"]["actions"]["items"]["properties"]


def refusal(document: Any) -> Any:
    """The schema of an answer that refuses."""
    return document["components"]["schemas"]["ErrorResponse"]


def rename(fields: Any, old: str, new: str) -> None:
    """Give a field another name, in its place."""
    renamed = {new if name == old else name: value for name, value in fields.items()}
    fields.clear()
    fields.update(renamed)


def move_to_components(document: Any) -> None:
    """Move what is sent and answered under components, as earlier editions had it, and drop the operationId."""
    sent = operation(document)["requestBody"]["content"]["application/json"]
    answered = operation(document)["responses"]["200"]["content"]["application/json"]
    for name, media in (("Request", sent), ("Answer", answered)):
        document["components"]["schemas"][name] = media["schema"]
        media["schema"] = {"$ref": f"#/components/schemas/{name}"}
    day = request_of_components(document).pop("DAY_OF_THE_WEEK")
    document["components"]["schemas"]["Day"] = day
    request_of_components(document)["DAY_OF_THE_WEEK"] = {"$ref": "#/components/schemas/Day"}
    del operation(document)["operationId"]


def request_of_components(document: Any) -> Any:
    """The fields of a fetch where they were moved to."""
    return document["components"]["schemas"]["Request"]["properties"]
