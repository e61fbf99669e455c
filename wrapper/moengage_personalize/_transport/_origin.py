"""Where requests lead; certificates and proxies from the environment.

Which proxy serves an origin is what the standard library finds (urllib.request.getproxies and proxy_bypass):
HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, on macOS and Windows also what the system's settings say.
"""

from __future__ import annotations

import errno
import os
import ssl
from base64 import b64encode
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx
from msgspec import Struct

from .._messages import Response
from ._exchange import ExchangeError

PORTS = {"http": 80, "https": 443}

Headers = Iterable[tuple[bytes, bytes]]


class Origin(Struct, frozen=True, cache_hash=True):
    """Scheme, host and port of a URL (RFC 6454)."""

    host: str
    port: int
    tls: bool
    authority: bytes
    """The value of the Host header."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The name that a certificate is for: without the dot that ends an absolute one (RFC 6066, section 3)."""
        return self.host.removesuffix(".")


class Proxy(Struct, frozen=True):
    """What lies between, and what it wants to be told."""

    origin: Origin
    headers: tuple[tuple[bytes, bytes], ...]
    """Which may hold a password."""

    def __repr__(self) -> str:
        return f"Proxy({self.origin})"

    def check(self, response: Response) -> None:
        """Raise what it means when a proxy does not connect."""
        if not 200 <= response.status < 300:
            raise ExchangeError("connection", f"expected the proxy to connect, got status {response.status}")


@lru_cache(maxsize=64)
def split_url(url: str) -> tuple[Origin, bytes]:
    """The origin and the target of a URL; a client asks a handful of them, again and again.

    Raise ValueError, KeyError or httpx.InvalidURL for what can never work.
    """
    parts = httpx.URL(url)
    host, port = parts.raw_host.decode("ascii"), parts.port or PORTS[parts.scheme]
    if not host.encode("idna"):
        raise ValueError("expected a host, got none")
    return Origin(host, port, parts.scheme == "https", parts.netloc), parts.raw_path


def own_certificates() -> tuple[str, ...]:
    """SSL_CERT_FILE and SSL_CERT_DIR, or nothing where neither is set."""
    found = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    return found if any(found) else ()


def ssl_context() -> ssl.SSLContext:
    """One for the process, because making one takes 25 ms; SSL_CERT_FILE and SSL_CERT_DIR win over certifi's bundle.

    Another is made where gevent has patched the class meanwhile: a socket of the old one would block its hub.
    """
    return _ssl_context(ssl.SSLContext, *own_certificates())


@cache
def _ssl_context(_: type[ssl.SSLContext], file: str = "", folder: str = "") -> ssl.SSLContext:
    if folder and not Path(folder).is_dir():  # which OpenSSL takes for an empty one
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", folder)
    if file or folder:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    else:
        context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy that the environment names for an origin; raise ExchangeError where it cannot be used."""
    found = getproxies()
    address = found.get("https" if origin.tls else "http") or found.get("all")
    if not address or proxy_bypass(str(origin)) or proxy_bypass(origin.host):
        return None
    mark = address.find("://")
    if mark >= 0 and address[:mark].lower() not in PORTS:
        raise ExchangeError("connection", f"expected an http or https proxy in the environment, got {address[:mark]!r}")
    with suppress(httpx.InvalidURL, ValueError):  # whose words may hold a password
        proxy = httpx.Proxy(address if mark >= 0 else f"http://{address}")
        where, _ = split_url(str(proxy.url))  # which is without the user and the password
        auth = () if proxy.raw_auth is None else ((b"Proxy-Authorization", _basic(*proxy.raw_auth)),)
        return Proxy(where, auth)
    raise ExchangeError("connection", "expected the URL of a proxy in the environment, got another text")


def _basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + b64encode(user + b":" + password)
