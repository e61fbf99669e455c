"""The way of one request, step by step, so that what breaks has a name: proxy, DNS, connection, TLS, answer.

This does not use the client, which does all of it at once, but goes the same way: the same proxies, the same
certificates. Each step raises Broken with the cause and what to do about it.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from attrs import define, field, frozen


class Broken(Exception):
    """A step that failed: the cause, and what to do."""

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.advice = advice


@frozen
class Place:
    """Where a connection goes."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@frozen
class Answered:
    """An answer, and when it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    at: float
    """In the middle of the round trip, in UTC epoch seconds."""


@define
class Probe:
    """One connection to the server of a URL, and what was found on the way."""

    base_url: str
    timeout: float
    found: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    """Each step that went well and what it saw."""

    def get(self, path: str, headers: Mapping[str, str | bytes]) -> Answered:
        """Ask for base URL and path."""
        where, proxy = place(self.base_url), self._proxy()
        connection = self._connected(where, proxy)
        url = f"{urlsplit(self.base_url).path.rstrip('/')}{path}"
        if proxy is not None and not where.tls:  # a proxy is asked for plain HTTP by the whole address
            url = f"http://{_host_header(where)}{url}"
            headers = {**headers, **_proxy_headers()}
        try:
            started = time.time()
            with _steps(f"ask {where}", "the server hung up or is none of HTTP; see what listens there"):
                connection.request("GET", url, headers={"Host": _host_header(where), **headers})
                response = connection.getresponse()
                body = response.read(1_000_000)
            seconds = time.time() - started
        finally:
            connection.close()
        self.found.append(("round trip", f"{seconds * 1000:.0f} ms"))
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answered(response.status, named, body, seconds, started + seconds / 2)

    def _proxy(self) -> Place | None:
        where = place(self.base_url)
        found = getproxies()
        address = found.get("https" if where.tls else "http") or found.get("all")
        if not address or proxy_bypass(where.host):
            self.found.append(("proxy", "none"))
            return None
        try:
            proxy = place(address if "://" in address else f"http://{address}")
        except ValueError:
            raise Broken(
                "the proxy of the environment is no URL", "see HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
            ) from None
        if urlsplit(address).scheme not in ("", "http"):
            raise Broken(f"the proxy {proxy} is no plain http proxy", "bring an httpx client of your own: http_client=")
        self.found.append(("proxy", str(proxy)))
        return proxy

    def _connected(self, where: Place, proxy: Place | None) -> http.client.HTTPConnection:
        first = where if proxy is None else proxy
        label = "the host" if proxy is None else "the proxy"
        advice = "see the spelling of the host, and the DNS of this machine"
        with _steps(f"find {label} {first.host!r}", advice, dns=True):
            addresses = socket.getaddrinfo(first.host, first.port, type=socket.SOCK_STREAM)
        listed = dict.fromkeys(str(address[0]) for *_, address in addresses)
        self.found.append(("DNS", f"{first.host}: {', '.join(listed)}"))
        connection = http.client.HTTPConnection(first.host, first.port, timeout=self.timeout)
        if proxy is not None and where.tls:
            connection.set_tunnel(where.host, where.port, _proxy_headers())
        advice = (
            "see whether it runs, and whether a firewall is between"
            if proxy is None
            else "see HTTPS_PROXY and NO_PROXY"
        )
        with _steps(f"connect to {label} {first}", advice):
            connection.connect()
        self.found.append(("connection", f"{first}"))
        if where.tls:
            try:
                connection.sock = self._secured(connection.sock, where)
            except Broken:
                connection.close()
                raise
        return connection

    def _secured(self, plain: socket.socket, where: Place) -> ssl.SSLSocket:
        bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or "certifi"
        with _steps(f"read the certificates of {bundle}", "see SSL_CERT_FILE and SSL_CERT_DIR"):
            context = httpx.create_ssl_context()
        with _steps(f"trust {where}", f"the certificates that are trusted come from {bundle}; see SSL_CERT_FILE"):
            secured = context.wrap_socket(plain, server_hostname=where.host)
        certificate: dict[str, Any] = secured.getpeercert() or {}
        issuer = dict(pair[0] for pair in certificate.get("issuer", ()))
        name = issuer.get("organizationName") or issuer.get("commonName") or "an unknown authority"
        self.found.append(
            ("TLS", f"{secured.version()}, by {name}, until {certificate.get('notAfter', 'an unknown day')}")
        )
        return secured


def place(url: str) -> Place:
    """Where a URL leads; ValueError where it leads nowhere."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("expected a host, got none")
    tls = parts.scheme == "https"
    return Place(parts.hostname, parts.port or (443 if tls else 80), tls)


@contextmanager
def _steps(what: str, advice: str, dns: bool = False) -> Generator[None]:
    """Turn what a step raises into its cause."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Broken(f"cannot {what}: {error.verify_message}", advice) from None
    except ssl.SSLError as error:
        raise Broken(
            f"cannot {what}: no TLS there ({error.reason})", "see whether the URL should begin with http"
        ) from None
    except TimeoutError:
        raise Broken(f"cannot {what}: no answer in time", advice) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Broken(f"cannot {what}: {_reason(error, dns)}", advice) from None


def _reason(error: Exception, dns: bool) -> str:
    if dns:
        return "no such host"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up"
    if isinstance(error, http.client.BadStatusLine):
        return "no HTTP there"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return type(error).__name__


def _host_header(where: Place) -> str:
    usual = 443 if where.tls else 80
    return str(where) if where.port != usual else str(where).rpartition(":")[0]


def _proxy_headers() -> dict[str, str]:
    found = getproxies()
    address = found.get("https") or found.get("http") or found.get("all") or ""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.username is None:
        return {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(words).decode('ascii')}"}
