"""What only a new process can show: what an import costs, and the first client, the first call and the second client.

python -m benching.fresh PLAIN_URL TLS_URL AUTHORITY    # one process: its figures as JSON
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from .canned import CUSTOMER, ONE, PAGE, Server, experience
from .figures import percentile

# httpx imports its command line where click, rich and Pygments are, as they are here and not in a service.
IMPORT = """if True:
    import sys, time
    sys.modules.update(dict.fromkeys(("click", "pygments", "rich")))
    from process import resident
    before = resident()
    import httpx
    between = resident()
    import moengage_personalize
    started = time.perf_counter()
    moengage_personalize.PersonalizeClient  # which is imported when it is asked for
    print(between - before, resident() - between, time.perf_counter() - started)
"""
VALUES, EVENTS = 20_000, 5_000
ROOT = Path(__file__).resolve().parents[1]


def measured(server: Server, times: int) -> dict[str, float]:
    """The median of each figure over so many new processes; seconds and MB."""
    taken = [{**_imports(), **_first(server)} for _ in range(times)]
    return {name: median(figures[name] for figures in taken) for name in taken[0]}


def _run(*arguments: str, **environment: str) -> tuple[str, str]:
    command = [sys.executable, *arguments]
    given = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout, done.stderr


def _imports() -> dict[str, float]:
    memory, tree = _run("-X", "importtime", "-c", IMPORT)
    httpx, ours, client = (float(number) for number in memory.split())
    seconds = imported(tree)
    return {
        "import httpx, s": seconds["httpx"],
        "import moengage_personalize beyond httpx, s": seconds["moengage_personalize"],
        "PersonalizeClient asked for beyond both, s": client,
        "memory of httpx, MB": httpx,
        "memory of PersonalizeClient beyond httpx, MB": ours,
    }


def imported(tree: str) -> dict[str, float]:
    """Seconds of each import that the program made itself, all that it imported included, from -X importtime."""
    lines = re.findall(r"^import time: +\d+ \| +(\d+) \| (\S+)$", tree, re.MULTILINE)
    return {name: int(microseconds) / 1e6 for microseconds, name in lines}


def _first(server: Server) -> dict[str, float]:
    text, _ = _run("-m", "benching.fresh", server.plain, server.tls, server.authority)
    figures: dict[str, float] = json.loads(text)
    return figures


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def figures(plain: str, tls: str, authority: str) -> dict[str, float]:
    """Of this process, which must be new."""
    from moengage_personalize import PersonalizeClient, events

    from .ours import settings

    os.environ["SSL_CERT_FILE"] = authority
    found: dict[str, float] = {}
    clients: list[PersonalizeClient] = []
    for which in ("first", "second"):
        found[f"{which} client made, s"], client = timed(partial(PersonalizeClient, **settings(tls)))
        found[f"{which} client's first call, TLS, s"], answer = timed(partial(client.fetch, "solo-000"))
        assert answer.value("solo-000", "Title", "") == ONE.expected[0]
        found[f"{which} client's later calls, TLS, s"] = _later(partial(client.fetch, "solo-000"))
        clients.append(client)
    for connection in _connections(tls, authority):  # of two the second, because the first one looks things up
        found["a connection and a call by http.client, TLS, s"] = timed(partial(_call, connection))[0]
        found["its later calls, TLS, s"] = _later(partial(_call, connection))
        connection.close()
    client = PersonalizeClient(**settings(plain))
    page = client.fetch(PAGE[:25], customer_id=CUSTOMER)
    page.value("page-007", "Title", "")  # decoded once, then read by each template
    seconds, _ = timed(lambda: [page.value("page-007", "Title", "") for _ in range(VALUES)])
    found["experiences.value(), s"] = seconds / VALUES
    context = experience("solo-000")["experience_context"]
    made = [events.shown(context, customer_id=f"user_{number}") for number in range(EVENTS)]
    with client.reporter() as reporter:
        puts = sorted(timed(partial(reporter.put, event))[0] for event in made)
    assert reporter.stats.sent == EVENTS, reporter.stats
    found["reporter.put, p50, s"] = percentile(puts, 50) or 0.0
    found["reporter.put, p99, s"] = percentile(puts, 99) or 0.0
    for each in [*clients, client]:
        each.close()
    return found


def _connections(url: str, authority: str) -> list[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=authority)
    return [http.client.HTTPSConnection(urlsplit(url).netloc, context=context) for _ in range(2)]


def _later(call: Callable[[], Any]) -> float:
    return median(timed(call)[0] for _ in range(9))


def _call(connection: http.client.HTTPSConnection) -> None:
    connection.request("POST", "/v1/experiences/fetch", json.dumps(ONE.body()))
    json.loads(connection.getresponse().read())


if __name__ == "__main__":
    print(json.dumps(figures(*sys.argv[1:])))
