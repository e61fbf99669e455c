"""Between our Send and Answer and the requests and responses of httpx, the same for both engines."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from .._flow import Answer, NoAnswer, Send
from ._content import ACCEPTED, BadlyPacked, Content, TooLarge
from ._deadline import Deadline

TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
PROTOCOL = (httpx.LocalProtocolError, httpcore.LocalProtocolError, BadlyPacked)


def request(client: httpx.Client | httpx.AsyncClient, send: Send, deadline: Deadline) -> httpx.Request:
    # As UTF-8, because httpx would refuse what is not ASCII; without cookies, because a client of the service's own may
    # have kept some from another visit.
    headers = [(name.encode(), value.encode()) for name, value in send.headers.items()]
    request = client.build_request(
        send.method, send.url, headers=headers, content=send.body, extensions=deadline.extensions()
    )
    request.headers.pop("cookie", None)
    request.headers["accept-encoding"] = ACCEPTED
    return request


def answer(response: httpx.Response, content: Content) -> Answer:
    return Answer(response.status_code, dict(response.headers), content.unpack(response.headers))


def mocked(response: httpx.Response) -> Answer:
    """The answer of a mock, which httpx has read and unpacked when it was made."""
    return Answer(response.status_code, dict(response.headers), response.content)


def no_answer(error: Exception, deadline: Deadline) -> NoAnswer:
    if isinstance(error, TIMEOUTS):
        return NoAnswer("timeout", error)
    if isinstance(error, TooLarge):
        return NoAnswer("limit", error)
    if isinstance(error, PROTOCOL):
        return NoAnswer("protocol", error)
    return NoAnswer("stale" if deadline.stale else "connection", error)


def no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
