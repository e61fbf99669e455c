"""The network: one Request in, one Response or TransportError out, within its time; nothing is raised."""

from __future__ import annotations

from typing import Any

from .._messages import AsyncTransport, Transport
from ._pooled import AsyncPooledTransport, PooledTransport

__all__ = ["AsyncPooledTransport", "PooledTransport", "make_async_transport", "make_transport"]


def make_transport(http_client: Any) -> Transport:
    """Connections of our own, or those of an httpx client that the service brings."""
    return PooledTransport(http_client)


def make_async_transport(http_client: Any) -> AsyncTransport:
    """As `make_transport`, awaited."""
    return AsyncPooledTransport(http_client)


def as_httpx_transport(transport: Any) -> Any:
    """An httpx transport around one of ours."""
    return None
