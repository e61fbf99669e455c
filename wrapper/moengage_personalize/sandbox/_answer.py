"""What the API answers, as a pure function of a request and of what the sandbox knows.

Nothing here reads a clock or shares code with the client. Bodies and titles are the documented ones:
https://www.moengage.com/docs/api/experiences/fetch-experience (responses)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from attrs import field, frozen
from starlette.responses import Response

from . import _document
from ._events import Received
from ._experiences import Experience

KEYS_PER_REQUEST = 25

Body = Mapping[str, Any]


@frozen
class World:
    """What the sandbox knows."""

    experiences: tuple[Experience, ...]
    workspace_id: str
    api_key: str = field(repr=False)


@frozen
class Usage:
    """How much of the workspace's limit this minute has used, this request included."""

    limit: int
    used: int
    reset: int
    """UTC epoch seconds."""

    def headers(self) -> dict[str, str]:
        """The headers that tell a client."""
        remaining = max(0, self.limit - self.used)
        named = {"limit": self.limit, "remaining": remaining, "reset": self.reset}
        return {f"x-ratelimit-{name}": str(value) for name, value in named.items()}


class Refusal(Exception):
    """The API refuses a request: with this status, and this body as it words it."""

    def __init__(self, status: int, title: str, description: str, **more: str) -> None:
        self.status = status
        self.body = {"title": title, "description": description, **more}


def check(world: World, headers: Mapping[str, str], usage: Usage) -> None:
    """Refuse what is not even read; names of headers are in lower case, their values as bytes in latin-1."""
    if _basic(headers.get("authorization", "")) != (world.workspace_id, world.api_key):
        raise Refusal(401, "Authentication required", "Invalid API_KEY used in Authentication Header")
    if headers.get("moe-appkey", "").encode("latin-1") != world.workspace_id.encode():
        known = "MoEngage Client not found. Please check values for headers - MOE-APPKEY or MOE-DBNAME"
        raise Refusal(400, "Request Error", known)
    if usage.used > usage.limit:
        raise Refusal(429, "Too Many Requests", "The rate limit of the workspace is used up until the reset.")


def fetch(body: bytes) -> dict[str, Any]:
    """The fields of one fetch."""
    request = parsed(body)
    if (problem := _document.problem(request)) is not None:
        raise invalid(problem)
    return cast(dict[str, Any], request)


def answer(world: World, body: bytes) -> Body:
    """The answer to one fetch."""
    return {"experiences": _served(world, fetch(body))}


def events(received: Received, body: bytes) -> Body:
    """The answer to one report of events, which are then kept."""
    if (problem := received.take(parsed(body))) is not None:
        raise invalid(problem)
    return {"status": "success", "message": "The events are accepted.", "req_id": str(uuid4())}


def metadata(world: World, status: str | None) -> Body:
    """The answer to one question for metadata; `status` is the text of the query, None without one."""
    wanted = None if status is None else status.split(",")
    found = [one for one in world.experiences if wanted is None or one.status in wanted]
    listed = [{"experience_name": one.name, "experience_key": one.key, "status": one.status} for one in found]
    return {"metadata": {"count": len(listed), "experiences": listed}}


def parsed(body: bytes) -> object:
    """The JSON of a request."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        undecoded = "Could not decode the request body. The JSON was incorrect or not encoded as UTF-8."
        raise Refusal(400, "Malformed JSON", undecoded) from error


def invalid(problem: str) -> Refusal:
    """The refusal of JSON that the document does not admit."""
    code = base64.urlsafe_b64encode(hashlib.sha256(problem.encode(errors="replace")).digest())[:8].decode()
    return Refusal(400, "Invalid Field Value", problem, code=code)


def content(body: object) -> bytes:
    """JSON in UTF-8; half a surrogate pair, which a request may hold and UTF-8 cannot, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def response(body: object, status: int = 200) -> Response:
    """JSON as an answer of the sandbox's own, beside the API."""
    return Response(content(body), status, media_type="application/json")


def _no_number(name: str) -> float:
    raise ValueError(f"expected a number, got {name}")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _served(world: World, request: dict[str, Any]) -> dict[str, Any]:
    customer_id = request.get("identifiers", {}).get("customer_id", "")
    keys = request.get("experience_key")
    wanted = None if keys is None else set(keys[:KEYS_PER_REQUEST])
    asked = (experience for experience in world.experiences if wanted is None or experience.key in wanted)
    served = {experience.key: experience.serve(request, customer_id) for experience in asked}
    return {key: one for key, one in served.items() if one is not None}


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, token = authorization.partition(" ")
    try:
        user, _, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if scheme.lower() == "basic" else None
