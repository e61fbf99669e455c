"""Pages by whom and what they are for, so that evaluations which know of no page share one.

A page asks for each key once. It is kept for 50 ms: longer than a template takes, and shorter than what is known of a
visit stays the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .._json import written
from .._request import InSession

HOLD = 0.05  # seconds


class Pages:
    """The pages of a client, of late; asked from several threads."""

    def __init__(self) -> None:
        self._pages: dict[tuple[object, bytes], tuple[Any, float]] = {}

    def find(self, client: Any, loop: object, customer_id: str | None, attributes: Mapping[str, Any]) -> Any:
        """The page of this visit, in this event loop, a new one of this client where there was none of late.

        Raises:
            InvalidRequestError: attributes that cannot be sent.
        """
        given = {name: str(one) if isinstance(one, datetime) else one for name, one in attributes.items()}
        key, now = (loop, written([customer_id, given], "the evaluation context")), time.monotonic()
        page, until = self._pages.get(key, (None, 0.0))
        if page is None or until < now:
            who, _ = given.pop("user_identifiers", None), given.pop("at", None)
            address, agent = given.pop("ip_address", None), given.pop("user_agent", None)
            at = attributes.get("at") or datetime.now(UTC)
            session = InSession(at=at, ip_address=address, user_agent=agent, attributes=given)
            page = client.page(customer_id=customer_id, user_identifiers=who, in_session=session)
            alive = {one: kept for one, kept in self._pages.items() if kept[1] >= now}
            self._pages = {**alive, key: (page, now + HOLD)}  # a new dict, because other threads may read the old one
        return page
