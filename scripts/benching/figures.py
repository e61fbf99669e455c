"""Medians of rounds, and ratios of what was measured in the same round."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from attrs import asdict, define, frozen


@define
class Sample:
    """One case in one round. Times are seconds a call; None where no call ended well."""

    calls: int
    errors: dict[str, int]
    """Calls that raised, by the name of the error."""
    wrong: int
    """Calls whose values were not those that the server sent."""
    cpu: float | None
    """Of all threads of the client's process."""
    wall: float | None
    p50: float | None
    p99: float | None
    requests: float
    """Calls a second."""
    server: float
    """The part of its core that the server used."""
    long: bool = False
    """It took so long that it was measured in the first rounds only."""


@frozen
class Ratio:
    """A median of ratios, and how far they lay apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio | None:
        """None where there is nothing to compare."""
        return cls(median(ratios), min(ratios), max(ratios)) if ratios else None


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The value below which so many per cent lie, of an ordered sequence; None if that is empty."""
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else None


def ratio(of: Sequence[Sample], to: Sequence[Sample], figure: str) -> Ratio | None:
    """Of one figure, round by round; rounds in which either has none are left out."""
    pairs = [(getattr(one, figure), getattr(other, figure)) for one, other in zip(of, to, strict=False)]
    return Ratio.of([one / other for one, other in pairs if one is not None and other])


def middle(samples: Sequence[Sample]) -> dict[str, Any]:
    """The median of each figure, and the sums of what is counted."""
    found: dict[str, Any] = {"rounds": len(samples), "calls": sum(sample.calls for sample in samples)}
    found["wrong"] = sum(sample.wrong for sample in samples)
    errors = [name for sample in samples for name in sample.errors]
    found["errors"] = {name: sum(sample.errors.get(name, 0) for sample in samples) for name in sorted(set(errors))}
    for figure in ("cpu", "wall", "p50", "p99", "requests", "server"):
        values = [value for sample in samples if (value := getattr(sample, figure)) is not None]
        found[figure] = median(values) if values else None
    return found


def told(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The rounds themselves, for bench.json."""
    return [asdict(sample) for sample in samples]
