"""Pages of a service under gevent: client and reporter made at import, with --preload before gevent patches."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from event_programs import CREDENTIALS, event

from moengage_personalize import PersonalizeClient

client = PersonalizeClient(**CREDENTIALS, base_url=os.environ["MOENGAGE_BASE_URL"], timeout=5)
spooled = client.reporter(spool=os.environ["SPOOL"], flush_interval=0.05)
reporter = client.reporter(flush_interval=0.05)


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/event":
        (spooled if environ["QUERY_STRING"].startswith("spooled") else reporter).put(event(environ["QUERY_STRING"]))
    body = json.dumps([reporter.stats.sent + spooled.stats.sent, reporter.stats.queued, os.getpid()]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
