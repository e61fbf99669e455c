"""What several test modules need."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

from moengage_personalize import InSession
from moengage_personalize._generated import Endpoints
from moengage_personalize._messages import Request
from moengage_personalize._request import FetchRequest
from moengage_personalize._settings import Settings, settings
from moengage_personalize._split import split_fetch

ROOT = Path(__file__).resolve().parents[2]


def make_settings(**changed: Any) -> Settings:
    given: dict[str, Any] = {
        "workspace_id": "WS",
        "api_key": "the-key",
        "data_center": None,
        "base_url": "http://host/v1",
    }
    return settings(**{**given, "timeout": 1.0, "max_retries": 2, **changed})


def make_fetch(
    keys: Any = None, customer_id: Any = None, user_identifiers: Any = None, in_session: InSession | None = None
) -> FetchRequest:
    return FetchRequest.create(keys, customer_id, user_identifiers, in_session)


def make_requests(*arguments: Any, **named: Any) -> list[Request]:
    return split_fetch(Endpoints.of(make_settings()).fetch, make_fetch(*arguments, **named))


def does_not_start(_: Thread) -> None:
    """Instead of Thread.start: where there are no more threads, or the interpreter is ending."""
    raise RuntimeError("can't start new thread")
