"""The components of one page, each with a fetch of its own, against the same through client.page().

A page must make as few requests as can be: one for each 25 keys.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
from collections.abc import Iterator
from typing import Any

from .figures import console, show, timed, verdict
from .server import CHUNK, serving
from .sides import SIDES, Side, Worker

Render = list[Worker]


def renders(side: Side, client: Any, keys: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """For each way in which components run: what makes the workers that fetch, and those that share a page."""

    def fetched(part: list[str]) -> Worker:
        for key in part:
            found = yield client.fetch_or_empty(key)
            assert found.value(key, "Title", ""), "expected every component to be served"

    def shared(page: Any, part: list[str]) -> Worker:
        for key in part:
            # The async page is awaited, the sync one is not: there the keys were fetched beforehand.
            assert (yield page.value(key, "Title", "")), "expected every component to be served"

    def page() -> Any:
        made = client.page()
        if side.name == "sync":
            made.prefetch(keys)
        return made

    def apart() -> Render:
        return [fetched([key]) for key in keys]

    def together() -> Render:
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


def run(options: argparse.Namespace) -> int:
    """Requests of a render, and the median of its time; the first render, which connects, is left out."""
    keys = [f"key-{number}" for number in range(options.components)]
    rows: list[list[str]] = []
    broken: list[str] = []
    with serving() as server:
        for latency in options.latency:
            for made in SIDES:
                with made() as side, side.opened(
                    lambda: side.client("WS", "key", base_url=server.url("echo", latency * 1000), timeout=10)
                ) as client:
                    for way, *kinds in renders(side, client, keys):
                        figures: list[tuple[float, float]] = []
                        for workers in kinds:
                            side.run(workers())
                            before = server.counts()[0]
                            took = [timed(lambda: side.run(workers()))[0] for _ in range(options.rounds)]
                            requests = (server.counts()[0] - before) / options.rounds
                            figures.append((requests, statistics.median(took)))
                        (many, slow), (few, fast) = figures
                        numbers = (f"{many:g}", f"{slow * 1000:.1f}", f"{few:g}", f"{fast * 1000:.1f}")
                        rows.append([f"{latency * 1000:g} ms", way, *numbers, f"{fast / slow:.2f}"])
                        if few != math.ceil(len(keys) / CHUNK):
                            broken.append(f"{way}: {few:g} requests for {len(keys)} keys of a page")
    show("", ["latency", "components", "fetches: requests", "ms", "page: requests", "ms", "ratio"], rows)
    console().print(
        f"{len(keys)} components, medians of {options.rounds}; requests as few as can be: {'no' if broken else 'yes'}"
    )
    return verdict(broken)
