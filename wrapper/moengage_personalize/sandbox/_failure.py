"""Failing on command: what the next requests are answered with instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import asdict, define, frozen

from ._schema import Checker, closed
from ._yaml import written

CHECKER = Checker(
    lambda: closed(
        [],
        status={"type": "integer", "minimum": 400, "maximum": 599},
        times={"type": "integer", "minimum": 0},
        delay={"type": "number", "minimum": 0, "maximum": 60},
        drop={"type": "boolean"},
    )
)


@frozen
class Fault:
    """What happens to one request."""

    status: int | None = None
    """Answered with it, as a refusal; None: as the request deserves."""
    delay: float = 0.0
    """Seconds before the answer."""
    drop: bool = False
    """The connection is closed without an answer."""


@define
class Failure:
    """The faults that are armed; set by POST /_sandbox/fail."""

    fault: Fault = Fault()
    times: int = 0

    def arm(self, wanted: object) -> str | None:
        """Arm {"status": 503, "times": 2, "delay": 0.4, "drop": false}; None, or what is wrong with it.

        Times 0 ends it. Where neither status, delay nor drop is named, the status is 500.
        """
        misfits = list(CHECKER.misfits(wanted))
        if misfits:
            return "; ".join(f"{written(tuple(one.absolute_path))}: {one.message}" for one in misfits)
        given = cast(Mapping[str, Any], wanted)
        default = None if given.get("delay") or given.get("drop") else 500
        status = given.get("status", default)
        self.fault = Fault(
            None if status is None else int(status), float(given.get("delay", 0)), given.get("drop", False)
        )
        self.times = int(given.get("times", 1))
        return None

    def next(self) -> Fault:
        """What happens to the request that comes now."""
        if self.times <= 0:
            return Fault()
        self.times -= 1
        return self.fault

    def shown(self) -> dict[str, Any]:
        """What is armed, as POST /_sandbox/fail gives it."""
        return {**asdict(self.fault), "times": self.times}
