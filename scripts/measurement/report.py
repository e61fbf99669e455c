"""A run of bench as tables, in bench.json and bench.svg, and in scripts/README.md."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import bench
from .clients import HTTPX, MANY, ONE, OURS

if TYPE_CHECKING:
    from .bench import Ratio, Samples

ROOT = Path(__file__).resolve().parents[2]
KEPT, README = ROOT / "scripts" / "bench-results", ROOT / "scripts" / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- end of bench -->"
PACKAGES = ("httpx", "httpcore", "httptools", "msgspec", "aiohttp", "pyreqwest")
HEAD = ["what", "goal", "measured", "met"]


def machine() -> dict[str, Any]:
    """Where and when this was measured."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", info.read_text("utf-8"), re.MULTILINE) if info.exists() else None
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": found[1] if found else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions,
    }


def values(samples: Samples, goals: Any, fresh: Mapping[str, float], absent: list[str], quick: bool) -> dict[str, Any]:
    """What is kept of a run: of each case the medians, and the ratios to hand-written httpx."""
    cases: list[dict[str, Any]] = []
    for case, taken in samples.items():
        ratios = {f"{figure} to {HTTPX}": bench.against_httpx(samples, case, figure) for figure in ("cpu", "requests")}
        cases.append({"client": case[0], "setting": str(case[1]), **bench.middle(taken), **ratios})
    run = {"machine": machine(), "quick": quick, "absent": absent, "goals": goals}
    return {**run, "new processes": fresh, "cases": cases}


def table(samples: Samples) -> tuple[list[str], list[list[str]]]:
    """Every case in a row, and what stands over them."""
    head = ["setting", "client", "CPU us", "wall us", "p50 ms", "p99 ms", "calls/s", "CPU to httpx", "server", ""]
    rows: list[list[str]] = []
    for case, taken in samples.items():
        one = bench.middle(taken)
        wrong = {"wrong": one["wrong"]} if one["wrong"] else {}
        factors = {"cpu": 1e6, "wall": 1e6, "p50": 1e3, "p99": 1e3, "requests": 1.0}
        numbers = [_number(one[name], factor) for name, factor in factors.items()]
        notes = ", ".join(f"{count} {name}" for name, count in {**one["errors"], **wrong}.items())
        cpu = _ratio(bench.against_httpx(samples, case, "cpu"))
        rows.append([str(case[1]), case[0], *numbers, cpu, f"{one['server']:.0%}", notes])
    return head, rows


def _number(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{value * factor:,.0f}" if value * factor >= 100 else f"{value * factor:.3g}"


def _ratio(found: Ratio | None) -> str:
    return "-" if found is None else "{:.2f} ({:.2f}-{:.2f})".format(*found)


def markdown(kept: Mapping[str, Any], picture: str = "bench-results/bench.svg") -> str:
    """What the README shows of a run, from what bench.json keeps."""
    where = kept["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    lines = [
        f"![CPU and requests/s against hand-written httpx]({picture})",
        "",
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}; {versions}.",
        "",
        *(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *kept["goals"])),
    ]
    return "\n".join(lines)


def shown(readme: str, text: str) -> str:
    """The README with this between its two marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected {BEGIN} and {END} in the README, got it without")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def save(kept: Mapping[str, Any], samples: Samples, out: Path) -> None:
    """Write bench.json, a line for each case, and bench.svg."""
    rest = json.dumps({**kept, "cases": "@"}, indent=1, ensure_ascii=False)
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in kept["cases"])
    (out / "bench.json").write_text(rest.replace('"@"', f"[\n{lines}\n ]") + "\n", "utf-8")
    draw(samples, out / "bench.svg")


def keep(out: Path) -> None:
    """Keep what was written, and show it in scripts/README.md."""
    KEPT.mkdir(exist_ok=True)
    for name in ("bench.json", "bench.svg"):
        shutil.copyfile(out / name, KEPT / name)
    kept = json.loads((KEPT / "bench.json").read_text("utf-8"))
    README.write_text(shown(README.read_text("utf-8"), markdown(kept)), "utf-8")


# ---- The picture -----------------------------------------------------------------------------------------------------

COLOURS, INK = {True: "#1f77b4", False: "#b0b7bf"}, "#24292f"
Bar = tuple[str, float, float, float]
"""Client, median, least, most."""


def draw(samples: Samples, path: Path) -> None:
    """How a call compares with hand-written httpx, as bars; on white, to be read on a light and on a dark page."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "text.color": INK, "axes.labelcolor": INK})
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained", facecolor="white")
    titles = {"cpu": "CPU a call, less is better", "requests": "requests/s, more is better"}
    settings = [("sync", ONE, 1), ("sync", MANY, 1), ("sync", ONE, 16), ("async", ONE, 64)]
    for axis, setting, what in zip(axes.flat, settings, ("cpu", "cpu", "requests", "requests"), strict=True):
        chosen = bench.Setting(*setting)
        found = {case[0]: bench.against_httpx(samples, case, what) for case in samples if case[1] == chosen}
        bars = [(client, *one) for client, one in found.items() if one]
        # The highest first, so that it lies at the foot.
        _panel(axis, f"{chosen}\n{titles[what]}", sorted(bars, key=lambda bar: bar[1], reverse=what == "cpu"))
    figure.suptitle("Ratios to hand-written httpx (1, dashed); medians of rounds, lines from least to most")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _panel(axis: Any, title: str, bars: Sequence[Bar]) -> None:
    spread = [[middle - least for _, middle, least, _ in bars], [most - middle for _, middle, _, most in bars]]
    colours = [COLOURS[name == OURS] for name, *_ in bars]
    axis.barh([bar[0] for bar in bars], [bar[1] for bar in bars], xerr=spread, color=colours, ecolor=INK)
    axis.set_xscale("log")
    axis.axvline(1, color=INK, linewidth=0.8, linestyle="--")
    axis.set_title(title, fontsize=9)
    axis.set_xlim(0.02, 3 * max(most for *_, most in bars))  # a logarithm has no nought: all bars begin at one place
    axis.xaxis.set_visible(False)  # each bar has its number
    for position, (_, middle, _, most) in enumerate(bars):
        axis.annotate(f"{middle:.2f}", (most, position), (4, 0), textcoords="offset points", va="center")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
