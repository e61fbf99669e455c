"""Programs that put events and end in many ways; run as processes by test_reporter and scripts/measure drill.

python event_programs.py WAY BASE_URL COUNT [SPOOL]
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
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


def async_exit_with_a_loop_that_was_left(url: str, count: int) -> None:
    """Events put in a loop that is never run again, and others outside of any."""
    reporter = AsyncPersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter()

    async def main() -> None:
        for number in range(count):
            reporter.put(event(f"left-{number}"))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    for number in range(count):
        reporter.put(event(f"outside-{number}"))
    logging.getLogger("asyncio").disabled = True  # it tells of the task that the loop was closed with


class PutsAtTheEnd:
    """Puts when it is collected, which is when the interpreter is finalizing."""

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter

    def __del__(self) -> None:
        self.reporter.put(event("after-1"))
        self.reporter.flush(60)
        self.reporter.close(0.2)


def put_while_finalizing(url: str, count: int) -> None:
    """Nothing may wait for ever, whether the reporter was ever used before or not."""
    client = PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5)
    used = client.reporter()
    for number in range(count):
        used.put(event(f"before-{number}"))
    sys.modules["kept until the end"] = [PutsAtTheEnd(used), PutsAtTheEnd(unreachable().reporter())]  # type: ignore[assignment]


def unreachable() -> PersonalizeClient:
    return PersonalizeClient(**CREDENTIALS, base_url="http://127.0.0.1:9/v1", timeout=0.2)


def exit_with_many(urls: str, count: int) -> None:
    """Reporters of both kinds, some of whose API does not answer; nobody closes anything."""
    down, well = urls.split(",")
    made: list[Any] = []
    for url in (down, down, well):
        made.append(PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter())
        made.append(AsyncPersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter())
    for reporter in made:
        for number in range(count):
            reporter.put(event(f"many-{number}"))
    started = time.monotonic()
    atexit._run_exitfuncs()
    print(time.monotonic() - started)  # noqa: T201


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


def put_until_killed(url: str, count: int, spool: str) -> None:
    """Put without end, and tell of each event whose `put` has returned."""
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter(spool=spool, flush_interval=0.02)
    while True:
        for number in range(count):
            made = event(f"killed-{number}")
            reporter.put(made)
            os.write(1, f"{made.uuid}\n".encode())
        time.sleep(0.001)


def async_put_until_killed(url: str, count: int, spool: str) -> None:
    """As `put_until_killed`, from an event loop."""

    async def main() -> None:
        reporter = AsyncPersonalizeClient(**CREDENTIALS, base_url=url).reporter(spool=spool, flush_interval=0.02)
        while True:
            for number in range(count):
                made = event(f"killed-{number}")
                reporter.put(made)
                os.write(1, f"{made.uuid}\n".encode())
            await asyncio.sleep(0.001)

    asyncio.run(main())


def restart(url: str, count: int, spool: str) -> None:
    """Put nothing, and send what others have left."""
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter(spool=spool) as reporter:
        reporter.flush(30)
    print(reporter.stats.recovered, dict(reporter.stats.dropped), dict(reporter.stats.spool_errors))  # noqa: T201


def share(url: str, count: int, spool: str) -> None:
    """Put some at a page's pace, beside others that do the same in the same spool."""
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter(spool=spool) as reporter:
        for number in range(count):
            reporter.put(event(f"share-{os.getpid()}-{number}"))
            time.sleep(0.001)
        reporter.flush(30)
    print(reporter.stats.sent, dict(reporter.stats.dropped), dict(reporter.stats.spool_errors))  # noqa: T201


def fill_the_disk(url: str, count: int, spool: str) -> None:
    """No file may become larger than 64 KB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    with PersonalizeClient(**CREDENTIALS, base_url=url, timeout=5).reporter(spool=spool) as reporter:
        for number in range(count):
            reporter.put(event(f"full-{number}"))
        stats = reporter.stats
        reporter.flush(30)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    print(stats.queued > 0, sum(stats.spool_errors.values()) > 0, reporter.stats.sent)  # noqa: T201


def fork_with_a_spool(url: str, count: int, spool: str) -> None:
    """As `fork`, with all of it in one spool; nobody closes anything."""
    reporter = PersonalizeClient(**CREDENTIALS, base_url=url).reporter(spool=spool)
    for number in range(count):
        reporter.put(event(f"parent-{number}"))
    child = os.fork()
    for number in range(count if child == 0 else 0):
        reporter.put(event(f"child-{number}"))
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)
    print(dict(reporter.stats.spool_errors))  # noqa: T201


WAYS: dict[str, Callable[..., None]] = {
    way.__name__: way
    for way in (
        exit_without_close,
        async_exit_without_close,
        async_exit_with_a_loop_that_was_left,
        put_while_finalizing,
        exit_with_many,
        fork,
        fork_by_multiprocessing,
        down_at_the_end,
        put_until_killed,
        async_put_until_killed,
        restart,
        share,
        fill_the_disk,
        fork_with_a_spool,
    )
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
