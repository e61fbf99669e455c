"""What a web request tells of a visit; imported only when InSession.from_asgi or from_wsgi is called.

A visitor has written all of it, so that no request may raise: text is UTF-8 where it is that and latin-1 elsewhere, the
first of several counts, and what is empty, endless or no attribute is left out. The address is the one that the server
gives; X-Forwarded-For is not read here, because anyone can send it. Behind a proxy the server is told whom to trust:
--forwarded-allow-ips of uvicorn, ProxyFix of werkzeug. gunicorn's option of that name leaves the address as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

from ._arguments import check_items, check_mapping, check_text, one_or_many, plain_text
from ._generated import FETCH_FIELDS

MAX_LENGTH = 2_048  # characters
MAX_ATTRIBUTES = 100


def from_asgi(scope: object, query: object, referrer: object) -> dict[str, Any]:
    """The arguments of an InSession: https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope."""
    fields = check_mapping("scope", scope)
    headers: dict[bytes, bytes] = {}
    for pair in check_items("the headers of scope", fields.get("headers", ()), "pairs"):
        match pair:  # pyright: ignore[reportMatchNotExhaustive] -- what is no header is left out
            case (bytes(name), bytes(value)):
                headers.setdefault(name.lower(), value)
    client = fields.get("client")
    address = None if client is None else next(iter(check_items("the client of scope", client, "a pair")), None)
    agent, referer = headers.get(b"user-agent"), headers.get(b"referer")
    return _arguments(address, agent, fields.get("query_string"), referer, query, referrer)


def from_wsgi(environ: object, query: object, referrer: object) -> dict[str, Any]:
    """The arguments of an InSession: https://peps.python.org/pep-3333/#environ-variables."""
    fields = check_mapping("environ", environ)
    names = ("REMOTE_ADDR", "HTTP_USER_AGENT", "QUERY_STRING", "HTTP_REFERER")
    address, agent, text, referer = map(fields.get, names)
    return _arguments(address, agent, text, referer, query, referrer)


def _arguments(
    address: object, agent: object, text: object, referer: object, query: object, referrer: object
) -> dict[str, Any]:
    wanted = check_patterns(query)
    attributes: dict[str, str] = {}
    for name, value in parse_qsl(_text(text)):
        is_attribute = 0 < len(name) <= MAX_LENGTH and name not in FETCH_FIELDS and len(attributes) < MAX_ATTRIBUTES
        if is_attribute and (usable := _usable(value)) and any(fnmatchcase(name, pattern) for pattern in wanted):
            attributes.setdefault(name, usable)
    if referrer is not None:
        name, usable = check_text("referrer", referrer), _usable(referer)
        attributes |= {name: usable} if usable or name in FETCH_FIELDS else {}  # which InSession refuses
    known = {"at": datetime.now(UTC), "ip_address": _address(address), "user_agent": _usable(agent)}
    return {**known, "attributes": attributes}


def check_patterns(query: object) -> tuple[str, ...]:
    """The patterns of the query parameters that become attributes; raise InvalidRequestError for what is none."""
    patterns = one_or_many("query", query, "a pattern or an iterable of patterns")
    return tuple(check_text("a pattern of query", pattern) for pattern in patterns)


def _text(value: object) -> str:
    """Bytes, or text that a WSGI server has made of bytes by latin-1, as what they were meant to be."""
    text = value.decode("latin-1") if isinstance(value, bytes) else plain_text(value) or ""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text.encode(errors="replace").decode()


def _usable(value: object) -> str:
    """The text, or an empty one in place of what is too long."""
    text = _text(value).strip()
    return text if len(text) <= MAX_LENGTH else ""


def _address(value: object) -> str:
    """An IP address, or an empty text for a Unix socket and for the name that a test client gives."""
    try:
        return str(ip_address(_text(value).strip()))
    except ValueError:
        return ""
