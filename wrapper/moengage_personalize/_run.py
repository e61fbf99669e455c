"""Performs what a call asks for, by blocking and by awaiting: each Request on a transport, each Sleep, nothing else.

What a call means stands in _call; the blocking and the awaited half are the same but for `await`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TypeVar

from ._call import Flow, Sleep
from ._errors import PersonalizeError
from ._messages import AsyncTransport, Outcome, Request, Transport
from ._redact import strip_tracebacks

T = TypeVar("T")


def run(transport: Transport, call: Flow[T]) -> T | PersonalizeError:
    """What a call ended with: its value, or the error that it raised."""
    try:
        step = next(call)
        while True:
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                step = call.send(None)
            else:
                step = call.send(transport.perform(step))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the call returns, which StopIteration has as Any
    except PersonalizeError as error:
        failure = error
    return strip_tracebacks(failure)


def run_all(transport: Transport, calls: Sequence[Flow[T]]) -> list[T | PersonalizeError]:
    """What each call ended with; their requests are under way side by side, in rounds.

    A round performs all requests that are due together, so that a call that is tried again waits for the slowest of its
    round: that costs no thread, and the deadline, which all of them share, holds all the same.
    """
    if len(calls) == 1:
        return [run(transport, calls[0])]
    ended: dict[int, T | PersonalizeError] = {}
    outcomes: dict[int, Outcome | None] = dict.fromkeys(range(len(calls)))
    wake_at: dict[int, float] = {}
    while outcomes or wake_at:
        requests: dict[int, Request] = {}
        for number, outcome in outcomes.items():
            try:
                step = calls[number].send(outcome)
            except StopIteration as stop:
                ended[number] = stop.value
            except PersonalizeError as error:
                ended[number] = strip_tracebacks(error)
            else:
                if isinstance(step, Sleep):
                    wake_at[number] = time.monotonic() + step.seconds
                else:
                    requests[number] = step
        if requests:
            outcomes = dict(zip(requests, transport.perform_all(list(requests.values())), strict=True))
        else:
            outcomes = {}
            if wake_at:
                time.sleep(max(0.0, min(wake_at.values()) - time.monotonic()))
        now = time.monotonic()
        for number in [number for number, at in wake_at.items() if at <= now]:
            del wake_at[number]
            outcomes[number] = None
    return [ended[number] for number in range(len(calls))]


async def run_async(transport: AsyncTransport, call: Flow[T]) -> T | PersonalizeError:
    """As `run`, awaited."""
    try:
        step = next(call)
        while True:
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                step = call.send(None)
            else:
                step = call.send(await transport.perform(step))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the call returns, which StopIteration has as Any
    except PersonalizeError as error:
        failure = error
    return strip_tracebacks(failure)


async def run_all_async(transport: AsyncTransport, calls: Sequence[Flow[T]]) -> list[T | PersonalizeError]:
    """What each call ended with, side by side, each in a task of its own."""
    if len(calls) == 1:
        return [await run_async(transport, calls[0])]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_async(transport, call)) for call in calls]
    return [task.result() for task in tasks]


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
