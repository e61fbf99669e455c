"""A host whose name moves to another address while the old server lives on and keeps its connections open.

Nothing but the age of its connections takes a busy client to the new address: none of them ever fails or lies idle.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import threading
import time
from collections.abc import Generator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

from .figures import show, verdict
from .sides import SIDES, Side, Worker

NAME = "moving.example"
OLD, NEW = "127.0.0.1", "127.0.0.2"
MAX_AGE = 300.0  # seconds; what the guide of the transport promises
AT_ONCE = 8  # workers, each with a call every PAUSE seconds
PAUSE = 0.1


class Handler(BaseHTTPRequestHandler):
    """Answers every fetch, on a connection that it keeps, with the address that was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """The fetch."""
        self.rfile.read(int(self.headers["Content-Length"]))
        address = self.connection.getsockname()[0]
        body = f'{{"experiences": {{"where": {{"payload": {{"address": {{"value": "{address}"}}}}}}}}}}'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name of the base class
        """Nothing."""


class Server(ThreadingHTTPServer):
    """One of the addresses; it does not mind that a client closes a connection."""

    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def addresses(*hosts: str) -> Generator[int]:
    """One server at each address, all at the same port."""
    with contextlib.ExitStack() as stack:
        port = 0
        for host in hosts:
            server = stack.enter_context(Server((host, port), Handler))
            port = server.server_address[1]
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield port


def caller(side: Side, client: Any, until: float, calls: list[tuple[float, str]]) -> Worker:
    """Asks again and again, and notes when which address answered."""
    while time.monotonic() < until:
        experiences = yield client.fetch("where")
        calls.append((time.monotonic(), experiences.string("where", "address", "")))
        yield side.sleep(PAUSE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--seconds", type=float, default=MAX_AGE + 45, help="after the move (default: 345)")


def run(options: argparse.Namespace) -> int:
    """Both clients, one after the other."""
    rows: list[list[str]] = []
    broken: list[str] = []
    resolve = socket.getaddrinfo
    with addresses(OLD, NEW) as port:
        for made in SIDES:
            start = time.monotonic() + 1.0
            calls: list[tuple[float, str]] = []

            def moved(host: Any, *rest: Any, start: float = start, **options: Any) -> Any:
                return resolve((OLD if time.monotonic() < start else NEW) if host == NAME else host, *rest, **options)

            url = f"http://{NAME}:{port}/v1"
            with (
                patch("socket.getaddrinfo", moved),
                made() as side,
                side.opened(partial(made.client, "WS", "key", base_url=url, timeout=10)) as client,
            ):
                side.run([caller(side, client, start + options.seconds, calls) for _ in range(AT_ONCE)])
            after = [(when - start, address) for when, address in calls if when >= start]
            old = [when for when, address in after if address == OLD]
            last = max(old, default=0.0)
            rows.append([side.name, f"{len(after):,}", f"{len(old):,}", f"{last:.1f}", f"{len(after) - len(old):,}"])
            if last > MAX_AGE + 31:  # and the time for which a name is remembered
                broken.append(f"{side.name}: the old address was still asked {last:.0f} s after the move")
            if options.seconds > MAX_AGE + 31 and after[-1][1] != NEW:
                broken.append(f"{side.name}: the new address was never asked")
    head = ["client", "calls after the move", "to the old address", "the last of them after, s", "to the new address"]
    show("", head, rows)
    return verdict(broken)
