"""The connections of the sandbox's server, so that one can be dropped: ASGI has no word for it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_open: dict[tuple[Any, Any], asyncio.Transport] = {}


class KnownConnections(HttpToolsProtocol):
    """The protocol of uvicorn, which keeps each connection by its two addresses while it is open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its own base
        super().connection_made(transport)
        self._addresses = _addresses(self.server, self.client)
        _open[self._addresses] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _open.pop(self._addresses, None)
        super().connection_lost(exc)


async def drop(request: Request) -> bool:
    """Close the connection of a request; False where another server has it, which cannot be reached."""
    transport = _open.get(_addresses(request.scope.get("server"), request.scope.get("client")))
    if transport is None:
        return False
    transport.close()
    await request.receive()  # its body has been read, so that what comes now is the disconnect
    return True


def _addresses(server: Any, client: Any) -> tuple[Any, Any]:
    return tuple(server or ()), tuple(client or ())
