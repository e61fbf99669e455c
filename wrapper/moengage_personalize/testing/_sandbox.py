"""The same methods over a real socket and the sandbox."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from .._errors import InvalidRequestError
from .._messages import Response, TransportError
from ._clients import FakePersonalize, InProcessClient
from ._fake import ReceivedEvent, ReceivedFetch

LONGEST_DELAY = 60.0  # seconds that the sandbox waits at most


class SandboxPersonalize(FakePersonalize):
    """As FakePersonalize, but the client asks the sandbox on a port of 127.0.0.1. It needs the extra `sandbox`.

    Requests are held against the published document. The sandbox knows no malformed answer, so that `fail` refuses one.
    """

    def _make_client(self, settings: dict[str, Any]) -> InProcessClient:
        from .. import sandbox

        self._sandbox, self._serving = sandbox.app({}), ExitStack()
        base_url = self._serving.enter_context(sandbox.serve(self._sandbox))
        known = {"workspace_id": sandbox.WORKSPACE_ID, "api_key": sandbox.API_KEY, "base_url": base_url}
        return InProcessClient(None, known | settings)

    def serve(self, *arguments: Any, **keywords: Any) -> None:
        super().serve(*arguments, **keywords)
        self._sandbox.load({"experiences": [_experience(key, served) for key, served in self._served.items()]})

    def fail(self, *arguments: Any, **keywords: Any) -> None:
        super().fail(*arguments, **keywords)
        outcome, delay = self._armed
        status = outcome.status if isinstance(outcome, Response) else None
        if isinstance(outcome, Response) and not outcome.headers:
            raise InvalidRequestError("expected a failure that the sandbox knows, got a malformed answer")
        drop = isinstance(outcome, TransportError)
        self._sandbox.fail(status, times=self._times, delay=min(delay, LONGEST_DELAY), drop=drop)

    @property
    def requests(self) -> list[ReceivedFetch]:
        return [ReceivedFetch.read(one.body) for one in self._sandbox.requests if one.path.endswith("/fetch")]

    @property
    def events(self) -> list[ReceivedEvent]:
        self._flush()
        return [ReceivedEvent.read(event) for event in self._sandbox.events]

    def close(self) -> None:
        super().close()
        self._serving.close()


def _experience(key: str, served: dict[str | None, Any]) -> dict[str, Any]:
    """What is served for a key, as a file of the sandbox has it: the first audience that fits decides."""
    audiences = [
        {
            "id": "ALL" if who is None else "ONE",
            "name": "ALL" if who is None else "ONE",
            "when": {} if who is None else {"customer_id": [who]},
            "variations": [{"id": variation, "payload": payload}],
        }
        for who, (variation, payload) in sorted(served.items(), key=lambda one: one[0] is None)
    ]
    return {"key": key, "name": key, "campaign": key, "audiences": audiences}
