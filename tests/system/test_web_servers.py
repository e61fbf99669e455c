"""Real web servers with forked workers serve pages from the sandbox, each visitor their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import httpx
import pytest
from helpers import ROOT

from moengage_personalize import sandbox

TITLES = {
    "user_8821": "Free shipping on orders over ₹999",
    "user_8822": "Members get 10% off today",
    "user_0007": "default",
}
SERVERS = {
    "gunicorn, preloaded": "gunicorn --preload --workers=4 --threads=4 --bind=127.0.0.1:{port} web_pages:wsgi",
    "uvicorn": "uvicorn --workers=2 --port={port} web_pages:asgi",
}


@contextmanager
def serving(command: str, sandbox_url: str) -> Generator[str]:
    """Run a server until the end of the block and give its address."""
    environment = os.environ | {
        "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
        "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
        "MOENGAGE_BASE_URL": sandbox_url,
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [sys.executable, "-m", *command.format(port=port).split()]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(started, cwd=ROOT / "tests", env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not answers(f"http://127.0.0.1:{port}/?user_0007"):
                log.seek(0)
                assert process.poll() is None, log.read()
                assert time.monotonic() < deadline, log.read()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


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
