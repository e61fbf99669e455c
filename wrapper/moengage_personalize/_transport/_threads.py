"""Requests of one call that threads perform beside their caller, who joins in at the end."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Self

from .._messages import Outcome, Request
from ._deadline import Deadline

THREADS = 16  # of one call; 400 keys


class SideBySide:
    """Begins with so many threads, if they can be started; `results` performs what is left in the calling thread."""

    def __init__(
        self, perform: Callable[[Request, Deadline], Outcome], requests: Sequence[Request], threads: int
    ) -> None:
        self._perform = perform
        self._waiting = deque((Future[Outcome](), request, Deadline(request.timeout)) for request in requests)
        self._futures = [future for future, _, _ in self._waiting]
        for _ in range(min(threads, THREADS)):
            if sys.is_finalizing():
                return  # a thread would never run, and starting one waits until it does
            # With what the caller's context holds, such as the current trace.
            thread = Thread(target=copy_context().run, args=(self._beside,), daemon=True, name="moengage-personalize")
            try:
                thread.start()
            except RuntimeError:  # no more threads: then one after the other
                return

    def _beside(self) -> None:
        with suppress(BaseException):  # raised where its outcome is asked for
            self._work()

    def _work(self) -> None:
        with suppress(IndexError):  # nothing is waiting
            while True:
                future, request, deadline = self._waiting.popleft()
                try:
                    future.set_result(self._perform(request, deadline))
                except BaseException as error:
                    future.set_exception(error)
                    raise

    def results(self) -> list[Outcome]:
        """All outcomes, in order; at once what one of the requests raised, or what interrupts the caller."""
        self._work()
        for future in wait(self._futures, return_when=FIRST_EXCEPTION).done:
            future.result()
        return [future.result() for future in self._futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.clear()  # a caller who was interrupted begins no more of them
