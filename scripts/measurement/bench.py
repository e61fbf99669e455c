"""What a call costs by this client, by others and by hand: every case in every round, the server on its own core.

Whatever is compared is measured in the same round, with a client made for it, whose connections are open before the
clock starts. Each of the threads or tasks calls until the time is over, and at least once. A goal that is missed is
shown; a promise is broken, and the status 1, by a wrong answer or by an error, other clients' timeouts excepted.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import io
import os
import pstats
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from attrs import Factory, define, frozen

from moengage_personalize import PersonalizeClient

from . import report
from .clients import (
    AIOHTTP,
    CLIENTS,
    FLOOR,
    GENERATED,
    HTTPX,
    MANY,
    ONE,
    OURS,
    PYREQWEST,
    SPLIT,
    Client,
    Payload,
    Target,
    Values,
    installed,
    settings,
)
from .figures import percentile, show, verdict
from .fresh import measured
from .server import Server, serving
from .sides import SIDES, Worker

PLAIN, TLS, FAR = "plain", "TLS", "20 ms away"
WARM, LONG = 0.05, 4.0  # seconds; what takes so long is measured in the first rounds only
FIRST = 2
FIGURES = ("cpu", "wall", "p50", "p99", "requests", "server")


@frozen
class Setting:
    """What all clients that are compared have in common."""

    side: str
    payload: Payload
    width: int
    """Threads or tasks that call at once, by one client."""
    link: str = PLAIN

    def __str__(self) -> str:
        at_once = {"sync": "thread", "async": "task"}[self.side] + ("s" if self.width > 1 else "")
        link = "" if self.link == PLAIN else f", {self.link}"
        return f"{self.side}, {self.payload.name}, {self.width} {at_once}{link}"


Case = tuple[str, Setting]
"""A client in a setting."""


@frozen
class Sample:
    """One case in one round. Times are seconds a call; None where no call ended well."""

    calls: int
    errors: dict[str, int]
    """Calls that raised, by the name of the error."""
    wrong: int
    """Calls whose values were not those that the server sent."""
    cpu: float | None
    """Of all threads of this process."""
    wall: float | None
    p50: float | None
    p99: float | None
    requests: float
    """Calls a second."""
    server: float
    """The part of its core that the server used."""


Samples = Mapping[Case, Sequence[Sample]]


def chosen(quick: bool) -> Iterator[Case]:
    """All cases, or those that the goals need; clients that are not installed too."""
    split = [Setting(side, load, 1, link) for side in CLIENTS for load in (MANY, SPLIT) for link in (PLAIN, FAR)]
    wanted: dict[Setting, set[str]] = {setting: {OURS} for setting in split if setting.side == "sync" or not quick}
    every = set(CLIENTS["sync"]) | set(CLIENTS["async"])
    if quick:
        wanted[Setting("sync", ONE, 1)] = every
        wanted[Setting("sync", MANY, 1)] = wanted[Setting("async", ONE, 16)] = {HTTPX, GENERATED, OURS}
        wanted[Setting("sync", ONE, 16)] = {HTTPX, PYREQWEST, FLOOR, OURS}
        wanted[Setting("async", ONE, 64)] = {HTTPX, GENERATED, AIOHTTP, PYREQWEST, FLOOR, OURS}
    else:
        alone = [Setting(side, load, 1, link) for side in CLIENTS for load in (ONE, MANY) for link in (PLAIN, TLS)]
        many = [("sync", 16), ("async", 16), ("async", 64)]
        wide = [Setting(side, ONE, width) for side, width in many]
        wanted |= dict.fromkeys([*alone, *wide, *(Setting(side, ONE, 16, TLS) for side in CLIENTS)], every)
    for setting, clients in wanted.items():
        for client in CLIENTS[setting.side]:
            if client in clients:
                yield client, setting


# ---- One case --------------------------------------------------------------------------------------------------------


@define
class Tally:
    """What the calls of one case met; for many threads, each step of it being one of the interpreter's."""

    seconds: list[float] = Factory(list[float])
    errors: list[str] = Factory(list[str])
    wrong: list[Values] = Factory(list[Values])


def calls(call: Callable[[], Worker], expected: Values, until: float, tally: Tally) -> Worker:
    """Call until then, and at least once."""
    while True:
        started = time.perf_counter()
        try:
            values = yield from call()
            tally.seconds.append(time.perf_counter() - started)
            if values != expected:
                tally.wrong.append(values)
        except Exception as error:  # noqa: BLE001 -- each client has errors of its own; one costs its call, not the run
            tally.errors.append(type(error).__name__)
        if time.perf_counter() >= until:
            return


def measure(server: Server, setting: Setting, client: Client, seconds: float) -> Sample:
    """Call for so long, and say what it took."""
    gc.collect()
    base_url = server.url(milliseconds=20 if setting.link == FAR else 0, tls=setting.link == TLS)
    target, tally = Target(base_url, server.authority, setting.payload), Tally()
    made = next(made for made in SIDES if made.name == setting.side)

    def workers(lasting: float, tally: Tally) -> list[Worker]:
        until = time.perf_counter() + lasting
        call = partial(client.call, target, opened)
        return [calls(call, setting.payload.expected, until, tally) for _ in range(setting.width)]

    with made() as side, side.opened(lambda: client.make(target)) as opened:
        side.run(workers(WARM, Tally()))
        served, used, started = server.counts()[2], time.process_time(), time.perf_counter()
        side.run(workers(seconds, tally))
        wall, used = time.perf_counter() - started, time.process_time() - used
        served = server.counts()[2] - served
    ordered, count = sorted(tally.seconds), len(tally.seconds)
    return Sample(
        calls=count,
        errors=dict(Counter(tally.errors)),
        wrong=len(tally.wrong),
        cpu=used / count if count else None,
        wall=wall / count if count else None,
        p50=percentile(ordered, 50),
        p99=percentile(ordered, 99),
        requests=count / wall,
        server=served / wall,
    )


def rounds(server: Server, wanted: Sequence[Case], count: int, seconds: float) -> dict[Case, list[Sample]]:
    """Each case in each round, except those that take too long."""
    samples: dict[Case, list[Sample]] = {case: [] for case in wanted if installed(case[1].side, case[0])}
    long: set[Case] = set()
    for number in range(count):
        for client, setting in samples:
            if number >= FIRST and (client, setting) in long:
                continue
            print(f"bench: round {number + 1} of {count}: {client}, {setting}", file=sys.stderr)
            started = time.perf_counter()
            samples[client, setting].append(measure(server, setting, CLIENTS[setting.side][client], seconds))
            if time.perf_counter() - started > LONG:
                long.add((client, setting))
    return samples


# ---- What it came to -------------------------------------------------------------------------------------------------

Ratio = tuple[float, float, float]
"""The median of ratios, the least and the most."""


def ratio(of: Sequence[Sample], to: Sequence[Sample], figure: str) -> Ratio | None:
    """Of one figure, round by round; rounds in which either has none are left out."""
    pairs = [(getattr(one, figure), getattr(other, figure)) for one, other in zip(of, to, strict=False)]
    ratios = [one / other for one, other in pairs if one is not None and other]
    return (median(ratios), min(ratios), max(ratios)) if ratios else None


def against_httpx(samples: Samples, case: Case, figure: str) -> Ratio | None:
    """A case to hand-written httpx in the same setting."""
    return ratio(samples[case], samples.get((HTTPX, case[1]), ()), figure)


def middle(samples: Sequence[Sample]) -> dict[str, Any]:
    """The median of each figure, and the sums of what is counted."""
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample.errors)
    counted = {"rounds": len(samples), "calls": sum(sample.calls for sample in samples)}
    found: dict[str, Any] = {**counted, "wrong": sum(sample.wrong for sample in samples), "errors": dict(errors)}
    for figure in FIGURES:
        values = [value for sample in samples if (value := getattr(sample, figure)) is not None]
        found[figure] = median(values) if values else None
    return found


def broken(samples: Samples) -> list[str]:
    """What makes a run worthless: a wrong answer, or an error that is not a timeout of somebody else's client."""
    found: list[str] = []
    for (client, setting), taken in samples.items():
        one = middle(taken)
        errors = [name for name in one["errors"] if client == OURS or "Timeout" not in name]
        if one["wrong"] or errors:
            found.append(f"{client}, {setting}: {one['wrong']} wrong, {one['errors']}")
    return found


@frozen
class Goal:
    """A bound of what was measured, from below or from above. None: it was not."""

    name: str
    bound: str
    """≤ or ≥ and a number."""
    measured: float | None
    unit: str = ""

    @property
    def texts(self) -> list[str]:
        """Name, goal, measured, met."""
        if self.measured is None:
            return [self.name, self.bound + self.unit, "not installed", "-"]
        sign, number = self.bound.split()
        met = self.measured <= float(number) if sign == "≤" else self.measured >= float(number)
        return [self.name, self.bound + self.unit, f"{self.measured:.3g}{self.unit}", "yes" if met else "no"]


def goals(samples: Samples, fresh: Mapping[str, float]) -> list[Goal]:
    """What was promised, against what was measured."""

    def to(name: str, bound: str, setting: Setting, other: str) -> Goal:
        figure = {"CPU": "cpu", "requests/s": "requests"}.get(name, name)
        found = ratio(samples.get((OURS, setting), ()), samples.get((other, setting), ()), figure)
        return Goal(f"{name}, {setting}, to {other}", bound, found and found[0])

    def split(name: str, bound: str, figure: str, link: str) -> Goal:
        few, many = ((OURS, Setting("sync", payload, 1, link)) for payload in (MANY, SPLIT))
        found = ratio(samples.get(many, ()), samples.get(few, ()), figure)
        return Goal(f"{name}, {many[1]}, to one call of 25", bound, found and found[0])

    one, many, threads = Setting("sync", ONE, 1), Setting("sync", MANY, 1), Setting("sync", ONE, 16)
    few, tasks = Setting("async", ONE, 16), Setting("async", ONE, 64)
    made = fresh["PersonalizeClient made beyond it, s"] / fresh["import httpx, s"]
    # Its first call too, because a client may put its set-up off until then, less what any new connection costs.
    second = fresh["second client made, s"] + fresh["second client's first call, TLS, s"]
    second -= fresh["second client's later calls, TLS, s"]
    second -= fresh["a connection and a call by http.client, TLS, s"] - fresh["its later calls, TLS, s"]
    return [
        to("CPU", "≤ 0.22", one, HTTPX),
        to("CPU", "≤ 0.7", many, HTTPX),
        to("requests/s", "≥ 6", threads, HTTPX),
        to("requests/s", "≥ 1.6", tasks, AIOHTTP),
        to("requests/s", "≥ 0.75", tasks, PYREQWEST),
        to("requests/s", "≥ 10", few, GENERATED),
        to("requests/s", "≥ 30", tasks, GENERATED),
        to("p99", "≤ 0.033", tasks, GENERATED),
        split("CPU", "≤ 5", "cpu", PLAIN),
        split("wall", "≤ 2", "wall", FAR),
        Goal("`PersonalizeClient(...)` made, beyond `import httpx`, to httpx's own import", "≤ 0.8", made),
        Goal("set-up of a second client, beyond a connection by http.client", "≤ 1", 1000 * second, " ms"),
    ]


def profile(server: Server, calls: int = 2_000) -> str:
    """The 25 functions that take most by themselves, for 1 and for 25 experiences; times are of all calls together."""
    parts = [f"{calls} calls. cProfile makes each call of a Python function slower: read shares, not times.\n"]
    for payload in (ONE, MANY):
        with PersonalizeClient(**settings(server.url())) as client:
            client.fetch(payload.keys)
            profiler, text = cProfile.Profile(), io.StringIO()
            profiler.enable()
            for _ in range(calls):
                client.fetch(payload.keys)
            profiler.disable()
        pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(25)
        parts.append(f"---- {payload.name} ----\n{text.getvalue()}")
    return "\n".join(parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--quick", action="store_true", help="only what the goals need, in three short rounds")
    parser.add_argument("--rounds", type=int, help="7 by default")
    parser.add_argument("--seconds", type=float, help="that each case is measured for in a round, 0.25 by default")
    parser.add_argument("--out", type=Path, default=report.ROOT / ".bench", help="the folder for what is written")
    parser.add_argument(
        "--write", action="store_true", help="keep the run in scripts/bench-results and scripts/README.md"
    )
    parser.add_argument("--profile", action="store_true", help="only write profile.txt: where one call's time goes")


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write bench.json and bench.svg."""
    options.out.mkdir(parents=True, exist_ok=True)
    count = options.rounds or (3 if options.quick else 7)
    seconds = options.seconds or (0.15 if options.quick else 0.25)
    with serving(apart=True) as server:
        os.environ["SSL_CERT_FILE"] = server.authority  # how our clients learn whom to trust
        if options.profile:
            (options.out / "profile.txt").write_text(profile(server), "utf-8")
            print((options.out / "profile.txt").read_text("utf-8"))
            return 0
        fresh = measured(server, 3 if options.quick else 9)
        wanted = list(chosen(options.quick))
        samples = rounds(server, wanted, count, seconds)
    absent = sorted({f"{client} ({setting.side})" for client, setting in wanted if (client, setting) not in samples})
    kept = report.values(samples, [goal.texts for goal in goals(samples, fresh)], fresh, absent, options.quick)
    show("Every case: medians of rounds", *report.table(samples))
    show("New processes: medians", ["what", "value"], [[name, f"{value:.3g}"] for name, value in fresh.items()])
    show("Goals", report.HEAD, kept["goals"])
    busiest = max(sample.server for taken in samples.values() for sample in taken)
    cores = "different cores" if server.apart else "the same core or cores"
    print(f"Client and server ran on {cores}; in no round did the server use more than {busiest:.0%} of its own.")
    print(f"Not installed: {', '.join(absent) or 'nothing'}.")
    report.save(kept, samples, options.out)
    wrong = broken(samples)
    if options.write and not wrong:
        report.keep(options.out)
    return verdict(wrong)
