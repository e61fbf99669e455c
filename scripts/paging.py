"""The components of one page, each with a fetch of its own, against the same through client.page()."""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from moengage_personalize import AsyncPersonalizeClient, PersonalizeClient, sandbox

PER_REQUEST = 25  # keys
Render = Callable[[], None]


def serve(pipe: Connection, latency: float) -> None:
    """An API that serves whatever is asked for, in a process of its own; it tells how many requests came since."""
    asked: list[int] = []

    async def fetch(request: Request) -> JSONResponse:
        keys = (await request.json())["experience_key"]
        asked.append(len(keys))
        await asyncio.sleep(latency)
        payload = {"Title": {"value": "Free shipping on orders over 999", "data_type": "string"}}
        return JSONResponse({"experiences": {key: {"payload": payload, "experience_context": {}} for key in keys}})

    with sandbox.serve(Starlette(routes=[Route("/v1/experiences/fetch", fetch, methods=["POST"])])) as url:
        pipe.send(url)
        while pipe.recv() == "count":
            came = len(asked)
            asked.clear()  # before it is told, because what is told begins the next render
            pipe.send(came)


@contextmanager
def serving(latency: float) -> Generator[tuple[str, Callable[[], int]]]:
    """Run the server; give its URL, and what tells how many requests came since it was asked last."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, latency))
    process.start()

    def count() -> int:
        ours.send("count")
        came: int = ours.recv()
        return came

    yield ours.recv(), count
    ours.send("stop")
    process.join()


def renders(url: str, keys: list[str]) -> Iterator[tuple[str, Render, Render]]:
    """For each way in which components run: a render in which each fetches, and one in which they share a page."""
    given: dict[str, Any] = {"workspace_id": "WS", "api_key": "key", "base_url": url, "timeout": 10}
    with PersonalizeClient(**given) as client, ThreadPoolExecutor(len(keys)) as threads:

        def fetched(key: str) -> str:
            return str(client.fetch_or_empty(key).value(key, "Title", ""))

        def prefetched() -> Callable[[str], str]:
            page = client.page()
            page.prefetch(keys)
            return lambda key: str(page.value(key, "Title", ""))

        yield "one after another", lambda: whole(map(fetched, keys)), lambda: whole(map(prefetched(), keys))
        yield "threads", lambda: whole(threads.map(fetched, keys)), lambda: whole(threads.map(prefetched(), keys))
    with asyncio.Runner() as runner:
        asked = AsyncPersonalizeClient(**given)

        async def fetched_async(key: str) -> str:
            return str((await asked.fetch_or_empty(key)).value(key, "Title", ""))

        async def fetches() -> None:
            whole(await asyncio.gather(*(fetched_async(key) for key in keys)))

        async def together() -> None:
            page = asked.page()
            whole(await asyncio.gather(*(page.value(key, "Title", "") for key in keys)))

        yield "tasks", lambda: runner.run(fetches()), lambda: runner.run(together())
        runner.run(asked.aclose())


def whole(titles: Iterable[str]) -> None:
    """A page on which a component shows its default was not measured."""
    assert all(list(titles)), "expected every component to be served"


def measure(render: Render, count: Callable[[], int], rounds: int) -> tuple[float, float]:
    """Requests of one render, and the median of its seconds; the first, which connects, is left out."""
    render()
    count()
    took: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        render()
        took.append(time.perf_counter() - started)
    return count() / rounds, statistics.median(took)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/paging", description=__doc__)
    parser.add_argument("--components", type=int, default=20, help="of one page (default: 20)")
    parser.add_argument("--rounds", type=int, default=30, help="renders of each kind (default: 30)")
    parser.add_argument(
        "--latency", type=float, nargs="+", default=[0.0, 0.02], metavar="SECONDS", help="of the API (default: 0 0.02)"
    )
    options = parser.parse_args()
    keys = [f"key-{number}" for number in range(options.components)]
    table = Table("latency", "components", "fetches: requests", "ms", "page: requests", "ms", "ratio")
    kept = True
    for latency in options.latency:
        with serving(latency) as (url, count):
            for way, fetches, page in renders(url, keys):
                (many, slow), (few, fast) = (measure(render, count, options.rounds) for render in (fetches, page))
                kept = kept and few == math.ceil(len(keys) / PER_REQUEST)
                figures = (f"{many:g}", f"{slow * 1000:.1f}", f"{few:g}", f"{fast * 1000:.1f}", f"{fast / slow:.2f}")
                table.add_row(f"{latency * 1000:g} ms", way, *figures)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"{len(keys)} components, medians of {options.rounds}; requests as few as can be: {'yes' if kept else 'no'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
