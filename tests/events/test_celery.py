"""Events through Celery: as values, in this process, and through a real Redis to a real worker that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import flush_world
import pytest
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded
from celery.result import AsyncResult
from event_samples import REFUSED, Held, fail, received, serving_limited, shown
from faces import CREDENTIALS
from helpers import ROOT
from hypothesis import given, strategies as st
from kombu.exceptions import OperationalError

from moengage_personalize import (
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    EventsNotAccepted,
    ExperienceEvent,
    InvalidRequestError,
    PersonalizeClient,
    PersonalizeError,
    RateLimited,
    ServerError,
    sandbox,
)
from moengage_personalize._reporting import Delivery, Rejection
from moengage_personalize.integrations import celery as integration
from moengage_personalize.integrations.celery import ReportTask, report_task, report_texts

EVENTS = [shown() for _ in range(250)]
CANARY = "canary-8821"
REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed, and could not be")


def texts(events: list[ExperienceEvent]) -> list[str]:
    return [event.to_json() for event in events]


class Api:
    """Answers the requests of a report, and keeps what it accepted."""

    def __init__(self, bad: Iterable[str] = (), fails_at: int = 0) -> None:
        self.bad, self.fails_at = set(bad), fails_at
        self.calls = 0
        self.accepted: list[str] = []

    def report(self, events: list[ExperienceEvent]) -> Delivery:
        return flush_world.deliver(events, self.answer)

    def answer(self, events: tuple[ExperienceEvent, ...]) -> PersonalizeError | None:
        assert events
        self.calls += 1
        if self.calls == self.fails_at:
            return ServerError("503")
        if self.bad & {event.uuid for event in events}:
            return BadRequest("400")
        self.accepted += [event.uuid for event in events]
        return None


@given(
    count=st.integers(0, 250),
    bad=st.sets(st.integers(0, 249), max_size=4),
    malformed=st.integers(0, 3),
    fails_at=st.integers(0, 20),
)
def test_what_is_accepted_and_what_is_left_are_the_batch(
    count: int, bad: set[int], malformed: int, fails_at: int
) -> None:
    made = [EVENTS[number] for number in range(count)]
    wrong = {event.uuid for number, event in enumerate(made) if number in bad}
    api = Api(wrong, fails_at)
    left = report_texts(api.report, [*["junk"] * malformed, *texts(made)])
    assert sorted(api.accepted + [event.uuid for event in left.events]) == sorted(event.uuid for event in made)
    assert sorted(left.texts) == sorted(["junk"] * malformed + texts(left.events))
    assert bool(left.may_pass) == (0 < fails_at <= api.calls)
    assert left.may_pass or {event.uuid for event in left.events} == wrong


def test_what_is_left_after_an_outage_begins_with_what_may_pass() -> None:
    api = Api(bad={EVENTS[-1].uuid}, fails_at=2)
    left = report_texts(api.report, ["junk", *texts(EVENTS)])
    assert (len(api.accepted), [str(error) for error in left.may_pass]) == (124, ["503"])
    assert left.texts[0] == "junk"
    assert [type(one) for one in left.errors] == [ServerError, BadRequest, InvalidRequestError]


@pytest.fixture
def url() -> Iterator[str]:
    with sandbox.serve() as base_url:
        yield base_url


@pytest.fixture
def client(url: str) -> Iterator[PersonalizeClient]:
    with PersonalizeClient(**CREDENTIALS, base_url=url, max_retries=0, circuit_breaker=None) as client:
        yield client


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery("service", broker="memory://", set_as_current=False) as app:
        yield app


def eager(app: Celery, client: Any, **options: Any) -> ReportTask:
    app.conf.task_always_eager = True
    return report_task(app, client, **options)


def test_a_batch_is_reported_and_counted(app: Celery, client: PersonalizeClient, url: str) -> None:
    report = eager(app, client)
    made = [shown() for _ in range(130)]
    assert report.send(made).get() == 130
    assert report.delay(texts(made[:1])).get() == 1
    assert (received(url)["count"], received(url)["duplicates"]) == (130, 1)


def test_a_client_may_be_made_in_the_worker_once(app: Celery, client: PersonalizeClient, url: str) -> None:
    made: list[str] = []
    report = eager(app, lambda: [made.append("client"), client][1])
    assert made == []
    for _ in range(3):
        report.send([shown()]).get()
    assert made == ["client"]
    assert received(url)["count"] == 3


def test_a_refused_event_fails_the_task_when_the_others_have_arrived(
    app: Celery, client: PersonalizeClient, url: str
) -> None:
    made = [shown() for _ in range(99)]
    bad = shown(customer_id=CANARY, **REFUSED)
    result = eager(app, client).send([*made[:37], bad, *made[37:]])
    assert result.state == "FAILURE"
    error = result.result
    assert isinstance(error, EventsNotAccepted)
    assert str(error).startswith("expected 100 events to be accepted, got 1 rejected: expected status 200, got 400")
    assert error.events == (bad,)
    assert isinstance(error.__cause__, BadRequest)
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    assert CANARY not in str([frame.locals for frame in frames if "moengage_personalize" in frame.filename])
    assert {event["moe_event_uuid"] for event in received(url)["events"]} == {event.uuid for event in made}


def test_a_malformed_text_costs_itself_alone_in_the_worker(app: Celery, client: PersonalizeClient, url: str) -> None:
    fail(url, status=503)
    result = eager(app, client).apply((["junk", shown().to_json(), '{"customer_id": "canary-8821"}'],))
    assert received(url)["count"] == 1
    assert str(result.result).startswith("expected 3 events to be accepted, got 2 rejected: expected ")
    assert CANARY not in str(result.traceback)


@pytest.mark.parametrize("status", [401, 404, 503])
def test_whatever_else_fails_is_tried_again_with_what_is_left(
    app: Celery, client: PersonalizeClient, url: str, status: int
) -> None:
    fail(url, status=status, times=3)
    assert eager(app, client).send([shown() for _ in range(5)]).get() == 5
    assert (received(url)["count"], received(url)["duplicates"]) == (5, 0)


def test_a_task_fails_with_what_the_api_said_when_its_retries_are_used_up(
    app: Celery, client: PersonalizeClient, url: str
) -> None:
    fail(url, status=503, times=3)
    event = shown(customer_id=CANARY)
    result = eager(app, client, max_retries=2).send([event])
    assert received(url)["count"] == 0
    assert isinstance(result.result, EventsNotAccepted)
    assert isinstance(result.result.__cause__, ServerError)
    assert result.result.events == (event,)
    assert CANARY not in str(result.traceback) + str(result.result)


def test_what_is_too_long_together_is_sent_in_halves(app: Celery) -> None:
    made = [shown(customer_id=f"user_{number}") for number in range(100)]
    with serving_limited(20_000) as url, PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        assert eager(app, client).send(made).get() == 100
        assert received(url)["count"] == 100


@pytest.mark.parametrize("limited_first", [True, False])
def test_the_next_try_waits_for_the_longest_pause(
    app: Celery, client: PersonalizeClient, monkeypatch: pytest.MonkeyPatch, limited_first: bool
) -> None:
    limited, down = RateLimited("429"), ServerError("503")
    limited.retry_after = 45.0
    errors = [limited, down] if limited_first else [down, limited]
    delivery = Delivery(EVENTS[:2])
    delivery.rejections += [Rejection((event,), error) for event, error in zip(EVENTS, errors, strict=False)]
    monkeypatch.setattr(integration, "deliver", lambda *_: delivery)
    asked: list[float] = []

    def retry(*_: Any, exc: EventsNotAccepted, countdown: float) -> None:
        asked.append(countdown)
        raise exc

    monkeypatch.setattr(ReportTask, "retry", retry)
    with pytest.raises(EventsNotAccepted, match="got 2 rejected"):
        eager(app, client)(texts(EVENTS[:2]))
    assert asked == [45.0]


def test_a_client_that_is_closed_leaves_all_of_it_for_another_try(client: PersonalizeClient) -> None:
    def report(_: list[ExperienceEvent]) -> Delivery:
        raise ConfigurationError("expected an open client")

    left = report_texts(report, texts(EVENTS[:3]))
    assert left.texts == texts(EVENTS[:3])
    assert [type(error) for error in left.may_pass] == [ConfigurationError]


def test_an_interruption_by_a_time_limit_gets_out_at_once(
    app: Celery, client: PersonalizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(integration, "deliver", interrupted)
    with pytest.raises(SoftTimeLimitExceeded):
        eager(app, client)(texts(EVENTS[:2]))


def test_a_broker_that_takes_no_retry_keeps_the_task(
    app: Celery, client: PersonalizeClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = eager(app, client)
    fail(url, status=503)

    def retry(*_: Any, **__: Any) -> None:
        raise Reject("no broker", requeue=False)

    monkeypatch.setattr(ReportTask, "retry", retry)
    with pytest.raises(Reject) as caught:
        report([shown().to_json()])
    assert caught.value.requeue


def test_the_queue_holds_json_that_names_no_visitor_where_logs_show_it(app: Celery, client: PersonalizeClient) -> None:
    report = report_task(app, client, name="report")
    event = shown(customer_id=CANARY)
    report.send([event], queue="events")
    report.apply_async(kwargs={"events": [event.to_json()]}, retries=1, queue="events")
    with app.connection() as connection, connection.SimpleQueue("events") as queue:
        for _ in range(2):
            message = queue.get(timeout=5)
            assert message.headers["task"] == "report"
            assert CANARY not in str(message.headers)
            assert message.content_type == "application/json"
            assert [ExperienceEvent.from_json(text) for text in message.payload[0][0]] == [event]
            message.ack()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("junk",), "expected events as a list of JSON texts, got str"),
        ((["junk"],), "expected an event as a JSON object, got Expecting value"),
        (([7],), "expected an event as a JSON object, got "),
        ((), "expected one list of events, got 0 arguments"),
        (([], []), "expected one list of events, got 2 arguments"),
    ],
)
def test_what_is_no_event_is_refused_before_the_queue(
    app: Celery, client: PersonalizeClient, args: Any, message: str
) -> None:
    report = report_task(app, client)
    with pytest.raises(InvalidRequestError, match=message):
        report.delay(*args)
    with pytest.raises(InvalidRequestError, match="expected events to be ExperienceEvents, got str"):
        report.send(["junk"])  # type: ignore[list-item]


def test_a_broker_that_is_away_is_one_error_of_ours(
    app: Celery, client: PersonalizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("redis://:secret@host")

    monkeypatch.setattr(app, "send_task", away)
    with pytest.raises(ConnectionFailed, match=r"^expected the broker to take 1 events, got OperationalError$"):
        report_task(app, client).send([shown()])


def test_what_cannot_work_is_refused(app: Celery, client: PersonalizeClient) -> None:
    with pytest.raises(ConfigurationError, match="expected client to be a PersonalizeClient or to make one, got int"):
        report_task(app, 7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="expected timeout to be a number of seconds"):
        report_task(app, client, timeout=0)
    result = eager(app, lambda: 7, max_retries=0).send([shown()])
    assert "expected client to make a PersonalizeClient, got int" in str(result.result)


# A real Redis, a real worker.


class Service:
    """A sandbox, a Redis, and a Celery worker with two processes."""

    def __init__(self, folder: Path) -> None:
        self.free = threading.Event()
        self.free.set()
        application = sandbox.app()
        application.add_middleware(Held, free=self.free)
        self._serving = sandbox.serve(application)
        self.url = self._serving.__enter__()
        self._folder = folder
        self._log = (folder / "worker.log").open("w+")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._redis = subprocess.Popen(
            [str(REDIS), *f"--port {port} --bind 127.0.0.1 --save  --appendonly no --dir {folder}".split(" ")],
            stdout=subprocess.DEVNULL,
        )
        self._broker = f"redis://127.0.0.1:{port}/0"
        self._worker: subprocess.Popen[bytes] | None = None
        self.app = Celery("page", broker=self._broker, backend=self._broker, set_as_current=False)
        self.report = report_task(self.app, PersonalizeClient.from_env, ignore_result=False)  # has no key

    def start(self, visibility: int = 3600) -> None:
        environment = os.environ | {
            "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
            "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
            "MOENGAGE_BASE_URL": self.url,
            "BROKER": self._broker,
            "VISIBILITY": str(visibility),
        }
        options = "worker --concurrency=2 --loglevel=INFO --without-gossip --without-mingle --events"
        command = [sys.executable, "-m", "celery", "--app=celery_service", *options.split()]
        before = self.log.count(" ready.")
        self._worker = subprocess.Popen(
            command,
            cwd=ROOT / "tests" / "support",
            env=environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.until(lambda: self.log.count(" ready.") > before)

    @property
    def log(self) -> str:
        return (self._folder / "worker.log").read_text("utf-8")

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def kill_children(self) -> None:
        assert self._worker is not None
        listed = Path(f"/proc/{self._worker.pid}/task/{self._worker.pid}/children").read_text("ascii")
        for pid in listed.split():
            os.kill(int(pid), signal.SIGKILL)

    def kill(self) -> None:
        """The worker and its processes, at once."""
        assert self._worker is not None
        os.killpg(self._worker.pid, signal.SIGKILL)
        self._worker.wait()

    def arrived(self, *made: ExperienceEvent) -> int:
        """How often these came, of which the API counts each once."""
        times = {event["moe_event_uuid"]: event["received"] for event in received(self.url)["events"]}
        return sum(times.get(event.uuid, 0) for event in made)

    def close(self) -> None:
        self.free.set()
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(20)
        self.app.close()
        self._redis.terminate()
        self._redis.wait(20)
        self._log.close()
        self._serving.__exit__(None, None, None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    service = Service(tmp_path_factory.mktemp("celery"))
    try:
        service.start()
        yield service
    finally:
        service.close()


def canaries(count: int, **given: Any) -> list[ExperienceEvent]:
    return [shown(customer_id=f"{CANARY}-{number}", **given) for number in range(count)]


@needs_redis
def test_events_arrive_once_each_through_a_queue_and_forked_workers(service: Service) -> None:
    made = canaries(300)
    results: list[AsyncResult[int]] = [service.report.send(made[start : start + 10]) for start in range(0, 300, 10)]
    assert [result.get(timeout=30) for result in results] == [10] * 30
    assert service.arrived(*made) == 300


@needs_redis
def test_an_outage_is_tried_again_by_celery(service: Service) -> None:
    made = canaries(5)
    fail(service.url, status=503, times=2)
    assert service.report.send(made).get(timeout=30) == 5
    assert service.arrived(*made) == 5
    assert service.log.count("retry: Retry in") == 2


@needs_redis
def test_one_bad_event_does_not_take_99_with_it(service: Service) -> None:
    made, (bad,) = canaries(99), canaries(1, **REFUSED)
    result = service.report.send([*made, bad])
    with pytest.raises(EventsNotAccepted, match="expected 100 events to be accepted, got 1 rejected"):
        result.get(timeout=30)
    assert (service.arrived(*made), service.arrived(bad)) == (99, 0)


@needs_redis
def test_malformed_json_that_another_put_into_the_queue_costs_itself(service: Service) -> None:
    event = shown()  # Celery would show a canary: nobody told it what to show instead
    raw = [event.to_json(), "{}"]
    result: AsyncResult[int] = service.app.send_task(service.report.name, kwargs={"events": raw})
    with pytest.raises(EventsNotAccepted, match="expected 2 events to be accepted, got 1 rejected"):
        result.get(timeout=30)
    assert service.arrived(event) == 1


@needs_redis
def test_a_killed_child_loses_nothing(service: Service) -> None:
    made = canaries(20)
    service.free.clear()
    results = [service.report.send(made[:10]), service.report.send(made[10:])]
    service.until(lambda: service.arrived(*made) == 20)
    service.kill_children()
    service.free.set()
    assert [result.get(timeout=30) for result in results] == [10, 10]
    assert service.arrived(*made) == 40


@needs_redis
def test_a_killed_worker_loses_nothing(service: Service) -> None:
    made = canaries(20)
    service.free.clear()
    results = [service.report.send(made[:10]), service.report.send(made[10:])]
    service.until(lambda: service.arrived(*made) == 20)
    service.kill()
    service.free.set()
    time.sleep(1.1)  # Redis is told to give a task to another worker after a second
    service.start(visibility=1)
    assert [result.get(timeout=30) for result in results] == [10, 10]
    assert service.arrived(*made) >= 40


@needs_redis
def test_the_logs_of_the_worker_name_no_visitor(service: Service) -> None:
    assert "succeeded in" in service.log
    assert "raised unexpected" in service.log
    assert service.log.count("given (10 events) {}") > 60
    assert CANARY not in service.log
