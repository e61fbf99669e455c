"""What was promised, against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from .canned import MANY, ONE, SPLIT
from .cases import FAR, PLAIN, Case, Setting
from .figures import Sample, ratio
from .others import GENERATED, HTTPX
from .ours import DEFAULT

Samples = Mapping[Case, Sequence[Sample]]
BY_HAND = "aiohttp by hand"


@frozen
class Row:
    """One goal: a bound of what was measured, from below or from above. None: it was not."""

    name: str
    goal: float
    at_least: bool
    measured: float | None
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it was measured and holds."""
        if self.measured is None:
            return False
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def texts(self) -> tuple[str, str, str, str]:
        """Name, goal, measured, met."""
        bound = f"{'≥' if self.at_least else '≤'} {self.goal:.2g}{self.unit}"
        if self.measured is None:
            return self.name, bound, "not installed", "-"
        return self.name, bound, f"{self.measured:.3g}{self.unit}", "yes" if self.met else "no"


def rows(samples: Samples, fresh: Mapping[str, float]) -> list[Row]:
    """Each goal, in the order in which they were set."""

    def to(figure: str, setting: Setting, client: str, other: str) -> float | None:
        found = ratio(samples.get(Case(client, setting), ()), samples.get(Case(other, setting), ()), figure)
        return found.median if found else None

    def split(link: str) -> float | None:
        few, many = (Case(DEFAULT, Setting("sync", payload, 1, link)) for payload in (MANY, SPLIT))
        found = ratio(samples.get(many, ()), samples.get(few, ()), "wall")
        return found.median if found else None

    one, many, threads = Setting("sync", ONE, 1), Setting("sync", MANY, 1), Setting("sync", ONE, 16)
    few, tasks = Setting("async", ONE, 16), Setting("async", ONE, 64)
    imports = fresh["import moengage_personalize beyond httpx, s"] / fresh["import httpx, s"]
    # Its first call too, because a client may put its set-up off until then, less what any new connection costs.
    second = fresh["second client made, s"] + fresh["second client's first call, TLS, s"]
    second -= fresh["second client's later calls, TLS, s"]
    second -= fresh["a connection and a call by http.client, TLS, s"] - fresh["its later calls, TLS, s"]
    rate = "requests/s"
    return [
        _at_most(0.80, f"CPU, {one}, {DEFAULT}, to {HTTPX}", to("cpu", one, DEFAULT, HTTPX)),
        _at_most(0.70, f"CPU, {many}, {DEFAULT}, to {HTTPX}", to("cpu", many, DEFAULT, HTTPX)),
        _at_most(0.35, f"CPU, {one}, the fastest engine ({DEFAULT}), to {HTTPX}", to("cpu", one, DEFAULT, HTTPX)),
        _at_least(1.5, f"{rate}, {threads}, {DEFAULT}, to {HTTPX}", to("requests", threads, DEFAULT, HTTPX)),
        _at_least(10, f"{rate}, {few}, {DEFAULT}, to {GENERATED}", to("requests", few, DEFAULT, GENERATED)),
        _at_least(30, f"{rate}, {tasks}, {DEFAULT}, to {GENERATED}", to("requests", tasks, DEFAULT, GENERATED)),
        _at_most(1 / 30, f"p99, {tasks}, {DEFAULT}, to {GENERATED}", to("p99", tasks, DEFAULT, GENERATED)),
        _at_least(1.2, f"{rate}, {tasks}, {DEFAULT}, to {BY_HAND}", to("requests", tasks, DEFAULT, BY_HAND)),
        _at_most(25, "import beyond httpx, to httpx's own", 100 * imports, " %"),
        _at_most(1, "set-up of a second client, beyond a connection by http.client", 1000 * second, " ms"),
        _at_most(2, "split of 250 keys, wall, to one call of 25", split(PLAIN)),
        _at_most(2, f"the same, {FAR}", split(FAR)),
    ]


def _at_most(goal: float, name: str, measured: float | None, unit: str = "") -> Row:
    return Row(name, goal, False, measured, unit)


def _at_least(goal: float, name: str, measured: float | None, unit: str = "") -> Row:
    return Row(name, goal, True, measured, unit)
