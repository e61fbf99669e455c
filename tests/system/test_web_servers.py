"""Real web servers with forked workers serve pages from the sandbox, each visitor their own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import httpx
import pytest
from web_servers import SERVERS, serving

from moengage_personalize import sandbox

pytestmark = pytest.mark.slow

TITLES = {
    "user_8821": "Free shipping on orders over ₹999",
    "user_8822": "Members get 10% off today",
    "user_0007": "default",
}


def page(address: str) -> Any:
    """What a page gives, on a connection of its own; without httpx, whose pool closes one that another thread uses."""
    with urlopen(address, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", SERVERS)
def test_every_visitor_gets_their_own_page_from_every_worker(name: str, sandbox_url: str) -> None:
    with (
        serving(SERVERS[name], sandbox_url) as address,
        ThreadPoolExecutor(16) as threads,
    ):

        def ask(number: int) -> Any:
            customer = list(TITLES)[number % len(TITLES)]
            return page(f"{address}/?{customer}")

        pages = list(threads.map(ask, range(300)))
        while len({page["worker"] for page in pages}) < 2:  # the kernel chooses who is asked
            assert len(pages) < 10_000
            pages += threads.map(ask, range(300))
    assert [page for page in pages if page["error"] or page["title"] != TITLES[page["customer"]]] == []


@pytest.mark.parametrize("name", SERVERS)
def test_events_of_every_worker_arrive_once_though_workers_are_stopped(name: str) -> None:
    with sandbox.serve() as url:
        with (
            serving(SERVERS[name], url) as address,
            ThreadPoolExecutor(16) as threads,
        ):
            asked = list(threads.map(lambda number: page(f"{address}/event?visitor-{number}"), range(200)))
        kept = httpx.get(url.removesuffix("/v1") + "/_sandbox/events").json()
    assert asked == [{}] * 200
    assert sorted(event["customer_id"] for event in kept["events"]) == sorted(f"visitor-{n}" for n in range(200))
    assert kept["duplicates"] == 0
