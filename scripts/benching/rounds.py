"""Measures one case, and all cases in rounds.

Law of this module: whatever is compared is measured in the same round, with a client made for it, whose connections are
open before the clock starts. Each of the threads or tasks calls until the time is over, and at least once.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import Factory, define

from .canned import Server, Values
from .cases import FAR, TLS, Case, clients
from .figures import Sample, percentile
from .others import AsyncCall, Call, Target

WARM = 0.05  # seconds
LONG = 4.0  # seconds; what takes so long is measured in the first rounds only
FIRST = 2


@define
class Tally:
    """What one thread or task met."""

    seconds: list[float] = Factory(list[float])
    errors: Counter[str] = Factory(Counter[str])
    wrong: int = 0


def _target(server: Server, case: Case) -> Target:
    base_url = {TLS: server.tls, FAR: server.far}.get(case.setting.link, server.plain)
    return Target(base_url, server.authority, case.setting.payload)


def measure(server: Server, case: Case, made: Any, seconds: float) -> Sample:
    """Call for so long, and say what it took."""
    gc.collect()
    target = _target(server, case)
    if case.setting.face == "sync":
        return _blocking(server, target, made, case.setting.width, seconds)
    return asyncio.run(_awaited(server, target, made, case.setting.width, seconds))


def _blocking(server: Server, target: Target, made: Any, width: int, seconds: float) -> Sample:
    barrier = threading.Barrier(width)

    def works(call: Call, lasting: float) -> Tally:
        barrier.wait()
        tally, until = Tally(), time.perf_counter() + lasting
        while True:
            started = time.perf_counter()
            try:
                _count(tally, call(), target.payload.expected, started)
            except Exception as error:  # noqa: BLE001 -- each client has errors of its own; one costs its call, not the run
                tally.errors[type(error).__name__] += 1
            if time.perf_counter() >= until:
                return tally

    with made(target) as call, ThreadPoolExecutor(width) as threads:
        list(threads.map(works, [call] * width, [WARM] * width))
        clock = _Clock(server)
        return clock.stop(list(threads.map(works, [call] * width, [seconds] * width)))


async def _awaited(server: Server, target: Target, made: Any, width: int, seconds: float) -> Sample:
    async def works(call: AsyncCall, until: float) -> Tally:
        tally = Tally()
        while True:
            started = time.perf_counter()
            try:
                _count(tally, await call(), target.payload.expected, started)
            except Exception as error:  # noqa: BLE001 -- each client has errors of its own; one costs its call, not the run
                tally.errors[type(error).__name__] += 1
            if time.perf_counter() >= until:
                return tally

    async def together(call: AsyncCall, lasting: float) -> list[Tally]:
        until = time.perf_counter() + lasting
        return await asyncio.gather(*(works(call, until) for _ in range(width)))

    async with made(target) as call:
        await together(call, WARM)
        clock = _Clock(server)
        return clock.stop(await together(call, seconds))


def _count(tally: Tally, values: Values, expected: Values, started: float) -> None:
    tally.seconds.append(time.perf_counter() - started)
    tally.wrong += values != expected


class _Clock:
    """Wall-clock time, and the CPU time of this process, all threads, and of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._served = server.cpu()
        self._used = time.process_time()
        self._started = time.perf_counter()

    def stop(self, tallies: Sequence[Tally]) -> Sample:
        wall = time.perf_counter() - self._started
        used = time.process_time() - self._used
        served = self._server.cpu() - self._served
        seconds = sorted(second for tally in tallies for second in tally.seconds)
        errors = sum((tally.errors for tally in tallies), Counter[str]())
        calls = len(seconds)
        return Sample(
            calls=calls,
            errors=dict(errors),
            wrong=sum(tally.wrong for tally in tallies),
            cpu=used / calls if calls else None,
            wall=wall / calls if calls else None,
            p50=percentile(seconds, 50),
            p99=percentile(seconds, 99),
            requests=calls / wall,
            server=served / wall,
        )


def rounds(
    server: Server, cases: Sequence[Case], count: int, seconds: float, say: Callable[[str], object]
) -> dict[Case, list[Sample]]:
    """Each case in each round, except those that take too long."""
    made = clients()
    samples: dict[Case, list[Sample]] = {case: [] for case in cases if made[case.setting.face][case.client]}
    for number in range(count):
        for case in _of(number, samples):
            say(f"round {number + 1} of {count}: {case.client}, {case.setting}")
            started = time.perf_counter()
            samples[case].append(measure(server, case, made[case.setting.face][case.client], seconds))
            samples[case][-1].long = time.perf_counter() - started > LONG
    return samples


def _of(number: int, samples: dict[Case, list[Sample]]) -> Iterator[Case]:
    for case, taken in samples.items():
        if number < FIRST or not any(sample.long for sample in taken):
            yield case
