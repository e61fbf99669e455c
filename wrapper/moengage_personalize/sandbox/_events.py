"""What the sandbox has been told of impressions and clicks, and what it answers.

Law of this module: as the API is known to be: a whole request is refused for one bad element, and an event that comes
twice counts once. https://www.moengage.com/docs/api/experiences/track-experience-events
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from attrs import Factory, define

from . import _document


@define
class Received:
    """The events that were accepted, each once, in the order in which they came."""

    events: dict[str, dict[str, Any]] = Factory(dict[str, dict[str, Any]])
    times: Counter[str] = Factory(Counter[str])

    def take(self, body: object) -> str | None:
        """Keep the events of one request; None, or what is wrong with it, and then none of them is kept."""
        problem = _document.problem(body, _document.EVENTS)
        if problem is not None:
            return problem
        for element in cast(dict[str, Any], body)["elements"]:
            user = {name: value for name, value in element.items() if name != "actions"}
            for action in element["actions"]:
                self.times[action["moe_event_uuid"]] += 1
                self.events.setdefault(action["moe_event_uuid"], {**user, **action})
        return None

    def shown(self) -> dict[str, Any]:
        """All of it, as GET /_sandbox/events gives it."""
        events = [{**event, "received": self.times[uuid]} for uuid, event in self.events.items()]
        return {"count": len(events), "duplicates": self.times.total() - len(events), "events": events}


@define
class Failure:
    """What the next requests are answered with instead; set by POST /_sandbox/fail."""

    status: int = 0
    times: int = 0

    def set(self, wanted: Mapping[str, Any]) -> None:
        """{"status": 503, "times": 2}; times 0 ends it."""
        self.status, self.times = int(wanted.get("status", 500)), int(wanted.get("times", 1))

    def next(self) -> int | None:
        """The status to fail with, if this request is one of those."""
        if self.times <= 0:
            return None
        self.times -= 1
        return self.status
