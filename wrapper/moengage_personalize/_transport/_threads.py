"""Requests of one call that threads perform beside their caller."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Self

from .._messages import Outcome, Request
from ._exchange import Deadline

THREADS = 16  # of one call; 400 keys


class SideBySide:
    """Begins at once; `results` waits, and performs what is left only where no thread could be started."""

    def __init__(self, perform: Callable[[Request, Deadline], Outcome], requests: Sequence[Request]) -> None:
        self._perform = perform
        self._started = False
        self._waiting = deque((Future[Outcome](), request, Deadline(request.timeout)) for request in requests)
        self._futures = [future for future, _, _ in self._waiting]
        # No more threads can be started (RuntimeError), or one would never run, and starting it waits until it does.
        with suppress(RuntimeError):
            for _ in self._futures[: 0 if sys.is_finalizing() else THREADS]:
                # With what the caller's context holds, such as the current trace.
                work = partial(copy_context().run, self._work)
                Thread(target=work, daemon=True, name="moengage-personalize").start()
                self._started = True

    def _work(self) -> None:
        with suppress(IndexError):  # nothing is waiting
            while True:
                future, request, deadline = self._waiting.popleft()
                try:
                    future.set_result(self._perform(request, deadline))
                except BaseException as error:  # noqa: BLE001 -- raised again in the calling thread
                    future.set_exception(error)
                    return

    def results(self) -> list[Outcome]:
        """All outcomes, in order; at once what one of the requests raised, or what interrupts the caller."""
        if not self._started:
            self._work()
        for future in wait(self._futures, return_when=FIRST_EXCEPTION).done:
            future.result()
        return [future.result() for future in self._futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()  # a caller who was interrupted begins no more of them
