"""What only a new process can show: what a first client costs, the first call and the second client.

python -m measurement.fresh PLAIN_URL TLS_URL AUTHORITY    # one process: its figures as JSON
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from .figures import percentile, timed
from .server import PAGE, SOLO, Server, experience

# httpx imports its command line where click, rich and Pygments are, as they are here and not in a service.
MADE = """if True:
    import sys, time
    sys.modules.update(dict.fromkeys(("click", "pygments", "rich")))
    def resident():  # without an import, because httpx would find what that had imported
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) / 256
    before, started = resident(), time.perf_counter()
    import httpx
    between, imported = resident(), time.perf_counter()
    from moengage_personalize import PersonalizeClient
    PersonalizeClient("WS", "key", base_url=sys.argv[1])
    print(imported - started, time.perf_counter() - imported, between - before, resident() - between)
"""
VALUES, EVENTS = 20_000, 5_000
Figures = dict[str, float]


def measured(server: Server, times: int) -> Figures:
    """The median of each figure over so many new processes; seconds and MB."""
    plain, tls = server.url(), server.url(tls=True)
    taken: list[Figures] = []
    for _ in range(times):
        numbers = [float(number) for number in _run("-c", MADE, tls).split()]
        names = (
            "import httpx, s",
            "PersonalizeClient made beyond it, s",
            "memory of httpx, MB",
            "of ours beyond it, MB",
        )
        rest: Figures = json.loads(_run("-m", "measurement.fresh", plain, tls, server.authority))
        taken.append({**dict(zip(names, numbers, strict=True)), **rest})
    return {name: median(figures[name] for figures in taken) for name in taken[0]}


def _run(*arguments: str) -> str:
    # As in a service: with bytecode, which pip makes of what it installs, and without certificates of its own, which
    # would be read when a client is made; the others are read at its first call.
    unwanted = {"PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def figures(plain: str, tls: str, authority: str) -> Figures:
    """Of this process, which must be new."""
    from moengage_personalize import PersonalizeClient, events

    from .clients import CUSTOMER, ONE, Target, settings

    os.environ["SSL_CERT_FILE"] = authority
    found: Figures = {}
    clients: list[PersonalizeClient] = []
    for which in ("first", "second"):
        found[f"{which} client made, s"], client = timed(partial(PersonalizeClient, **settings(tls)))
        found[f"{which} client's first call, TLS, s"], result = timed(partial(client.fetch, SOLO))
        assert result.value(SOLO[0], "Title", "") == ONE.expected[0]
        found[f"{which} client's later calls, TLS, s"] = _later(partial(client.fetch, SOLO))
        clients.append(client)
    context = ssl.create_default_context(cafile=authority)
    body = json.dumps(Target(tls, authority, ONE).body())
    for _ in range(2):  # of two the second, because the first one looks things up
        connection = http.client.HTTPSConnection(urlsplit(tls).netloc, context=context)

        def call(connection: http.client.HTTPSConnection = connection) -> None:
            connection.request("POST", urlsplit(tls).path + "/experiences/fetch", body)
            json.loads(connection.getresponse().read())

        found["a connection and a call by http.client, TLS, s"] = timed(call)[0]
        found["its later calls, TLS, s"] = _later(call)
        connection.close()
    clients.append(PersonalizeClient(**settings(plain)))
    page = clients[-1].fetch(PAGE[:25], customer_id=CUSTOMER)
    page.value("page-007", "Title", "")  # decoded once, then read by each template
    found["experiences.value(), s"] = (
        timed(lambda: [page.value("page-007", "Title", "") for _ in range(VALUES)])[0] / VALUES
    )
    shown = experience(SOLO[0])["experience_context"]
    made = [events.shown(shown, customer_id=f"user_{number}") for number in range(EVENTS)]
    with clients[-1].reporter() as reporter:
        puts = sorted(timed(partial(reporter.put, event))[0] for event in made)
    assert reporter.stats.sent == EVENTS, reporter.stats
    found["reporter.put, p50, s"], found["reporter.put, p99, s"] = (percentile(puts, p) or 0.0 for p in (50, 99))
    for client in clients:
        client.close()
    return found


def _later(call: Callable[[], Any]) -> float:
    return median(timed(call)[0] for _ in range(9))


if __name__ == "__main__":
    print(json.dumps(figures(*sys.argv[1:])))
