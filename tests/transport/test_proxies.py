"""Proxies and certificates from the environment: a real proxy on 127.0.0.1 between the client and the server."""

from __future__ import annotations

import asyncio
import ssl
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import proxy_bypass

import httpx
import pytest
from faces import CREDENTIALS, Face
from faultserver import FaultServer

from moengage_personalize import AsyncPersonalizeClient, ConfigurationError, ConnectionFailed, PersonalizeClient
from moengage_personalize._transport import _origin


class Proxy:
    """Connects to whatever it is asked for, on this machine, and keeps the heads of what it was asked."""

    def __init__(self, context: ssl.SSLContext | None, status: int) -> None:
        self.heads: list[bytes] = []
        self.port = 0
        self._context = context
        self._status = status
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._listening.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._closing.wait()
        server.close()
        await asyncio.gather(*filter(None, self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        async with closing(writer):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self._status != 200:
                writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self._status)
                return
            port = int(self.heads[-1].split(b" ")[1].rpartition(b":")[2])
            there, onward = await asyncio.open_connection("127.0.0.1", port)
            async with closing(onward):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                ways = [asyncio.create_task(pump(reader, onward)), asyncio.create_task(pump(there, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture(autouse=True)
def trust(server: FaultServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(server.ca_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def proxy(context: ssl.SSLContext | None = None, status: int = 200) -> Iterator[Proxy]:
    made = Proxy(context, status)
    made.start()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_with_tls_goes_through_a_tunnel(
    face: Face, server: FaultServer, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    if (face.kind, scheme) == ("sync", "https"):
        return  # refused; as above
    context = server._certificates.contexts["good"] if scheme == "https" else None
    with proxy(context) as between:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://me:secret@localhost:{between.port}")
        client = face.client(base_url=server.url("good", tls=True), timeout=5)
        for visitor in ("first", "second"):
            assert face.fetch(client, "a", customer_id=visitor)["a"]["Title"] == visitor
        face.close(client)
    (head,) = between.heads  # one tunnel serves both
    assert head.startswith(b"CONNECT localhost:")
    assert b"proxy-authorization: basic bwu6c2vjcmv0\r\n" in head.lower()
    assert b"authorization: basic u0fo" not in head.lower()  # the service's own stays in the tunnel


def test_a_host_that_needs_no_proxy_is_reached_without(
    face: Face, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = face.client(base_url=server.url("good", tls=True), timeout=5)
    assert "a" in face.fetch(client, "a")


def test_a_proxy_that_refuses_is_a_failed_connection(
    face: Face, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(status=407) as between:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{between.port}")
        client = face.client(base_url=server.url("good", tls=True), timeout=5, max_retries=0)
        with pytest.raises(ConnectionFailed) as caught:
            face.fetch(client, "a")
        assert "expected the proxy to connect, got status 407 (localhost:" in str(caught.value)
        assert f" through the proxy 127.0.0.1:{between.port})" in str(caught.value)
        face.close(client)


def test_a_request_without_tls_may_go_to_a_proxy_with_it(face: Face, server: FaultServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url("good", tls=True).removesuffix("/v1"))
    client = face.client(base_url="http://api.test/v1", timeout=5)
    assert face.fetch(client, "a", customer_id="visitor")["a"]["Title"] == "visitor"


UNUSABLE = {
    "http://user:hunter2/x@proxy:80": "expected the URL of a proxy",
    "http://user:hunter2@[::1": "expected the URL of a proxy",
    "http://": "expected the URL of a proxy",
    "socks5://user:hunter2@127.0.0.1:1080": "expected an http or https proxy in the environment, got 'socks5'",
}


@pytest.mark.parametrize("address", UNUSABLE)
def test_a_proxy_that_can_never_work_is_refused_when_the_client_is_made(
    face: Face, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(ConfigurationError, match=UNUSABLE[address]) as caught:
        face.client(base_url="https://api.test/v1")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.setenv("NO_PROXY", "api.test")
    face.client(base_url="https://api.test/v1")
    monkeypatch.delenv("NO_PROXY")
    own = face.httpx_class(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    face.client(base_url="https://api.test/v1", http_client=own)  # which has proxies of its own


def test_a_proxy_that_is_changed_to_one_that_cannot_work_is_a_failed_connection(face: Face, monkeypatch: Any) -> None:
    client = face.client(base_url="https://api.test/v1", max_retries=0)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConnectionFailed, match=r"got 'socks5' \(api.test:443\)"):
        face.fetch(client, "a")
    if face.kind == "sync":  # a list of requests fails one by one
        keys = [f"key-{number}" for number in range(60)]
        experiences = client.fetch_or_empty(keys)
        assert {experiences.reason(key) for key in keys} == {"failed"}


def test_tls_within_tls_is_refused_where_it_cannot_be_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://localhost:9")
    with pytest.raises(ConfigurationError, match="expected an http proxy for an https API, got an https one"):
        PersonalizeClient(**CREDENTIALS, base_url="https://api.test/v1")
    PersonalizeClient(**CREDENTIALS, base_url="http://api.test/v1")
    AsyncPersonalizeClient(**CREDENTIALS, base_url="https://api.test/v1")


def test_without_certificates_of_ones_own_those_of_certifi_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert len(_origin.ssl_context().get_ca_certs()) > 50
    assert _origin.ssl_context() is _origin.ssl_context()


def test_a_certificate_that_is_not_in_the_bundle_is_not_trusted(
    face: Face, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    client = face.client(base_url=server.url("good", tls=True), timeout=5, max_retries=0)
    with pytest.raises(ConnectionFailed, match=r"(?i)certificate.verify.failed"):
        face.fetch(client, "a")


# What the standard library promises of NO_PROXY: a host with all below it, with or without a leading dot or a port;
# "*" alone for everything. Nothing of it is written again here, which these hold.
NO_PROXY = [
    *("", "*", "api.test", "API.TEST", ".api.test", "*.api.test", "test", ".test", "i.test", "other.test"),
    *("api.test:8025", "api.test:8026", ".api.test:8025", ":8025", "api.test:", "http://api.test", "foo,*", "*,foo"),
    *("foo,api.test", " api.test ", "foo, api.test ,bar", "api.test.", "127.0.0.1", "127.0.0.1:8025", "127.0.0.0/8"),
    *("localhost", ".localhost", "::1", "[::1]", "[::1]:8025", "api", "xn--bcher-kva.test", "bücher.test", "192.168.*"),
]
HOSTS = ["api.test", "www.api.test", "127.0.0.1", "localhost", "[::1]", "bücher.test"]


@pytest.mark.parametrize("value", NO_PROXY)
def test_no_proxy_means_what_the_standard_library_says(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", value)
    for host in HOSTS:
        origin, _ = _origin.split_url(f"http://{host}:8025/v1")
        promised = proxy_bypass(f"{origin}") or proxy_bypass(origin.host)
        assert (_origin.proxy_for(origin) is None) == bool(promised)


@pytest.mark.parametrize(
    ("value", "bypassed"),
    [("api.test", True), (".test", True), ("api.test:8025", True), ("api.test:8026", False), ("foo,*", False)],
)
def test_no_proxy_knows_a_host_its_domain_and_its_port(monkeypatch: Any, value: str, bypassed: bool) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", value)
    assert (_origin.proxy_for(_origin.split_url("http://api.test:8025/v1")[0]) is None) == bypassed


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_missing_are_refused_when_the_client_is_made(
    face: Face, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="expected certificates where SSL_CERT_FILE or SSL_CERT_DIR says, got"):
        face.client(base_url="https://api.test/v1")
    face.client(base_url="http://api.test/v1")  # which needs none
    (tmp_path / "empty").write_text("")
    monkeypatch.setenv(name, str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match="expected certificates"):
        face.client(base_url="https://api.test/v1")
    if name == "SSL_CERT_DIR":
        monkeypatch.setenv(name, str(tmp_path))
        face.client(base_url="https://api.test/v1")


@pytest.mark.parametrize("url", ["https://a..b/v1", f"https://{'x' * 64}.test/v1"])
def test_a_host_that_can_never_be_looked_up_is_refused_when_the_client_is_made(face: Face, url: str) -> None:
    with pytest.raises(ConfigurationError):
        face.client(base_url=url)


def test_a_host_may_end_with_a_dot(face: Face, server: FaultServer) -> None:
    url = server.url("good", tls=True).replace("localhost", "localhost.")
    client = face.client(base_url=url, timeout=5, max_retries=0)
    assert face.fetch(client, "a", customer_id="visitor")["a"]["Title"] == "visitor"
