"""Programs that put events and end in many ways; run as processes by test_reporter and scripts/events-drill.

python reporting.py WAY BASE_URL COUNT
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from typing import Any

from moengage_personalize import AsyncPersonalizeClient, PersonalizeClient, events, sandbox

CREDENTIALS: dict[str, Any] = {"workspace_id": sandbox.WORKSPACE_ID, "api_key": sandbox.API_KEY}
CONTEXT = {
    "cid": "1_F_T_WP_AB_2_P_0_AU_42D",
    "experience": "Homepage Banner",
    "moe_locale_id": "0",
    "moe_variation_id": "2",
    "audience_name": "High Intent Users",
    "audience_id": "42D",
}


def event(customer: str) -> events.ExperienceEvent:
    return events.shown(CONTEXT, customer_id=customer)


def exit_without_close(url: str, count: int) -> None:
    """The process ends; nobody closes anything."""
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter()
    for number in range(count):
        reporter.put(event(f"end-{number}"))


def async_exit_without_close(url: str, count: int) -> None:
    """The event loop ends with events on their way."""

    async def main() -> None:
        reporter = AsyncPersonalizeClient(**CREDENTIALS, base_url=url).reporter()
        for number in range(count):
            reporter.put(event(f"loop-{number}"))
        await asyncio.sleep(0)

    asyncio.run(main())


def fork(url: str, count: int) -> None:
    """A reporter that has events queued, forked; both go on and end."""
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter()
    for number in range(count):
        reporter.put(event(f"parent-{number}"))
    child = os.fork()
    if child == 0:
        for number in range(count):
            reporter.put(event(f"child-{number}"))
        sys.exit(0)
    os.waitpid(child, 0)


def fork_by_multiprocessing(url: str, count: int) -> None:
    """As `fork`; children of multiprocessing do not run what is registered with atexit."""
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter()
    for number in range(count):
        reporter.put(event(f"parent-{number}"))
    child = multiprocessing.get_context("fork").Process(target=put_some, args=(reporter, count))
    child.start()
    child.join()


def put_some(reporter: object, count: int) -> None:
    for number in range(count):
        reporter.put(event(f"child-{number}"))  # type: ignore[attr-defined]


def down_at_the_end(url: str, count: int) -> None:
    """Nobody answers: the end is bounded."""
    started = time.monotonic()
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter()
    for number in range(count):
        reporter.put(event(f"lost-{number}"))
    print("closed:", reporter.close(0.5), dict(reporter.stats.dropped), time.monotonic() - started < 2)  # noqa: T201


WAYS = {
    way.__name__: way
    for way in (exit_without_close, async_exit_without_close, fork, fork_by_multiprocessing, down_at_the_end)
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
