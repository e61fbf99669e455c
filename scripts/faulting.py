"""Every mode of the tests' fault server, by both clients, plain and TLS: outcome, seconds, memory, what is left."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import frozen
from faultserver import MODES, FaultServer
from process import descriptors, resident
from rich.console import Console
from rich.table import Table

from moengage_personalize import AsyncPersonalizeClient, Experiences, PersonalizeClient, PersonalizeError

ALLOWED = 0.05  # seconds beyond the deadline
MEMORY = 32.0  # MB
SIDE_BY_SIDE = 50
LEFT = 2  # an idle connection, kept for the next call, and the file in which the memory is looked up
Url = tuple[str, bool]


@frozen
class Row:
    """One mode, one client, one transport, one deadline."""

    mode: str
    client: str
    tls: bool
    deadline: float
    ends: Counter[str]
    seconds: list[float]
    memory: float
    left: int

    @property
    def wrong(self) -> bool:
        """Whether a promise was broken."""
        late = max(self.seconds) > self.deadline + ALLOWED
        return late or self.memory > MEMORY or self.left > LEFT or not set(self.ends) <= MODES[self.mode].outcomes


def serve(pipe: Connection) -> None:
    """The fault server in a process of its own, so that its memory is not counted."""
    with FaultServer() as server:
        cases = ((mode, tls) for mode in MODES.values() for tls in (False, True))
        wanted = [(mode.name, tls) for mode, tls in cases if not (mode.plain_only if tls else mode.tls_only)]
        pipe.send(({(name, tls): server.url(name, tls=tls) for name, tls in wanted}, server.ca_pem()))
        pipe.recv()


@contextmanager
def serving() -> Generator[dict[Url, str]]:
    """Run the fault server, trust its CA, and give the URL of each mode."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    urls, pem = ours.recv()
    with tempfile.NamedTemporaryFile(suffix=".pem") as bundle:
        Path(bundle.name).write_bytes(pem)
        os.environ["SSL_CERT_FILE"] = bundle.name
        yield urls
    ours.send("stop")
    process.join()


@contextmanager
def peak() -> Generator[Callable[[], float]]:
    """What memory rises by inside the block, looked at each 2 ms."""
    before, highest, done = resident(), [resident()], threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            highest[0] = max(highest[0], resident())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield lambda: highest[0] - before
    finally:
        done.set()
        looking.join()


def held() -> int:
    """Descriptors and threads of this process."""
    return descriptors() + threading.active_count()


def arguments(url: str, deadline: float) -> dict[str, Any]:
    """Of a client that shows what one request met."""
    return {"base_url": url, "timeout": deadline, "max_retries": 0, "circuit_breaker": None}


def calls(client: str, url: str, deadline: float, rounds: int, left: list[int]) -> Iterator[tuple[str, float]]:
    """How each call ended, and after how many seconds; `left` is told what is held after them and was not before."""
    given = arguments(url, deadline)
    with asyncio.Runner() as runner:
        runner.get_loop()
        before = held()
        asked = (PersonalizeClient if client == "sync" else AsyncPersonalizeClient)("WS", "key", **given)
        for _ in range(rounds):
            started = time.monotonic()
            if isinstance(asked, PersonalizeClient):
                end = ended(lambda: asked.fetch("a", customer_id="visitor"))
            else:
                end = ended(lambda: runner.run(asked.fetch("a", customer_id="visitor")))
            yield end, time.monotonic() - started
        if client == "async":
            runner.run(asyncio.sleep(0.01))
        left.append(held() - before)
        if isinstance(asked, PersonalizeClient):
            asked.close()
        else:
            runner.run(asked.aclose())


def ended(call: Callable[[], Experiences]) -> str:
    """The name of an outcome; what is not of the tree is not caught."""
    try:
        call()
    except PersonalizeError as error:
        return type(error).__name__
    return "value"


def measure(urls: dict[Url, str], modes: list[str], deadlines: list[float], rounds: int) -> Iterator[Row]:
    """A row for each mode, client, transport and deadline."""
    for (mode, tls), url in urls.items():
        if modes and mode not in modes:
            continue
        for client in ("sync", "async"):
            for deadline in deadlines:
                left: list[int] = []
                with peak() as memory:
                    outcomes = list(calls(client, url, deadline, rounds, left))
                    risen = memory()
                ends = Counter(end for end, _ in outcomes)
                yield Row(mode, client, tls, deadline, ends, [seconds for _, seconds in outcomes], risen, *left)


@frozen
class Remains:
    """What so many calls of one kind left behind them, once their client was closed."""

    mode: str
    client: str
    tls: bool
    ends: Counter[str]
    memory: float
    left: int
    tasks: int

    @property
    def wrong(self) -> bool:
        """Whether anything stayed; one descriptor is the file in which the memory is looked up.

        Memory is shown and not judged: of 50 calls at once the allocator keeps what it may need again.
        """
        return self.left > 1 or self.tasks > 0


def remain(urls: dict[Url, str], modes: list[str], deadline: float, number: int) -> Iterator[Remains]:
    """For each mode, client and transport: many calls, side by side, and what is held when they have ended."""
    for (mode, tls), url in urls.items():
        if modes and mode not in modes:
            continue
        for client, many in (("sync", many_sync), ("async", many_async)):
            before, memory = held(), resident()
            ends, tasks = many(arguments(url, deadline), number)
            until = time.monotonic() + 2
            while held() > before and time.monotonic() < until:
                time.sleep(0.01)
            yield Remains(mode, client, tls, ends, resident() - memory, held() - before, tasks)


def many_sync(given: Any, number: int) -> tuple[Counter[str], int]:
    """How many calls of one client ended, from threads."""
    with PersonalizeClient("WS", "key", **given) as client, ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        asked = [threads.submit(ended, lambda: client.fetch("a", customer_id="visitor")) for _ in range(number)]
        return Counter(call.result() for call in asked), 0


def many_async(given: Any, number: int) -> tuple[Counter[str], int]:
    """How many calls of one client ended, from tasks, and how many tasks were left."""
    return asyncio.run(_many_async(given, number))


async def _many_async(given: Any, number: int) -> tuple[Counter[str], int]:
    ends: Counter[str] = Counter()
    left = iter(range(number))

    async def work(client: AsyncPersonalizeClient) -> None:
        for _ in left:
            try:
                await client.fetch("a", customer_id="visitor")
                ends["value"] += 1
            except PersonalizeError as error:
                ends[type(error).__name__] += 1

    async with AsyncPersonalizeClient("WS", "key", **given) as client:
        await asyncio.gather(*(work(client) for _ in range(SIDE_BY_SIDE)))
    await asyncio.sleep(0.05)
    return ends, len(asyncio.all_tasks()) - 1


def show_remains(urls: dict[Url, str], modes: list[str], deadline: float, number: int) -> int:
    """Print what is left of so many calls of each kind; 1 if anything is."""
    table = Table("mode", "client", "over", f"{number:,} calls ended", "MB", "left", "tasks", "")
    rows: list[Remains] = []
    for row in remain(urls, modes, deadline, number):
        rows.append(row)
        ends = ", ".join(f"{end} {times}" for end, times in row.ends.most_common())
        over = "TLS" if row.tls else "plain"
        verdict = "broken" if row.wrong else ""
        table.add_row(row.mode, row.client, over, ends, f"{row.memory:.1f}", str(row.left), str(row.tasks), verdict)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    wrong = sum(row.wrong for row in rows)
    print(f"{len(rows)} rows, {sum(row.ends.total() for row in rows):,} calls; {wrong} broken")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--deadlines", type=float, nargs="+", default=[0.1, 0.5, 2.0], metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each kind (default: 3)")
    parser.add_argument("--modes", nargs="+", default=[], metavar="MODE", choices=list(MODES), help="only these")
    parser.add_argument("--left", type=int, metavar="CALLS", help="instead: so many of each, and what they leave")
    options = parser.parse_args()
    if options.left is not None:
        with serving() as urls:
            return show_remains(urls, options.modes, min(options.deadlines), options.left)
    table = Table("mode", "client", "over", "deadline", "outcome", "min", "median", "max", "MB", "left", "")
    rows: list[Row] = []
    with serving() as urls:
        for row in measure(urls, options.modes, options.deadlines, options.rounds):
            rows.append(row)
            took = (min(row.seconds), statistics.median(row.seconds), max(row.seconds))
            table.add_row(
                row.mode,
                row.client,
                "TLS" if row.tls else "plain",
                f"{row.deadline:g}",
                ", ".join(sorted(row.ends)),
                *(f"{seconds:.3f}" for seconds in took),
                f"{row.memory:.1f}",
                str(row.left),
                "broken" if row.wrong else "",
            )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    wrong = sum(row.wrong for row in rows)
    overrun = max(max(row.seconds) - row.deadline for row in rows)
    console.print(
        f"{len(rows)} rows, {sum(len(row.seconds) for row in rows)} calls; worst overrun {overrun * 1000:.0f} ms, "
        f"most memory {max(row.memory for row in rows):.1f} MB; {wrong} broken"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
