"""Drives flows, by blocking and by awaiting: performs each Send and Sleep, and decides nothing.

Law of this module: the two halves are the same but for `await`; what a flow means stands in _flow.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

from ._call import Flow, Sleep
from ._errors import PersonalizeError
from ._messages import AsyncTransport, Transport
from ._redact import strip_tracebacks

T = TypeVar("T")
SIDE_BY_SIDE = 16  # threads of one call; 400 keys


def run_all(transport: Transport, flows: Sequence[Flow[T]]) -> list[T | PersonalizeError]:
    """What each flow ended with, side by side: in the calling thread, and in as many others as can be started."""
    if len(flows) == 1:
        return [run(transport, flows[0])]
    ended: list[Future[T | PersonalizeError]] = [Future() for _ in flows]
    waiting = deque(zip(ended, flows, strict=True))
    threads: list[Thread] = []

    def work() -> None:
        while waiting:
            with suppress(IndexError):  # another thread was faster
                future, flow = waiting.popleft()
                _settle(future, transport, flow)

    try:
        with suppress(RuntimeError):  # no more threads, or the interpreter is ending: then one after the other
            for _ in range(min(len(flows), SIDE_BY_SIDE) - 1):
                # With what the caller's context holds, such as the current trace.
                thread = Thread(target=copy_context().run, args=(work,), daemon=True, name="moengage-personalize")
                thread.start()
                threads.append(thread)
        work()
        for thread in threads:
            thread.join()
        return [future.result() for future in ended]
    finally:
        waiting.clear()  # a caller who was interrupted waits for nothing more


def _settle(future: Future[T | PersonalizeError], transport: Transport, flow: Flow[T]) -> None:
    try:
        future.set_result(run(transport, flow))
    except BaseException as error:  # noqa: BLE001 -- raised again where the future is asked
        future.set_exception(error)


def run(transport: Transport, flow: Flow[T]) -> T | PersonalizeError:
    """What a flow ended with: its value, or the error that it raised."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                step = flow.send(None)
            else:
                step = flow.send(transport.perform(step))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what `call` returns, which StopIteration has as Any
    except PersonalizeError as error:
        return strip_tracebacks(error)


async def run_all_async(transport: AsyncTransport, flows: Sequence[Flow[T]]) -> list[T | PersonalizeError]:
    """As `together`, awaited."""
    if len(flows) == 1:
        return [await run_async(transport, flows[0])]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_async(transport, flow)) for flow in flows]
    return [task.result() for task in tasks]


async def run_async(transport: AsyncTransport, flow: Flow[T]) -> T | PersonalizeError:
    """As `drive`, awaited."""
    try:
        step = next(flow)
        while True:
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                step = flow.send(None)
            else:
                step = flow.send(await transport.perform(step))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what `call` returns, which StopIteration has as Any
    except PersonalizeError as error:
        return strip_tracebacks(error)


def raise_if_all_failed(outcomes: Sequence[object]) -> None:
    """Raise the first error, if there is nothing else."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, PersonalizeError)]
    if len(errors) == len(outcomes):
        raise errors[0]


def unwrap(outcome: T | PersonalizeError) -> T:
    """What one request brought, or the error that it ended with, raised."""
    if isinstance(outcome, PersonalizeError):
        raise outcome
    return outcome
