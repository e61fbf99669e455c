"""A server that answers from memory, in a process on a core of its own, and what it is asked.

Law of this module: the server decides nothing but which of its ready answers to send, by the first key that is asked
for, so that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import certifi
import trustme
from attrs import frozen

WORKSPACE_ID, API_KEY = "WS", "the-key-of-the-benchmark"
CUSTOMER = "user_8821"
CHUNK = 25  # keys that the API takes a request
FAR = 0.02  # seconds that an answer takes from the far address
SPAWN = multiprocessing.get_context("spawn")
Values = tuple[str, ...]


@frozen
class Payload:
    """What is asked for, and which values are read from the answer."""

    name: str
    keys: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]

    @property
    def expected(self) -> Values:
        """The values that the server has for what is read."""
        return tuple(f"{variable} of {key}" for key, variable in self.reads)

    def body(self) -> dict[str, Any]:
        """What is posted by hand."""
        return {"identifiers": {"customer_id": CUSTOMER}, "experience_key": list(self.keys)}

    def read(self, body: Any) -> Values:
        """The values, from the JSON of an answer."""
        return tuple(body["experiences"][key]["payload"][variable]["value"] for key, variable in self.reads)


PAGE = tuple(f"page-{number:03}" for number in range(10 * CHUNK))
ONE = Payload("1 experience", ("solo-000",), (("solo-000", "Title"),))
MANY = Payload("25 experiences", PAGE[:CHUNK], (("page-007", "Title"), ("page-019", "CtaLabel")))
SPLIT = Payload("250 keys", PAGE, (("page-007", "Title"), ("page-244", "CtaLabel")))


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


def _answer(body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def answers() -> dict[bytes, bytes]:
    """The answer to each first key that is asked for."""
    chunks = [ONE.keys, *(PAGE[start : start + CHUNK] for start in range(0, len(PAGE), CHUNK))]
    return {keys[0].encode(): _answer({"experiences": {key: experience(key) for key in keys}}) for keys in chunks}


ACCEPTED = _answer({"status": "success", "message": "accepted", "req_id": "1"})
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
FIRST_KEY = re.compile(rb'"experience_key": ?\[ ?"([^"]+)"')


class Canned(asyncio.Protocol):
    """One connection."""

    def __init__(self, ready: Mapping[bytes, bytes]) -> None:
        self._ready = ready
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
        self._received = b""  # a client that waits for each answer sends no more than one request
        key = FIRST_KEY.search(received, end)
        answer = self._ready[key[1]] if key else ACCEPTED
        if received.startswith(b"POST /far/"):
            asyncio.get_running_loop().call_later(FAR, self._transport.write, answer)
        else:
            self._transport.write(answer)


@frozen
class Server:
    """Where it listens, and what it has used."""

    plain: str
    tls: str
    far: str
    authority: str
    """The path of the certificate that the TLS address is to be trusted by."""
    apart: bool
    """Whether it has a core of its own."""
    _pipe: Connection

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""
        self._pipe.send(None)
        used: float = self._pipe.recv()
        return used


def cores() -> tuple[set[int], set[int]] | None:
    """The core of the server and that of the client; None where they cannot be told apart."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    mine = sorted(os.sched_getaffinity(0))
    return ({mine[0]}, {mine[-1]}) if len(mine) > 1 else None


def pin(to: set[int] | None) -> None:
    """Keep this process, and those that it starts, on these cores."""
    if to is not None:
        os.sched_setaffinity(0, to)


@contextmanager
def serving() -> Generator[Server]:
    """The server in a process of its own; this process is on the other core meanwhile."""
    apart = cores()
    before = os.sched_getaffinity(0) if apart else None
    here, there = SPAWN.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        path = Path(folder, "authority.pem")
        # Beside those that a service trusts, because to read them all is what a TLS context costs.
        path.write_bytes(authority.cert_pem.bytes() + Path(certifi.where()).read_bytes())
        certificate = Path(folder, "server.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        process = SPAWN.Process(target=_serve, args=(there, certificate, apart and apart[0]), daemon=True)
        process.start()
        pin(apart and apart[1])
        try:
            plain, tls = here.recv()
            where = f"http://127.0.0.1:{plain}"
            yield Server(
                f"{where}/v1", f"https://127.0.0.1:{tls}/v1", f"{where}/far/v1", str(path), apart is not None, here
            )
        finally:
            here.close()
            process.join(5)
            pin(before)


def _serve(pipe: Connection, certificate: Path, core: set[int] | None) -> None:
    pin(core)
    asyncio.run(_main(pipe, certificate))


async def _main(pipe: Connection, certificate: Path) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ready = answers()

    def made() -> Canned:
        return Canned(ready)

    plain = await loop.create_server(made, "127.0.0.1", 0, backlog=1024)
    tls = await loop.create_server(made, "127.0.0.1", 0, ssl=context, backlog=1024)
    over = asyncio.Event()
    loop.add_reader(pipe.fileno(), _tell, pipe, over.set)
    pipe.send([server.sockets[0].getsockname()[1] for server in (plain, tls)])
    await over.wait()


def _tell(pipe: Connection, over: Callable[[], None]) -> None:
    try:
        pipe.recv()
        pipe.send(time.process_time())
    except (EOFError, OSError):
        over()
