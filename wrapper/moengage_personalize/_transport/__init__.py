"""The network: one Request in, one Response or TransportError out, within its time.

THEORY TO FOLLOW
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, cast

import httpx

from .._errors import ConfigurationError
from .._messages import AsyncTransport, Transport
from ._async import AsyncPooledTransport
from ._failures import ConnectError, words
from ._httpx import AsyncHttpxAdapter, AsyncHttpxTransport, HttpxAdapter, HttpxTransport
from ._origin import Origin, Proxy, own_certificates, proxy_for, split_url, ssl_context
from ._sync import PooledTransport, blocking_proxy

__all__ = [
    "AsyncHttpxTransport",
    "AsyncPooledTransport",
    "HttpxTransport",
    "PooledTransport",
    "as_httpx_transport",
    "make_async_transport",
    "make_transport",
]


def make_transport(http_client: object | None, url: str | None = None) -> Transport:
    """Connections of our own, or those of an httpx client that the service brings.

    Args:
        http_client: an httpx.Client or httpx2.Client; None for connections of our own.
        url: where requests will lead; certificates and proxies that can never work for it are refused at once.

    Raises:
        ConfigurationError: http_client is no such client, or the environment cannot work.
    """
    if http_client is not None:
        return HttpxTransport(_check_client(http_client, "Client", "close"))
    _check_environment(url, blocking_proxy)
    return PooledTransport()


def make_async_transport(http_client: object | None, url: str | None = None) -> AsyncTransport:
    """As make_transport, for an httpx.AsyncClient or httpx2.AsyncClient."""
    if http_client is not None:
        return AsyncHttpxTransport(_check_client(http_client, "AsyncClient", "aclose"))
    _check_environment(url, proxy_for)
    return AsyncPooledTransport()


def as_httpx_transport(transport: object) -> HttpxAdapter | AsyncHttpxAdapter:
    """One of ours under a client of httpx: blocking under an httpx.Client, awaited under an httpx.AsyncClient."""
    if hasattr(transport, "aclose"):
        return AsyncHttpxAdapter(cast(AsyncTransport, transport))
    return HttpxAdapter(cast(Transport, transport))


def _check_client(client: Any, name: str, close: str) -> Any:
    """The client, if it has what is used of one."""
    used = ("build_request", "send", close)
    fits = not isinstance(client, type) and all(callable(getattr(client, method, None)) for method in used)
    if not fits or iscoroutinefunction(client.send) != (close == "aclose"):
        raise ConfigurationError(f"expected http_client to be an httpx.{name}, got {type(client).__name__}")
    return client


def _check_environment(url: str | None, proxy_of: Callable[[Origin], Proxy | None]) -> None:
    """Refuse a host, a proxy or certificates that can never work, before anything is sent."""
    if url is None:
        return
    try:
        origin, _ = split_url(url)
        proxy = proxy_of(origin)
    except (httpx.InvalidURL, ValueError, KeyError):
        raise ConfigurationError("expected a URL with a host that can be looked up, got another") from None
    except ConnectError as error:
        raise ConfigurationError(str(error)) from None
    if own_certificates() and (origin.tls or (proxy is not None and proxy.origin.tls)):
        try:
            ssl_context()
        except OSError as error:
            raise ConfigurationError(
                f"expected certificates where SSL_CERT_FILE or SSL_CERT_DIR says, got {words(error)}"
            ) from None
