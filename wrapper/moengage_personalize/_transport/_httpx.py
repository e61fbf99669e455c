"""An httpx client of the service's own, used as it is: proxies, certificates, mocks.

Law of this module: it is used, never changed and never closed; each of its reads ends by the deadline, not all of them
together.
"""

from __future__ import annotations

from typing import TypeVar

import httpcore
import httpx
from attrs import frozen

from .._messages import Request, Response
from ._body import ACCEPTED, Content
from ._deadline import Deadline
from ._exchange import answer, raw_headers

STEPS = ("connect", "read", "write", "pool")

C = TypeVar("C", httpx.Client, httpx.AsyncClient)


@frozen
class Given:
    """Performs requests with an httpx.Client."""

    client: httpx.Client

    def exchange(self, send: Request, deadline: Deadline) -> Response:
        """Send one request and take its answer."""
        asked = _request(self.client, send, deadline)
        response = self.client.send(asked, stream=True, auth=None, follow_redirects=False)
        try:
            if response.is_stream_consumed:
                return _mocked(response)
            content = Content()
            for piece in response.iter_raw():
                content.take(piece)
                deadline.left(httpcore.ReadTimeout)
        finally:
            response.close()
        return answer(response.status_code, response.headers.raw, content)

    def renew(self) -> None:
        """Which of its connections serve again is not ours to decide."""

    def close(self) -> None:
        """Whoever made it closes it."""


@frozen
class AsyncGiven:
    """Performs requests with an httpx.AsyncClient."""

    client: httpx.AsyncClient

    async def exchange(self, send: Request, deadline: Deadline) -> Response:
        """Send one request and take its answer."""
        asked = _request(self.client, send, deadline)
        response = await self.client.send(asked, stream=True, auth=None, follow_redirects=False)
        try:
            if response.is_stream_consumed:
                return _mocked(response)
            content = Content()
            async for piece in response.aiter_raw():
                content.take(piece)
                deadline.left(httpcore.ReadTimeout)
        finally:
            await response.aclose()
        return answer(response.status_code, response.headers.raw, content)

    def renew(self) -> None:
        """Which of its connections serve again is not ours to decide."""

    async def aclose(self) -> None:
        """Whoever made it closes it."""


def _request(client: C, send: Request, deadline: Deadline) -> httpx.Request:
    request = client.build_request(
        send.method,
        send.url,
        headers=raw_headers(send.headers.items()),
        content=send.body,
        extensions={"timeout": dict.fromkeys(STEPS, deadline.seconds)},
    )
    request.headers.pop("cookie", None)  # which the client may have kept from another visit
    request.headers["accept-encoding"] = ACCEPTED
    return request


def _mocked(response: httpx.Response) -> Response:
    """The answer of a mock, which httpx has read and unpacked when it was made."""
    return Response(response.status_code, dict(response.headers), response.content)
