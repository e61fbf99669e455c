"""Events through processes that end, fork, are killed and serve pages, and through an outage: what arrives, how often.

Each event must arrive once; after kill -9 every event whose put() had returned must arrive, perhaps twice.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import event_programs
import web_servers
from attrs import frozen
from event_samples import fail, received

from moengage_personalize import PersonalizeClient, sandbox

from .figures import percentile, show, timed, verdict
from .process import resident

# Of a put during an outage, the 99.9th percentile: seconds, or so many empty calls where the machine is slower.
PUT, EMPTY_CALLS = 100e-6, 10


@frozen
class Row:
    """One drill: what was put, what arrived, what arrived more than once, and which other promise was broken."""

    name: str
    put: int
    arrived: int
    duplicates: int
    note: str = ""
    other: str = ""

    @property
    def broken(self) -> str:
        """Empty, if every promise was kept."""
        return self.other or ("" if self.arrived == self.put else f"{self.put} put, {self.arrived} arrived")


def row(url: str, name: str, put: int, note: str = "", other: str = "") -> Row:
    """What the sandbox at this base URL has received, beside what was put."""
    found = received(url)
    return Row(name, put, found["count"], found["duplicates"], note, other)


def reporting(url: str) -> PersonalizeClient:
    """A client that reports to it."""
    return PersonalizeClient(**event_programs.CREDENTIALS, base_url=url, timeout=5)


def receiving() -> AbstractContextManager[str]:
    """A sandbox without a rate limit, in a thread."""
    return sandbox.serve(sandbox.app(rate_limit=10**9))


@contextmanager
def apart() -> Generator[str]:
    """The sandbox in a process of its own, as the API is: in this one it would hold up what is timed."""
    command = [sys.executable, "-m", "moengage_personalize", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            lines = (line.strip() for line in process.stdout or ())
            yield next(line.partition("=")[2] for line in lines if "BASE_URL" in line)
        finally:
            process.terminate()


def program(way: str, url: str, count: int, *spool: Path) -> subprocess.Popen[str]:
    """One of the programs of tests/support/event_programs.py, as a process."""
    command = [sys.executable, str(Path(event_programs.__file__)), way, url, str(count), *map(str, spool)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What a program printed, once it has ended well."""
    text = process.communicate(timeout=120)[0]
    if process.returncode:
        raise RuntimeError(f"expected {process.args!r} to end with 0, got {process.returncode}")
    return text.strip()


def ends(count: int) -> Iterator[Row]:
    """Processes that end in many ways without closing anything."""
    ways = ("exit_without_close", "async_exit_without_close", "fork", "fork_by_multiprocessing")
    for way in ways:
        with receiving() as url:
            finished(program(way, url, count))
            yield row(url, way.replace("_", " "), count * (2 if "fork" in way else 1))


def servers(count: int) -> Iterator[Row]:
    """Web servers with several workers, stopped as a deployment stops them."""
    for name, command in web_servers.SERVERS.items():
        with receiving() as url:
            with web_servers.serving(command, url) as address, ThreadPoolExecutor(16) as threads:
                pages = [f"{address}/event?visitor-{number}" for number in range(count)]
                list(threads.map(web_servers.answers, pages))
            yield row(url, name, count)


def put_each(reporter: Any, event: Any, seconds: float, took: list[float]) -> None:
    """Put one, note how long that took, and wait."""
    took.append(timed(partial(reporter.put, event))[0])
    time.sleep(seconds)


def quantiles(took: list[float]) -> str:
    """The middle and the slowest in a thousand."""
    slowest = percentile(sorted(took), 99.9) or 0.0
    return f"p50 {statistics.median(took) * 1e6:.0f} us, p99.9 {slowest * 1e6:.0f} us"


def outage(seconds: float) -> Iterator[Row]:
    """The API answers 503 for so long, while a page puts nearly as many events as the queue holds; then it is back.

    Without the garbage collector, as timeit measures: it takes 0.1 ms of whichever call happens to make an object next.
    """
    took: list[float] = []
    idle: list[float] = []
    with apart() as url, reporting(url) as client:
        reporter = client.reporter()
        fail(url, status=503, times=10**9)
        gc.disable()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            event = event_programs.event("visitor")
            put_each(reporter, event, seconds / 18_000, took)
            idle.append(timed(partial(str, event.uuid))[0])  # what this machine makes of next to nothing
            time.sleep(seconds / 18_000)
        gc.enable()
        fail(url, times=0)
        began = time.monotonic()
        while reporter.stats.queued and time.monotonic() - began < 60:
            time.sleep(0.01)
        note = f"all there {time.monotonic() - began:.1f} s after the end; put {quantiles(took)}; an empty call "
        reporter.close()
        slowest, empty = (percentile(sorted(times), 99.9) or 0.0 for times in (took, idle))
        slow = "" if slowest <= max(PUT, EMPTY_CALLS * empty) else f"put took more than {PUT * 1e6:.0f} us"
        yield row(url, f"outage of {seconds:g} s", len(took), note + quantiles(idle), slow)


def killed(rounds: int) -> Iterator[Row]:
    """A process is killed while it puts and sends, and started again; every `put` that returned has to arrive."""
    uuids: list[str] = []
    with receiving() as url, TemporaryDirectory() as folder:
        spool = Path(folder) / "spool"
        for number in range(rounds):
            with program(("put_until_killed", "async_put_until_killed")[number % 2], url, 20, spool) as running:
                assert running.stdout is not None
                first = running.stdout.readline()
                time.sleep(random.SystemRandom().uniform(0, 0.3))
                running.kill()
                uuids += [line.strip() for line in (first, *running.stdout) if line.endswith("\n")]
            finished(program("restart", url, 0, spool))
        found = received(url)
    arrived = {event["moe_event_uuid"] for event in found["events"]}
    missing, unsaid = len(set(uuids) - arrived), len(arrived - set(uuids))
    note = f"{missing} missing; {unsaid} more were written, but killed before put returned or that was printed"
    other = f"{missing} missing" if missing else ""
    yield Row(f"kill -9, {rounds} rounds", len(uuids), len(arrived) - unsaid, found["duplicates"], note, other)


def shared(number: int, count: int) -> Iterator[Row]:
    """Processes that put into one spool while nobody is killed."""
    with receiving() as url, TemporaryDirectory() as folder:
        running = [program("share", url, count, Path(folder) / "spool") for _ in range(number)]
        notes = " ".join({finished(one) for one in running})
        twice = received(url)["duplicates"]
        yield row(url, f"{number} share a spool", number * count, notes, f"{twice} twice" if twice else "")


def spooled(count: int) -> Iterator[Row]:
    """What a page waits for, with a spool and without."""
    for kind in ("without a spool", "with a spool"):
        took: list[float] = []
        with ExitStack() as opened:
            url, folder = opened.enter_context(receiving()), opened.enter_context(TemporaryDirectory())
            client = opened.enter_context(reporting(url))
            reporter = client.reporter(spool=Path(folder) / "spool" if kind == "with a spool" else None)
            for number in range(count):
                put_each(reporter, event_programs.event(f"visitor-{number}"), 0.001, took)
            reporter.close(30)
            yield row(url, f"put {kind}", count, quantiles(took))


def many(count: int) -> Iterator[Row]:
    """As many as it goes."""
    with receiving() as url, reporting(url) as client:
        made = [event_programs.event(f"visitor-{number}") for number in range(count)]
        before, reporter = resident(), client.reporter(queue_size=count)
        put, _ = timed(lambda: deque(map(reporter.put, made)))
        sent, _ = timed(lambda: reporter.flush(600))
        reporter.close()
        note = (
            f"{count / (put + sent):,.0f} events/s, {put / count * 1e6:.1f} us a put beside the thread that sends; "
            f"memory {resident() - before:+.0f} MB, the sandbox's own included"
        )
        yield row(url, f"{count:,} events", count, note)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--events", type=int, default=100_000, help="of the last drill")
    parser.add_argument("--outage", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=50, help="of kill -9")
    parser.add_argument(
        "--pages", type=int, default=1000, help="of each web server, and events of each sharing process"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="DRILL", help="such as ends, servers, killed")


def run(options: argparse.Namespace) -> int:
    """Every drill in rows of its own."""
    drills: dict[str, Callable[[], Iterator[Row]]] = {
        "ends": lambda: ends(20),
        "servers": lambda: servers(options.pages),
        "outage": lambda: outage(options.outage),
        "killed": lambda: killed(options.rounds),
        "shared": lambda: shared(4, options.pages),
        "spooled": lambda: spooled(5 * options.pages),
        "many": lambda: many(options.events),
    }
    rows = [row for name, drill in drills.items() if name in (options.only or drills) for row in drill()]
    head = ["drill", "put", "arrived", "more than once", "", "broken"]
    numbers = [[f"{number:,}" for number in (row.put, row.arrived, row.duplicates)] for row in rows]
    show("", head, [[row.name, *each, row.note, row.broken] for row, each in zip(rows, numbers, strict=True)])
    return verdict([f"{row.name}: {row.broken}" for row in rows if row.broken])
