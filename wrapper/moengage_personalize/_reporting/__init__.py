"""Events on their way to the API: grouped into requests, queued, and sent in the background."""

from ._async_reporter import AsyncReporter
from ._batches import Batch, batches, settle
from ._item import OnDrop, ReporterStats
from ._reporter import Reporter

__all__ = ["AsyncReporter", "Batch", "OnDrop", "Reporter", "ReporterStats", "batches", "settle"]
