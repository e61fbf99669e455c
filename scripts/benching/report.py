"""A run as values for bench.json, as tables, and in the README."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .cases import Case
from .figures import Ratio, Sample, middle, ratio, told
from .goals import Row
from .others import HTTPX

BEGIN, END = "<!-- bench -->", "<!-- end of bench -->"
PACKAGES = ("httpx", "httpcore", "httptools", "msgspec", "requests", "aiohttp", "httpx-aiohttp", "httpx2", "pyreqwest")
Table = list[list[str]]


def machine() -> dict[str, Any]:
    """Where and when this was measured."""
    return {
        "cpu": _model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _model() -> str:
    found = None
    if (path := Path("/proc/cpuinfo")).exists():
        found = re.search(r"^model name\s*: (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def against(samples: Mapping[Case, Sequence[Sample]], case: Case, figure: str) -> Ratio | None:
    """A case to hand-written httpx in the same setting."""
    return ratio(samples[case], samples.get(Case(HTTPX, case.setting), ()), figure)


def values(samples: Mapping[Case, Sequence[Sample]]) -> list[dict[str, Any]]:
    """What is kept of each case: medians, ratios to hand-written httpx, and the rounds themselves."""
    found: list[dict[str, Any]] = []
    for case, taken in samples.items():
        ratios = {f"{figure} to {HTTPX}": against(samples, case, figure) for figure in ("cpu", "requests")}
        kept = {name: one and [one.median, one.least, one.most] for name, one in ratios.items()}
        named = {"client": case.client, "setting": str(case.setting)}
        found.append({**named, **middle(taken), **kept, "samples": told(taken)})
    return found


def table(samples: Mapping[Case, Sequence[Sample]]) -> Table:
    """Every case in a row, headings first."""
    rows = [["setting", "client", "CPU us", "wall us", "p50 ms", "p99 ms", "calls/s", "CPU to httpx", "server", ""]]
    for case, taken in samples.items():
        one = middle(taken)
        shared = [_number(one[name], 1e6) for name in ("cpu", "wall")] + [
            _number(one[name], 1e3) for name in ("p50", "p99")
        ]
        wrong = {"wrong": one["wrong"]} if one["wrong"] else {}
        notes = ", ".join(f"{count} {name}" for name, count in {**one["errors"], **wrong}.items())
        cpu = ratio_text(against(samples, case, "cpu"))
        rows.append(
            [str(case.setting), case.client, *shared, _number(one["requests"]), cpu, f"{one['server']:.0%}", notes]
        )
    return rows


def _number(value: float | None, factor: float = 1) -> str:
    return "-" if value is None else f"{value * factor:,.0f}" if value * factor >= 100 else f"{value * factor:.3g}"


def ratio_text(found: Ratio | None) -> str:
    """The median, and the least and the most."""
    return "-" if found is None else f"{found.median:.2f} ({found.least:.2f}-{found.most:.2f})"


def goals(rows: Sequence[Row]) -> Table:
    """The goals, headings first."""
    return [["what", "goal", "measured", "met"], *(list(row.texts()) for row in rows)]


def broken(samples: Mapping[Case, Sequence[Sample]]) -> list[str]:
    """What makes a run worthless: a wrong answer, or an error that is not a timeout of somebody else's client."""
    found: list[str] = []
    for case, taken in samples.items():
        one = middle(taken)
        ours = case.client.startswith("ours")
        errors = [name for name in one["errors"] if ours or "Timeout" not in name]
        if one["wrong"] or errors:
            found.append(f"{case.client}, {case.setting}: {one['wrong']} wrong, {one['errors']}")
    return found


def markdown(kept: Mapping[str, Any], picture: str) -> str:
    """What the README shows of a run, from what bench.json keeps."""
    where = kept["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    head, *rows = kept["goals"]
    lines = [
        f"![CPU and requests/s against hand-written httpx]({picture})",
        "",
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}; {versions}.",
        "",
        *(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)),
    ]
    return "\n".join(lines)


def shown(readme: str, text: str) -> str:
    """The README with this between its two marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected {BEGIN} and {END} in the README, got it without")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
