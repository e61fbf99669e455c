"""bench.svg: how a call compares with hand-written httpx, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .canned import MANY, ONE
from .cases import Case, Setting
from .figures import Sample
from .report import against

OURS, OTHERS, INK = "#1f77b4", "#b0b7bf", "#24292f"
FOOT = 0.02
PANELS = (
    ("CPU a call, less is better", "cpu", Setting("sync", ONE, 1)),
    ("CPU a call, less is better", "cpu", Setting("sync", MANY, 1)),
    ("requests/s, more is better", "requests", Setting("sync", ONE, 16)),
    ("requests/s, more is better", "requests", Setting("async", ONE, 64)),
)


def draw(samples: Mapping[Case, Sequence[Sample]], path: Path) -> None:
    """Write the picture; on white, so that it can be read on a light and on a dark page."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "text.color": INK, "axes.labelcolor": INK})
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained", facecolor="white")
    for axis, (title, what, setting) in zip(axes.flat, PANELS, strict=True):
        _panel(axis, f"{setting}\n{title}", _bars(samples, what, setting))
    figure.suptitle("Ratios to hand-written httpx (1, dashed); medians of rounds, lines from least to most")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


Bar = tuple[str, float, float, float]


def _bars(samples: Mapping[Case, Sequence[Sample]], what: str, setting: Setting) -> list[Bar]:
    """Client, median, least, most; the highest first, so that it lies at the foot."""
    found = {case.client: against(samples, case, what) for case in samples if case.setting == setting}
    bars = [(client, one.median, one.least, one.most) for client, one in found.items() if one]
    return sorted(bars, key=lambda bar: bar[1], reverse=what == "cpu")


def _panel(axis: Any, title: str, bars: Sequence[Bar]) -> None:
    names = [name for name, *_ in bars]
    medians = [middle for _, middle, _, _ in bars]
    spread = [[middle - least for _, middle, least, _ in bars], [most - middle for _, middle, _, most in bars]]
    colours = [OURS if name.startswith("ours") else OTHERS for name in names]
    axis.barh(names, medians, xerr=spread, color=colours, ecolor=INK, error_kw={"linewidth": 0.8})
    axis.set_xscale("log")
    axis.axvline(1, color=INK, linewidth=0.8, linestyle="--")
    axis.set_title(title, fontsize=9)
    axis.set_xlim(FOOT, 3 * max(most for *_, most in bars))  # a logarithm has no nought: all bars begin at one place
    axis.xaxis.set_visible(False)  # each bar has its number
    for position, (_, middle, _, most) in enumerate(bars):
        axis.annotate(f"{middle:.2f}", (most, position), (4, 0), textcoords="offset points", va="center")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
