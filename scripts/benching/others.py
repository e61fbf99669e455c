"""What our client is measured beside: each makes one client, shared by all that call, and gives one call of it.

Law of this module: by hand means post, parse, read the values, and nothing else: no retry, no check, no deadline beyond
one generous timeout. Libraries are imported when they are needed, because not each environment has them.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import frozen
from moengage_personalize_api import AuthenticatedClient
from moengage_personalize_api.api.experiences import fetch_experience
from moengage_personalize_api.models import FetchExperienceRequest, Identifiers

from .canned import API_KEY, CUSTOMER, WORKSPACE_ID, Payload, Values

TIMEOUT = 30.0  # seconds, for everybody
TOKEN = base64.b64encode(f"{WORKSPACE_ID}:{API_KEY}".encode()).decode()
HEADERS = {"Authorization": f"Basic {TOKEN}", "MOE-APPKEY": WORKSPACE_ID}


@frozen
class Target:
    """Where a client is to call, and what for."""

    base_url: str
    authority: str
    """The path of the certificate to trust."""
    payload: Payload

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.base_url}/experiences/fetch"

    def context(self) -> ssl.SSLContext:
        """TLS that trusts the server."""
        return ssl.create_default_context(cafile=self.authority)

    def request(self) -> bytes:
        """The request as bytes."""
        where = urlsplit(self.url)
        body = json.dumps(self.payload.body()).encode()
        fields = {"Host": where.netloc, "Content-Type": "application/json", "Content-Length": len(body), **HEADERS}
        lines = [f"POST {where.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + body


Call = Callable[[], Values]
AsyncCall = Callable[[], Awaitable[Values]]
Blocking = Callable[[Target], AbstractContextManager[Call]]
Awaited = Callable[[Target], AbstractAsyncContextManager[AsyncCall]]


@contextmanager
def _httpx(target: Target, library: str = "httpx") -> Generator[Call]:
    module = import_module(library)
    with module.Client(headers=HEADERS, timeout=TIMEOUT, verify=target.context()) as client:
        yield lambda: target.payload.read(client.post(target.url, json=target.payload.body()).json())


@contextmanager
def _requests(target: Target) -> Generator[Call]:
    with import_module("requests").Session() as session:
        session.headers.update(HEADERS)
        # With each call, because REQUESTS_CA_BUNDLE goes before what a session has.
        options = {"timeout": TIMEOUT, "verify": target.authority}
        yield lambda: target.payload.read(session.post(target.url, json=target.payload.body(), **options).json())


@contextmanager
def _http_client(target: Target) -> Generator[Call]:
    where = urlsplit(target.url)
    idle: list[http.client.HTTPConnection] = []
    context = target.context()

    def connect() -> http.client.HTTPConnection:
        if where.scheme == "https":
            return http.client.HTTPSConnection(where.netloc, timeout=TIMEOUT, context=context)
        return http.client.HTTPConnection(where.netloc, timeout=TIMEOUT)

    def call() -> Values:
        connection = idle.pop() if idle else connect()
        body = json.dumps(target.payload.body())
        connection.request("POST", where.path, body, {"Content-Type": "application/json", **HEADERS})
        answer = json.loads(connection.getresponse().read())
        idle.append(connection)
        return target.payload.read(answer)

    yield call
    for connection in idle:
        connection.close()


@contextmanager
def _pyreqwest(target: Target) -> Generator[Call]:
    builder = import_module("pyreqwest.client").SyncClientBuilder()
    with _reqwest(builder, target) as client:
        yield lambda: target.payload.read(
            client.post(target.url).body_json(target.payload.body()).build().send().json()
        )


def _reqwest(builder: Any, target: Target) -> Any:
    trusted = builder.add_root_certificate_pem(Path(target.authority).read_bytes())
    return trusted.default_headers(HEADERS).timeout(timedelta(seconds=TIMEOUT)).build()


@contextmanager
def _raw(target: Target) -> Generator[Call]:
    where = urlsplit(target.url)
    request = target.request()
    context = target.context() if where.scheme == "https" else None
    idle: list[socket.socket] = []

    def connect() -> socket.socket:
        connection = socket.create_connection((where.hostname or "", where.port or 0), TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(connection, server_hostname=where.hostname) if context else connection

    def call() -> Values:
        connection = idle.pop() if idle else connect()
        connection.sendall(request)
        received = connection.recv(65536)
        while (missing := _missing(received)) > 0:
            received += connection.recv(missing)
        idle.append(connection)
        return target.payload.read(json.loads(received.partition(b"\r\n\r\n")[2]))

    yield call
    for connection in idle:
        connection.close()


def _missing(received: bytes) -> int:
    """Bytes of an answer of the canned server that have not come yet; 1 while that is not known."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 1
    return end + 4 + int(received[received.index(b"Length: ") + 8 : end]) - len(received)


def _generated_client(target: Target) -> AuthenticatedClient:
    timeout = httpx.Timeout(TIMEOUT)
    return AuthenticatedClient(target.base_url, TOKEN, prefix="Basic", timeout=timeout, verify_ssl=target.context())


def _asked(target: Target) -> dict[str, Any]:
    asked = FetchExperienceRequest(Identifiers(customer_id=CUSTOMER), list(target.payload.keys))
    return {"body": asked, "moe_appkey": WORKSPACE_ID}


def _read(target: Target, answer: Any) -> Values:
    return tuple(answer.experiences[key].payload[variable].value for key, variable in target.payload.reads)


@contextmanager
def _generated(target: Target) -> Generator[Call]:
    with _generated_client(target) as client:
        yield lambda: _read(target, fetch_experience.sync(client=client, **_asked(target)))


# ---- The same, awaited -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _httpx_async(target: Target, library: str = "httpx", name: str = "AsyncClient") -> AsyncGenerator[AsyncCall]:
    made = getattr(import_module(library), name)
    async with made(headers=HEADERS, timeout=TIMEOUT, verify=target.context()) as client:

        async def call() -> Values:
            return target.payload.read((await client.post(target.url, json=target.payload.body())).json())

        yield call


@asynccontextmanager
async def _aiohttp(target: Target) -> AsyncGenerator[AsyncCall]:
    aiohttp = import_module("aiohttp")
    timeout, context = aiohttp.ClientTimeout(total=TIMEOUT), target.context()
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:

        async def call() -> Values:
            async with session.post(target.url, json=target.payload.body(), ssl=context) as answer:
                return target.payload.read(await answer.json())

        yield call


@asynccontextmanager
async def _pyreqwest_async(target: Target) -> AsyncGenerator[AsyncCall]:
    async with _reqwest(import_module("pyreqwest.client").ClientBuilder(), target) as client:

        async def call() -> Values:
            answer = await client.post(target.url).body_json(target.payload.body()).build().send()
            return target.payload.read(await answer.json())

        yield call


@asynccontextmanager
async def _streams(target: Target) -> AsyncGenerator[AsyncCall]:
    where = urlsplit(target.url)
    request = target.request()
    context = target.context() if where.scheme == "https" else None
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call() -> Values:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(where.hostname, where.port, ssl=context)
        writer.write(request)
        received = await reader.read(65536)
        while (missing := _missing(received)) > 0:
            received += await reader.read(missing)
        idle.append((reader, writer))
        return target.payload.read(json.loads(received.partition(b"\r\n\r\n")[2]))

    yield call
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def _generated_async(target: Target) -> AsyncGenerator[AsyncCall]:
    async with _generated_client(target) as client:

        async def call() -> Values:
            return _read(target, await fetch_experience.asyncio(client=client, **_asked(target)))

        yield call


HTTPX, GENERATED, FLOOR = "httpx by hand", "generated client", "raw socket, the floor"
# Each with the package that it needs.
BLOCKING: dict[str, tuple[str, Blocking]] = {
    HTTPX: ("httpx", _httpx),
    "requests by hand": ("requests", _requests),
    "http.client by hand": ("json", _http_client),
    "httpx2 by hand": ("httpx2", lambda target: _httpx(target, "httpx2")),
    "pyreqwest by hand": ("pyreqwest", _pyreqwest),
    FLOOR: ("json", _raw),
    GENERATED: ("httpx", _generated),
}
AWAITED: dict[str, tuple[str, Awaited]] = {
    HTTPX: ("httpx", _httpx_async),
    "aiohttp by hand": ("aiohttp", _aiohttp),
    "httpx over aiohttp": ("httpx_aiohttp", lambda target: _httpx_async(target, "httpx_aiohttp", "HttpxAiohttpClient")),
    "httpx2 by hand": ("httpx2", lambda target: _httpx_async(target, "httpx2")),
    "pyreqwest by hand": ("pyreqwest", _pyreqwest_async),
    FLOOR: ("json", _streams),
    GENERATED: ("httpx", _generated_async),
}
