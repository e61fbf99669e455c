"""Reporters under a real gunicorn with gevent, which patches what blocks, with --preload only after they were made."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from event_samples import Held, received, within
from web_servers import serving

from moengage_personalize import sandbox

COMMAND = "gunicorn -k gevent {preload} --workers=1 --bind=127.0.0.1:{{port}} gevent_pages:wsgi"


def page(address: str) -> Any:
    with urlopen(address, timeout=5) as answer:
        return json.load(answer)


@pytest.mark.parametrize("preload", ["--preload", ""], ids=["preloaded", "not preloaded"])
def test_no_page_waits_for_the_reporter_and_every_event_arrives(
    preload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers only when it is told to: meanwhile each page must come, the one greenlet that waits aside."""
    monkeypatch.setenv("SPOOL", str(tmp_path / "spool"))
    free = threading.Event()
    free.set()
    application = sandbox.app()
    application.add_middleware(Held, free=free)
    with sandbox.serve(application) as url:
        with serving(COMMAND.format(preload=preload), url) as address, ThreadPoolExecutor(8) as threads:
            page(f"{address}/event?first")
            assert within(10, lambda: received(url)["count"] == 1)
            free.clear()
            names = [f"{kind}-{number}" for number in range(30) for kind in ("plain", "spooled")]
            pages = list(threads.map(lambda name: page(f"{address}/event?{name}"), names))
            assert len(pages) == 60
            free.set()
            assert within(10, lambda: received(url)["count"] == 61)
        kept = received(url)
    assert sorted(event["customer_id"] for event in kept["events"]) == sorted(["first", *names])
    assert kept["duplicates"] == 0


def test_locks_are_made_again_after_a_patch() -> None:
    """A lock of before the patch takes all greenlets of a thread for one, and lets them through together."""
    code = """if True:
        from moengage_personalize._spool import _store
        before = _store.LOCKS.current()
        assert _store.LOCKS.current() == before
        from gevent import monkey, spawn, sleep
        monkey.patch_all()
        inside = []
        def use():
            with _store.exclusive_use(0.5) as acquired:
                inside.append(acquired)
                assert len(inside) == 1
                sleep(0.01)
                inside.pop()
        greenlets = [spawn(use) for _ in range(5)]
        for greenlet in greenlets:
            greenlet.get()
        print(len(set(before) & set(_store.LOCKS.current())))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("0\n", "")
