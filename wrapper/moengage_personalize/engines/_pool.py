"""What the connections of both transports are made with: certificates, and proxies from the environment."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

MAX_CONNECTIONS = 100
# Seconds. Below the idle limits of common load balancers (60 and more), so that they seldom close first.
IDLE_EXPIRY = 30.0


@cache
def ssl_context() -> ssl.SSLContext:
    """One for the process, because making one takes 25 ms; SSL_CERT_FILE and SSL_CERT_DIR are read when it is made."""
    return httpx.create_ssl_context()


def factory_arguments(url: httpx.URL, backend: Any) -> dict[str, Any]:
    """The arguments of httpcore's pools, which are used only for what they make: connections to this origin.

    Which connection serves which request is decided here, because httpcore goes through all connections and all waiting
    requests at each step: with 256 tasks at once 80 calls a second were left.
    """
    return {
        "ssl_context": ssl_context(),
        "proxy": _proxy(url),
        "keepalive_expiry": IDLE_EXPIRY,
        "network_backend": backend,
    }


def core_url(url: httpx.URL) -> httpcore.URL:
    """The same URL as httpcore takes it."""
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def core_request(request: httpx.Request) -> httpcore.Request:
    """The same request as httpcore takes it."""
    return httpcore.Request(
        request.method,
        core_url(request.url),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def extensions(answer: Any) -> dict[str, Any]:
    """What httpcore says beside an answer, as httpx takes it."""
    return dict(answer.extensions)


def _proxy(url: httpx.URL) -> httpcore.Proxy | None:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, which httpx reads only for transports of its own."""
    found = getproxies()
    address = found.get(url.scheme) or found.get("all")
    if not address or proxy_bypass(url.host):
        return None
    proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    return httpcore.Proxy(core_url(proxy.url), auth=proxy.raw_auth)
