"""Percentiles, medians and timers, and how a measurement is printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The value below which so many per cent lie, of an ordered sequence; None if that is empty."""
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else None


def console() -> Console:
    """Where the tables go; wide where no terminal says how wide it is."""
    return Console(width=None if sys.stdout.isatty() else 180, highlight=False)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table; what begins with a digit stands at the right."""
    table = Table(title=title or None, title_justify="left")
    for column, name in enumerate(head):
        numbers = all(row[column][:1].isdigit() or row[column] in ("", "-") for row in rows)
        table.add_column(name, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def verdict(broken: Sequence[str]) -> int:
    """Print which promises were broken; the exit status."""
    for line in broken:
        console().print(f"FAILED: {line}", style="red", markup=False, soft_wrap=True)
    return 1 if broken else 0
