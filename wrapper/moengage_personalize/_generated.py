"""The only importer of the generated client, whose own are the paths, headers and names of what is sent and read.

A request takes its method, path and headers from the generated function, and events are built by their models. A fetch
is written and read by the JSON names of the models, but not through them: as objects they cost more than all else that
a fetch does, and one unknown enum value or one null would lose a whole answer. The names are those that `to_dict`
writes, so that a document which renames a field renames it here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import httpx
import msgspec
from moengage_personalize_api import AuthenticatedClient, models as api
from moengage_personalize_api.api.events import report_experience_events
from moengage_personalize_api.api.experiences import fetch_experience, get_metadata
from moengage_personalize_api.models.event_action_action import check_event_action_action
from moengage_personalize_api.types import UNSET
from msgspec import Struct

from . import _json
from ._errors import InvalidRequestError, MalformedResponse
from ._experiences import Experience, typed_value
from ._messages import Request, Response
from ._responses import ErrorBody, error_from_response
from ._settings import Settings
from .events import ExperienceEvent

# By datetime.weekday(); mypy holds them against the generated type.
DAYS: tuple[api.DayOfTheWeek, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
APP_KEY = "MOE-APPKEY"  # repeats the workspace
ERROR_BYTES = 64 * 1024  # an error that is longer is no error of the API


def json_name(model: Any) -> str:
    """The JSON name of the one field that a generated model was made with."""
    (name,) = model.to_dict()
    return str(name)


EXPERIENCE_KEY = json_name(api.FetchExperienceRequest(experience_key=[]))
EXPERIENCES = json_name(api.FetchExperienceResponse(experiences=api.Experiences()))
PAYLOAD = json_name(api.Experience(payload=api.Payload()))
CONTEXT = json_name(api.Experience(experience_context=api.ExperienceContext()))
VALUE, DATA_TYPE = json_name(api.Variable(value="")), json_name(api.Variable(data_type=""))
METADATA = json_name(api.MetadataResponse(metadata=api.Metadata()))
METADATA_EXPERIENCES = json_name(api.Metadata(experiences=[]))
METADATA_KEY = json_name(api.ExperienceMetadata(experience_key=""))
METADATA_NAME = json_name(api.ExperienceMetadata(experience_name=""))
METADATA_STATUS = json_name(api.ExperienceMetadata(status=""))
# In the order of the values, which tell them apart.
_ERROR = api.ErrorResponse(title="1", description="2", code="3").to_dict()
TITLE, DESCRIPTION, CODE = sorted(_ERROR, key=_ERROR.__getitem__)
# Of an action, because not every edition of the document has it among the attributes of one, too.
_ATTRIBUTES = api.EventAttributes(
    cid="", experience="", moe_locale_id="", moe_variation_id="", audience_name="", audience_id=""
)
_CLICK = api.EventAction(
    action="MOE_PERSONALIZATION_MESSAGE_CLICKED",
    moe_event_uuid="",
    event_time=0,
    platform="",
    attributes=_ATTRIBUTES,
    b_id="the element",
).to_dict()
ELEMENT = next(name for name, value in _CLICK.items() if value == "the element")
CUSTOMER_ID = json_name(api.Identifiers(customer_id=""))
USER_IDENTIFIERS = json_name(api.Identifiers(user_identifiers=""))
IDENTIFIERS = json_name(api.FetchExperienceRequest(identifiers=api.Identifiers()))
DAY = json_name(api.FetchExperienceRequest(day_of_the_week=DAYS[0]))
HOUR = json_name(api.FetchExperienceRequest(time_of_the_day="00"))
IP_ADDRESS = json_name(api.FetchExperienceRequest(user_ip_address=""))
USER_AGENT = json_name(api.FetchExperienceRequest(user_agent=""))
FETCH_FIELDS = frozenset({IDENTIFIERS, EXPERIENCE_KEY, DAY, HOUR, IP_ADDRESS, USER_AGENT})
"""What a fetch request is made of itself, and no in-session attribute may be named like."""


class Variable(Struct):
    """One variable of an experience, as an answer has it."""

    value: Any = msgspec.field(default=None, name=VALUE)
    data_type: Any = msgspec.field(default=None, name=DATA_TYPE)


class ServedExperience(Struct):
    """One experience, as an answer has it; null counts as missing, and what else there is is left out."""

    payload: dict[str, Variable | None] | None = msgspec.field(default=None, name=PAYLOAD)
    context: dict[str, Any] | None = msgspec.field(default=None, name=CONTEXT)


class FetchAnswer(Struct):
    """An answer to a fetch, whose experiences are not yet read: to read all of them takes twice the time."""

    experiences: dict[str, msgspec.Raw] = msgspec.field(name=EXPERIENCES)


_decode_experience = msgspec.json.Decoder(ServedExperience).decode
_decode_answer = msgspec.json.Decoder(FetchAnswer).decode


class Endpoint(Struct, frozen=True):
    """One operation of one workspace: what all its requests have in common, made once a client."""

    method: str
    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Endpoint({self.method!r}, {self.url!r})"

    def request(self, body: bytes, query: str = "") -> Request:
        """One request; `query` begins with its question mark."""
        return Request(self.method, self.url + query, self.headers, body)


class Endpoints(Struct, frozen=True):
    """The operations of one workspace."""

    fetch: Endpoint
    metadata: Endpoint
    events: Endpoint

    @classmethod
    def of(cls, settings: Settings) -> Endpoints:
        """Ask the generated functions, by `_get_kwargs`, which is private and the only way that sends nothing."""
        key = settings.credentials.workspace_id
        empty = api.FetchExperienceRequest()
        return cls(
            _endpoint(settings, fetch_experience._get_kwargs(body=empty, moe_appkey=key)),  # pyright: ignore[reportPrivateUsage]
            _endpoint(settings, get_metadata._get_kwargs(moe_appkey=key)),  # pyright: ignore[reportPrivateUsage]
            _endpoint(
                settings,
                report_experience_events._get_kwargs(  # pyright: ignore[reportPrivateUsage]
                    body=api.ReportEventsRequest(elements=[]), moe_appkey=key
                ),
            ),
        )


def _endpoint(settings: Settings, kwargs: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        method=kwargs["method"].upper(),
        url=f"{settings.base_url}{kwargs['url']}",
        headers={**kwargs["headers"], "Authorization": settings.credentials.authorization},
    )


def fetch_fields(
    customer_id: str | None,
    user_identifiers: Mapping[str, Any] | str | None,
    at: datetime | None,
    ip_address: str | None,
    user_agent: str | None,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """What the body of each request of a fetch has, but for its keys; `at` is in UTC, and all values are JSON."""
    identifiers: dict[str, Any] = {}
    if customer_id is not None:
        identifiers[CUSTOMER_ID] = customer_id
    if user_identifiers is not None:
        identifiers[USER_IDENTIFIERS] = user_identifiers
    fields: dict[str, Any] = {IDENTIFIERS: identifiers} if identifiers else {}
    if at is not None:
        fields[DAY], fields[HOUR] = DAYS[at.weekday()], f"{at.hour:02d}"
    if ip_address is not None:
        fields[IP_ADDRESS] = ip_address
    if user_agent is not None:
        fields[USER_AGENT] = user_agent
    fields.update(attributes)
    return fields


def fetch_body(fields: Mapping[str, Any], keys: Sequence[str] | None) -> bytes:
    """The body of a request for these keys, None for all.

    Raises:
        InvalidRequestError: a lone surrogate, which UTF-8 has not, in one of the texts.
    """
    if keys is not None:
        fields = {**fields, EXPERIENCE_KEY: keys}
    try:
        return _json.dumps_plain(fields)
    except UnicodeEncodeError:
        name, reason = _json.first_invalid(fields)
    raise InvalidRequestError(f"expected JSON in {name!r}, got {reason}")


def events_body(elements: Sequence[Sequence[ExperienceEvent]]) -> bytes:
    """The body of a report, an element each for events that share customer, time zone and attributes."""
    return _json.dumps(api.ReportEventsRequest(elements=[_element(events) for events in elements]).to_dict())


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


def read_experiences(response: Response, *, strict: bool = False) -> Mapping[str, Any]:
    """The experiences of an answer by key, not yet decoded.

    Raises:
        PersonalizeError: the error that the answer is instead; `strict` shows the API's own description in its text.
    """
    _check(response, strict)
    try:
        if not response.body.isascii():
            response.body.decode()  # what is not yet read is not checked for UTF-8 otherwise
        return _decode_answer(response.body).experiences
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # below, only what is not JSON is lost
    body, is_json = _read(response)
    found = cast(dict[str, Any], body).get(EXPERIENCES, UNSET) if isinstance(body, dict) else UNSET
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedResponse("expected an object of experiences, got other JSON", status=response.status)
    experiences = cast(dict[str, Any], found)
    return experiences if is_json else {key: _json_parts(raw) for key, raw in experiences.items()}


def read_json(response: Response, *, strict: bool = False) -> object:
    """The JSON of an answer with status 200; raise the error that it is instead, as `read_experiences`."""
    _check(response, strict)
    return _read(response)[0]


def _check(response: Response, strict: bool) -> None:
    """Raise the error that an answer is instead of one to be read."""
    if response.status != 200:
        raise error_from_response(response, _error_body(response.body), strict=strict)
    if _json.count_values(response.body) > _json.MAX_VALUES:
        raise MalformedResponse(
            f"expected JSON of at most {_json.MAX_VALUES:,} values, got more", status=response.status
        )


def _read(response: Response) -> tuple[Any, bool]:
    """The JSON of an answer, and whether all of it is JSON; NaN, for one, is read and is none."""
    try:
        return _json.read(response.body)
    except ValueError as error:
        raise MalformedResponse(f"expected JSON, got {error}", status=response.status, retryable=True) from error


def _json_parts(raw: object) -> object:
    """An experience without the variables and context fields that are not JSON: each costs itself alone."""
    if not _json.is_object(raw):
        return raw
    return {
        name: {key: value for key, value in part.items() if _json.is_json({key: value})}
        if _json.is_object(part)
        else part
        for name, part in raw.items()
    }


def decode(key: str, raw: object) -> Experience:
    """One experience from what an answer holds for its key; raise MalformedResponse if that is none."""
    try:
        one = _decode_experience(raw) if isinstance(raw, msgspec.Raw) else _decode_leniently(raw)
    except (msgspec.MsgspecError, RecursionError):
        one = _decode_leniently(raw)
    values = {
        name: value
        for name, given in (one.payload or {}).items()
        if given is not None and (value := typed_value(given.value, given.data_type)) is not None
    }
    return Experience(key, values, one.context or {})


def _decode_leniently(raw: object) -> ServedExperience:
    """Where a part of an experience is not JSON, only that part is lost."""
    if isinstance(raw, msgspec.Raw):
        try:
            found, is_json = _json.read(bytes(raw))
        except ValueError as error:
            raise MalformedResponse(f"expected JSON in an experience, got {error}", status=200) from error
        raw = found if is_json else _json_parts(found)
    with suppress(msgspec.ValidationError, UnicodeEncodeError):  # the second for a lone surrogate instead of an object
        return msgspec.convert(raw, ServedExperience)
    raise MalformedResponse("expected an experience, got JSON of another shape", status=200)


def _error_body(body: bytes) -> ErrorBody:
    try:
        given = _json.loads(body[:ERROR_BYTES])
    except ValueError:
        given = None
    fields = given if _json.is_object(given) else {}
    return ErrorBody(fields.get(TITLE), fields.get(DESCRIPTION), fields.get(CODE))


class GeneratedClient(AuthenticatedClient):
    """The generated client with a repr that does not print the token."""

    def __repr__(self) -> str:
        return f"AuthenticatedClient({self._base_url!r})"


def generated_client(settings: Settings, transport: object) -> GeneratedClient:
    """The generated client, authenticated, with our timeout (its own default is none), over a transport of httpx."""
    return GeneratedClient(
        base_url=settings.base_url,
        headers={APP_KEY: settings.credentials.workspace_id},
        token=settings.credentials.token,
        prefix="Basic",
        timeout=httpx.Timeout(settings.timeout),
        httpx_args={"transport": transport},
    )
