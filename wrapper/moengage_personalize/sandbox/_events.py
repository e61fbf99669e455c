"""The impressions and clicks that the sandbox has accepted.

As the API is known to be: a whole request is refused for one bad element, and an event that comes twice counts once.
https://www.moengage.com/docs/api/experiences/track-experience-events
"""

from __future__ import annotations

from collections import Counter
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

    def clear(self) -> None:
        """Forget them all."""
        self.events.clear()
        self.times.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Each event once, with how often it was received."""
        return [{**event, "received": self.times[uuid]} for uuid, event in list(self.events.items())]

    def shown(self) -> dict[str, Any]:
        """All of it, as GET /_sandbox/events gives it."""
        events = self.listed()
        return {"count": len(events), "duplicates": self.times.total() - len(events), "events": events}
