"""Proxies and certificates from the environment: a real proxy on 127.0.0.1 between the client and the server."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from faces import CREDENTIALS, Face
from faultserver import FaultServer

from moengage_personalize import ConnectionFailed, PersonalizeClient
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
def trust(server: FaultServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(server.ca_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield


@contextmanager
def proxy(context: ssl.SSLContext | None = None, status: int = 200) -> Iterator[Proxy]:
    made = Proxy(context, status)
    made.start()
    try:
        yield made
    finally:
        made.close()


def test_tls_within_tls_is_refused_where_it_keeps_no_deadline(server: FaultServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://localhost:9")
    client = PersonalizeClient(**CREDENTIALS, base_url=server.url("good", tls=True), max_retries=0)
    with pytest.raises(ConnectionFailed, match="expected an http proxy for an https API, got an https one"):
        client.fetch("a")


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
        with pytest.raises(ConnectionFailed, match="got ProxyError: expected the proxy to connect, got status 407"):
            face.fetch(client, "a")
        face.close(client)


def test_a_request_without_tls_may_go_to_a_proxy_with_it(face: Face, server: FaultServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url("good", tls=True).removesuffix("/v1"))
    client = face.client(base_url="http://api.test/v1", timeout=5)
    assert face.fetch(client, "a", customer_id="visitor")["a"]["Title"] == "visitor"


def test_a_proxy_that_is_no_url_is_refused_without_its_words(face: Face, monkeypatch: Any) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://user:hunter2/x@proxy:80")
    client = face.client(base_url="https://api.test/v1", max_retries=0)
    with pytest.raises(ConnectionFailed, match="expected the URL of a proxy") as caught:
        face.fetch(client, "a")
    assert "hunter2" not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__cause__.__context__!r}"


def test_a_proxy_of_another_kind_is_refused(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    client = face.client(base_url="https://api.test/v1", max_retries=0)
    with pytest.raises(ConnectionFailed, match="expected an http or https proxy, got socks5"):
        face.fetch(client, "a")


def test_a_certificate_that_is_not_in_the_bundle_is_not_trusted(
    face: Face, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    client = face.client(base_url=server.url("good", tls=True), timeout=5, max_retries=0)
    with pytest.raises(ConnectionFailed, match=r"(?i)certificate.verify.failed"):
        face.fetch(client, "a")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://api.test/v1", b"api.test:443"),
        ("https://[::1]:8443/v1", b"[::1]:8443"),
        ("https://bücher.test", b"xn--bcher-kva.test:443"),
    ],
)
def test_a_tunnel_leads_to_host_and_port(url: str, authority: bytes) -> None:
    assert _origin.tunnel(_origin.target(url)) == authority
