"""Events through processes that end, fork, serve pages and meet an outage: what arrives, and how often."""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import event_programs
import httpx
import test_web_servers
from attrs import frozen
from process import resident
from rich.console import Console
from rich.table import Table

from benching.fresh import timed
from moengage_personalize import PersonalizeClient, sandbox

PUT = 100e-6  # seconds, the 99.9th percentile


@frozen
class Row:
    """One drill: what was put, what arrived, and what arrived more than once."""

    name: str
    put: int
    arrived: int
    duplicates: int
    note: str = ""
    broken: bool = False

    @property
    def wrong(self) -> bool:
        """Whether an event was lost or counted twice."""
        return self.broken or self.arrived != self.put


def told(url: str, path: str, **body: int) -> dict[str, int]:
    """Ask the sandbox, or tell it to fail."""
    address = url.removesuffix("/v1") + path
    answer = httpx.post(address, json=body) if body else httpx.get(address, timeout=60)
    found: dict[str, int] = answer.json()
    return found


def slowest(took: Sequence[float]) -> float:
    """The 99.9th percentile."""
    return statistics.quantiles(took, n=1000)[-1]


def quantiles(took: Sequence[float]) -> str:
    """The middle and the slowest in a thousand."""
    return f"p50 {statistics.median(took) * 1e6:.0f} us, p99.9 {slowest(took) * 1e6:.0f} us"


def processes(count: int) -> Iterator[Row]:
    """Processes that end in many ways without closing anything."""
    for way, put in (
        ("exit_without_close", count),
        ("async_exit_without_close", count),
        ("fork", 2 * count),
        ("fork_by_multiprocessing", 2 * count),
    ):
        with sandbox.serve() as url:
            subprocess.run(
                [sys.executable, str(Path(event_programs.__file__)), way, url, str(count)], check=True, timeout=60
            )
            kept = told(url, "/_sandbox/events")
        yield Row(way.replace("_", " "), put, kept["count"], kept["duplicates"])


def servers(count: int) -> Iterator[Row]:
    """Web servers with several workers, stopped as a deployment stops them."""
    for name, command in test_web_servers.SERVERS.items():
        with sandbox.serve() as url:
            with test_web_servers.serving(command, url) as address, ThreadPoolExecutor(16) as threads:
                pages = [f"{address}/event?visitor-{number}" for number in range(count)]
                list(threads.map(test_web_servers.answers, pages))
            kept = told(url, "/_sandbox/events")
        yield Row(name, count, kept["count"], kept["duplicates"])


@contextmanager
def apart() -> Generator[str]:
    """The sandbox in a process of its own, as the API is: in this one it would hold up what is timed."""
    command = [sys.executable, "-m", "moengage_personalize", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield next(line.strip().partition("=")[2] for line in process.stdout or () if "BASE_URL" in line)
        finally:
            process.terminate()


def outage(seconds: float) -> Iterator[Row]:
    """The API answers 503 for so long, while a page puts nearly as many events as the queue holds; then it is back."""
    took: list[float] = []
    idle: list[float] = []
    with apart() as url, PersonalizeClient(**event_programs.CREDENTIALS, base_url=url, timeout=5) as client:
        reporter = client.reporter()
        told(url, "/_sandbox/fail", status=503, times=10**9)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            event = event_programs.event("visitor")
            took.append(timed(partial(reporter.put, event))[0])
            time.sleep(seconds / 18_000)
            idle.append(timed(partial(str, event.uuid))[0])  # what this machine makes of next to nothing
            time.sleep(seconds / 18_000)
        told(url, "/_sandbox/fail", status=503, times=0)
        began = time.monotonic()
        while reporter.stats.queued and time.monotonic() - began < 60:
            time.sleep(0.01)
        after = time.monotonic() - began
        reporter.close()
        kept = told(url, "/_sandbox/events")
    note = f"all there {after:.1f} s after the end; put {quantiles(took)}; an empty call {quantiles(idle)}"
    yield Row(f"outage of {seconds:g} s", len(took), kept["count"], kept["duplicates"], note, slowest(took) > PUT)


def many(count: int) -> Iterator[Row]:
    """As many as it goes."""
    with sandbox.serve(sandbox.app(rate_limit=10**9)) as url:
        with PersonalizeClient(**event_programs.CREDENTIALS, base_url=url, timeout=5) as client:
            made = [event_programs.event(f"visitor-{number}") for number in range(count)]
            before = resident()
            reporter = client.reporter(queue_size=count)
            started = time.monotonic()
            for event in made:
                reporter.put(event)
            put = time.monotonic() - started
            reporter.flush(600)
            took = time.monotonic() - started
            reporter.close()
            note = (
                f"{count / took:,.0f} events/s, {put / count * 1e6:.1f} us a put beside the thread that sends; "
                f"memory {resident() - before:+.0f} MB, the sandbox's own included"
            )
        kept = told(url, "/_sandbox/events")
    yield Row(f"{count:,} events", count, kept["count"], kept["duplicates"], note)


def process(way: str, url: str, count: int, spool: Path) -> subprocess.Popen[str]:
    """One of the programs of tests/support/event_programs.py, with a spool."""
    command = [sys.executable, str(Path(event_programs.__file__)), way, url, str(count), str(spool)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed(rounds: int) -> Iterator[Row]:
    """A process is killed while it puts and sends, and started again; every `put` that returned has to arrive."""
    told_of: list[str] = []
    with sandbox.serve(sandbox.app(rate_limit=10**9)) as url, TemporaryDirectory() as folder:
        spool = Path(folder) / "spool"
        for number in range(rounds):
            way = ("put_until_killed", "async_put_until_killed")[number % 2]
            with process(way, url, 20, spool) as running:
                assert running.stdout is not None
                first = running.stdout.readline()
                time.sleep(random.SystemRandom().uniform(0, 0.3))
                running.kill()
                lines = [first, *running.stdout]
            told_of += [line.strip() for line in lines if line.endswith("\n")]
            with process("restart", url, 0, spool) as again:
                again.communicate(timeout=60)
        kept = httpx.get(url.removesuffix("/v1") + "/_sandbox/events", timeout=60).json()
    arrived = {event["moe_event_uuid"]: event["received"] for event in kept["events"]}
    missing = sum(uuid not in arrived for uuid in told_of)
    unsaid = len(arrived.keys() - set(told_of))  # written, and killed before it was told
    note = f"{missing} missing; {unsaid} more were written, but killed before put returned or was told"
    yield Row(f"kill -9, {rounds} rounds", len(told_of), len(arrived) - unsaid, kept["duplicates"], note, missing > 0)


def shared(number: int, count: int) -> Iterator[Row]:
    """Processes that put into one spool while nobody is killed."""
    with sandbox.serve(sandbox.app(rate_limit=10**9)) as url, TemporaryDirectory() as folder:
        running = [process("share", url, count, Path(folder) / "spool") for _ in range(number)]
        said = {one.communicate(timeout=120)[0].strip() for one in running}
        kept = told(url, "/_sandbox/events")
    broken = kept["duplicates"] > 0
    yield Row(f"{number} share a spool", number * count, kept["count"], kept["duplicates"], " ".join(said), broken)


def spooled(count: int) -> Iterator[Row]:
    """What a page waits for, with a spool and without."""
    for kind in ("without a spool", "with a spool"):
        with (
            sandbox.serve(sandbox.app(rate_limit=10**9)) as url,
            TemporaryDirectory() as folder,
            PersonalizeClient(**event_programs.CREDENTIALS, base_url=url, timeout=5) as client,
        ):
            reporter = client.reporter(spool=Path(folder) / "spool" if kind == "with a spool" else None)
            took: list[float] = []
            for number in range(count):
                event = event_programs.event(f"visitor-{number}")
                took.append(timed(partial(reporter.put, event))[0])
                time.sleep(0.001)
            reporter.close(30)
            kept = told(url, "/_sandbox/events")
        yield Row(f"put {kind}", count, kept["count"], kept["duplicates"], quantiles(took))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/events-drill", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of the last drill")
    parser.add_argument("--outage", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=50, help="of kill -9")
    given = parser.parse_args()
    table = Table("drill", "put", "arrived", "more than once", "", "")
    wrong = 0
    drills = (
        processes(20),
        servers(1000),
        outage(given.outage),
        killed(given.rounds),
        shared(4, 1000),
        spooled(5000),
        many(given.events),
    )
    for rows in drills:
        for row in rows:
            wrong += row.wrong
            numbers = (f"{number:,}" for number in (row.put, row.arrived, row.duplicates))
            table.add_row(row.name, *numbers, row.note, "broken" if row.wrong else "")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
