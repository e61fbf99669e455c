"""Where requests lead, and what connections are made with: certificates, and proxies from the environment."""

from __future__ import annotations

import ssl
from base64 import b64encode
from contextlib import suppress
from functools import cache, lru_cache
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from attrs import frozen

MAX_CONNECTIONS = 100
PORTS = {"http": 80, "https": 443}


@frozen(cache_hash=True)  # one for all requests to a URL, and part of what names their head
class Target:
    """A URL in the parts that a request needs."""

    host: str
    port: int
    tls: bool
    authority: bytes
    """The value of the Host header."""
    path: bytes


@lru_cache(maxsize=64)
def target(url: str) -> Target:
    """A client asks a handful of URLs, again and again."""
    given = httpx.URL(url)
    port = given.port or PORTS[given.scheme]
    return Target(given.raw_host.decode("ascii"), port, given.scheme == "https", given.netloc, given.raw_path)


@cache
def ssl_context() -> ssl.SSLContext:
    """One for the process, because making one takes 25 ms; SSL_CERT_FILE and SSL_CERT_DIR are read when it is made."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@frozen
class Proxy:
    """What lies between, and what it wants to be told."""

    host: str
    port: int
    tls: bool
    headers: tuple[tuple[bytes, bytes], ...]


def proxy(where: Target) -> Proxy | None:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, which httpx reads only for connections of its own."""
    found = getproxies()
    address = found.get("https" if where.tls else "http") or found.get("all")
    if not address or proxy_bypass(where.host):
        return None
    given = None
    with suppress(httpx.InvalidURL, ValueError):  # whose words may hold a password
        given = httpx.Proxy(address if "://" in address else f"http://{address}")
    if given is None:
        raise httpcore.UnsupportedProtocol("expected the URL of a proxy in the environment, got another text")
    if given.url.scheme not in PORTS:
        raise httpcore.UnsupportedProtocol(f"expected an http or https proxy, got {given.url.scheme}")
    headers = () if given.raw_auth is None else ((b"Proxy-Authorization", _basic(*given.raw_auth)),)
    to = target(str(given.url.copy_with(username=None, password=None)))
    return Proxy(to.host, to.port, to.tls, headers)


def tunnel(where: Target) -> bytes:
    """What a proxy is asked to connect to."""
    host = f"[{where.host}]" if ":" in where.host else where.host
    return f"{host}:{where.port}".encode()


def opened(status: int) -> None:
    """Raise what it means when a proxy does not connect."""
    if not 200 <= status < 300:
        raise httpcore.ProxyError(f"expected the proxy to connect, got status {status}")


def _basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + b64encode(user + b":" + password)
