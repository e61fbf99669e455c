"""Spans and metrics of OpenTelemetry for each operation of a client, by the API package alone.

    telemetry = Telemetry()
    client = PersonalizeClient.from_env(observe=telemetry)
    reporter = telemetry.watch(client.reporter())

An operation is a client span below the one that is current where it was called, and has one below it for each attempt
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). What came of each experience key is an event of it, with
the variation (https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/). Spans are made when the
operation has ended, with its times; the API gets no header of a trace, and no span tells who the visitor was.

Needs the extra: pip install "moengage-personalize[otel]".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit
from weakref import ref

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
    from opentelemetry.trace import SpanKind, StatusCode, TracerProvider, get_tracer, set_span_in_context
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[otel]"'
    raise ImportError(f"expected the extra of OpenTelemetry ({needed}), got no {missing.name}") from missing

from .. import AsyncReporter, Attempt, Call, Reporter, ReporterStats

R = TypeVar("R", bound=Reporter | AsyncReporter)
Attributes = dict[str, str | int]
NAME = "moengage_personalize"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds; those that the conventions advise.
# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpclientrequestduration
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
REASONS: dict[str, Attributes] = {
    "served": {"feature_flag.result.reason": "targeting_match"},
    "malformed": {"feature_flag.result.reason": "error", "error.type": "parse_error"},
    "failed": {"feature_flag.result.reason": "error", "error.type": "general"},
}
NOT_SERVED: Attributes = {"feature_flag.result.reason": "default"}


class Telemetry:
    """What `observe=` takes, for any number of clients; by default with the providers of the process."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = get_tracer(NAME, tracer_provider=tracer_provider)
        meter = get_meter(NAME, meter_provider=meter_provider)
        seconds = partial(meter.create_histogram, unit="s", explicit_bucket_boundaries_advisory=BUCKETS)
        self._requests = seconds("http.client.request.duration", description="Attempts.")
        self._calls = seconds("personalize.call.duration", description="Operations, retries included.")
        self._retries = meter.create_counter("personalize.retries", "{request}", "Requests that were tried again.")
        self._experiences = meter.create_counter(
            "personalize.experiences", "{experience}", "What came of each experience key that was asked for."
        )
        self._wrong_types = meter.create_counter(
            "personalize.wrong_types", "{experience}", "Keys with a value of another type than was asked for."
        )
        meter.create_observable_gauge("personalize.reporter.queued", [self._queued], "{event}", "Events that wait.")
        meter.create_observable_gauge("personalize.reporter.dropped", [self._dropped], "{event}", "Events lost so far.")
        self._reporters: list[ref[Reporter | AsyncReporter]] = []

    def watch(self, reporter: R) -> R:
        """Have the queue of a reporter and its dropped events measured for as long as it lives; gives it back."""
        self._reporters.append(ref(reporter))
        return reporter

    def __call__(self, call: Call) -> None:
        """Make the spans and metrics of one operation; called by the client."""
        if call.operation == "value":
            self._wrong_types.add(1, {"feature_flag.key": ", ".join(call.keys or ())})
            return
        about: Attributes = {"personalize.operation": call.operation}
        about |= {} if call.outcome == "ok" else {"error.type": call.outcome}
        self._calls.record(call.seconds, about)
        self._retries.add(call.retries, {"personalize.operation": call.operation})
        about |= {"personalize.circuit": call.circuit, "personalize.retries": call.retries}
        about = (_http(call.attempts[-1]) if call.attempts else {}) | about
        began, ended = _nanoseconds(call.started), _nanoseconds(call.started, call.seconds)
        span = self._tracer.start_span(f"personalize {call.operation}", None, SpanKind.CLIENT, about, start_time=began)
        sent: Counter[int] = Counter()
        for attempt in call.attempts:
            self._attempt(attempt, sent[attempt.request], set_span_in_context(span))
            sent[attempt.request] += 1
        for evaluation in _evaluations(call):
            self._experiences.add(1, evaluation)
            span.add_event("feature_flag.evaluation", evaluation, ended)
        if call.outcome != "ok":
            span.set_status(StatusCode.ERROR, str(call.error or call.outcome))
        span.end(ended)

    def _attempt(self, attempt: Attempt, resent: int, parent: Context) -> None:
        about, name = _http(attempt), f"{attempt.method} {urlsplit(attempt.url).path}"
        self._requests.record(attempt.seconds, {key: value for key, value in about.items() if key != "url.full"})
        about |= {"http.request.resend_count": resent} if resent else {}
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, about, start_time=_nanoseconds(attempt.started))
        if "error.type" in about:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(attempt.started, attempt.seconds))

    def _stats(self) -> list[ReporterStats]:
        return [reporter.stats for found in self._reporters if (reporter := found()) is not None]

    def _queued(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(one.queued + one.spooled for one in self._stats()))]

    def _dropped(self, _: CallbackOptions) -> Iterable[Observation]:
        dropped = sum((Counter(one.dropped) for one in self._stats()), Counter[str]())
        return [Observation(number, {"reason": reason}) for reason, number in dropped.items()]


def _evaluations(call: Call) -> Iterator[Attributes]:
    for key, reason in call.reasons.items():
        found: Attributes = {"feature_flag.key": key, "feature_flag.provider.name": "moengage-personalize"}
        if key in call.variations:
            found["feature_flag.result.variant"] = call.variations[key]
        yield found | REASONS.get(reason, NOT_SERVED)


def _http(attempt: Attempt) -> Attributes:
    parts = urlsplit(attempt.url)
    found: Attributes = {
        "http.request.method": attempt.method,
        "server.address": attempt.host,
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        "url.full": attempt.url,
    }
    if attempt.status is not None:
        found["http.response.status_code"] = attempt.status
    if attempt.failure is not None or (attempt.status or 0) >= 400:
        found["error.type"] = attempt.failure or str(attempt.status)
    return found


def _nanoseconds(started: datetime, seconds: float = 0.0) -> int:
    """Unix time, by whole microseconds, so that no child ends after its parent by a rounding."""
    return (started - EPOCH + timedelta(seconds=seconds)) // timedelta(microseconds=1) * 1000
