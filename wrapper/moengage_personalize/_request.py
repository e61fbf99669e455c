"""What a caller asks in one fetch, checked before anything is made of it: the visitor, the keys and the visit itself.

An error names the argument and the type that was given. It never repeats what identifies the visitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Self

from attrs import field, frozen
from msgspec import Struct

from . import _json
from ._arguments import check_customer_id, check_mapping, check_text, one_or_many, plain_text, short_repr, utc
from ._errors import InvalidRequestError
from ._generated import FETCH_FIELDS
from ._redact import redact_traceback

Keys = str | Iterable[str] | None


@frozen(init=False)
class InSession:
    """The in-session attributes of one visit; what is not given is not sent.

    Args:
        at: when the page is rendered, an aware datetime in any zone. Sent in UTC as day of the week and hour.
        ip_address: the visitor's IP address, for audiences by place; an empty one is not sent.
        user_agent: the visitor's User-Agent header, for audiences by device; an empty one is not sent.
        attributes: any other attribute of the workspace, by its own name, such as {"utm_medium": "email"}; any JSON
            value, of which a copy is kept.

    Raises:
        InvalidRequestError: a naive datetime, an empty name, a name of the request itself (`identifiers`,
            `experience_key`, ...), or a value that is not JSON.

    https://www.moengage.com/docs/api/experiences/fetch-experience (request body)
    """

    at: datetime | None
    ip_address: str | None = field(repr=False)
    user_agent: str | None = field(repr=False)
    attributes: Mapping[str, Any] = field(repr=False)

    @redact_traceback
    def __init__(
        self,
        *,
        at: datetime | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        keep = partial(object.__setattr__, self)  # frozen
        keep("at", None if at is None else utc("at", at))
        keep("ip_address", _header("ip_address", ip_address))
        keep("user_agent", _header("user_agent", user_agent))
        keep("attributes", {} if attributes is None else _attributes(attributes))

    @classmethod
    @redact_traceback
    def from_asgi(
        cls, scope: Mapping[str, Any], *, query: str | Iterable[str] = ("utm_*",), referrer: str | None = None
    ) -> Self:
        """Take what an ASGI scope tells of the visit, and the time; whatever a visitor has sent, it does not raise.

        Args:
            scope: of the request, as the server gives it, the visitor's address included: the server decides which
                proxy to trust. A Starlette or FastAPI request is one, too.
            query: patterns of the query parameters that become attributes, such as "utm_*".
            referrer: the attribute that the Referer header becomes; None: it is not sent.

        Raises:
            InvalidRequestError: no scope, no patterns, or a `referrer` that cannot be an attribute.
        """
        from ._web import from_asgi

        return cls(**from_asgi(scope, query, referrer))

    @classmethod
    @redact_traceback
    def from_wsgi(
        cls, environ: Mapping[str, Any], *, query: str | Iterable[str] = ("utm_*",), referrer: str | None = None
    ) -> Self:
        """Take what a WSGI environ tells of the visit, such as Django's `request.META`: as `from_asgi`."""
        from ._web import from_wsgi

        return cls(**from_wsgi(environ, query, referrer))


class FetchRequest(Struct, frozen=True):
    """One fetch: which keys, None for all, for whom, and on which visit."""

    keys: tuple[str, ...] | None
    customer_id: str | None
    user_identifiers: Mapping[str, Any] | str | None
    in_session: InSession

    def __repr__(self) -> str:
        return f"FetchRequest({self.keys!r})"

    @classmethod
    def create(cls, keys: Any, customer_id: Any, user_identifiers: object, in_session: object) -> Self:
        """Check the arguments of a fetch; raise InvalidRequestError for what cannot be sent."""
        # A page is rendered with plain text nearly always, which needs no more than a look.
        if customer_id is not None and not (type(customer_id) is str and customer_id.strip()):
            customer_id = check_customer_id(customer_id)
        if in_session is None:
            in_session = NO_SESSION
        return cls(
            None if keys is None else experience_keys(keys),
            customer_id,
            None if user_identifiers is None else _user_identifiers(user_identifiers),
            in_session if type(in_session) is InSession else _in_session(in_session),
        )


def experience_keys(keys: Iterable[object]) -> tuple[str, ...]:
    """The experience keys that a caller gives, each once; raise InvalidRequestError for what is none."""
    kind, values = type(keys), keys
    if kind is str:
        values = (keys,)
    elif kind is not list and kind is not tuple:
        values = one_or_many("experience keys", keys, "a str or an iterable of str")
    once: dict[str, None] = {}
    for value in values:
        key = value if type(value) is str else plain_text(value)
        if key is None or not key.strip():
            raise InvalidRequestError(f"expected an experience key to be a non-empty str, got {short_repr(value)}")
        once[key] = None
    return tuple(once)


def _header(name: str, value: object) -> str | None:
    """A text that may be missing from the visit, and then is None or empty."""
    return None if value is None or plain_text(value) == "" else check_text(name, value)


def _in_session(value: Any) -> InSession:
    if issubclass(type(value), InSession):
        return value  # type: ignore[no-any-return]
    return InSession(attributes=check_mapping("in_session", value, "an InSession or a mapping of attributes"))


def _user_identifiers(value: object) -> Mapping[str, Any] | str | None:
    wanted = "a mapping or a non-empty str"
    if plain_text(value) is not None:
        return check_text("user_identifiers", value, wanted=wanted)
    identifiers: dict[str, Any] = _json.copy(check_mapping("user_identifiers", value, wanted), "user_identifiers")
    return identifiers or None


def _attributes(value: object) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for raw_name, attribute in check_mapping("attributes", value, "a mapping of names to values").items():
        name = plain_text(raw_name)
        if not name:
            raise InvalidRequestError(
                f"expected an in-session attribute's name to be a non-empty str, got {short_repr(raw_name)}"
            )
        if name in FETCH_FIELDS:
            raise InvalidRequestError(f"expected an in-session attribute, got {name!r}, a field of the request itself")
        attributes[name] = attribute
    try:
        return dict(_json.loads(_json.dumps(attributes)))
    except ValueError:
        name, reason = _json.first_invalid(attributes)
    raise InvalidRequestError(f"expected the in-session attribute {name!r} to be JSON, got {reason}")


NO_SESSION = InSession()
