"""One fetch for each of many customers, as fast as the Pacer allows, with results as they come.

Both halves work alike. A customer is taken out of the iterable when there is room for it, waits for its turn, is
fetched, again after whatever held it up, and makes room when the caller takes its result: so no more than `concurrency`
are here at any time, whatever the iterable. What the iterable raises comes out when all that was taken before has.

SyncBatch takes customers in the caller's thread, because a cursor of a database often belongs to its thread, and
fetches each in a thread of its own, so that there is nothing to stop but what is under way. AsyncBatch takes them in a
task of its own, so that a slow iterable does not keep results back. No local variable here holds a customer while
something may be raised through its frame.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from .._arguments import check_customer_id, check_mapping, plain_number, short_repr, type_name
from .._base import CustomerId, empty_result
from .._errors import ConfigurationError, InvalidRequestError
from .._experiences import Experiences
from .._redact import redact_traceback, redact_traceback_async, strip_tracebacks
from .._request import InSession
from ._pacing import MAX_HOLDS, Pacer

NAME = "moengage-personalize batch"
# Requests of one batch: of the 100 that a client has under way at once, some are left for pages.
MAX_REQUESTS = 64

Customer = TypeVar("Customer", bound="CustomerId | Mapping[str, Any]")
Fetch = Callable[[Any, Any, Any], Experiences]
AsyncFetch = Callable[[Any, Any, Any], Awaitable[Experiences]]

FIELDS = {"customer_id", "user_identifiers", "in_session"}


def check_rate(value: object) -> float:
    """A number of requests a minute."""
    number = plain_number(value)
    if number is None or not 0 < number < float("inf"):
        raise InvalidRequestError(f"expected rate to be a number of requests a minute above 0, got {short_repr(value)}")
    return float(number)


def check_customers(value: object, *kinds: type[Any]) -> None:
    """Refuse what is no iterable, and texts and mappings, though Python can go through them."""
    name = type_name(value)
    if not isinstance(value, kinds) or isinstance(value, str | bytes | bytearray | Mapping):
        raise InvalidRequestError(f"expected customers as an iterable of ids or mappings, got {name}")


def fetch_arguments(customer: object, in_session: InSession) -> tuple[Any, Any, Any]:
    """The customer_id, user_identifiers and in_session of a customer; raise InvalidRequestError for what is none."""
    if not isinstance(customer, Mapping):
        return check_customer_id(customer), None, in_session
    fields = check_mapping("a customer", customer)
    if not fields.keys() <= FIELDS:
        raise InvalidRequestError("expected a customer of customer_id, user_identifiers and in_session, got others")
    own = fields.get("in_session")
    return fields.get("customer_id"), fields.get("user_identifiers"), in_session if own is None else own


class BaseBatch(Generic[Customer]):
    """What both halves know: the pace, and what came of customers that was not taken yet."""

    def __init__(self, pacer: Pacer, in_session: InSession, concurrency: int) -> None:
        self._pacer = pacer
        self._in_session = in_session
        self._at_once = max(1, min(concurrency, MAX_REQUESTS // max(1, pacer.cost)))
        self._failure: Exception | None = None
        """What the iterable raised, with the frames of its own code and none of ours."""

    def _finish(self, found: Experiences) -> bool:
        return self._pacer.finish(found.error, found.rate_limit, time.monotonic(), datetime.now(UTC))

    def _note_failure(self, error: Exception) -> None:
        own = error.__traceback__
        self._failure = error.with_traceback(None if own is None else own.tb_next)


class SyncBatch(BaseBatch[Customer]):
    """Blocks the thread that iterates."""

    def __init__(
        self, fetch: Fetch, customers: Iterable[Customer], pacer: Pacer, in_session: InSession, concurrency: int
    ) -> None:
        super().__init__(pacer, in_session, concurrency)
        check_customers(customers, Iterable)
        self._fetch = fetch
        self._customers: Iterator[Customer] | None = iter(customers)
        # By their modules' names, so that they yield where gevent has patched these.
        self._results: queue.SimpleQueue[tuple[Customer, Experiences] | BaseException] = queue.SimpleQueue()
        self._turn, self._pacing, self._stopped = threading.Lock(), threading.Lock(), threading.Event()
        self._here = 0

    def results(self) -> Generator[tuple[Customer, Experiences]]:
        """Each customer with what it gets."""
        try:
            yield from iter(self._next, None)
            if self._failure is not None:
                raise self._failure
        finally:
            self._stopped.set()

    @redact_traceback
    def _next(self) -> tuple[Customer, Experiences] | None:
        while self._customers is not None and self._here < self._at_once:
            self._take(self._customers)
        if not self._here:
            return None
        if sys.is_finalizing() and self._results.empty():
            raise ConfigurationError("expected a running interpreter, got one whose threads have ended")
        result = self._results.get()
        self._here -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def _take(self, customers: Iterator[Customer]) -> None:
        """Take one customer out of the iterable and begin with it."""
        try:
            customer = next(customers)
        except StopIteration:
            self._customers = None
            return
        except Exception as error:  # noqa: BLE001 -- the caller's own, raised when all results are out
            self._customers = None
            self._note_failure(error)
            return
        self._here += 1
        if not sys.is_finalizing():  # a thread would never run, and starting it waits until it does
            with suppress(RuntimeError):  # no more threads
                run = copy_context().run  # with what the caller's context holds, such as the current trace
                threading.Thread(target=run, args=(self._serve, customer), name=NAME, daemon=True).start()
                return
        self._serve(customer)

    def _serve(self, customer: Customer) -> None:
        try:
            found = self._experiences(customer)
            if found is not None:
                self._results.put((customer, found))
        except BaseException as error:  # noqa: BLE001 -- raised again in the thread that iterates
            self._results.put(strip_tracebacks(error))

    def _experiences(self, customer: Customer) -> Experiences | None:
        """What a customer gets; None if nobody takes it any more."""
        try:
            arguments = fetch_arguments(customer, self._in_session)
        except InvalidRequestError as error:
            return empty_result(error)
        holds = 0
        while self._wait_for_turn():
            found = self._fetch(*arguments)
            with self._pacing:
                is_held = self._finish(found)
            holds += is_held
            if not is_held or holds > MAX_HOLDS:
                return found
        return None

    def _wait_for_turn(self) -> bool:
        """Let one wait for the time, and the others for that one; False if nobody takes results any more."""
        with self._turn:
            now = time.monotonic()
            while not self._stopped.is_set():
                with self._pacing:
                    wait = self._pacer.seconds_until_start(now)
                    if not wait:
                        self._pacer.start()
                        return True
                self._stopped.wait(wait)
                now = max(time.monotonic(), now + wait)  # a frozen clock would wait for ever
        return False


class AsyncBatch(BaseBatch[Customer]):
    """As SyncBatch, awaited."""

    def __init__(
        self,
        fetch: AsyncFetch,
        customers: Iterable[Customer] | AsyncIterable[Customer],
        pacer: Pacer,
        in_session: InSession,
        concurrency: int,
    ) -> None:
        super().__init__(pacer, in_session, concurrency)
        check_customers(customers, Iterable, AsyncIterable)
        self._fetch = fetch
        self._customers = customers
        self._done: asyncio.Queue[tuple[Customer, Experiences] | BaseException | None] = asyncio.Queue()
        self._taken: deque[tuple[Customer, Experiences]] = deque()
        self._room, self._turn = asyncio.Semaphore(self._at_once), asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def results(self) -> AsyncGenerator[tuple[Customer, Experiences]]:
        """Each customer with what it gets."""
        self._spawn(self._take_all())
        try:
            while await self._next():
                yield self._taken.popleft()
            if self._failure is not None:
                raise self._failure
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @redact_traceback_async
    async def _next(self) -> bool:
        result = await self._done.get()
        if isinstance(result, BaseException):
            raise result
        if result is not None:
            self._taken.append(result)
            self._room.release()
        return result is not None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=NAME)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_all(self) -> None:
        """Take all customers out of the iterable, each when there is room for it."""
        try:
            if isinstance(self._customers, AsyncIterable):
                async for customer in self._customers:
                    await self._begin(customer)
            else:
                for customer in self._customers:
                    await self._begin(customer)
        except Exception as error:  # noqa: BLE001 -- the caller's own, raised when all results are out
            self._note_failure(error)
        for _ in range(self._at_once):  # until every result has been taken
            await self._room.acquire()
        self._done.put_nowait(None)

    async def _begin(self, customer: Customer) -> None:
        await self._room.acquire()
        self._spawn(self._serve(customer))

    async def _serve(self, customer: Customer) -> None:
        try:
            self._done.put_nowait((customer, await self._experiences(customer)))
        except Exception as error:  # noqa: BLE001 -- raised again in the task that iterates
            self._done.put_nowait(strip_tracebacks(error))

    async def _experiences(self, customer: Customer) -> Experiences:
        try:
            arguments = fetch_arguments(customer, self._in_session)
        except InvalidRequestError as error:
            return empty_result(error)
        holds = 0
        while True:
            await self._wait_for_turn()
            found = await self._fetch(*arguments)
            is_held = self._finish(found)
            holds += is_held
            if not is_held or holds > MAX_HOLDS:
                return found

    async def _wait_for_turn(self) -> None:
        """Let one wait for the time, and the others for that one."""
        async with self._turn:
            now = time.monotonic()
            while wait := self._pacer.seconds_until_start(now):
                await asyncio.sleep(wait)
                now = max(time.monotonic(), now + wait)  # a frozen clock would wait for ever
            self._pacer.start()
