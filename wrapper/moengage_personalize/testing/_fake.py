"""The API within the process: it answers as a test has said, and keeps what was sent.

It is no second sandbox: it believes that a request is well formed, because the client that made it is the real one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from .. import _json
from .._arguments import (
    check_customer_id,
    check_mapping,
    check_seconds,
    check_text,
    check_whole,
    plain_number,
    short_repr,
)
from .._base import CustomerId
from .._errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InvalidRequestError,
    MalformedResponse,
    PersonalizeError,
    ServerError,
)
from .._messages import Outcome, Request, Response, TransportError
from .._responses import CLASSES
from ..events import CLICKED, SHOWN

ACTIONS = {SHOWN: "shown", CLICKED: "clicked"}
STATUSES: list[tuple[object, int]] = [*((error, status) for status, error in CLASSES.items()), (ServerError, 503)]
GATEWAY_PAGE = b"<html><title>Bad gateway</title></html>"  # what some gateways send, with status 200
CONTEXT = {"moe_locale_id": "0", "type": "Web Personalization", "experience_type": "API based Experience"}


@frozen
class ReceivedFetch:
    """One request for experiences, a retry too; `in_session` has the names that the API has, `keys` None for all."""

    keys: tuple[str, ...] | None
    customer_id: str | None
    user_identifiers: Any
    in_session: Mapping[str, Any]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ReceivedFetch:
        """Take it from the body of a request."""
        keys, who = body.get("experience_key"), body.get("identifiers", {})
        rest = {name: body[name] for name in body if name not in ("experience_key", "identifiers")}
        return cls(keys and tuple(keys), who.get("customer_id"), who.get("user_identifiers"), rest)


@frozen
class ReceivedEvent:
    """One event that was reported; `action` is "shown" or "clicked", `at` is Unix time in seconds."""

    action: str
    customer_id: str
    context: Mapping[str, Any]
    element: str | None
    platform: str
    uuid: str
    at: int

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> ReceivedEvent:
        """Take it from an action of a report and the fields of its user."""
        context = {name: value for name, value in event["attributes"].items() if name != "b_id"}
        action, who, uuid, at = (event[name] for name in ("action", "customer_id", "moe_event_uuid", "event_time"))
        return cls(ACTIONS[action], who, context, event.get("b_id"), event["platform"], uuid, at)


class Fake:
    """Who is served what, how requests fail, and what was sent."""

    def __init__(self) -> None:
        self._served: dict[str, dict[str | None, tuple[str, dict[str, Any]]]] = {}
        self._requests: list[ReceivedFetch] = []
        self._events: dict[str, ReceivedEvent] = {}
        self._armed: tuple[Outcome | None, float] = None, 0.0
        self._times, self._lock = 0, Lock()

    def serve(
        self, key: str, values: Mapping[str, Any], *, customer_id: CustomerId | None = None, variation: str = "1"
    ) -> None:
        """Serve an experience from now on, in place of what was served for the same key and customer.

        Args:
            key: the experience key.
            values: its variables by name; any JSON, and the type of each is its `data_type`.
            customer_id: who gets it, in place of what everyone gets; None for everyone.
            variation: its `moe_variation_id`.

        Raises:
            InvalidRequestError: what the API could not serve.
        """
        key, variation = check_text("key", key), check_text("variation", variation)
        who = None if customer_id is None else check_customer_id(customer_id)
        copy: dict[str, Any] = _json.copy(check_mapping("values", values), "values")
        payload = {name: {"value": value, "data_type": _data_type(value)} for name, value in copy.items()}
        self._served.setdefault(key, {})[who] = variation, payload

    def fail(
        self,
        kind: int | type[PersonalizeError] | None = None,
        *,
        times: int = 1,
        delay: float = 0.0,
        malformed: bool = False,
    ) -> None:
        """Let the next requests fail, whatever they ask for, in place of what was armed before.

        Args:
            kind: a status from 400 to 599, or the class of the error that an attempt is to meet: an APIError with a
                status of its own, ConnectionFailed, MalformedResponse, or DeadlineExceeded, which takes all the time
                that the call has. None is 500, or with a `delay` an answer that is only late.
            times: how many requests, each retry being one; 0 ends it.
            delay: seconds until the answer.
            malformed: whether the answer is the page of a gateway in place of JSON.

        Raises:
            InvalidRequestError: a failure that cannot be.
        """
        number = check_whole("times", times, 0, InvalidRequestError)
        seconds = 0.0 if plain_number(delay) == 0 else check_seconds("delay", delay, InvalidRequestError)
        outcome = None if kind is None and seconds and not malformed else _failure(kind, malformed)
        with self._lock:
            self._armed, self._times = (outcome, math.inf if kind is DeadlineExceeded else seconds), number

    @property
    def requests(self) -> list[ReceivedFetch]:
        """The requests for experiences so far, oldest first."""
        return self._requests[:]

    @property
    def events(self) -> list[ReceivedEvent]:
        """The events that were reported so far, oldest first; one that came twice is here once, as the API counts."""
        return [*self._events.values()]

    def _answer(self, request: Request) -> tuple[Outcome, float]:
        """What comes of a request, and after how many seconds."""
        target, body = urlsplit(request.url), _json.loads(request.body or b"{}")
        operation = target.path.rpartition("/")[2]
        if operation == "fetch":
            self._requests.append(ReceivedFetch.read(body))
        with self._lock:
            outcome, delay = self._armed if self._times > 0 else (None, 0.0)
            self._times -= 1
        if delay >= request.timeout:
            return TransportError("timeout", TimeoutError()), request.timeout
        return outcome or _json_response(200, self._content(operation, body, target.query)), delay

    def _content(self, operation: str, body: Mapping[str, Any], query: str) -> Mapping[str, Any]:
        if operation == "fetch":
            keys, who = body.get("experience_key", self._served), body.get("identifiers", {}).get("customer_id")
            found = {key: self._found(key, who) for key in keys}
            return {"experiences": {key: one for key, one in found.items() if one is not None}}
        if operation == "metadata":
            keys = self._served if not query or "Active" in query else ()  # all that is served is active
            listed = [{"experience_name": key, "experience_key": key, "status": "Active"} for key in keys]
            return {"metadata": {"count": len(listed), "experiences": listed}}
        for user in body["elements"]:
            for event in (ReceivedEvent.read({**user, **action}) for action in user["actions"]):
                self._events.setdefault(event.uuid, event)
        return {"status": "success", "message": "The events are accepted.", "req_id": ""}

    def _found(self, key: str, customer_id: str | None) -> Mapping[str, Any] | None:
        """What is served to this customer alone, or else to everyone."""
        served = self._served.get(key, {})
        audience, found = "ONE", served.get(customer_id) if customer_id is not None else None
        if found is None:
            audience, found = "ALL", served.get(None)
        if found is None:
            return None
        (variation, payload), named = found, {"experience": key, "audience_name": audience, "audience_id": audience}
        cid = f"{key}_F_T_WP_AB_{variation}_P_0_AU_{audience}"
        return {
            "payload": payload,
            "experience_context": {"cid": cid, "moe_variation_id": variation, **named, **CONTEXT},
        }


def _failure(kind: object, malformed: bool) -> Outcome:
    if kind is ConnectionFailed or kind is DeadlineExceeded:
        return TransportError("connection", ConnectionResetError("closed by the test"))
    if kind is MalformedResponse or (kind is None and malformed):
        return Response(200, {}, GATEWAY_PAGE)
    status = 500 if kind is None else next((at for error, at in STATUSES if error is kind), kind)
    if type(status) is not int or not 400 <= status <= 599:
        known = "ConnectionFailed, DeadlineExceeded, MalformedResponse or an APIError with a status of its own"
        came = status.__name__ if type(status) is type else short_repr(status)
        raise InvalidRequestError(f"expected a status from 400 to 599, {known}, got {came}")
    refusal = {"title": "Armed", "description": "A test has armed this failure."}
    return Response(status, {}, GATEWAY_PAGE) if malformed else _json_response(status, refusal)


def _data_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string" if isinstance(value, str) else "json"


def _json_response(status: int, content: Mapping[str, Any]) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(content).encode())
