"""A scripted server on 127.0.0.1: real sockets, one behaviour for each connection in turn."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

Behaviour = Callable[[socket.socket], None]


class Server:
    """Accepts connections; the nth is handled by the nth behaviour, the last one for good. Keeps what was asked."""

    def __init__(self, behaviours: Sequence[Behaviour]) -> None:
        self._behaviours = list(behaviours)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self.closing = threading.Event()
        self.requests: list[bytes] = []
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def bodies(self) -> list[Any]:
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]

    def _accept(self) -> None:
        while not self.closing.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                behaviour = self._behaviours[min(len(self._threads), len(self._behaviours) - 1)]
                self._connections.append(connection)
                thread = threading.Thread(target=self._handle, args=(connection, behaviour), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _handle(self, connection: socket.socket, behaviour: Behaviour) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := read_request(connection):
                self.requests.append(request)
                behaviour(connection)

    def close(self) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(*behaviours: Behaviour) -> Generator[Server]:
    server = Server(behaviours)
    try:
        yield server
    finally:
        server.close()


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while found and len(body) < int(found[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def raw(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Any", f"content-length: {length}", "content-type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(status: int, body: object, *headers: str) -> Behaviour:
    """Answer this, and go on with the connection."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda connection: connection.sendall(raw(status, content, *headers))


def serves(*keys: str) -> Behaviour:
    """Answer 200 with an experience for each key."""
    return answers(200, {"experiences": {key: experience(key) for key in keys}})


def experience(key: str) -> dict[str, Any]:
    payload = {"Title": {"value": f"title of {key}", "data_type": "string"}}
    return {"payload": payload, "experience_context": {"cid": key}}


def then_closes(behaviour: Behaviour) -> Behaviour:
    """Behave so once, and end the connection, so that the next request comes on another."""

    def both(connection: socket.socket) -> None:
        behaviour(connection)
        connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError  # or a request that is on its way already would be counted, though nobody answers

    return both


def hangs_up(connection: socket.socket) -> None:
    """Close without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def cuts_off(connection: socket.socket) -> None:
    """Promise more than is sent, then close."""
    connection.sendall(raw(200, b'{"experiences"', length=1000))
    connection.shutdown(socket.SHUT_RDWR)


def hangs(connection: socket.socket) -> None:
    """Never answer; until the caller goes away."""
    connection.recv(1)


def drips(connection: socket.socket) -> None:
    """Send a body a byte at a time, 50 ms apart."""
    connection.sendall(raw(200, b"", length=1000))
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.05)
