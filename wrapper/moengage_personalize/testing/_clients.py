"""Both clients over a transport within the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from .._async_client import AsyncPersonalizeClient
from .._call import Flow, Sleep
from .._client import PersonalizeClient
from .._messages import AsyncTransport, Outcome, Request, Transport
from .._policy import RetryPolicy
from .._reporting import Reporter
from ._fake import Fake, ReceivedEvent

SETTINGS: dict[str, Any] = {
    "workspace_id": "TEST",
    "api_key": "none",
    "base_url": "http://api.invalid/v1",
    "strict": True,
}
T = TypeVar("T")
Answer = Callable[[Request], tuple[Outcome, float]]


class FakePersonalize(Fake):
    """A PersonalizeClient without a network; `settings` are arguments of the client, such as `timeout`.

    Reading `events` first sends what the client's reporters have in their queues.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self._client = self._make_client(settings)

    def _make_client(self, settings: dict[str, Any]) -> InProcessClient:
        return InProcessClient(self._answer, settings)

    @property
    def client(self) -> PersonalizeClient:
        """The client, for the service under test."""
        return self._client

    @property
    def events(self) -> list[ReceivedEvent]:
        """As Fake.events; also what the client's reporters had in their queues."""
        self._flush()
        return super().events

    def _flush(self) -> None:
        for reporter in self._client.reporters:
            reporter.flush()

    def close(self) -> None:
        """Close the client and its reporters."""
        for reporter in self._client.reporters:
            reporter.close()
        self._client.close()


class FakeAsyncPersonalize(Fake):
    """An AsyncPersonalizeClient without a network; await the flush of a reporter before reading `events`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.client: AsyncPersonalizeClient = AsyncInProcessClient(self._answer, settings)


class InProcessClient(PersonalizeClient):
    """Asks a function, or the network where there is none, and remembers its reporters."""

    def __init__(self, answer: Answer | None, settings: dict[str, Any]) -> None:
        self._answer = answer
        self.reporters: list[Reporter] = []
        super().__init__(**SETTINGS | settings)

    def _make_transport(self, http_client: object) -> Transport:
        return super()._make_transport(http_client) if self._answer is None else InProcessTransport(self._answer)

    def _begin(self, timeout: float | None, policy: RetryPolicy) -> Callable[..., Any]:
        return partial(without_backoff, super()._begin(timeout, policy))

    def reporter(self, **options: Any) -> Reporter:
        self.reporters.append(super().reporter(**options))
        return self.reporters[-1]


class AsyncInProcessClient(AsyncPersonalizeClient):
    """Asks a function."""

    def __init__(self, answer: Answer, settings: dict[str, Any]) -> None:
        self._answer = answer
        super().__init__(**SETTINGS | settings)

    def _make_transport(self, http_client: object) -> AsyncTransport:
        return AsyncInProcessTransport(self._answer)

    def _begin(self, timeout: float | None, policy: RetryPolicy) -> Callable[..., Any]:
        return partial(without_backoff, super()._begin(timeout, policy))


def without_backoff(begin: Callable[..., Flow[T]], *request: Any) -> Flow[T]:
    """A call that does not pause after a failed attempt; where a rate limit or the circuit says so, it pauses again."""
    call = begin(*request)
    step = next(call)
    try:
        while True:
            was_attempt, outcome = isinstance(step, Request), (yield step)
            step = call.send(outcome)
            if was_attempt and isinstance(step, Sleep):
                step = call.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the call returns, which StopIteration has as Any


class InProcessTransport:
    """Calls, and waits where an answer is to be late."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def perform(self, request: Request) -> Outcome:
        return self.perform_all([request])[0]

    def perform_all(self, requests: Sequence[Request]) -> list[Outcome]:
        answered = [self._answer(request) for request in requests]
        delay = max(delay for _, delay in answered)
        if delay:  # a sleep of no time still lets other processes go first
            time.sleep(delay)
        return [outcome for outcome, _ in answered]

    def connections(self) -> tuple[int, int]:
        return 0, 0

    def close(self) -> None:
        pass


class AsyncInProcessTransport:
    """As InProcessTransport, awaited."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def perform(self, request: Request) -> Outcome:
        outcome, delay = self._answer(request)
        await asyncio.sleep(delay)
        return outcome

    def connections(self) -> tuple[int, int]:
        return 0, 0

    async def aclose(self) -> None:
        pass
