"""The only network I/O: an engine performs one Send and gives one Answer or NoAnswer; it never raises."""

from __future__ import annotations

from typing import Protocol

from .._flow import Outcome, Send
from ._httpx import AsyncHttpxEngine, HttpxEngine

__all__ = ["AsyncEngine", "AsyncHttpxEngine", "Engine", "HttpxEngine"]


class Engine(Protocol):
    """What PersonalizeClient needs of an engine; it is called from several threads at once."""

    def perform(self, send: Send) -> Outcome:
        """Perform one request within `send.timeout` seconds."""
        ...

    def close(self) -> None:
        """Release what the engine made itself."""
        ...


class AsyncEngine(Protocol):
    """What AsyncPersonalizeClient needs of an engine; it is called from several tasks of one event loop."""

    async def perform(self, send: Send) -> Outcome:
        """Perform one request within `send.timeout` seconds."""
        ...

    async def aclose(self) -> None:
        """Release what the engine made itself."""
        ...
