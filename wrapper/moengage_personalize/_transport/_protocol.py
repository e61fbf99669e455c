"""One awaited connection, as a protocol of asyncio's transports.

Law of this module: what comes is read at once, also while the connection lies idle, and then ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import cast

import httpcore

from ._body import Content
from ._deadline import Deadline
from ._idle import readable
from ._origin import ssl_context
from ._parser import Dialogue, Epoch


class AsyncConnection(asyncio.BufferedProtocol):
    """One connection, which reads into a buffer: asyncio's own, of 256 KB, is made for each read and costs four."""

    def __init__(self, epoch: Epoch, buffer: memoryview) -> None:
        """The buffer may be that of others in the same event loop."""
        self._epoch = epoch
        self.dialogue = Dialogue(epoch)
        self._buffer = buffer
        self._transport: asyncio.Transport
        self._has_come: Callable[[], bool]
        self._exchange: tuple[asyncio.Future[None], Content, Deadline] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = inf
        self._dirty = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream, as both ways to make one have it
        self._has_come = readable(transport.get_extra_info("socket").fileno())

    async def exchange(self, request: bytes, content: Content, deadline: Deadline) -> None:
        """Write a request and wait until its answer is whole."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        if self._transport.is_closing():
            self.dialogue.lost(deadline)
            raise httpcore.WriteError("the connection is closed")
        self._exchange = ended, content, deadline
        try:
            self._watch(deadline)
            self._transport.write(request)
            await ended
        finally:
            self._exchange = None

    def _watch(self, deadline: Deadline) -> None:
        """Have the deadline kept, by an alarm that is left as it is for the next exchange: most end long before."""
        left = deadline.left(httpcore.ReadTimeout)
        if self._alarm is None or deadline.at < self._rings_at:
            self._silent()
            self._rings_at = deadline.at
            self._alarm = asyncio.get_running_loop().call_later(left, self._rings)

    def _rings(self) -> None:
        self._alarm = None
        if self._exchange is not None:
            try:
                self._watch(self._exchange[2])
            except httpcore.ReadTimeout as error:
                self._fails(error)

    def _silent(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._hears(bytes(self._buffer[:nbytes]))

    def _hears(self, data: bytes) -> None:
        if self._exchange is None or self._exchange[0].done():
            self._dirty = True
            return
        ended, content, deadline = self._exchange
        try:
            whole = self.dialogue.hears(data, content, deadline)
        except Exception as error:  # noqa: BLE001 -- raised where the answer is waited for
            self._fails(error)
        else:
            if whole:
                ended.set_result(None)

    def eof_received(self) -> None:
        if self._exchange is not None:
            self._hears(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._silent()
        if self._exchange is not None:
            self.dialogue.lost(self._exchange[2])
            self._fails(httpcore.ReadError(str(exc or "the connection was closed")))

    def _fails(self, error: Exception) -> None:
        if self._exchange is not None and not self._exchange[0].done():
            self._exchange[0].set_exception(error)

    async def secure(self, host: str) -> None:
        """Speak TLS from here on, with whoever is behind a tunnel."""
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, self, ssl_context(), server_hostname=host)
        self._transport = cast(asyncio.Transport, transport)  # None only to types: a handshake that fails raises
        self.dialogue = Dialogue(self._epoch)

    @property
    def clean(self) -> bool:
        return self.dialogue.clean and not self._dirty and not self._transport.is_closing()

    @property
    def expired(self) -> bool:
        return self.dialogue.expired

    @property
    def usable(self) -> bool:
        # What has come may not have been read yet, where the loop had other things to do.
        return self.clean and not self.expired and not self._has_come()

    def close(self) -> None:
        self._transport.abort()  # at once: nothing is to be waited for, and nothing is on its way
