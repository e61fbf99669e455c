"""What bench compares: our client, others by hand, and the generated client alone.

Each maker is a context manager that makes one client, shared by all that call, and gives one call of it. By hand means
post, parse, read the values, and nothing else: no retry, no check, no deadline beyond one generous timeout. Ours is the
whole typed call, with deadline, retries and circuit breaker armed. Libraries are imported when they are needed, because
not each environment has them.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
from attrs import frozen
from moengage_personalize_api import AuthenticatedClient
from moengage_personalize_api.api.experiences import fetch_experience
from moengage_personalize_api.models import FetchExperienceRequest, Identifiers

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient

from .server import CHUNK, PAGE, SOLO

TIMEOUT = 30.0  # seconds, for everybody
WORKSPACE_ID, API_KEY, CUSTOMER = "WS", "the-key-of-the-benchmark", "user_8821"
TOKEN = base64.b64encode(f"{WORKSPACE_ID}:{API_KEY}".encode()).decode()
HEADERS = {"Authorization": f"Basic {TOKEN}", "MOE-APPKEY": WORKSPACE_ID}
Values = tuple[str, ...]
Call = Callable[[], Values]
AsyncCall = Callable[[], Awaitable[Values]]


@frozen
class Payload:
    """Which keys a request has, and which values are read from its response."""

    name: str
    keys: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]

    @property
    def expected(self) -> Values:
        """The values that the server has for what is read."""
        return tuple(f"{variable} of {key}" for key, variable in self.reads)


ONE = Payload("1 experience", SOLO, ((SOLO[0], "Title"),))
MANY = Payload("25 experiences", PAGE[:CHUNK], (("page-007", "Title"), ("page-019", "CtaLabel")))
SPLIT = Payload("250 keys", PAGE, (("page-007", "Title"), ("page-244", "CtaLabel")))


@frozen
class Target:
    """Where a client is to call, and what for."""

    base_url: str
    authority: str
    """The path of the certificates to trust."""
    payload: Payload

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.base_url}/experiences/fetch"

    @property
    def parts(self) -> SplitResult:
        """The address in its parts."""
        return urlsplit(self.url)

    def context(self) -> ssl.SSLContext:
        """TLS that trusts the server."""
        return ssl.create_default_context(cafile=self.authority)

    def body(self) -> dict[str, Any]:
        """What is posted by hand."""
        return {"identifiers": {"customer_id": CUSTOMER}, "experience_key": list(self.payload.keys)}

    def read(self, body: Any) -> Values:
        """The values, from the JSON of a response."""
        return tuple(body["experiences"][key]["payload"][variable]["value"] for key, variable in self.payload.reads)

    def request(self) -> bytes:
        """The request as bytes."""
        body = json.dumps(self.body()).encode()
        fields = {"Host": self.parts.netloc, "Content-Type": "application/json", "Content-Length": len(body), **HEADERS}
        lines = [f"POST {self.parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + body

    def read_bytes(self, received: bytes) -> Values:
        """The values, from a whole response as bytes."""
        return self.read(json.loads(received.partition(b"\r\n\r\n")[2]))


def missing(received: bytes) -> int:
    """Bytes of a response of the quick server that have not come yet; 1 while that is not known."""
    end = received.find(b"\r\n\r\n")
    return 1 if end < 0 else end + 4 + int(received[received.index(b"Length: ") + 8 : end]) - len(received)


# ---- Others, blocking ------------------------------------------------------------------------------------------------


@contextmanager
def _httpx(target: Target, library: str = "httpx") -> Generator[Call]:
    with import_module(library).Client(headers=HEADERS, timeout=TIMEOUT, verify=target.context()) as client:
        yield lambda: target.read(client.post(target.url, json=target.body()).json())


@contextmanager
def _requests(target: Target) -> Generator[Call]:
    with import_module("requests").Session() as session:
        session.headers.update(HEADERS)
        # With each call, because REQUESTS_CA_BUNDLE goes before what a session has.
        options = {"timeout": TIMEOUT, "verify": target.authority}
        yield lambda: target.read(session.post(target.url, json=target.body(), **options).json())


@contextmanager
def _pooled(connect: Callable[[], Any], exchange: Callable[[Any], Values]) -> Generator[Call]:
    """Connections by hand, each of which serves one call at a time."""
    idle: list[Any] = []

    def call() -> Values:
        connection = idle.pop() if idle else connect()
        values = exchange(connection)
        idle.append(connection)
        return values

    yield call
    for connection in idle:
        connection.close()


def _http_client(target: Target) -> Any:
    parts, context, fields = target.parts, target.context(), {"Content-Type": "application/json", **HEADERS}

    def connect() -> http.client.HTTPConnection:
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)
        return http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)

    def exchange(connection: http.client.HTTPConnection) -> Values:
        connection.request("POST", parts.path, json.dumps(target.body()), fields)
        return target.read(json.loads(connection.getresponse().read()))

    return _pooled(connect, exchange)


def _raw(target: Target) -> Any:
    parts, request, context = target.parts, target.request(), target.context()

    def connect() -> socket.socket:
        connection = socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (
            context.wrap_socket(connection, server_hostname=parts.hostname) if parts.scheme == "https" else connection
        )

    def exchange(connection: socket.socket) -> Values:
        connection.sendall(request)
        received = connection.recv(65536)
        while (more := missing(received)) > 0:
            received += connection.recv(more)
        return target.read_bytes(received)

    return _pooled(connect, exchange)


def _reqwest(builder: str, target: Target) -> Any:
    made = getattr(import_module("pyreqwest.client"), builder)()
    trusted = made.add_root_certificate_pem(Path(target.authority).read_bytes())
    return trusted.default_headers(HEADERS).timeout(timedelta(seconds=TIMEOUT)).build()


@contextmanager
def _pyreqwest(target: Target) -> Generator[Call]:
    with _reqwest("SyncClientBuilder", target) as client:
        yield lambda: target.read(client.post(target.url).body_json(target.body()).build().send().json())


def _generated_client(target: Target) -> AuthenticatedClient:
    timeout = httpx.Timeout(TIMEOUT)
    return AuthenticatedClient(target.base_url, TOKEN, prefix="Basic", timeout=timeout, verify_ssl=target.context())


def _generated_arguments(target: Target) -> dict[str, Any]:
    body = FetchExperienceRequest(Identifiers(customer_id=CUSTOMER), list(target.payload.keys))
    return {"body": body, "moe_appkey": WORKSPACE_ID}


def _generated_values(target: Target, found: Any) -> Values:
    return tuple(found.experiences[key].payload[variable].value for key, variable in target.payload.reads)


@contextmanager
def _generated(target: Target) -> Generator[Call]:
    with _generated_client(target) as client:
        yield lambda: _generated_values(target, fetch_experience.sync(client=client, **_generated_arguments(target)))


# ---- Others, awaited -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _httpx_async(target: Target, library: str = "httpx", name: str = "AsyncClient") -> AsyncGenerator[AsyncCall]:
    made = getattr(import_module(library), name)
    async with made(headers=HEADERS, timeout=TIMEOUT, verify=target.context()) as client:

        async def call() -> Values:
            return target.read((await client.post(target.url, json=target.body())).json())

        yield call


@asynccontextmanager
async def _aiohttp(target: Target) -> AsyncGenerator[AsyncCall]:
    aiohttp = import_module("aiohttp")
    timeout, context = aiohttp.ClientTimeout(total=TIMEOUT), target.context()
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:

        async def call() -> Values:
            async with session.post(target.url, json=target.body(), ssl=context) as answer:
                return target.read(await answer.json())

        yield call


@asynccontextmanager
async def _pyreqwest_async(target: Target) -> AsyncGenerator[AsyncCall]:
    async with _reqwest("ClientBuilder", target) as client:

        async def call() -> Values:
            answer = await client.post(target.url).body_json(target.body()).build().send()
            return target.read(await answer.json())

        yield call


@asynccontextmanager
async def _streams(target: Target) -> AsyncGenerator[AsyncCall]:
    parts, request = target.parts, target.request()
    context = target.context() if parts.scheme == "https" else None
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call() -> Values:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        writer.write(request)
        received = await reader.read(65536)
        while (more := missing(received)) > 0:
            received += await reader.read(more)
        idle.append((reader, writer))
        return target.read_bytes(received)

    yield call
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def _generated_async(target: Target) -> AsyncGenerator[AsyncCall]:
    async with _generated_client(target) as client:

        async def call() -> Values:
            found = await fetch_experience.asyncio(client=client, **_generated_arguments(target))
            return _generated_values(target, found)

        yield call


# ---- Ours ------------------------------------------------------------------------------------------------------------


def settings(base_url: str) -> dict[str, Any]:
    """What our clients are made with."""
    return {"workspace_id": WORKSPACE_ID, "api_key": API_KEY, "base_url": base_url, "timeout": TIMEOUT}


def _values(target: Target, found: Experiences) -> Values:
    return tuple(found.value(key, variable, "") for key, variable in target.payload.reads)


@contextmanager
def _ours(target: Target) -> Generator[Call]:
    with PersonalizeClient(**settings(target.base_url)) as client:
        yield lambda: _values(target, client.fetch(target.payload.keys, customer_id=CUSTOMER))


@asynccontextmanager
async def _ours_async(target: Target) -> AsyncGenerator[AsyncCall]:
    async with AsyncPersonalizeClient(**settings(target.base_url)) as client:

        async def call() -> Values:
            return _values(target, await client.fetch(target.payload.keys, customer_id=CUSTOMER))

        yield call


OURS, HTTPX, GENERATED, FLOOR = "ours", "httpx by hand", "generated client", "raw socket, the floor"
AIOHTTP, PYREQWEST = "aiohttp by hand", "pyreqwest by hand"
# Of each side: by name, the package that is needed, and the maker.
MAKERS: dict[str, dict[str, tuple[str, Callable[[Target], Any]]]] = {
    "sync": {
        HTTPX: ("httpx", _httpx),
        "requests by hand": ("requests", _requests),
        "http.client by hand": ("json", _http_client),
        "httpx2 by hand": ("httpx2", partial(_httpx, library="httpx2")),
        PYREQWEST: ("pyreqwest", _pyreqwest),
        FLOOR: ("json", _raw),
        GENERATED: ("httpx", _generated),
        OURS: ("httpx", _ours),
    },
    "async": {
        HTTPX: ("httpx", _httpx_async),
        AIOHTTP: ("aiohttp", _aiohttp),
        "httpx over aiohttp": (
            "httpx_aiohttp",
            partial(_httpx_async, library="httpx_aiohttp", name="HttpxAiohttpClient"),
        ),
        "httpx2 by hand": ("httpx2", partial(_httpx_async, library="httpx2")),
        PYREQWEST: ("pyreqwest", _pyreqwest_async),
        FLOOR: ("json", _streams),
        GENERATED: ("httpx", _generated_async),
        OURS: ("httpx", _ours_async),
    },
}


def maker(side: str, name: str) -> Callable[[Target], Any] | None:
    """How a client is made; None where what it needs is not installed."""
    package, make = MAKERS[side][name]
    return make if find_spec(package) else None
