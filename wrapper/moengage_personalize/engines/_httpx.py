"""The default engines: httpx, used so that nothing of one visit reaches another.

Law of this module: no redirect is followed, no cookie kept or sent, and every exception ends as a NoAnswer.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic

import httpx

from .._flow import Answer, NoAnswer, Outcome, Send


class HttpxEngine:
    """Performs requests with httpx.Client.

    Args:
        client: your own httpx.Client: proxies, certificates, mocks. It is used, never changed and never closed;
            None makes one that is closed with the engine.
    """

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(cookies=_no_cookies())
        self._owned = client is None

    def __repr__(self) -> str:
        return f"HttpxEngine(own_client={self._owned})"

    def perform(self, send: Send) -> Outcome:
        """Perform one request; the deadline is looked at after each piece of the answer."""
        deadline = monotonic() + send.timeout
        try:
            request = _request(self._client, send)
            response = self._client.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                pieces = bytearray()
                for piece in response.iter_bytes():
                    pieces += piece
                    _check(deadline)
                return _answer(response, pieces)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            return _no_answer(error)

    def close(self) -> None:
        """Close the connections, if the client is our own."""
        if self._owned:
            self._client.close()


class AsyncHttpxEngine:
    """Performs requests with httpx.AsyncClient.

    Args:
        client: your own httpx.AsyncClient: proxies, certificates, mocks. It is used, never changed and never closed;
            None makes one that is closed with the engine.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._client = client or httpx.AsyncClient(cookies=_no_cookies())
        self._owned = client is None

    def __repr__(self) -> str:
        return f"AsyncHttpxEngine(own_client={self._owned})"

    async def perform(self, send: Send) -> Outcome:
        """Perform one request; the deadline is looked at after each piece of the answer."""
        deadline = monotonic() + send.timeout
        try:
            request = _request(self._client, send)
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                pieces = bytearray()
                async for piece in response.aiter_bytes():
                    pieces += piece
                    _check(deadline)
                return _answer(response, pieces)
            finally:
                await response.aclose()
        except Exception as error:  # noqa: BLE001 -- the boundary: no exception of httpx or below gets out
            return _no_answer(error)

    async def aclose(self) -> None:
        """Close the connections, if the client is our own."""
        if self._owned:
            await self._client.aclose()


def _request(client: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
    # As UTF-8, because httpx would refuse what is not ASCII; without cookies, because a client of the service's own may
    # have kept some from another visit.
    headers = [(name.encode(), value.encode()) for name, value in send.headers.items()]
    request = client.build_request(send.method, send.url, headers=headers, content=send.body, timeout=send.timeout)
    request.headers.pop("cookie", None)
    return request


def _answer(response: httpx.Response, body: bytearray) -> Answer:
    return Answer(response.status_code, dict(response.headers), bytes(body))


def _check(deadline: float) -> None:
    if monotonic() > deadline:
        raise httpx.ReadTimeout("the answer was still coming")


def _no_answer(error: Exception) -> NoAnswer:
    if isinstance(error, httpx.TimeoutException):
        return NoAnswer("timeout", error)
    if isinstance(error, httpx.DecodingError | httpx.LocalProtocolError):
        return NoAnswer("protocol", error)
    return NoAnswer("connection", error)


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
