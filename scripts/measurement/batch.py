"""A fetch for each of many customers at a workspace with a limit, while pages of another client share that limit.

The batch must lose no customer, keep its rate within 2 %, and leave the pages what they need: no page may meet a 429.
Where rate and pages together are more than the limit, it must take 95 % at least of what the pages leave. Time is
scaled: a minute of the sandbox, and of the pace that the batch keeps, is MINUTE seconds.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from typing import Any
from unittest.mock import patch

from moengage_personalize import PersonalizeClient, RateLimited, sandbox

from .figures import show, verdict
from .sides import SIDES, Side, Worker

PACKAGE = "moengage_personalize"
LIMIT = 3_000  # requests a minute
PAGES = 240
RATES = (2_400, 3_000)
MINUTE = 20  # seconds
KEY = "promo-strip"


class Pages(threading.Thread):
    """Another process of the service, as far as the batch can see: a client of its own, and calls at an even pace."""

    def __init__(self, url: str, scale: float) -> None:
        super().__init__(daemon=True)
        self._client = PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=url, timeout=5, max_retries=0)
        self._pause = 60 / PAGES / scale
        self._stopped = threading.Event()
        self.outcomes: Counter[str] = Counter()

    def run(self) -> None:
        """Until stopped."""
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            error = self._client.fetch_or_empty(KEY).error
            self.outcomes["served" if error is None else type(error).__name__] += 1
            due += self._pause

    def stop(self) -> None:
        """Wait for the call that is under way."""
        self._stopped.set()
        self.join()
        self._client.close()


def batch(side: Side, url: str, customers: int, rate: float) -> tuple[Counter[str], float]:
    """What came of each customer, and the seconds that it took."""
    outcomes: Counter[str] = Counter()

    def count(error: Exception | None) -> None:
        outcomes["served" if error is None else type(error).__name__] += 1

    def worker() -> Worker:
        found = client.fetch_each(range(customers), KEY, rate=rate, timeout=5)
        if side.name == "sync":
            for _, experiences in found:
                count(experiences.error)
        else:
            yield collect(found)

    async def collect(found: Any) -> None:
        async for _, experiences in found:
            count(experiences.error)

    with side.opened(lambda: side.client(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=url)) as client:
        started = time.monotonic()
        side.here(worker())
        return outcomes, time.monotonic() - started


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--customers", type=int, default=10_000, help="(default: 10,000)")
    parser.add_argument("--minute", type=int, default=MINUTE, help="whole seconds of a minute (default: 20)")


def run(options: argparse.Namespace) -> int:
    """Both clients, with a rate that leaves room for the pages, and with one that is all of the limit."""
    rows: list[list[str]] = []
    broken: list[str] = []
    scale = 60 / options.minute
    for made in SIDES:
        for rate in RATES:
            application = sandbox.app(rate_limit=LIMIT)
            with (
                patch(f"{PACKAGE}._operations._pacing.WINDOW", options.minute),
                patch(f"{PACKAGE}.sandbox._state.MINUTE", options.minute),
                sandbox.serve(application) as url,
                made() as side,
            ):
                pages = Pages(url, scale)
                pages.start()
                # The pacer's minute is as short as the sandbox's, so that the rate is scaled by it.
                outcomes, seconds = batch(side, url, options.customers, rate)
                pages.stop()
            kept = options.customers / seconds * 60 / scale
            # A run that begins within a minute finds what the time before has left, and may take that, too.
            least = 0.98 * rate if rate + PAGES <= LIMIT else 0.95 * (LIMIT - PAGES)
            failed, limited = options.customers - outcomes["served"], pages.outcomes[RateLimited.__name__]
            name = f"{side.name}, {rate:,} a minute"
            rows.append([side.name, f"{rate:,}", f"{least:,.0f}", f"{kept:,.0f}", f"{failed}", *_shown(pages.outcomes)])
            broken += [f"{name}: {failed} customers failed: {dict(outcomes)}"] if failed else []
            broken += [] if least <= kept <= 1.02 * rate else [f"{name}: {kept:,.0f}, and not {least:,.0f} at least"]
            broken += [f"{name}: {limited} pages met a 429"] if limited else []
    head = ["client", "rate", "at least", "kept", "failed", "pages", "of them RateLimited"]
    show(f"{options.customers:,} customers, {LIMIT:,} requests a minute, {PAGES} pages a minute", head, rows)
    return verdict(broken)


def _shown(pages: Counter[str]) -> tuple[str, str]:
    return f"{pages.total():,}", f"{pages[RateLimited.__name__]:,}"
