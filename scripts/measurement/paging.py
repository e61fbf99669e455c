"""The components of one page, each with a fetch of its own, against the same through client.page().

A page must make as few requests as can be: one for each 25 keys.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from .figures import console, show, timed, verdict
from .server import CHUNK, Server, serving
from .sides import SIDES, Side, Worker

Figures = tuple[float, float]


def renders(side: Side, client: Any, keys: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """For each way in which components run: what makes the workers that fetch, and those that share a page."""

    def fetched(part: list[str]) -> Worker:
        for key in part:
            found = yield client.fetch_or_empty(key)
            assert found.value(key, "Title", ""), "expected every component to be served"

    def shared(page: Any, part: list[str]) -> Worker:
        for key in part:
            found = yield page.experience(key)
            assert found.string("Title", ""), "expected every component to be served"

    def page() -> Any:
        made = client.page()
        if side.name == "sync":
            made.prefetch(keys)
        return made

    def apart() -> list[Worker]:
        return [fetched([key]) for key in keys]

    def together() -> list[Worker]:
        made = page()
        return [shared(made, [key]) for key in keys]

    if side.name == "sync":
        yield "one after another", lambda: [fetched(keys)], lambda: [shared(page(), keys)]
        yield "threads", apart, together
    else:
        yield "tasks", apart, together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--components", type=int, default=20, help="of one page (default: 20)")
    parser.add_argument("--rounds", type=int, default=30, help="renders of each kind (default: 30)")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.02], metavar="SECONDS", help="of the API")


def measure(
    side: Side, server: Server, latency: float, keys: list[str], rounds: int
) -> Iterator[tuple[str, Figures, Figures]]:
    """Requests of a render and the median of its seconds, each for itself and as a page; the first one is left out."""
    url = server.url("echo", latency * 1000)
    with side, side.opened(lambda: side.client("WS", "key", base_url=url, timeout=10)) as client:

        def figures(workers: Callable[[], list[Worker]]) -> Figures:
            side.run(workers())
            before = server.counts()[0]
            took = [timed(lambda: side.run(workers()))[0] for _ in range(rounds)]
            return (server.counts()[0] - before) / rounds, statistics.median(took)

        for way, fetches, page in renders(side, client, keys):
            yield way, figures(fetches), figures(page)


def run(options: argparse.Namespace) -> int:
    """Every way at every latency."""
    keys = [f"key-{number}" for number in range(options.components)]
    rows: list[list[str]] = []
    broken: list[str] = []
    with serving() as server:
        for latency, made in product(options.latency, SIDES):
            for way, (many, slow), (few, fast) in measure(made(), server, latency, keys, options.rounds):
                numbers = (f"{many:g}", f"{slow * 1000:.1f}", f"{few:g}", f"{fast * 1000:.1f}", f"{fast / slow:.2f}")
                rows.append([f"{latency * 1000:g} ms", way, *numbers])
                if few != math.ceil(len(keys) / CHUNK):
                    broken.append(f"{way}: {few:g} requests for {len(keys)} keys of a page")
    show("", ["latency", "components", "fetches: requests", "ms", "page: requests", "ms", "ratio"], rows)
    as_few = "no" if broken else "yes"
    console().print(f"{len(keys)} components, medians of {options.rounds}; requests as few as can be: {as_few}")
    return verdict(broken)
