"""Spans and metrics of OpenTelemetry, by the exporters of its SDK that keep them in memory."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
from attrs import define, field
from event_samples import ACCEPTED, REFUSED, shown
from faces import Face
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from servers import answers, hangs_up, serves, serving, then_closes

from moengage_personalize import PersonalizeError
from moengage_personalize.integrations.opentelemetry import Telemetry

CLOSES = "connection: close"  # so that no request goes into a closed connection, which would be an attempt
BANNER = {"payload": {"Title": {"value": "Hi"}}, "experience_context": {"moe_variation_id": "2"}}


@define
class Exported:
    """What one Telemetry has made."""

    spans: InMemorySpanExporter = field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader)
    tracers: TracerProvider = field(factory=lambda: TracerProvider(shutdown_on_exit=False))
    telemetry: Telemetry = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.telemetry = Telemetry(self.tracers, meters)

    def tree(self) -> tuple[ReadableSpan, list[ReadableSpan]]:
        """The one span of an operation and those below it, in the order of their starts."""
        spans = self.spans.get_finished_spans()
        (top,) = [span for span in spans if span.name.startswith("personalize ")]
        below = [span for span in spans if span.parent and span.parent.span_id == top.context.span_id]
        assert len(below) == len(spans) - 1
        return top, sorted(below, key=lambda span: span.start_time or 0)

    def points(self, name: str) -> list[Any]:
        """The data points of one metric."""
        data: Any = self.reader.get_metrics_data()
        metrics = [
            one for resource in data.resource_metrics for scope in resource.scope_metrics for one in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def values(self, name: str, attribute: str) -> dict[Any, Any]:
        """The values of one metric by one of its attributes."""
        return {point.attributes.get(attribute): point.value for point in self.points(name)}


@pytest.fixture
def exported() -> Exported:
    return Exported()


def test_an_operation_is_a_client_span_and_each_attempt_one_below(face: Face, exported: Exported) -> None:
    with serving(then_closes(answers(503, b"", CLOSES)), hangs_up, serves("a")) as server:
        face.fetch(face.client(base_url=server.base_url, observe=exported.telemetry, timeout=5), "a")
    top, below = exported.tree()
    port = int(server.base_url.split(":")[2].partition("/")[0])
    http = {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{server.base_url}/experiences/fetch",
    }
    assert (top.name, top.kind, top.parent, top.status.status_code) == (
        "personalize fetch",
        SpanKind.CLIENT,
        None,
        StatusCode.UNSET,
    )
    assert dict(top.attributes or {}) == {
        **http,
        "http.response.status_code": 200,
        "personalize.operation": "fetch",
        "personalize.circuit": "closed",
        "personalize.retries": 2,
    }
    assert {(span.name, span.kind) for span in below} == {("POST /v1/experiences/fetch", SpanKind.CLIENT)}
    assert [dict(span.attributes or {}) for span in below] == [
        {**http, "http.response.status_code": 503, "error.type": "503"},
        {**http, "error.type": "connection", "http.request.resend_count": 1},
        {**http, "http.response.status_code": 200, "http.request.resend_count": 2},
    ]
    assert [span.status.status_code for span in below] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    times = [time for span in below for time in (span.start_time or 0, span.end_time or 0)]
    assert times == sorted(times)
    assert (top.start_time or 0) <= times[0] < times[-1] <= (top.end_time or 0) + 1000


def test_the_span_is_below_the_one_that_is_current(face: Face, exported: Exported, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url, observe=exported.telemetry)
    tracer = exported.tracers.get_tracer("service")

    async def render() -> None:
        with tracer.start_as_current_span("GET /home"):
            await client.fetch([f"key-{number}" for number in range(60)])

    if face.kind == "sync":
        with tracer.start_as_current_span("GET /home"):
            client.fetch([f"key-{number}" for number in range(60)])
    else:
        face.run(render())
    spans = exported.spans.get_finished_spans()
    (page,) = [span for span in spans if span.name == "GET /home"]
    (top,) = [span for span in spans if span.name == "personalize fetch"]
    assert top.parent is not None
    assert top.parent.span_id == page.context.span_id
    below = [span for span in spans if span.parent and span.parent.span_id == top.context.span_id]
    assert len(below) == 3  # the parts of the split, none of them sent again
    assert not [span for span in below if "http.request.resend_count" in (span.attributes or {})]


def test_what_came_of_each_key_is_an_event_and_counted(face: Face, exported: Exported) -> None:
    with serving(answers(200, {"experiences": {"a": BANNER, "bad": 7}})) as server:
        face.fetch(face.client(base_url=server.base_url, observe=exported.telemetry), ["a", "bad", "none"])
    top, _ = exported.tree()
    provider = {"feature_flag.provider.name": "moengage-personalize"}
    assert {event.name for event in top.events} == {"feature_flag.evaluation"}
    events = [dict(event.attributes or {}) for event in top.events]
    assert events == [
        {
            **provider,
            "feature_flag.key": "a",
            "feature_flag.result.variant": "2",
            "feature_flag.result.reason": "targeting_match",
        },
        {
            **provider,
            "feature_flag.key": "bad",
            "feature_flag.result.reason": "error",
            "error.type": "parse_error",
        },
        {**provider, "feature_flag.key": "none", "feature_flag.result.reason": "default"},
    ]
    assert {event.timestamp for event in top.events} == {top.end_time}
    assert [dict(point.attributes) for point in exported.points("personalize.experiences")] == events
    assert exported.values("personalize.experiences", "feature_flag.key") == {"a": 1, "bad": 1, "none": 1}


def test_a_failure_is_an_error_with_its_class_and_our_words(face: Face, exported: Exported) -> None:
    with serving(answers(401, {"description": "canary"})) as server:
        client = face.client(base_url=server.base_url, observe=exported.telemetry)
        assert face.fetch_or_empty(client, "a").error is not None
    top, (attempt,) = exported.tree()
    assert top.status.status_code is StatusCode.ERROR
    assert top.status.description == "expected status 200, got 401 Unauthorized"
    assert (top.attributes or {})["error.type"] == "AuthenticationFailed"
    assert (attempt.attributes or {})["error.type"] == "401"
    (event,) = top.events
    assert (event.attributes or {})["feature_flag.result.reason"] == "error"
    assert (event.attributes or {})["error.type"] == "general"
    assert "canary" not in top.to_json() + attempt.to_json()


def test_a_call_that_sends_nothing_has_no_http_attributes(face: Face, exported: Exported) -> None:
    face.fetch_or_empty(face.client(base_url="http://host/v1", observe=exported.telemetry), "")
    top, below = exported.tree()
    assert below == []
    assert set(top.attributes or {}) == {
        "error.type",
        "personalize.operation",
        "personalize.circuit",
        "personalize.retries",
    }


def test_durations_and_retries_are_metrics(face: Face, exported: Exported) -> None:
    with serving(
        then_closes(answers(503, b"", CLOSES)),
        then_closes(answers(200, {"experiences": {}}, CLOSES)),
        answers(200, ACCEPTED),
    ) as server:
        client = face.client(base_url=server.base_url, observe=exported.telemetry, timeout=5)
        face.fetch(client, "a")
        face.run(client.report_events([shown()]))
    attempts = {
        point.attributes["http.response.status_code"]: point
        for point in exported.points("http.client.request.duration")
    }
    assert {status: point.count for status, point in attempts.items()} == {503: 1, 200: 2}
    assert all("url.full" not in point.attributes for point in attempts.values())
    assert attempts[503].explicit_bounds[:3] == (0.005, 0.01, 0.025)
    calls = {
        point.attributes["personalize.operation"]: point.count for point in exported.points("personalize.call.duration")
    }
    assert calls == {"fetch": 1, "report_events": 1}
    retries = exported.values("personalize.retries", "personalize.operation")
    assert retries == {"fetch": 1, "report_events": 0}


def test_a_value_of_another_type_is_counted_and_makes_no_span(face: Face, exported: Exported) -> None:
    with serving(answers(200, {"experiences": {"a": BANNER}})) as server:
        found = face.fetch(face.client(base_url=server.base_url, observe=exported.telemetry), "a")
        assert found.integer("a", "Title", 3) == 3
    exported.tree()
    assert exported.values("personalize.wrong_types", "feature_flag.key") == {"a": 1}


def test_the_queue_and_the_drops_of_a_reporter_are_gauges(face: Face, exported: Exported) -> None:
    with serving(answers(400, b"{}")) as server:
        client = face.client(base_url=server.base_url)
        reporter = exported.telemetry.watch(client.reporter(flush_interval=60))
        assert exported.values("personalize.reporter.queued", "reason") == {None: 0}

        async def report() -> None:
            reporter.put(shown(**REFUSED))
            assert exported.values("personalize.reporter.queued", "reason") == {None: 1}
            await reporter.close()

        if face.kind == "sync":
            reporter.put(shown(**REFUSED))
            assert exported.values("personalize.reporter.queued", "reason") == {None: 1}
            reporter.close()
        else:
            face.run(report())
    assert exported.values("personalize.reporter.queued", "reason") == {None: 0}
    assert exported.values("personalize.reporter.dropped", "reason") == {"refused": 1}


def test_a_reporter_that_is_gone_is_measured_no_more(exported: Exported) -> None:
    reporter = Face("sync").client(base_url="http://host/v1").reporter(queue_size=1)
    exported.telemetry.watch(reporter)
    reporter.close()
    reporter.put(shown())
    assert exported.values("personalize.reporter.dropped", "reason") == {"closed": 1}
    del reporter
    gc.collect()
    assert exported.points("personalize.reporter.dropped") == []


def test_without_an_sdk_nothing_is_made_and_nothing_fails(face: Face, sandbox_url: str) -> None:
    client = face.client(base_url=sandbox_url, observe=Telemetry())
    assert face.fetch(client, "promo-strip").error is None
    with pytest.raises(PersonalizeError):
        face.fetch(client, "")


def test_without_the_extra_the_import_says_which_one() -> None:
    code = """if True:
        import sys
        sys.modules["opentelemetry"] = None
        import moengage_personalize.integrations.opentelemetry
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "moengage-personalize[otel]"' in done.stderr
