"""Whether the server could be the bottleneck: what it does when several processes ask by raw sockets."""

from __future__ import annotations

import time
from typing import Any

from attrs import asdict, frozen

from .canned import ONE, SPAWN, Server
from .others import BLOCKING, FLOOR, Target

PROCESSES = 4


@frozen
class Capacity:
    """What the server reached, and what it would if it had its core for itself all the time."""

    requests: float
    share: float
    """The part of its core that it used."""

    @property
    def most(self) -> float:
        """Requests a second at a whole core."""
        return self.requests / self.share

    def told(self) -> dict[str, Any]:
        """For bench.json."""
        return {**asdict(self), "most": self.most, "processes": PROCESSES}

    def __str__(self) -> str:
        return (
            f"The server answered {self.requests:,.0f} requests/s of {PROCESSES} processes on raw sockets with "
            f"{self.share:.0%} of its core, so a whole core answers {self.most:,.0f}."
        )


def capacity(server: Server, seconds: float) -> Capacity:
    """Ask for so long, plain, 1 experience."""
    target = Target(server.plain, server.authority, ONE)
    with SPAWN.Pool(PROCESSES) as pool:
        pool.starmap(_asks, [(target, 0.1)] * PROCESSES)
        before, started = server.cpu(), time.perf_counter()
        calls = sum(pool.starmap(_asks, [(target, seconds)] * PROCESSES))
        wall, used = time.perf_counter() - started, server.cpu() - before
    return Capacity(calls / wall, used / wall)


def _asks(target: Target, seconds: float) -> int:
    calls, until = 0, time.perf_counter() + seconds
    with BLOCKING[FLOOR][1](target) as call:
        while time.perf_counter() < until:
            call()
            calls += 1
    return calls
