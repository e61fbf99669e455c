"""One page render whose components ask for experiences on their own, in as few requests as can be.

A page asks for each key once, whatever comes of it, and nothing is kept beyond the page, because targeting is
in-session. What a request means stands in the `fetch_or_empty` that a page is given.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from . import _json
from ._arguments import plain_number, plain_text, short_repr
from ._base import empty_result
from ._context import ExperienceContext
from ._errors import ConfigurationError, InvalidRequestError, PersonalizeError
from ._experiences import Experience, Experiences, KeyedValues, Reason
from ._request import experience_keys

R = TypeVar("R")
NAME = "moengage-personalize page"


class BasePage(KeyedValues, Generic[R]):
    """Which keys a page has asked for, each with the request that it travels in, and the results so far."""

    def __init__(self, log_error: Callable[[Experiences], Experiences]) -> None:
        self._log_error = log_error
        self._requests: dict[str, R] = {}
        self._results: dict[str, Experiences] = {}
        self.error: PersonalizeError | None = None

    def reason(self, key: str) -> Reason:
        """Why a key is here or absent, as Experiences.reason has it; "not_requested" also while it is under way."""
        text = plain_text(key) or ""
        return self._results[text].reason(text) if text in self._results else "not_requested"

    def contexts(self) -> dict[str, ExperienceContext]:
        """The context of each experience that was served on this page so far, by key."""
        found = ((key, experiences.get(key)) for key, experiences in self._results.copy().items())
        return {key: experience.context for key, experience in found if experience is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._requests)!r}, error={self.error!r})"

    def _check(self, keys: Iterable[object]) -> tuple[str, ...]:
        """The keys, or none and an error, kept and logged: one that cannot be asked for costs the others, too."""
        try:
            checked = experience_keys(keys)
            _json.written(checked, "experience keys")
        except InvalidRequestError as error:
            self._store((), self._log_error(empty_result(error)))
            return ()
        return checked

    def _enter(self, keys: Iterable[str], begin: Callable[[list[str]], R]) -> R | None:
        """Note those that are new, with the request that takes them, and give it; None if none is new."""
        new = [key for key in keys if key not in self._requests]
        if not new:
            return None
        request = begin(new)
        self._requests.update(dict.fromkeys(new, request))
        return request

    def _store(self, keys: Iterable[str], experiences: Experiences) -> None:
        """Keep the result for these keys; where there is none, the next who asks gets none, too."""
        self._results.update(dict.fromkeys(keys, experiences))
        self.error = self.error or experiences.error

    def _loaded(self, key: str) -> Experience | None:
        """What has come for a key so far."""
        text = plain_text(key) or ""
        return self._results[text].get(text) if text in self._results else None


class PageRequest(Struct, eq=False):
    """The keys of one request; its lock is held by the thread that performs it."""

    keys: list[str]
    lock: Any = field(default_factory=lambda: threading.Lock())
    done: bool = False


class Page(BasePage[PageRequest]):
    """One page render: its components ask for keys, from any thread; made by `PersonalizeClient.page`.

    Nothing here raises PersonalizeError: `error` is the first that kept something away from this page. The accessors
    wait for the request of their key, or perform it.
    """

    def __init__(self, fetch: Callable[[list[str]], Experiences], log_error: Callable[..., Experiences]) -> None:
        super().__init__(log_error)
        self._fetch = fetch
        self._entering = threading.Lock()

    def prefetch(self, keys: str | Iterable[str]) -> None:
        """Ask for many keys in one request, without waiting: it is under way while the page does something else.

        Args:
            keys: those that the components of the page will ask for; what was asked for before is left out.
        """
        request = self._begin(self._check(keys))
        # Without a thread, the first who asks for one of the keys performs the request.
        if request is not None and not sys.is_finalizing():
            with suppress(RuntimeError):  # no more threads
                run = copy_context().run  # with what the caller's context holds, such as the current trace
                threading.Thread(target=run, args=(self._perform, request), name=NAME, daemon=True).start()

    def experience(self, key: str) -> Experience | None:
        """What the visitor gets for a key, None if nothing; waits for its request, or performs it.

        Args:
            key: an experience key; the second who asks for it on this page gets what the first got.
        """
        for checked in self._check([key]):
            self._begin([checked])
            self._perform(self._requests[checked])
            return self._loaded(checked)
        return None

    def _find(self, key: str) -> Experience | None:
        return self.experience(key)

    def _begin(self, keys: Iterable[str]) -> PageRequest | None:
        with self._entering:
            return self._enter(keys, PageRequest)

    def _perform(self, request: PageRequest) -> None:
        """In the first thread that comes, while the others wait; again in the next, if it was interrupted."""
        with request.lock:
            if not request.done:
                self._store(request.keys, self._fetch(request.keys))
                request.done = True


class AsyncPage(BasePage["asyncio.Task[None]"]):
    """One page render: its components ask for keys, from any task of one loop; made by `AsyncPersonalizeClient.page`.

    Nothing here raises PersonalizeError: `error` is the first that kept something away from this page. The accessors
    read what has been loaded, without await, so that a template can use them: `await page.load([...])` comes first.
    """

    def __init__(
        self,
        fetch: Callable[[list[str]], Awaitable[Experiences]],
        log_error: Callable[..., Experiences],
        linger: float,
    ) -> None:
        super().__init__(log_error)
        self._fetch = fetch
        self._linger = _check_linger(linger)
        self._gathering: list[str] = []
        self._next: asyncio.Task[None] | None = None

    def prefetch(self, keys: str | Iterable[str]) -> None:
        """Ask for many keys in the next request, without waiting: as Page.prefetch, in a running loop."""
        checked = self._check(keys)
        try:
            self._enter(checked, self._gather)
        except ConfigurationError as error:
            self._store((), self._log_error(empty_result(error)))

    async def load(self, keys: str | Iterable[str]) -> None:
        """Ask for keys and wait until they are there, in one request with what other tasks ask for now.

        Cancelled, it leaves the request to whoever else waits; that ends by its deadline in any case.

        Args:
            keys: what the accessors are to read then; what was asked for before is not asked for again.
        """
        checked = self._check(keys)
        self.prefetch(checked)
        for task in dict.fromkeys(self._requests[key] for key in checked if key in self._requests):
            await asyncio.shield(task)

    async def experience(self, key: str) -> Experience | None:
        """What the visitor gets for a key, None if nothing: `load` and then the experience."""
        for checked in self._check([key]):
            await self.load([checked])
            return self._loaded(checked)
        return None

    def _find(self, key: str) -> Experience | None:
        return self._loaded(key)

    def _gather(self, keys: list[str]) -> asyncio.Task[None]:
        if self._next is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                raise ConfigurationError("expected a running event loop of asyncio, got none") from None
            self._next = loop.create_task(self._perform(), name=NAME)
        self._gathering += keys
        return self._next

    async def _perform(self) -> None:
        await asyncio.sleep(self._linger)  # with 0, until every task that is ready now has had its turn
        keys, self._gathering, self._next = self._gathering, [], None
        self._store(keys, await self._fetch(keys))


def _check_linger(value: object) -> float:
    number = plain_number(value)
    if number is None or not 0 <= number < math.inf:
        raise InvalidRequestError(
            f"expected linger to be a number of seconds from 0 and finite, got {short_repr(value)}"
        )
    return float(number)
