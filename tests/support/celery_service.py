"""A Celery service, made the way one is: its client before the workers are forked; run by test_celery as a process."""

from __future__ import annotations

import os

from celery import Celery
from celery.app import trace

from moengage_personalize import PersonalizeClient
from moengage_personalize.integrations.celery import report_task

client = PersonalizeClient.from_env(max_retries=0, timeout=5, circuit_breaker=None)
client.warm()  # a connection is open before any fork

for line in ("LOG_RECEIVED", "LOG_SUCCESS", "LOG_FAILURE"):  # as services do that want to see what a task was given
    setattr(trace, line, getattr(trace, line).rstrip() + " given %(args)s %(kwargs)s\n")

app = Celery("service", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(
    broker_transport_options={"visibility_timeout": int(os.environ["VISIBILITY"])},
    broker_connection_retry_on_startup=True,
    task_send_sent_event=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=True,
)
report = report_task(app, client, ignore_result=False)
