"""Every mode of the suite's fault server, by both clients, plain and TLS.

A call must end as the mode allows, within its deadline and 50 ms, with at most 32 MB, and leave one idle connection at
most. With --left: so many calls of each kind, 50 at once; when their client is closed, nothing may be left of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from moengage_personalize import PersonalizeError

from .figures import console, show, verdict
from .process import held, peak, quiet
from .server import Fault, faults
from .sides import SIDES, Side, Worker

ALLOWED = 0.05  # seconds beyond the deadline
MEMORY = 32.0  # MB
LEFT = 1  # an idle connection, kept for the next call
AT_ONCE = 50


@frozen
class Row:
    """Calls of one kind: a mode, a side, a deadline; how each ended, and what they held."""

    fault: Fault
    side: str
    deadline: float
    ends: list[tuple[str, float]]
    """An outcome and the seconds that it took."""
    memory: float
    """MB, at the most while they ran."""
    kept: int
    """Descriptors and threads before the client was closed."""
    left: int
    """The same, when it was closed."""
    tasks: int

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(seconds for _, seconds in self.ends)

    def broken(self, at_once: int) -> list[str]:
        """Which promises were broken."""
        found: list[str] = []
        if at_once == 1:  # side by side they wait for each other, and the allocator keeps what it may need again
            others = {end for end, _ in self.ends} - self.fault.outcomes
            found += [f"ended as {', '.join(sorted(others))}"] if others else []
            found += [f"{self.slowest:.3f} s"] if self.slowest > self.deadline + ALLOWED else []
            found += [f"{self.memory:.0f} MB"] if self.memory > MEMORY else []
            found += [f"{self.kept} kept"] if self.kept > LEFT else []
        found += [f"{self.left} left"] if self.left > 0 else []
        return found + ([f"{self.tasks} tasks left"] if self.tasks else [])

    def texts(self, at_once: int) -> list[str]:
        """For the table."""
        times = [seconds for _, seconds in self.ends]
        outcomes = Counter(end for end, _ in self.ends).most_common()
        return [
            *(str(self.fault), self.side, f"{self.deadline:g}"),
            ", ".join(f"{number} {end}" for end, number in outcomes),
            *(f"{seconds:.3f}" for seconds in (min(times), statistics.median(times), max(times))),
            *(f"{self.memory:.1f}", str(self.kept), str(self.left), str(self.tasks)),
            ", ".join(self.broken(at_once)),
        ]


def worker(client: Any, turns: Iterator[int], ends: list[tuple[str, float]]) -> Worker:
    """Call while there are turns; what is not of the tree of errors ends the measurement."""
    for _ in turns:
        started, end = time.monotonic(), "value"
        try:
            yield client.fetch("a", customer_id="visitor")
        except PersonalizeError as error:
            end = type(error).__name__
        ends.append((end, time.monotonic() - started))


def measure(fault: Fault, side: Side, deadline: float, calls: int, at_once: int) -> Row:
    """So many calls of one client that shows what each request met."""
    ends: list[tuple[str, float]] = []
    outside, turns = held(), iter(range(calls))
    with side:
        side.run([_pause(side) for _ in range(at_once)])  # which starts the threads
        before = held(side.loop)
        with side.opened(
            lambda: side.client("WS", "key", base_url=fault.url, timeout=deadline, max_retries=0, circuit_breaker=None)
        ) as client:
            with peak(0.002) as highest:
                side.run([worker(client, turns, ends) for _ in range(at_once)])
            side.run([_pause(side)])  # in which a connection that was given up closes
            kept = held(side.loop).since(before).open
    left = quiet(outside, 2.0).since(outside).open
    return Row(fault, side.name, deadline, ends, highest.most.memory - before.memory, kept, left, side.left)


def _pause(side: Side) -> Worker:
    yield side.sleep(0.01)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--deadlines", type=float, nargs="+", default=[0.1, 0.5, 2.0], metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each kind (default: 3)")
    parser.add_argument("--modes", nargs="+", default=[], metavar="MODE", help="only these")
    parser.add_argument("--left", type=int, metavar="CALLS", help="so many of each at the first deadline, 50 at once")


def run(options: argparse.Namespace) -> int:
    """Every kind of call in a row of its own."""
    calls, at_once, deadlines = options.rounds, 1, options.deadlines
    if options.left is not None:
        calls, at_once, deadlines = options.left, AT_ONCE, [min(options.deadlines)]
    rows: list[Row] = []
    with faults() as known:
        unknown = set(options.modes) - {fault.mode for fault in known}
        if unknown:
            raise SystemExit(f"expected modes of tests/support/faultserver.py, got {sorted(unknown)}")
        for fault in known:
            if not options.modes or fault.mode in options.modes:
                rows += [measure(fault, side(), deadline, calls, at_once) for side in SIDES for deadline in deadlines]
    head = ("fault", "side", "deadline", "outcomes", "min", "median", "max", "MB", "kept", "left", "tasks", "broken")
    show("", head, [row.texts(at_once) for row in rows])
    console().print(
        f"{len(rows)} rows, {sum(len(row.ends) for row in rows):,} calls; worst overrun "
        f"{max(row.slowest - row.deadline for row in rows) * 1000:.0f} ms, most memory "
        f"{max(row.memory for row in rows):.1f} MB; {sum(bool(row.broken(at_once)) for row in rows)} broken"
    )
    wrong = [row for row in rows if row.broken(at_once)]
    return verdict([f"{row.fault}, {row.side}, {row.deadline:g} s: {', '.join(row.broken(at_once))}" for row in wrong])
