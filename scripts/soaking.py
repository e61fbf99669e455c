"""Both clients under load, with faults, forks and cancellation, for a bounded time; exit 1 if a promise was broken.

    scripts/soak [--minutes 5] [--rate 167]   # 32 threads and 256 tasks, a tenth of the calls against faults
    scripts/soak --echo 100000                # as fast as it goes: does anybody get another's answer?
    scripts/soak --cancelled 100000           # clients that go away: is the pool whole afterwards?
    scripts/soak --race 10000                 # calls at about the moment at which the server closes idle connections

The servers run in processes of their own: one that answers with the customer id that it was asked for, and the fault
server of the tests. Every call asks for a customer id of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from attrs import Factory, define, frozen
from process import descriptors, resident
from rich.console import Console
from rich.table import Table

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient, PersonalizeError

TESTS = Path(__file__).resolve().parents[1] / "tests" / "support"
KEY = "a"  # the one that the fault server spoils
THREADS, TASKS = 32, 256
CALL = 0.1  # seconds, about what one takes when calls are made as fast as it goes
FAULTY = 0.1  # of the calls
CANCELLED = 0.05  # of the async calls
AWAY, IDLE, GAP = 0.02, 0.25, 0.06  # seconds: one way, what a server waits for, and how near to that the calls are
HEALTHY_TIMEOUT, FAULTY_TIMEOUT = 2.0, 0.5  # seconds
CREDENTIALS: dict[str, Any] = {"workspace_id": "WS", "api_key": "the-key-of-the-soak"}
# What a client can see coming only if it waits before its next call, which here is up to chance.
UNFAIR = ("surplus answer, late",)

# What must hold.
OVERRUN = 0.250  # seconds
HEALTHY = 0.999
GROWTH = 64  # MB
SPARE = 4  # descriptors and threads that may be left

SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")

# ---- Servers, each in a process of its own ---------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Answers with the customer id of the request, as HTTP/1.1 needs it and no more, so that it costs little."""

    LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
    served = count(1)

    def __init__(self, surplus: int, healthy: Callable[[], bool]) -> None:
        self._surplus = surplus
        self._healthy = healthy
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            found = self.LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._asked(json.loads(rest[:length]))

    def _asked(self, asked: Any) -> None:
        if not self._healthy():
            return
        answer = _answer(asked["experience_key"], asked["identifiers"]["customer_id"])
        if self._surplus and next(self.served) % self._surplus == 0:
            answer += _answer(asked["experience_key"], "somebody else")
        self._transport.write(answer)


class Race(Echo):
    """An Echo 20 ms away in each direction that closes what has lain idle for too long."""

    met = 0  # requests that came to a connection which the server had closed

    def __init__(self) -> None:
        super().__init__(0, lambda: True)
        self._closed = False
        self._idle: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._far = self._transport
        self._transport = self  # so that what an Echo writes goes the long way

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(AWAY, self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        if self._closed:
            Race.met += 1
            asyncio.get_running_loop().call_later(AWAY, self._far.abort)
            return
        if self._idle is not None:
            self._idle.cancel()
        super().data_received(data)
        self._idle = asyncio.get_running_loop().call_later(IDLE, self._end)

    def _end(self) -> None:
        self._closed = True
        asyncio.get_running_loop().call_later(AWAY, self._far.close)

    def write(self, answer: bytes) -> None:
        asyncio.get_running_loop().call_later(AWAY, self._far.write, answer)


def _answer(keys: list[str], visitor: str) -> bytes:
    payload = {"Title": {"value": visitor, "data_type": "string"}}
    body = json.dumps({"experiences": {key: {"payload": payload, "experience_context": {"cid": key}} for key in keys}})
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def serve_echo(pipe: Connection, surplus: int, hanging: bool) -> None:
    """Say the base URL; hang, if so wished, until told to answer; end when told again, or when nobody is there."""
    asyncio.run(_serve_echo(pipe, surplus, hanging))


async def _serve_echo(pipe: Connection, surplus: int, hanging: bool) -> None:
    healthy = not hanging
    if await _listens(lambda: Echo(surplus, lambda: healthy), pipe):
        healthy = True
        pipe.send("healthy")
        await asyncio.get_running_loop().run_in_executor(None, _log_error, pipe)


async def _listens(protocol: Callable[[], Echo], pipe: Connection) -> bool:
    """Serve, say the base URL and wait; whether somebody told something, and is not just gone."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
    pipe.send({"": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"})
    return bool(await loop.run_in_executor(None, _log_error, pipe))


def serve_race(pipe: Connection) -> None:
    """Say the base URL; end when told, or when nobody is there."""
    asyncio.run(_serve_race(pipe))


async def _serve_race(pipe: Connection) -> None:
    if await _listens(Race, pipe):
        pipe.send(Race.met)


def serve_faults(pipe: Connection) -> None:
    """Say a base URL for each mode, plain and TLS, and the CA to trust; end when told, or when nobody is there."""
    sys.path.append(str(TESTS))
    faults: Any = importlib.import_module("faultserver")
    with faults.FaultServer() as server:
        urls: dict[str, str] = {"CA": server.ca_pem().decode()}
        for name, mode in faults.MODES.items():
            if not mode.tls_only:
                urls[name] = server.url(name)
            if not mode.plain_only:
                urls[f"{name}, TLS"] = server.url(name, tls=True)
        pipe.send(urls)
        _log_error(pipe)


def _log_error(pipe: Connection) -> object:
    with suppress(EOFError):
        return pipe.recv()
    return None


@define
class Served:
    """A server that runs."""

    urls: dict[str, str]
    pipe: Any

    @property
    def url(self) -> str:
        return self.urls[""]

    def heal(self) -> None:
        """Let the one that hangs answer from now on."""
        self.pipe.send("heal")
        self.pipe.recv()


@contextmanager
def serving(target: Callable[..., None], *arguments: object) -> Generator[Served]:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield Served(here.recv(), here)
    finally:
        here.close()
        process.join(10)
        process.kill()


# ---- Calls and what came of them -------------------------------------------------------------------------------------


@define
class Tally:
    """What came of the calls; for many threads, since each step of it is one of the interpreter's."""

    started: Any = Factory(count)
    outcomes: list[tuple[str, str]] = Factory(list[tuple[str, str]])
    """Of each call: "healthy" or "faulty", and a value or the class of its error."""
    wrong: list[str] = Factory(list[str])
    outside: list[str] = Factory(list[str])
    overruns: list[tuple[float, str]] = Factory(list[tuple[float, str]])

    def visitor(self) -> str:
        return f"visitor-{os.getpid()}-{next(self.started)}"

    def brought(self, call: Call, found: Experiences) -> None:
        title = found.value(KEY, "Title", None)
        if title not in (call.visitor, None):
            self.wrong.append(f"{call.target.name}: {call.visitor} got the answer of {title}")
        self._ended(call, "value" if title else "no value")

    def failed(self, call: Call, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.outcomes.append((call.target.kind, "cancelled"))
            return
        if not isinstance(error, PersonalizeError):
            self.outside.append(f"{call.target.name}: {error!r}")
        self._ended(call, type(error).__name__)

    def _ended(self, call: Call, outcome: str) -> None:
        self.outcomes.append((call.target.kind, outcome))
        overrun = time.monotonic() - call.at - call.target.timeout
        if not self.overruns or overrun > self.overruns[-1][0]:
            self.overruns.append((overrun, f"{call.target.name}, {call.target.side}"))


@frozen
class Target:
    """A client, what it talks to, and how long its calls may take."""

    name: str
    side: str
    client: Any
    kind: str = "healthy"
    timeout: float = HEALTHY_TIMEOUT


@define
class Call:
    """One call on its way."""

    target: Target
    visitor: str
    at: float = Factory(time.monotonic)


def call(target: Target, tally: Tally) -> None:
    made = Call(target, tally.visitor())
    try:
        tally.brought(made, target.client.fetch(KEY, customer_id=made.visitor, timeout=target.timeout))
    except Exception as error:  # noqa: BLE001 -- one that is not of the tree is what the soak looks for
        tally.failed(made, error)


async def call_async(target: Target, tally: Tally) -> None:
    made = Call(target, tally.visitor())
    try:
        tally.brought(made, await target.client.fetch(KEY, customer_id=made.visitor, timeout=target.timeout))
    except asyncio.CancelledError as error:
        tally.failed(made, error)
        raise
    except Exception as error:  # noqa: BLE001 -- one that is not of the tree is what the soak looks for
        tally.failed(made, error)


async def call_cancelled(target: Target, tally: Tally, after: float) -> None:
    """A call whose caller goes away after a moment, if it has not ended by then."""
    task = asyncio.create_task(call_async(target, tally))
    await asyncio.wait({task}, timeout=after)
    task.cancel()
    await asyncio.wait({task})


# ---- What the process holds ------------------------------------------------------------------------------------------


COUNTED = ("descriptors", "threads", "tasks")


@frozen
class Held:
    """What this process holds; tasks are those of the running event loop, but for the one that asks."""

    rss: float
    descriptors: int
    threads: int
    tasks: int


def held() -> Held:
    tasks = 0
    with suppress(RuntimeError):
        tasks = len(asyncio.all_tasks(asyncio.get_running_loop())) - 1
    return Held(resident(), descriptors(), threading.active_count(), tasks)


def trimmed() -> None:
    """Give back what the allocator only keeps for each of the threads, so that what stays is held."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


async def settled(before: Held, seconds: float = 5.0, only: Sequence[str] = COUNTED) -> Held:
    """What is held when everything has had time to end; sooner, if all of it has."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if all(getattr(held(), name) <= getattr(before, name) for name in only):
            break
        await asyncio.sleep(0.1)
    return held()


# ---- Soak ------------------------------------------------------------------------------------------------------------


@frozen
class FetchPlan:
    """How long and how often; each worker has its own turns, so that together they keep the rate."""

    start: float
    seconds: float
    rate: float

    def turns(self, worker: int) -> Iterator[float]:
        """When this worker is to call; one that is late leaves turns out."""
        at = self.start + worker / self.rate
        while at < self.start + self.seconds:
            if at > time.monotonic() - 0.1:
                yield at
            at += (THREADS + TASKS) / self.rate


class Clients:
    """Those of one side, sync or async: one for the healthy server and one for each faulty listener."""

    def __init__(self, kind: Any, url: str, faults: dict[str, str]) -> None:
        side = "sync" if kind is PersonalizeClient else "async"
        self.healthy = Target("healthy", side, kind(**CREDENTIALS, base_url=url))
        self.faulty = [
            Target(name, side, kind(**CREDENTIALS, base_url=url, circuit_breaker=None), "faulty", FAULTY_TIMEOUT)
            for name, url in faults.items()
            if not name.startswith(UNFAIR)
        ]
        self._turn = count()

    def next(self, dice: Random) -> Target:
        """The healthy one mostly; of the others each in turn."""
        return self.faulty[next(self._turn) % len(self.faulty)] if dice.random() < FAULTY else self.healthy

    def close(self) -> None:
        for target in (self.healthy, *self.faulty):
            target.client.close()

    async def aclose(self) -> None:
        for target in (self.healthy, *self.faulty):
            await target.client.aclose()


def dice_of(seed: int) -> Random:
    return Random(seed)  # noqa: S311 -- to be repeated, not to be kept secret


def work(worker: int, plan: FetchPlan, clients: Clients, tally: Tally) -> None:
    dice = dice_of(worker)
    for at in plan.turns(worker):
        time.sleep(max(0.0, at - time.monotonic()))
        call(clients.next(dice), tally)


async def work_async(worker: int, plan: FetchPlan, clients: Clients, tally: Tally) -> None:
    dice = dice_of(worker)
    for at in plan.turns(worker):
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        target = clients.next(dice)
        if dice.random() < CANCELLED:
            # A few milliseconds are midway for a healthy call, and some more for a faulty one.
            await call_cancelled(target, tally, dice.random() * (0.005 if target is clients.healthy else 0.3))
        else:
            await call_async(target, tally)


async def soak(console: Console, minutes: float, rate: float) -> list[str]:
    """Both clients side by side for so many minutes; what was broken."""
    with serving(serve_echo, 0, False) as echo, serving(serve_faults) as faults, trusting(faults.urls.pop("CA")):
        before, tally = held(), Tally()
        sync = Clients(PersonalizeClient, echo.url, faults.urls)
        other = Clients(AsyncPersonalizeClient, echo.url, faults.urls)
        peaks = [before]
        plan = FetchPlan(time.monotonic() + 0.5, minutes * 60, rate)
        threads = [threading.Thread(target=work, args=(worker, plan, sync, tally)) for worker in range(THREADS)]
        for thread in threads:
            thread.start()
        watching = asyncio.create_task(watch(peaks))
        await asyncio.gather(*(work_async(THREADS + task, plan, other, tally) for task in range(TASKS)))
        watching.cancel()
        await settled(before, 10.0, only=("threads",))
        sync.close()
        await other.aclose()
        after = await settled(before)
        trimmed()
        after = held()
    show_soak(console, tally, minutes * 60)
    show_held(console, before, peaks, after)
    return judged(tally) + leaked(before, after)


async def watch(peaks: list[Held]) -> None:
    """Note what is held, again and again."""
    while True:
        peaks.append(held())
        await asyncio.sleep(0.5)


@contextmanager
def trusting(pem: str) -> Generator[None]:
    """Have the clients of this process trust a CA, as a service would be told to; before the first connection."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        os.environ["SSL_CERT_FILE"] = file.name
        yield


# ---- Echo: as fast as it goes ----------------------------------------------------------------------------------------


def echo(console: Console, calls: int) -> list[str]:
    """A quarter of the calls each from threads, tasks, forked processes, and tasks among cancellation and surplus."""
    quarter = calls // 4
    tallies: dict[str, Tally] = {}
    seconds: dict[str, float] = {}
    with serving(serve_echo, 0, False) as plain, serving(serve_echo, 10, False) as surplus:
        # The forks come first, while this process has no threads.
        legs: dict[str, Callable[[], Tally]] = {
            "forks": lambda: echo_forks(plain.url, quarter),
            "threads": lambda: echo_threads(plain.url, quarter),
            "tasks": lambda: asyncio.run(echo_tasks(plain.url, quarter, cancelled=0.0)),
            "tasks, cancelled, surplus": lambda: asyncio.run(echo_tasks(surplus.url, quarter, cancelled=0.1)),
        }
        for name, leg in legs.items():
            started = time.monotonic()
            tallies[name] = leg()
            seconds[name] = time.monotonic() - started
    show_echo(console, tallies, seconds)
    return [f"{name}: {what}" for name, tally in tallies.items() for what in judged(tally, overrun=False)]


def echo_threads(url: str, calls: int) -> Tally:
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        return threaded(client, calls, THREADS)


def threaded(client: PersonalizeClient, calls: int, threads: int) -> Tally:
    tally, target, left = Tally(), Target("echo", "sync", client, timeout=5.0), iter(range(calls))

    def work() -> None:
        for _ in left:
            call(target, tally)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return tally


async def echo_tasks(url: str, calls: int, cancelled: float, tasks: int = 32) -> Tally:
    tally, left, dice = Tally(), iter(range(calls)), dice_of(calls)
    async with AsyncPersonalizeClient(**CREDENTIALS, base_url=url) as client:
        target = Target("echo", "async", client, timeout=5.0)

        async def work() -> None:
            for _ in left:
                if dice.random() < cancelled:
                    await call_cancelled(target, tally, dice.random() * CALL)
                else:
                    await call_async(target, tally)

        await asyncio.gather(*(work() for _ in range(tasks)))
    return tally


def echo_forks(url: str, calls: int) -> Tally:
    """One client, made and used before the forks, in four children and in the parent at the same time."""
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        tally = threaded(client, 8, 4)
        pipes: list[Any] = []
        children: list[Any] = []
        for _ in range(4):
            here, there = FORK.Pipe(duplex=False)
            children.append(FORK.Process(target=echo_child, args=(client, calls // 5, there)))
            children[-1].start()
            there.close()
            pipes.append(here)
        tallies = [tally, threaded(client, calls - 8 - 4 * (calls // 5), 8)]
        for pipe, child in zip(pipes, children, strict=True):
            tallies.append(Tally(count(), *pipe.recv()))
            child.join()
    return together(tallies)


def echo_child(client: PersonalizeClient, calls: int, pipe: Connection) -> None:
    tally = threaded(client, calls, 8)
    pipe.send((tally.outcomes, tally.wrong, tally.outside, tally.overruns))


def together(tallies: list[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.outcomes += tally.outcomes
        whole.wrong += tally.wrong
        whole.outside += tally.outside
        whole.overruns += tally.overruns
    return whole


# ---- Cancelled calls -------------------------------------------------------------------------------------------------


async def cancelled(console: Console, calls: int) -> list[str]:
    """So many calls whose callers go away from a server that hangs; then 100 that must succeed, when it answers."""
    with serving(serve_echo, 0, True) as server:
        before, tally, after = held(), Tally(), Tally()
        client = AsyncPersonalizeClient(**CREDENTIALS, base_url=server.url)
        target = Target("hanging", "async", client)
        started = time.monotonic()
        left, dice = iter(range(calls)), dice_of(calls)

        async def work() -> None:
            for _ in left:
                await call_cancelled(target, tally, 0.001 + dice.random() * 0.009)

        await asyncio.gather(*(work() for _ in range(TASKS)))
        seconds, left_behind = time.monotonic() - started, held()
        server.heal()
        await asyncio.gather(*(call_async(target, after) for _ in range(100)))
        quiet = await settled(before, 1.0)
        await client.aclose()
        end = await settled(before)
    show_cancelled(console, tally, seconds, after)
    show_held(console, before, [left_behind, quiet], end)
    successes = after.outcomes.count(("healthy", "value"))
    return judged(after) + leaked(before, end) + ([] if successes == 100 else [f"{successes} of 100 calls succeeded"])


# ---- The keep-alive race ---------------------------------------------------------------------------------------------


def race(console: Console, calls: int) -> list[str]:
    """Half of the calls from threads, half from tasks, each with a client of its own and no retries."""
    tallies: dict[str, Tally] = {}
    seconds: dict[str, float] = {}
    with serving(serve_race) as server:
        for name, leg in {"threads": race_threads, "tasks": race_tasks}.items():
            started = time.monotonic()
            tallies[name] = leg(server.url, calls // 2)
            seconds[name] = time.monotonic() - started
        server.pipe.send("how many")
        met = server.pipe.recv()
    show_echo(console, tallies, seconds)
    console.print(f"pieces of requests that met a closed connection: {met:,}", highlight=False)
    found = [f"{name}: {what}" for name, tally in tallies.items() for what in judged(tally)]
    failures = {
        name: len(tally.outcomes) - tally.outcomes.count(("healthy", "value")) for name, tally in tallies.items()
    }
    return found + [f"{name}: {number} visible failures" for name, number in failures.items() if number]


def gap(dice: Random) -> float:
    # An answer arrives when the server has waited for the time of one way already.
    return IDLE - AWAY + dice.uniform(-GAP, GAP)


def race_threads(url: str, calls: int) -> Tally:
    tally = Tally()

    def work(worker: int) -> None:
        dice = dice_of(worker)
        with PersonalizeClient(**CREDENTIALS, base_url=url, max_retries=0) as client:
            for _ in range(calls // THREADS + 1):
                call(Target("race", "sync", client), tally)
                time.sleep(gap(dice))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return tally


def race_tasks(url: str, calls: int) -> Tally:
    return asyncio.run(_race_tasks(url, calls))


async def _race_tasks(url: str, calls: int) -> Tally:
    tally = Tally()

    async def work(worker: int) -> None:
        dice = dice_of(worker)
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=url, max_retries=0) as client:
            for _ in range(calls // THREADS + 1):
                await call_async(Target("race", "async", client), tally)
                await asyncio.sleep(gap(dice))

    await asyncio.gather(*(work(number) for number in range(THREADS)))
    return tally


# ---- Verdict and tables ----------------------------------------------------------------------------------------------


def success(tally: Tally) -> float:
    """The share of healthy calls that brought a value, of those that were not cancelled."""
    found = Counter(outcome for kind, outcome in tally.outcomes if kind == "healthy" and outcome != "cancelled")
    return found["value"] / max(1, found.total())


def judged(tally: Tally, *, overrun: bool = True) -> list[str]:
    """What was broken."""
    worst, which = max(tally.overruns, default=(0.0, ""))
    found = [f"{len(tally.wrong)} wrong answers: {tally.wrong[:3]}"] if tally.wrong else []
    found += [f"{len(tally.outside)} from outside the tree: {tally.outside[:3]}"] if tally.outside else []
    found += [f"a deadline overrun by {worst * 1000:.0f} ms: {which}"] if overrun and worst > OVERRUN else []
    return found + ([f"healthy calls succeeded {success(tally):.3%}"] if success(tally) < HEALTHY else [])


def leaked(before: Held, after: Held) -> list[str]:
    found = [f"memory rose by {after.rss - before.rss:.0f} MB"] if after.rss - before.rss >= GROWTH else []
    for name in COUNTED:
        was, now = getattr(before, name), getattr(after, name)
        found += [f"{now - was} {name} left"] if now > was + (0 if name == "tasks" else SPARE) else []
    return found


def table_of(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    return table


def show_soak(console: Console, tally: Tally, seconds: float) -> None:
    found = Counter(tally.outcomes)
    table = table_of("Outcomes", "outcome", "healthy", "faulty")
    for outcome in sorted({outcome for _, outcome in found}, key=lambda name: -found["faulty", name]):
        table.add_row(outcome, f"{found['healthy', outcome]:,}", f"{found['faulty', outcome]:,}")
    console.print(table)
    worst, which = max(tally.overruns, default=(0.0, ""))
    console.print(
        f"calls: {found.total():,}, {found.total() / seconds:.0f}/s; wrong answers: {len(tally.wrong)}; "
        f"outside the tree: {len(tally.outside)}\n"
        f"healthy calls that succeeded: {success(tally):.3%}; worst overrun: {worst * 1000:.0f} ms ({which})",
        highlight=False,
    )


def show_held(console: Console, before: Held, between: list[Held], after: Held) -> None:
    table = table_of("Held by this process", "", "start", "most", "end")
    for name, label in {
        "rss": "memory, MB",
        "descriptors": "descriptors",
        "threads": "threads",
        "tasks": "tasks",
    }.items():
        values = [getattr(before, name), max(getattr(one, name) for one in (before, *between, after))]
        table.add_row(label, *(f"{value:.0f}" for value in (*values, getattr(after, name))))
    console.print(table)


def show_echo(console: Console, tallies: dict[str, Tally], seconds: dict[str, float]) -> None:
    table = table_of("Echo", "from", "calls", "wrong", "values", "cancelled", "errors", "calls/s")
    for name, tally in tallies.items():
        found = Counter(outcome for _, outcome in tally.outcomes)
        rest = ", ".join(f"{outcome} {number}" for outcome, number in found.items() if outcome[0].isupper())
        numbers = (found.total(), len(tally.wrong), found["value"], found["cancelled"])
        table.add_row(name, *(f"{number:,}" for number in numbers), rest, f"{found.total() / seconds[name]:,.0f}")
    console.print(table)
    console.print(f"wrong answers: {sum(len(tally.wrong) for tally in tallies.values())}", highlight=False)


def show_cancelled(console: Console, tally: Tally, seconds: float, after: Tally) -> None:
    found, then = (Counter(outcome for _, outcome in one.outcomes) for one in (tally, after))
    console.print(f"{found.total():,} calls in {seconds:.0f} s: {dict(found)}; of 100 after them: {dict(then)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Both clients under load, faults, cancellation.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=167.0, help="calls a second, the limit of a workspace")
    parser.add_argument("--echo", type=int, metavar="CALLS", help="instead: does anybody get another's answer?")
    parser.add_argument("--cancelled", type=int, metavar="CALLS", help="instead: is the pool whole afterwards?")
    parser.add_argument("--race", type=int, metavar="CALLS", help="instead: is the keep-alive race ever seen?")
    given = parser.parse_args()
    console = Console()
    if given.echo is not None:
        broken = echo(console, given.echo)
    elif given.race is not None:
        broken = race(console, given.race)
    elif given.cancelled is not None:
        broken = asyncio.run(cancelled(console, given.cancelled))
    else:
        broken = asyncio.run(soak(console, given.minutes, given.rate))
    for what in broken:
        console.print(f"FAILED: {what}", style="red", markup=False, highlight=False)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
