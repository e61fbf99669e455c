"""The deadline of one request, asked at each step what is left of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from ._failures import ExchangeTimeout


class Deadline:
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, from 0; never more than there were, should the clock be set back (freezegun)."""
        return max(0.0, min(self.at - monotonic(), self.seconds))

    def left(self, step: str) -> float:
        """Seconds that are left for a step; raise ExchangeTimeout if there are none."""
        if not (left := self.remaining()):
            raise ExchangeTimeout(f"the deadline passed while {step}")
        return left


def shares(addresses: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, float]]:
    """Each address with the seconds it may take, so that dead ones leave time for the next."""
    for position, address in enumerate(addresses):
        yield address, deadline.left("connecting") / (len(addresses) - position)
