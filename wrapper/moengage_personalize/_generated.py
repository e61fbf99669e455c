"""Between our values and the generated client's: build requests, read answers, split and merge.

Law of this module: it alone imports the generated client. Method, path, headers and body of an operation come from the
generated function and models. An experience is read by their field names, but not by the models themselves, which take
much for granted, raise for the rest, and cost a tenth of a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import httpx
from attrs import fields
from moengage_personalize_api import AuthenticatedClient, models as api
from moengage_personalize_api.api.events import report_experience_events
from moengage_personalize_api.api.experiences import fetch_experience, get_metadata
from moengage_personalize_api.models.event_action_action import check_event_action_action
from moengage_personalize_api.models.time_of_the_day import check_time_of_the_day
from moengage_personalize_api.types import UNSET, Unset

from . import _json
from ._errors import InvalidRequestError, MalformedResponse, Secrets
from ._experiences import Experience
from ._messages import Request, Response
from ._request import FetchRequest, InSession
from ._responses import ErrorBody, error_from_response, limits, rate_limit, secrets
from ._settings import Settings
from ._split import FetchPlan, PartialResult, SubRequest
from .events import ExperienceEvent

# By datetime.weekday(); mypy holds them against the generated type.
DAYS: tuple[api.DayOfTheWeek, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ERROR_BYTES = 64 * 1024  # an error that is longer is no error of the API
# All but the catch-all for unknown ones; a model refuses an error that lacks one of them, which gateways send.
ERROR_FIELDS = tuple(field.name for field in fields(api.ErrorResponse) if field.init)
# Asked of the models, so that mypy tells when a document has others.
PAYLOAD, CONTEXT = fields(api.Experience).payload.name, fields(api.Experience).experience_context.name
_CLICK = api.EventAttributes("", "", "", "", "", "", b_id="the element").to_dict()
ELEMENT = next(name for name, value in _CLICK.items() if value == "the element")
VALUE, DATA_TYPE = fields(api.Variable).value.name, fields(api.Variable).data_type.name


def plan(settings: Settings, question: FetchRequest) -> FetchPlan:
    """The requests for a question; raise InvalidRequestError for what cannot be sent."""
    request = _session_request(question.in_session)
    request.identifiers = _identifiers(question)
    return FetchPlan(
        requested=None if question.keys is None else frozenset(question.keys),
        asks=tuple(_ask(settings, request, chunk) for chunk in question.chunks()),
        secrets=partial(secrets, settings.credentials, question),
    )


def read(answer: Response, secrets: Secrets) -> PartialResult:
    """What an answer brought; raise the error that it is instead."""
    body, strict = _read(answer, secrets)
    found: object = body.get("experiences", UNSET) if _json.is_object(body) else UNSET
    if found is None:
        found = {}
    if not _json.is_object(found):
        raise MalformedResponse("expected an object of experiences, got other JSON", status=answer.status)
    if not strict:  # what is not JSON is as good as nothing
        found = {key: raw if _json.is_json(raw) else None for key, raw in found.items()}
    return PartialResult(found, partial(rate_limit, limits(answer.headers)))


def read_json(answer: Response, secrets: Secrets) -> object:
    """The JSON of an answer with status 200; raise the error that it is instead."""
    return _read(answer, secrets)[0]


def _read(answer: Response, secrets: Secrets) -> tuple[Any, bool]:
    if answer.status != 200:
        raise error_from_response(answer, _words(answer.body), secrets)
    if _json.tokens(answer.body) > _json.TOKENS:
        raise MalformedResponse(f"expected JSON of at most {_json.TOKENS:,} values, got more", status=answer.status)
    try:
        return _json.read(answer.body)
    except ValueError as error:
        raise MalformedResponse(f"expected JSON, got {error}", status=answer.status, retryable=True) from error


def decode(key: str, raw: object) -> Experience:
    """One experience from what an answer holds for its key; raise MalformedResponse if that is none."""
    if not _json.is_object(raw):
        raise _malformed(key, raw)
    payload, context = _object(key, raw.get(PAYLOAD)), _object(key, raw.get(CONTEXT))
    variables: dict[str, tuple[Any, Any]] = {}
    for name, given in payload.items():
        variable = _object(key, given)
        variables[name] = (variable.get(VALUE), variable.get(DATA_TYPE))
    return Experience(key, variables, context)


def _object(key: str, raw: object) -> dict[str, Any]:
    """An object of an experience; an empty one for null, or where there is none."""
    if raw is None:
        return {}
    if not _json.is_object(raw):
        raise _malformed(key, raw)
    return raw


def _malformed(key: str, raw: object) -> MalformedResponse:
    return MalformedResponse(
        f"expected an experience for {key!r}, got {type(raw).__name__} where an object should be", status=200
    )


def generated_client(settings: Settings) -> GeneratedClient:
    """The generated client, authenticated, with our timeout (its own default is none)."""
    token, timeout = settings.credentials.token, httpx.Timeout(settings.timeout)
    return GeneratedClient(base_url=settings.base_url, token=token, prefix="Basic", timeout=timeout)


class GeneratedClient(AuthenticatedClient):
    """The generated client with a repr that does not print the token."""

    def __repr__(self) -> str:
        return f"AuthenticatedClient({self._base_url!r})"


def _session_request(session: InSession) -> api.FetchExperienceRequest:
    request = api.FetchExperienceRequest(
        user_ip_address=session.ip_address or UNSET, user_agent=session.user_agent or UNSET
    )
    if session.at is not None:
        request.day_of_the_week = DAYS[session.at.weekday()]
        request.time_of_the_day = check_time_of_the_day(f"{session.at.hour:02d}")
    if session.attributes:
        free = api.FetchExperienceRequest.from_dict(dict.fromkeys(session.attributes, UNSET)).additional_properties
        for name in [name for name in session.attributes if name not in free]:
            raise InvalidRequestError(f"expected an in-session attribute, got {name!r}, a field of the request itself")
        request.additional_properties.update(session.attributes)
    return request


def _identifiers(question: FetchRequest) -> api.Identifiers | Unset:
    given = question.user_identifiers
    if question.customer_id is None and given is None:
        return UNSET
    identifiers = api.Identifiers(customer_id=question.customer_id or UNSET)
    if given is not None:
        identifiers.user_identifiers = given if isinstance(given, str) else api.UserIdentifiers.from_dict(given)
    return identifiers


def _ask(settings: Settings, request: api.FetchExperienceRequest, keys: tuple[str, ...] | None) -> SubRequest:
    request.experience_key = UNSET if keys is None else list(keys)
    # Private to the generator, and the only way to its method, path and headers without performing the request.
    kwargs = fetch_experience._get_kwargs(  # pyright: ignore[reportPrivateUsage]
        body=request, moe_appkey=settings.credentials.workspace_id
    )
    send = _send(settings, kwargs, _body(kwargs["json"]))
    return SubRequest(None if keys is None else frozenset(keys), send)


def metadata(settings: Settings, status: Sequence[str]) -> Request:
    """The request for the metadata of the experiences with one of these statuses; none for all."""
    kwargs = get_metadata._get_kwargs(  # pyright: ignore[reportPrivateUsage]
        moe_appkey=settings.credentials.workspace_id
    )
    # Beside the generated function, which may come to take one status only, or a list.
    return _send(settings, kwargs, b"", f"?status={','.join(status)}" if status else "")


def report(settings: Settings, elements: Sequence[Sequence[ExperienceEvent]]) -> Request:
    """The request that reports events, an element each for those that share customer, time zone and attributes."""
    kwargs = report_experience_events._get_kwargs(  # pyright: ignore[reportPrivateUsage]
        body=api.ReportEventsRequest(elements=[_element(events) for events in elements]),
        moe_appkey=settings.credentials.workspace_id,
    )
    return _send(settings, kwargs, _body(kwargs["json"]))


def _element(events: Sequence[ExperienceEvent]) -> api.EventElement:
    first = events[0]
    attributes, offset = first.user_attributes, first.user_timezone_offset
    return api.EventElement(
        customer_id=first.customer_id,
        actions=[_action(event) for event in events],
        user_attributes=UNSET if attributes is None else api.UserAttributes.from_dict(attributes),
        user_timezone_offset=UNSET if offset is None else offset,
    )


def _action(event: ExperienceEvent) -> api.EventAction:
    return api.EventAction(
        action=check_event_action_action(event.action),
        moe_event_uuid=event.uuid,
        event_time=event.at,
        platform=event.platform,
        attributes=_ContextAttributes(event),
        b_id=event.element or UNSET,
    )


class _ContextAttributes(api.EventAttributes):
    """The context of an event, written exactly as it came, and its element, if it has one.

    That stands here, too, because the published schema has it beside the attributes and the published examples within.
    """

    def __init__(self, event: ExperienceEvent) -> None:
        self._event = event

    def to_dict(self) -> dict[str, Any]:
        """As the model would write it, had it a field for each of the context."""
        element = {} if self._event.element is None else {ELEMENT: self._event.element}
        return {**self._event.context, **element}


def _send(settings: Settings, kwargs: Mapping[str, Any], body: bytes, query: str = "") -> Request:
    return Request(
        method=kwargs["method"].upper(),
        url=f"{settings.base_url}{kwargs['url']}{query}",
        headers={**kwargs["headers"], "Authorization": settings.credentials.authorization},
        body=body,
    )


def _body(fields: Mapping[str, object]) -> bytes:
    try:
        return _json.dumps(fields)
    except ValueError:
        name, reason = _json.culprit(fields)
    raise InvalidRequestError(f"expected JSON in {name!r}, got {reason}")


def _words(body: bytes) -> ErrorBody:
    try:
        given = _json.loads(body[:ERROR_BYTES])
    except ValueError:
        given = None
    said = api.ErrorResponse.from_dict({**dict.fromkeys(ERROR_FIELDS), **(given if _json.is_object(given) else {})})
    return ErrorBody(said.title, said.description, said.code)
