"""Events through the queue of a Celery service: a task that reports a batch, and tries again until the API has it.

    report = report_task(app, PersonalizeClient.from_env)  # where the service has its tasks
    report.send([event])  # from a page

An event is lost only if the API refuses it (400, or 413 for one alone) or the retries are used up, and then its task
has failed. It may be delivered twice, as when a worker is killed; the API counts it once, by its uuid.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import Factory, define
from celery import Celery, Task
from celery.exceptions import Reject
from celery.result import AsyncResult

from .._arguments import check_seconds
from .._client import PersonalizeClient
from .._errors import ConfigurationError, ConnectionFailed, EventsNotAccepted, InvalidRequestError, PersonalizeError
from .._json import is_list
from .._operations import deliver
from .._redact import redact_traceback
from .._reporting import Delivery, Rejection, not_accepted, retry_pause
from ..events import ExperienceEvent

__all__ = ["ReportTask", "report_task"]

MAX_PAUSE = 600.0  # seconds; far below the hour after which Redis takes a task that waits for one that was lost
MAX_RETRIES = 200  # about a day: in the end a pause is 450 s on average

if TYPE_CHECKING:
    TextsTask = Task[[list[str]], int]
else:
    TextsTask = Task  # not a generic class before Celery 5.7


class ReportTask(TextsTask):
    """A Celery task that takes a list of what `ExperienceEvent.to_json` gave; made by `report_task`."""

    serializer = "json"
    ignore_result = True
    acks_late = True
    reject_on_worker_lost = True

    @redact_traceback
    def send(self, events: Iterable[ExperienceEvent], **options: Any) -> AsyncResult[int]:
        """Put events into the queue, as one task.

        Args:
            events: what `events.shown` and `events.clicked` made; up to about a hundred make a handy task.
            options: what Celery's `apply_async` takes, such as `queue`.

        Raises:
            InvalidRequestError: something else than events; nothing is in the queue.
            ConnectionFailed: the broker did not take them.
        """
        texts = [_to_json(event) for event in events]
        try:
            return self.apply_async((texts,), **options)
        except self.OperationalError as error:
            found = type(error).__name__
            raise ConnectionFailed(f"expected the broker to take {len(texts)} events, got {found}") from error

    @redact_traceback
    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, *rest: Any, **options: Any
    ) -> AsyncResult[int]:
        """As Celery's, which `delay` calls, too; raise InvalidRequestError for anything but one list of events."""
        arguments = [*(args or ()), *(kwargs or {}).values()]
        if len(arguments) != 1:
            raise InvalidRequestError(f"expected one list of events, got {len(arguments)} arguments")
        texts = _check_list(arguments[0])
        if not options.get("retries"):  # a malformed one fails the task, but only when the others have arrived
            for text in texts:
                ExperienceEvent.from_json(text)
        # What logs and monitoring show in place of the arguments, which tell of visitors.
        options["argsrepr"] = f"({len(texts)} events)"
        return super().apply_async((texts,), {}, *rest, **options)


@redact_traceback
def report_task(
    app: Celery,
    client: PersonalizeClient | Callable[[], PersonalizeClient],
    *,
    name: str = "moengage_personalize.report_events",
    timeout: float = 10.0,
    max_retries: int | None = MAX_RETRIES,
    **options: Any,
) -> ReportTask:
    """Register the task that reports events, and give it: `send` it events.

    The task ends well, with their number, once the API has accepted all. If it has refused some, the task fails with
    EventsNotAccepted when the others have arrived. Whatever else goes wrong is tried again, with what is left, after
    pauses that grow from half a second to ten minutes, or as long as a 429 asks.

    Args:
        app: the Celery application.
        client: a PersonalizeClient, or what makes one in each worker process, such as `PersonalizeClient.from_env`:
            then a process that only sends needs no key.
        name: of the task; the same in all processes.
        timeout: seconds for the events of one task, in all their requests, retries by the client included.
        max_retries: how often a task is tried again, by default about a day long; None for ever.
        options: what Celery's `app.task` takes, such as `rate_limit`. By default the serializer is JSON, the
            result is not kept, and what a killed worker had begun is begun again (acks_late, reject_on_worker_lost).

    Raises:
        ConfigurationError: a client or a timeout that cannot work.

    https://docs.celeryq.dev/en/stable/userguide/tasks.html#list-of-options
    """
    check_seconds("timeout", timeout, ConfigurationError)
    if not isinstance(client, PersonalizeClient) and not callable(client):
        found = type(client).__name__
        raise ConfigurationError(f"expected client to be a PersonalizeClient or to make one, got {found}")

    @cache
    def make_client() -> PersonalizeClient:
        made = client if isinstance(client, PersonalizeClient) else client()
        if not isinstance(made, PersonalizeClient):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers err
            raise ConfigurationError(f"expected client to make a PersonalizeClient, got {type(made).__name__}")
        return made

    def report(events: list[ExperienceEvent]) -> Delivery:
        return deliver(make_client(), events, timeout)

    @redact_traceback
    def report_events(self: ReportTask, events: list[str]) -> int:
        left = report_texts(report, _check_list(events))
        if not left.texts:
            return len(events)
        try:
            raise not_accepted(len(events), len(left.texts), left.events, left.errors)
        except EventsNotAccepted as error:
            if not left.may_pass:
                raise
            jitter = random.random()  # noqa: S311 -- no secret
            pause = max(retry_pause(self.request.retries, one, jitter, MAX_PAUSE) for one in left.may_pass)
            try:
                raise self.retry((left.texts,), {}, exc=error, countdown=pause)
            except Reject as broken:  # Celery could not send the retry: the broker is to keep what it has
                raise Reject("expected the broker to take a retry, got an error", requeue=True) from broken

    register: Callable[[Callable[..., int]], ReportTask] = app.task(
        base=ReportTask, bind=True, shared=False, name=name, max_retries=max_retries, **options
    )
    return register(report_events)


@define
class Undelivered:
    """What of a task's events was not accepted: the texts of before, of which some may be no events, and why."""

    texts: list[str] = Factory(list[str])
    events: list[ExperienceEvent] = Factory(list[ExperienceEvent])
    errors: list[PersonalizeError] = Factory(list[PersonalizeError])
    may_pass: list[PersonalizeError] = Factory(list[PersonalizeError])
    """Those of the errors that a later try may not meet."""


def report_texts(report: Callable[[list[ExperienceEvent]], Delivery], texts: Iterable[str]) -> Undelivered:
    """Report the events that these texts hold; what is left of them."""
    left, events = Undelivered(), list[ExperienceEvent]()
    for text in texts:
        try:
            events.append(ExperienceEvent.from_json(text))
        except InvalidRequestError as error:
            left.texts.append(text)
            left.errors.append(error)
    try:
        rejections = report(events).rejections
    except PersonalizeError as error:  # of the report as a whole, such as a client that is closed
        rejections = [Rejection(tuple(events), error)]
    for rejection in rejections:
        left.events += rejection.events
        left.texts += [event.to_json() for event in rejection.events]
    left.may_pass = [rejection.error for rejection in rejections if not rejection.is_final]
    left.errors = [*left.may_pass, *(one.error for one in rejections if one.is_final), *left.errors]
    return left


def _to_json(event: object) -> str:
    if not isinstance(event, ExperienceEvent):
        raise InvalidRequestError(f"expected events to be ExperienceEvents, got {type(event).__name__}")
    return event.to_json()


def _check_list(value: object) -> list[Any]:
    if not is_list(value):
        raise InvalidRequestError(f"expected events as a list of JSON texts, got {type(value).__name__}")
    return value
