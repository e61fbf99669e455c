"""Both clients under load, faults, forks and cancellation, for a bounded time.

    soak [--minutes 5] [--rate 167]   32 threads and 256 tasks, a tenth of the calls against faults
    soak --echo 100000                as fast as it goes: does anybody get another's answer?
    soak --race 10000                 calls at about the moment at which the server closes idle connections
    soak --cancelled 100000           callers that go away: is the pool whole afterwards?

Every call asks for a customer id of its own, which a good server repeats in its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count, cycle
from random import Random
from typing import Any

from attrs import Factory, astuple, define, evolve, frozen

from moengage_personalize import PersonalizeClient, PersonalizeError

from .figures import console, show, verdict
from .process import Held, held, peak, quiet
from .server import AWAY, IDLE, faults, serving
from .sides import SIDES, Side, Tasks, Threads, Worker, cancelled_after

KEY = "a"  # the one that the fault server spoils
THREADS, TASKS = 32, 256
FAULTY, CANCELLED = 0.1, 0.05  # of all calls, and of the async ones
QUICK, GAP = 0.02, 0.06  # seconds: of a call as fast as it goes, and how near to the end of a connection the calls are
HEALTHY_TIMEOUT, FAULTY_TIMEOUT, ECHO_TIMEOUT = 2.0, 0.5, 5.0  # seconds
CREDENTIALS: dict[str, Any] = {"workspace_id": "WS", "api_key": "the-key-of-the-soak"}
# What a client can see coming only if it waits before its next call, which here is up to chance.
UNFAIR = "surplus answer, late"

# What must hold.
OVERRUN = 0.250  # seconds
HEALTHY = 0.999
GROWTH = 64.0  # MB
SPARE = 4  # descriptors and threads that may be left


@frozen
class Target:
    """A client, what it talks to, and how long its calls may take."""

    client: Any
    name: str = "echo"
    healthy: bool = True
    timeout: float = HEALTHY_TIMEOUT


@define
class Tally:
    """What the calls ended as; shared by threads, each step of it being one of the interpreter's."""

    outcomes: list[tuple[bool, str]] = Factory(list[tuple[bool, str]])
    """Of each call: whether its server was a healthy one, and "value", "no value", "cancelled" or its error's class."""
    wrong: list[str] = Factory(list[str])
    outside: list[str] = Factory(list[str])
    overruns: list[tuple[float, str]] = Factory(list[tuple[float, str]])
    numbers: Any = Factory(count)
    seconds: float = 0.0

    def __iadd__(self, parts: Sequence[list[Any]]) -> Tally:
        for mine, other in zip(self.parts, parts, strict=True):
            mine.extend(other)
        return self

    @property
    def parts(self) -> tuple[list[Any], ...]:
        """What can be sent from process to process, and added to another."""
        return self.outcomes, self.wrong, self.outside, self.overruns

    def of(self, healthy: bool) -> Counter[str]:
        """How often each outcome came."""
        return Counter(outcome for good, outcome in self.outcomes if good is healthy)

    @property
    def success(self) -> float:
        """The share of healthy calls that brought a value, of those that were not cancelled."""
        found = self.of(healthy=True)
        return found["value"] / max(1, found.total() - found["cancelled"])

    def broken(self, *, overrun: bool = True) -> list[str]:
        """Which promises were broken."""
        worst, which = max(self.overruns, default=(0.0, ""))
        found = [f"{len(self.wrong)} wrong answers: {self.wrong[:3]}"] if self.wrong else []
        found += [f"{len(self.outside)} from outside the tree: {self.outside[:3]}"] if self.outside else []
        found += [f"a deadline overrun by {worst * 1000:.0f} ms: {which}"] if overrun and worst > OVERRUN else []
        return found + ([f"healthy calls succeeded {self.success:.3%}"] if self.success < HEALTHY else [])


def call(target: Target, tally: Tally, cancel: float | None = None) -> Worker:
    """One call, whose caller goes away after so many seconds, if it has not ended by then."""
    visitor, started, outcome = f"visitor-{os.getpid()}-{next(tally.numbers)}", time.monotonic(), "cancelled"
    try:
        attempt = target.client.fetch(KEY, customer_id=visitor, timeout=target.timeout)
        found = yield attempt if cancel is None else cancelled_after(attempt, cancel)
        title = found.value(KEY, "Title", None)
        if title not in (visitor, None):
            tally.wrong.append(f"{target.name}: {visitor} got the answer of {title}")
        outcome = "value" if title else "no value"
    except asyncio.CancelledError:
        pass
    except Exception as error:  # noqa: BLE001 -- one that is not of the tree is what the soak looks for
        outcome = type(error).__name__
        if not isinstance(error, PersonalizeError):
            tally.outside.append(f"{target.name}: {error!r}")
    tally.outcomes.append((target.healthy, outcome))
    overrun = time.monotonic() - started - target.timeout
    if outcome != "cancelled" and (not tally.overruns or overrun > tally.overruns[-1][0]):
        tally.overruns.append((overrun, target.name))


def repeated(target: Target, tally: Tally, turns: Iterator[int], cancelled: float, dice: Random) -> Worker:
    """Calls as long as there are turns, that share of them cancelled within the time that a call takes."""
    for _ in turns:
        yield from call(target, tally, dice.random() * QUICK if dice.random() < cancelled else None)


def dice_of(seed: object) -> Random:
    """Chance that comes again."""
    return Random(str(seed))  # noqa: S311 -- to be repeated, not to be kept secret


# ---- Soak: for minutes, at a rate ------------------------------------------------------------------------------------


def paced(
    side: Side, healthy: Target, faulty: Iterator[Target], tally: Tally, turns: Iterator[float], dice: Random
) -> Worker:
    """Calls at their turns: mostly to the healthy target, else to the next of the faulty ones."""
    for at in turns:
        yield side.sleep(at - time.monotonic())
        bad = dice.random() < FAULTY
        target = next(faulty) if bad else healthy
        # A few milliseconds are midway for a healthy call, and some more for a faulty one.
        away = dice.random() * (0.3 if bad else 0.005)
        yield from call(target, tally, away if side.name == "async" and dice.random() < CANCELLED else None)


def turns_of(number: int, start: float, seconds: float, rate: float) -> Iterator[float]:
    """When this worker is to call, so that all together keep the rate; one that is late leaves turns out."""
    at = start + number / rate
    while at < start + seconds:
        if at > time.monotonic() - 0.1:
            yield at
        at += (THREADS + TASKS) / rate


def soak(minutes: float, rate: float) -> list[str]:
    """Both clients side by side; the event loop in a thread of its own."""
    tally = Tally(seconds=minutes * 60)
    with serving() as server, faults() as known, ExitStack() as clients:
        outside = held()
        start, dice = time.monotonic() + 1, dice_of(minutes)
        workers: list[tuple[Side, list[Worker]]] = []
        sides: list[Side] = [Threads(), Tasks()]
        for side, first, many in zip(sides, (0, THREADS), (THREADS, TASKS), strict=True):
            clients.enter_context(side)
            healthy = Target(_opened(clients, side, server.url("echo")), f"healthy, {side.name}")
            faulty = [
                Target(
                    _opened(clients, side, one.url, circuit_breaker=None), f"{one}, {side.name}", False, FAULTY_TIMEOUT
                )
                for one in known
                if one.mode != UNFAIR
            ]
            turns = [turns_of(first + number, start, minutes * 60, rate) for number in range(many)]
            others = cycle(faulty)
            workers.append((side, [paced(side, healthy, others, tally, each, dice) for each in turns]))
        (threads, blocking), (tasks, awaited) = workers
        with peak(0.5, tasks.loop) as highest, ThreadPoolExecutor(1) as other:
            running = other.submit(threads.run, blocking)
            tasks.run(awaited)
            running.result()
        clients.close()
        quiet(outside, 10.0)
        gc.collect()
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # what the allocator only keeps for later is not held
        after = evolve(held(), tasks=tasks.left)
    good, bad = tally.of(healthy=True), tally.of(healthy=False)
    rows = [[name, f"{good[name]:,}", f"{bad[name]:,}"] for name in sorted({*good, *bad}, key=lambda name: -bad[name])]
    show("Outcomes", ["outcome", "healthy", "faulty"], rows)
    worst, which = max(tally.overruns, default=(0.0, ""))
    console().print(
        f"calls: {len(tally.outcomes):,}, {len(tally.outcomes) / tally.seconds:.0f}/s; wrong answers: "
        f"{len(tally.wrong)}; outside the tree: {len(tally.outside)}\nhealthy calls that succeeded: "
        f"{tally.success:.3%}; worst overrun: {worst * 1000:.0f} ms ({which})"
    )
    return tally.broken() + leaked(outside, highest.most, after)


def _opened(clients: ExitStack, side: Side, url: str, **options: Any) -> Any:
    return clients.enter_context(side.opened(lambda: side.client(**CREDENTIALS, base_url=url, **options)))


def leaked(before: Held, between: Held, after: Held) -> list[str]:
    """Print what was held, and say what was left."""
    names, spare = ("memory, MB", "descriptors", "threads", "tasks"), (GROWTH, SPARE, SPARE, 0)
    columns = [astuple(held) for held in (before, between, after)]
    rows = [[name, *(f"{one[n]:.0f}" for one in columns)] for n, name in enumerate(names)]
    show("Held by this process", ["", "start", "most", "end"], rows)
    left = zip(names, astuple(after.since(before)), spare, strict=True)
    return [f"{name}: {number:.0f} left" for name, number, allowed in left if number > allowed]


# ---- Echo: as fast as it goes ----------------------------------------------------------------------------------------


def echo(calls: int) -> list[str]:
    """A quarter of the calls each from forked processes, threads, tasks, and tasks among cancellation and surplus."""
    with serving() as server:
        # The forks come first, while this process has no threads.
        legs: dict[str, Callable[[], Tally]] = {
            "forks": lambda: forked(server.url("echo"), calls // 4),
            "threads": lambda: crowd(Threads(), server.url("echo"), calls // 4),
            "tasks": lambda: crowd(Tasks(), server.url("echo"), calls // 4),
            "tasks, cancelled, surplus": lambda: crowd(Tasks(), server.url("surplus"), calls // 4, 0.1),
        }
        tallies = _timed(legs)
    return [f"{name}: {what}" for name, tally in tallies.items() for what in tally.broken(overrun=False)]


def _timed(legs: dict[str, Callable[[], Tally]]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for name, leg in legs.items():
        started = time.monotonic()
        tallies[name] = leg()
        tallies[name].seconds = time.monotonic() - started
    rows: list[list[str]] = []
    for name, tally in tallies.items():
        found = tally.of(healthy=True)
        errors = ", ".join(f"{number} {outcome}" for outcome, number in found.items() if outcome[0].isupper())
        numbers = (found.total(), len(tally.wrong), found["value"], found["cancelled"])
        rows.append([name, *(f"{n:,}" for n in numbers), errors, f"{found.total() / tally.seconds:,.0f}"])
    show("", ["from", "calls", "wrong", "values", "cancelled", "errors", "calls/s"], rows)
    console().print(f"wrong answers: {sum(len(tally.wrong) for tally in tallies.values())}")
    return tallies


def crowd(side: Side, url: str, calls: int, cancelled: float = 0.0) -> Tally:
    """All the calls from one client, by 32 at once."""
    with side, side.opened(lambda: side.client(**CREDENTIALS, base_url=url)) as client:
        return together(side, client, calls, THREADS, cancelled)


def together(side: Side, client: Any, calls: int, workers: int, cancelled: float = 0.0) -> Tally:
    """So many calls by so many workers."""
    tally, turns = Tally(), iter(range(calls))
    target = Target(client, f"echo, {side.name}", timeout=ECHO_TIMEOUT)
    dice = dice_of(calls)
    side.run([repeated(target, tally, turns, cancelled, dice) for _ in range(workers)])
    return tally


def forked(url: str, calls: int) -> Tally:
    """One client, made and used before the forks, in four children and in the parent at the same time."""
    fork = multiprocessing.get_context("fork")

    def child(client: PersonalizeClient, pipe: Any) -> None:
        with Threads() as side:
            pipe.send(together(side, client, calls // 5, 8).parts)

    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        with Threads() as side:
            tally = together(side, client, 8, 4)
        pipes = [fork.Pipe(duplex=False) for _ in range(4)]
        children = [fork.Process(target=child, args=(client, there)) for _, there in pipes]
        for process in children:
            process.start()
        with Threads() as side:
            tally += together(side, client, calls - 8 - 4 * (calls // 5), 8).parts
        for (here, _), process in zip(pipes, children, strict=True):
            tally += here.recv()
            process.join()
    return tally


# ---- The keep-alive race, and cancelled calls ------------------------------------------------------------------------


def race(calls: int) -> list[str]:
    """Half of the calls from threads, half from tasks, each worker with a client of its own and no retries."""
    with serving() as server:
        tallies = _timed({side.name: partial(racing, side(), server.race, calls // 2) for side in SIDES})
        crossed = server.counts()[1]
    console().print(f"pieces of requests that met a closed connection: {crossed:,}")
    found = [f"{name}: {what}" for name, tally in tallies.items() for what in tally.broken()]
    failed = {name: len(tally.outcomes) - tally.of(healthy=True)["value"] for name, tally in tallies.items()}
    return found + [f"{name}: {number} visible failures" for name, number in failed.items() if number]


def racing(side: Side, url: str, calls: int) -> Tally:
    """Calls at about the moment at which the server closes the connection."""
    tally = Tally()

    def worker(number: int, client: Any) -> Worker:
        dice, target = dice_of(number), Target(client, f"race, {side.name}")
        for _ in range(calls // THREADS + 1):
            yield from call(target, tally)
            # An answer arrives when the server has waited for the time of one way already.
            yield side.sleep(IDLE - AWAY + dice.uniform(-GAP, GAP))

    with side, ExitStack() as clients:
        side.run([worker(number, _opened(clients, side, url, max_retries=0)) for number in range(THREADS)])
    return tally


def cancelled(calls: int) -> list[str]:
    """So many calls whose callers go away from a server that hangs; then 100 that must succeed, when it answers."""
    tally, healed, dice = Tally(), Tally(), dice_of(calls)
    with serving() as server:
        before, left, started = held(), iter(range(calls)), time.monotonic()
        with Tasks() as side, side.opened(lambda: side.client(**CREDENTIALS, base_url=server.url("hang"))) as client:
            target = Target(client, "hanging")

            def worker() -> Worker:
                for _ in left:
                    yield from call(target, tally, 0.001 + dice.random() * 0.009)

            side.run([worker() for _ in range(TASKS)])
            seconds, behind = time.monotonic() - started, held(side.loop)
            server.heal()
            side.run([call(target, healed) for _ in range(100)])
        after = evolve(quiet(before, 5.0), tasks=side.left)
    found, then = tally.of(healthy=True), healed.of(healthy=True)
    console().print(f"{found.total():,} calls in {seconds:.0f} s: {dict(found)}; of 100 after them: {dict(then)}")
    broken = healed.broken() + leaked(before, behind, after)
    return broken + ([] if then["value"] == 100 else [f"{then['value']} of 100 calls succeeded"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=167.0, help="calls a second; 167 is the limit of a workspace")
    parser.add_argument("--echo", type=int, metavar="CALLS", help="instead: does anybody get another's answer?")
    parser.add_argument("--race", type=int, metavar="CALLS", help="instead: is the keep-alive race ever seen?")
    parser.add_argument("--cancelled", type=int, metavar="CALLS", help="instead: is the pool whole afterwards?")


def run(options: argparse.Namespace) -> int:
    """One of the four."""
    for calls, measure in ((options.echo, echo), (options.race, race), (options.cancelled, cancelled)):
        if calls is not None:
            return verdict(measure(calls))
    return verdict(soak(options.minutes, options.rate))
