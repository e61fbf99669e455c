"""What passes between the client and the network: one request in, one response or the reason why none came out.

Structs of msgspec and not classes of attrs, as all values of which each call makes some: made in a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct


class Request(Struct, frozen=True):
    """Perform one HTTP request and stop after `timeout` seconds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float = 0.0

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.url!r}, timeout={self.timeout!r})"


class Response(Struct, frozen=True):
    """An HTTP answer that came whole; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status!r})"


class TransportError(Struct, frozen=True):
    """Why no answer came: time ran out, the connection failed or broke, or what came was not what may come.

    "busy" is a deadline that passed before there was a connection to send anything on, because all were in use.
    "stale" is a connection that had served before and was closed by the server before a byte of this answer came.
    """

    kind: Literal["busy", "timeout", "connection", "stale", "protocol", "limit"]
    cause: Exception


Outcome = Response | TransportError


class Transport(Protocol):
    """What PersonalizeClient needs of a transport; it is called from several threads at once."""

    def perform(self, request: Request) -> Outcome:
        """Perform one request within `request.timeout` seconds."""
        ...

    def perform_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Perform several requests of one call side by side, each within its `timeout`; their outcomes in order."""
        ...

    def connections(self) -> tuple[int, int] | None:
        """How many connections are open, and how many of them idle; None where that is not known."""
        ...

    def close(self) -> None:
        """Release what the transport made itself."""
        ...


class AsyncTransport(Protocol):
    """What AsyncPersonalizeClient needs of a transport; it is called from several tasks of one event loop."""

    async def perform(self, request: Request) -> Outcome:
        """Perform one request within `request.timeout` seconds."""
        ...

    def connections(self) -> tuple[int, int] | None:
        """As Transport.connections, of all event loops."""
        ...

    async def aclose(self) -> None:
        """Release what the transport made itself."""
        ...
