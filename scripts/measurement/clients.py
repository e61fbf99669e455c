"""What bench compares: our client, others by hand, and the generated client alone.

Each is a maker of one client, shared by all that call, and a worker that makes one call of it, the same one for a
blocking and an awaited client of one library. By hand means post, parse, read the values, and nothing else: no retry,
no check, no deadline beyond one generous timeout. Ours is the whole typed call, with deadline, retries and circuit
breaker armed. Libraries are imported when they are needed, because not each environment has them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
from attrs import define, frozen
from moengage_personalize_api import AuthenticatedClient
from moengage_personalize_api.api.experiences import fetch_experience
from moengage_personalize_api.models import FetchExperienceRequest, Identifiers

from moengage_personalize import AsyncPersonalizeClient, PersonalizeClient

from .server import CHUNK, PAGE, SOLO
from .sides import Worker

TIMEOUT = 30.0  # seconds, for everybody
WORKSPACE_ID, API_KEY, CUSTOMER = "WS", "the-key-of-the-benchmark", "user_8821"
TOKEN = base64.b64encode(f"{WORKSPACE_ID}:{API_KEY}".encode()).decode()
HEADERS = {"Authorization": f"Basic {TOKEN}", "MOE-APPKEY": WORKSPACE_ID}
Values = tuple[str, ...]


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


@define(slots=False)
class Target:
    """Where a client is to call, and what for."""

    base_url: str
    authority: str
    """The path of the certificates to trust."""
    payload: Payload

    @cached_property
    def url(self) -> str:
        """The whole address."""
        return f"{self.base_url}/experiences/fetch"

    @cached_property
    def parts(self) -> SplitResult:
        """The address in its parts."""
        return urlsplit(self.url)

    @cached_property
    def context(self) -> ssl.SSLContext:
        """TLS that trusts the server."""
        return ssl.create_default_context(cafile=self.authority)

    def body(self) -> dict[str, Any]:
        """What is posted by hand."""
        return {"identifiers": {"customer_id": CUSTOMER}, "experience_key": list(self.payload.keys)}

    def read(self, body: Any) -> Values:
        """The values, from the JSON of a response."""
        return tuple(body["experiences"][key]["payload"][variable]["value"] for key, variable in self.payload.reads)

    @cached_property
    def request(self) -> bytes:
        """The request as bytes."""
        body = json.dumps(self.body()).encode()
        fields = {"Host": self.parts.netloc, "Content-Type": "application/json", "Content-Length": len(body), **HEADERS}
        lines = [f"POST {self.parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + body


def missing(received: bytes) -> int:
    """Bytes of a response of the quick server that have not come yet; 1 while that is not known."""
    end = received.find(b"\r\n\r\n")
    return 1 if end < 0 else end + 4 + int(received[received.index(b"Length: ") + 8 : end]) - len(received)


# ---- By a library: one client, used by all ---------------------------------------------------------------------------


def _httpx(kind: type[httpx.Client | httpx.AsyncClient], target: Target) -> Any:
    return kind(headers=HEADERS, timeout=TIMEOUT, verify=target.context)


def _aiohttp(target: Target) -> Any:
    aiohttp = import_module("aiohttp")
    connector = aiohttp.TCPConnector(ssl=target.context)
    return aiohttp.ClientSession(headers=HEADERS, timeout=aiohttp.ClientTimeout(total=TIMEOUT), connector=connector)


def posted(target: Target, client: Any) -> Worker:
    """By hand, where the JSON of a response is there at once."""
    answer = yield client.post(target.url, json=target.body())
    return target.read(answer.json())


def posted_and_awaited(target: Target, client: Any) -> Worker:
    """By hand, where the JSON is awaited, too."""
    answer = yield client.post(target.url, json=target.body())
    return target.read((yield answer.json()))


def _reqwest(builder: str, target: Target) -> Any:
    made = getattr(import_module("pyreqwest.client"), builder)()
    trusted = made.add_root_certificate_pem(Path(target.authority).read_bytes())
    return trusted.default_headers(HEADERS).timeout(timedelta(seconds=TIMEOUT)).build()


def built(target: Target, client: Any) -> Worker:
    """By hand with pyreqwest."""
    answer = yield client.post(target.url).body_json(target.body()).build().send()
    return target.read((yield answer.json()))


def _generated(target: Target) -> Any:
    timeout = httpx.Timeout(TIMEOUT)
    return AuthenticatedClient(target.base_url, TOKEN, prefix="Basic", timeout=timeout, verify_ssl=target.context)


def generated(function: Callable[..., Any], target: Target, client: Any) -> Worker:
    """The generated client alone."""
    body = FetchExperienceRequest(Identifiers(customer_id=CUSTOMER), list(target.payload.keys))
    found = yield function(client=client, body=body, moe_appkey=WORKSPACE_ID)
    return tuple(found.experiences[key].payload[variable].value for key, variable in target.payload.reads)


def settings(base_url: str) -> dict[str, Any]:
    """What our clients are made with."""
    return {"workspace_id": WORKSPACE_ID, "api_key": API_KEY, "base_url": base_url, "timeout": TIMEOUT}


def fetched(target: Target, client: Any) -> Worker:
    """The whole typed call of ours."""
    found = yield client.fetch(target.payload.keys, customer_id=CUSTOMER)
    return tuple(found.value(key, variable, "") for key, variable in target.payload.reads)


# ---- By hand: connections, each of which serves one call at a time ---------------------------------------------------


class Idle(list[Any]):
    """The connections of one client that nobody uses."""

    def __enter__(self) -> Idle:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self:
            connection.close()

    async def __aenter__(self) -> Idle:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


def _socket(target: Target) -> socket.socket:
    connection = socket.create_connection((target.parts.hostname or "", target.parts.port or 0), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secured = target.parts.scheme == "https"
    return target.context.wrap_socket(connection, server_hostname=target.parts.hostname) if secured else connection


class Stream:
    """The streams of asyncio, with the names of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.recv, self.sendall, self.close = reader.read, writer.write, writer.close

    @classmethod
    async def to(cls, target: Target) -> Stream:
        """Connect."""
        context = target.context if target.parts.scheme == "https" else None
        return cls(*await asyncio.open_connection(target.parts.hostname, target.parts.port, ssl=context))


def exchanged(connect: Callable[[Target], Any], target: Target, idle: Idle) -> Worker:
    """The least that can be done: bytes that were made once, and as many read as were announced."""
    connection = idle.pop() if idle else (yield connect(target))
    connection.sendall(target.request)
    received = yield connection.recv(65536)
    while (more := missing(received)) > 0:
        received += yield connection.recv(more)
    idle.append(connection)
    return target.read(json.loads(received.partition(b"\r\n\r\n")[2]))


OURS, OBSERVED = "ours", "ours, with an observe"
HTTPX, GENERATED, FLOOR = "httpx by hand", "generated client", "raw socket, the floor"
AIOHTTP, PYREQWEST = "aiohttp by hand", "pyreqwest by hand"


@frozen
class Client:
    """The package that is needed, how a client is made, and one call of it."""

    package: str
    make: Callable[[Target], Any]
    call: Callable[[Target, Any], Worker]


CLIENTS: dict[str, dict[str, Client]] = {
    "sync": {
        HTTPX: Client("httpx", partial(_httpx, httpx.Client), posted),
        PYREQWEST: Client("pyreqwest", partial(_reqwest, "SyncClientBuilder"), built),
        FLOOR: Client("json", lambda _: Idle(), partial(exchanged, _socket)),
        GENERATED: Client("httpx", _generated, partial(generated, fetch_experience.sync)),
        OURS: Client("httpx", lambda target: PersonalizeClient(**settings(target.base_url)), fetched),
        OBSERVED: Client("httpx", lambda target: PersonalizeClient(**settings(target.base_url), observe=id), fetched),
    },
    "async": {
        HTTPX: Client("httpx", partial(_httpx, httpx.AsyncClient), posted),
        AIOHTTP: Client("aiohttp", _aiohttp, posted_and_awaited),
        PYREQWEST: Client("pyreqwest", partial(_reqwest, "ClientBuilder"), built),
        FLOOR: Client("json", lambda _: Idle(), partial(exchanged, Stream.to)),
        GENERATED: Client("httpx", _generated, partial(generated, fetch_experience.asyncio)),
        OURS: Client("httpx", lambda target: AsyncPersonalizeClient(**settings(target.base_url)), fetched),
        OBSERVED: Client(
            "httpx", lambda target: AsyncPersonalizeClient(**settings(target.base_url), observe=id), fetched
        ),
    },
}


def installed(side: str, name: str) -> bool:
    """Whether what a client needs is here."""
    return find_spec(CLIENTS[side][name].package) is not None
