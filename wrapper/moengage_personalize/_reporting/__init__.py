"""Events on their way to the API: grouped into requests, queued, and sent in the background.

The states of an event that was put:

    put ──▶ queued ──▶ in flight ──▶ sent           the API accepted it
              ▲            │
              └────────────┤                        failed in a way that may pass: queued again, before all others
                           └──────▶ dropped         with a reason, counted, and handed to `on_drop`

    At any moment: created + recovered = sent + dropped + queued (in flight included) + spooled

Each event has a uuid by which the API counts it once, so that in doubt it is sent again: after a timeout, after a fork
or a kill, after an event loop was closed with a request under way. Nothing here ever has to know whether it arrived.

`Delivery` is one report: which requests carry the events, and how a refused request is halved until the event at fault
is alone. `Outbox` is the queue that counts. `FlushSchedule` decides what is sent when, as a generator without I/O or
clock; `Reporter` drives it from a thread and `AsyncReporter` from a task.
"""

from ._delivery import MAX_ELEMENTS, Batch, Delivery, Rejection, not_accepted
from ._outbox import OnDrop, ReporterStats
from ._reporter import AsyncReporter, Reporter
from ._schedule import retry_pause

__all__ = [
    "MAX_ELEMENTS",
    "AsyncReporter",
    "Batch",
    "Delivery",
    "OnDrop",
    "Rejection",
    "Reporter",
    "ReporterStats",
    "not_accepted",
    "retry_pause",
]
