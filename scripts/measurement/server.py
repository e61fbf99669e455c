"""A quick server in a process of its own, and the suite's fault server in another.

The first part of the path says how the quick one behaves, the second after how many milliseconds it answers:

    /ready/0/v1      one of its ready answers, found by the first key of the request, so that it costs next to nothing
    /echo/20/v1      each key with the customer id of the request as its Title
    /surplus/0/v1    the same, and behind every tenth answer one for somebody else
    /hang/0/v1       nothing until `heal`, then the same as echo

At `race` it is 20 ms away in each direction and closes a connection that has lain idle for 0.25 s, so that requests
cross with the end of their connection; whatever it is asked there, it echoes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import certifi
import trustme
from attrs import define, frozen

from .process import beside

AWAY, IDLE = 0.02, 0.25  # seconds: one way, and what the distant server waits for
SURPLUS = 10  # one such answer in so many
CHUNK = 25  # keys that the API takes a request
PAGE = tuple(f"page-{number:03}" for number in range(10 * CHUNK))
SOLO = ("solo-000",)
PATH = re.compile(rb"POST /(\w+)/(\d+)/")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
FIRST_KEY = re.compile(rb'"experience_key": ?\[ ?"([^"]+)"')


def experience(key: str) -> dict[str, Any]:
    """One as the API serves it, of a usual size."""
    variables = ("Title", "ImageURL", "CtaLabel")
    return {
        "payload": {name: {"value": f"{name} of {key}", "data_type": "string"} for name in variables},
        "experience_context": {
            "cid": f"65eae5738ea5032b0ef60138_F_T_WP_AB_2_P_0_AU_42D_{key}",
            "experience": f"Experience {key}",
            "moe_locale_id": "0",
            "moe_variation_id": "2",
            "audience_name": "High Intent Users",
            "audience_id": "42D",
            "type": "Personalize",
        },
    }


def _response(body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _echo(body: bytes, visitor: str | None = None) -> bytes:
    request = json.loads(body)
    visitor = visitor or request.get("identifiers", {}).get("customer_id", "nobody")
    payload = {"Title": {"value": visitor, "data_type": "string"}}
    keys = request["experience_key"]
    return _response({"experiences": {key: {"payload": payload, "experience_context": {"cid": key}} for key in keys}})


ACCEPTED = _response({"status": "success", "message": "accepted", "req_id": "1"})


def ready() -> dict[bytes, bytes]:
    """The ready answer to each first key of a request."""
    chunks = [SOLO, *(PAGE[start : start + CHUNK] for start in range(0, len(PAGE), CHUNK))]
    return {keys[0].encode(): _response({"experiences": {key: experience(key) for key in keys}}) for keys in chunks}


@define
class State:
    """What all connections of the server share."""

    ready: dict[bytes, bytes]
    requests: int = 0
    crossed: int = 0
    """Pieces of requests that came to a connection which the server had closed."""
    healthy: bool = False


class Connection(asyncio.Protocol):
    """One connection of the quick server; a client that waits for each answer sends no more than one request."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(received, 0, end)
        if len(received) < end + 4 + (int(length[1]) if length else 0):
            return
        self._received = b""
        self._state.requests += 1
        path = PATH.match(received)
        answer = self._answer(path[1] if path else b"echo", received, end + 4)
        if path and path[2] != b"0":
            asyncio.get_running_loop().call_later(int(path[2]) / 1000, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _answer(self, behaviour: bytes, received: bytes, start: int) -> bytes:
        key = FIRST_KEY.search(received, start)
        if key is None:
            return ACCEPTED
        if behaviour == b"ready":
            return self._state.ready[key[1]]
        if behaviour == b"hang" and not self._state.healthy:
            return b""
        answer = _echo(received[start:])
        if behaviour == b"surplus" and self._state.requests % SURPLUS == 0:
            answer += _echo(received[start:], "somebody else")
        return answer


class Distant(Connection):
    """The same, 20 ms away in each direction, and closed by the server when it has lain idle."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._far: Any = transport
        self._transport = self  # so that what is answered goes the long way
        self._closed = False
        self._idle = self._later(IDLE, self._end)

    def _later(self, seconds: float, what: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, what, *arguments)

    def data_received(self, data: bytes) -> None:
        self._later(AWAY, self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        if self._closed:
            self._state.crossed += 1
            self._later(AWAY, self._far.abort)
            return
        self._idle.cancel()
        super().data_received(data)
        self._idle = self._later(IDLE, self._end)

    def _end(self) -> None:
        self._closed = True
        self._later(AWAY, self._far.close)

    def write(self, answer: bytes) -> None:
        """Instead of the transport's own."""
        self._later(AWAY, self._far.write, answer)


@frozen
class Server:
    """Where the quick server listens, and what it has done."""

    plain: int
    tls: int
    distant: int
    authority: str
    """The path of the certificates to trust."""
    apart: bool
    """Whether it has a core of its own."""
    pipe: Any

    def url(self, behaviour: str = "ready", milliseconds: float = 0, *, tls: bool = False) -> str:
        """A base URL for clients."""
        where = f"https://127.0.0.1:{self.tls}" if tls else f"http://127.0.0.1:{self.plain}"
        return f"{where}/{behaviour}/{milliseconds:.0f}/v1"

    @property
    def race(self) -> str:
        """The base URL of the distant one."""
        return f"http://127.0.0.1:{self.distant}/v1"

    def heal(self) -> None:
        """Let what hangs answer from now on."""
        self._ask("heal")

    def counts(self) -> tuple[int, int, float]:
        """Requests, pieces of requests that crossed with the end of their connection, and seconds of CPU."""
        requests, crossed, cpu = self._ask("counts")
        return requests, crossed, cpu

    def _ask(self, what: str) -> Any:
        self.pipe.send(what)
        return self.pipe.recv()


@contextmanager
def serving(*, apart: bool = False) -> Generator[Server]:
    """Run the quick server; with `apart` on a core of its own, and this process on the other meanwhile."""
    mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    cores = ({mine[0]}, {mine[-1]}) if apart and len(mine) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        authority, path, certificate = trustme.CA(), Path(folder, "authority.pem"), Path(folder, "server.pem")
        # Beside those that a service trusts, because to read them all is what a TLS context costs.
        path.write_bytes(authority.cert_pem.bytes() + Path(certifi.where()).read_bytes())
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        with beside(_serve, certificate, cores and cores[0]) as pipe:
            if cores:
                os.sched_setaffinity(0, cores[1])
            try:
                plain, tls, distant = pipe.recv()
                yield Server(plain, tls, distant, str(path), cores is not None, pipe)
            finally:
                if cores:
                    os.sched_setaffinity(0, mine)


def _serve(pipe: Any, certificate: Path, core: set[int] | None) -> None:
    if core:
        os.sched_setaffinity(0, core)
    asyncio.run(_listen(pipe, certificate))


async def _listen(pipe: Any, certificate: Path) -> None:
    loop, over, state = asyncio.get_running_loop(), asyncio.Event(), State(ready())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def tell() -> None:
        try:
            state.healthy |= pipe.recv() == "heal"
            pipe.send((state.requests, state.crossed, time.process_time()))
        except (EOFError, OSError):
            over.set()

    listeners = [
        await loop.create_server(lambda made=made: made(state), "127.0.0.1", 0, ssl=tls, backlog=4096)
        for made, tls in ((Connection, None), (Connection, context), (Distant, None))
    ]
    loop.add_reader(pipe.fileno(), tell)
    pipe.send([listener.sockets[0].getsockname()[1] for listener in listeners])
    await over.wait()


@frozen
class Fault:
    """A listener of the fault server: a base URL at which one mode of the suite is met."""

    mode: str
    tls: bool
    url: str
    outcomes: frozenset[str]
    """What a call without retries may end as: "value", or names of error classes."""

    def __str__(self) -> str:
        return f"{self.mode}, {'TLS' if self.tls else 'plain'}"


@contextmanager
def faults() -> Generator[list[Fault]]:
    """Run the suite's fault server, trust its CA, and give every mode, plain and TLS."""
    with beside(_serve_faults) as pipe, tempfile.NamedTemporaryFile(suffix=".pem") as bundle:
        found, pem = pipe.recv()
        Path(bundle.name).write_bytes(pem)
        with patch.dict(os.environ, SSL_CERT_FILE=bundle.name):
            yield found


def _serve_faults(pipe: Any) -> None:
    from faultserver import MODES, FaultServer

    with FaultServer() as server:
        cases = [(mode, tls) for mode in MODES.values() for tls in (False, True)]
        wanted = [(mode, tls) for mode, tls in cases if not (mode.plain_only if tls else mode.tls_only)]
        found = [Fault(mode.name, tls, server.url(mode.name, tls=tls), mode.outcomes) for mode, tls in wanted]
        pipe.send((found, server.ca_pem()))
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
