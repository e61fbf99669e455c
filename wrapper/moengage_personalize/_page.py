"""One page render whose components ask for experiences on their own, in as few requests as can be.

Law of this module: a key is asked for once a page, whatever comes of it, and nothing is kept beyond the page, because
targeting is in-session. What a request means stands in the `fetch_or_empty` that a page is given.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from attrs import define, field

from . import _json
from ._base import empty_result
from ._context import ExperienceContext
from ._errors import InvalidRequestError, PersonalizeError
from ._experiences import Experience, Experiences, Reason
from ._request import experience_keys

R = TypeVar("R")
T = TypeVar("T")
NAME = "moengage-personalize page"


class Ledger(Generic[R]):
    """Which keys a page has asked for, each with the request that it travels in, and what has come of them."""

    def __init__(self, told: Callable[[Experiences], Experiences]) -> None:
        self._log_error = told
        self._asked: dict[str, R] = {}
        self._came: dict[str, Experiences] = {}
        self.error: PersonalizeError | None = None

    def reason(self, key: str) -> Reason:
        """Why a key is here or absent, as Experiences.reason has it; "not_requested" also while it is under way."""
        return self._came[key].reason(key) if key in self._came else "not_requested"

    def contexts(self) -> dict[str, ExperienceContext]:
        """The context of each experience that was served on this page so far, by key."""
        found = ((key, experiences.get(key)) for key, experiences in self._came.copy().items())
        return {key: experience.context for key, experience in found if experience is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._asked)!r}, error={self.error!r})"

    def _checked(self, keys: object) -> tuple[str, ...]:
        """The keys, or none and an error, kept and logged: one that cannot be asked for costs the others, too."""
        try:
            asked = experience_keys(keys)
            _json.written(asked, "experience keys")
        except InvalidRequestError as error:
            self._settle((), self._log_error(empty_result(error)))
            return ()
        return asked

    def _enter(self, keys: Iterable[str], taken: Callable[[list[str]], R]) -> R | None:
        """Note those that are new, with the request that takes them, and give it; None if none is new."""
        new = [key for key in keys if key not in self._asked]
        if not new:
            return None
        request = taken(new)
        self._asked.update(dict.fromkeys(new, request))
        return request

    def _settle(self, keys: Iterable[str], experiences: Experiences) -> None:
        """Keep what came for these keys; where it was nothing, the next who asks gets nothing, too."""
        self._came.update(dict.fromkeys(keys, experiences))
        self.error = self.error or experiences.error


@define(eq=False)
class Request:
    """The keys of one request; its lock is held by the thread that performs it."""

    keys: list[str]
    turn: Lock = field(factory=Lock)
    ended: bool = False


class Page(Ledger[Request]):
    """One page render: its components ask for keys, from any thread; made by `PersonalizeClient.page`.

    Nothing here raises PersonalizeError: `error` is the first that kept something away from this page.
    """

    def __init__(self, fetch: Callable[[list[str]], Experiences], told: Callable[[Experiences], Experiences]) -> None:
        super().__init__(told)
        self._fetch = fetch
        self._entering = Lock()

    def prefetch(self, keys: str | Iterable[str]) -> None:
        """Ask for many keys in one request, without waiting: it is under way while the page does something else.

        Args:
            keys: those that the components of the page will ask for; what was asked for before is left out.
        """
        request = self._entered(self._checked(keys))
        if request is not None:
            with suppress(RuntimeError):  # no more threads: then the first who asks for one of the keys performs it
                run = copy_context().run  # with what the caller's context holds, such as the current trace
                Thread(target=run, args=(self._perform, request), name=NAME, daemon=True).start()

    def experience(self, key: str) -> Experience | None:
        """What the visitor gets for a key, None if nothing; waits for its request, or performs it.

        Args:
            key: an experience key; the second who asks for it on this page gets what the first got.
        """
        if not self._checked([key]):
            return None
        self._entered([key])
        self._perform(self._asked[key])
        return self._came[key].get(key)

    def value(self, key: str, name: str, default: T) -> Any | T:
        """One variable of one experience, or the default: a line for a template."""
        experience = self.experience(key)
        return default if experience is None else experience.get(name, default)

    def _entered(self, keys: Iterable[str]) -> Request | None:
        with self._entering:
            return self._enter(keys, Request)

    def _perform(self, request: Request) -> None:
        """In the first thread that comes, while the others wait; again in the next, if it was interrupted."""
        with request.turn:
            if not request.ended:
                self._settle(request.keys, self._fetch(request.keys))
                request.ended = True


class AsyncPage(Ledger[asyncio.Task[None]]):
    """One page render: its components ask for keys, from any task of one loop; made by `AsyncPersonalizeClient.page`.

    Nothing here raises PersonalizeError: `error` is the first that kept something away from this page.
    """

    def __init__(
        self,
        fetch: Callable[[list[str]], Awaitable[Experiences]],
        told: Callable[[Experiences], Experiences],
        linger: float,
    ) -> None:
        super().__init__(told)
        self._fetch = fetch
        self._linger = _linger(linger)
        self._gathering: list[str] = []
        self._next: asyncio.Task[None] | None = None

    def prefetch(self, keys: str | Iterable[str]) -> None:
        """Ask for many keys in the next request, without waiting: as Page.prefetch, in a running loop."""
        self._enter(self._checked(keys), self._gathered)

    async def experience(self, key: str) -> Experience | None:
        """What the visitor gets for a key, None if nothing: as Page.experience, in one request with what is asked now.

        Cancelled, it leaves the request to whoever else waits; that ends by its deadline in any case.
        """
        if not self._checked([key]):
            return None
        self._enter([key], self._gathered)
        await asyncio.shield(self._asked[key])
        return self._came[key].get(key)

    async def value(self, key: str, name: str, default: T) -> Any | T:
        """One variable of one experience, or the default: as Page.value."""
        experience = await self.experience(key)
        return default if experience is None else experience.get(name, default)

    def _gathered(self, keys: list[str]) -> asyncio.Task[None]:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._perform(), name=NAME)
        self._gathering += keys
        return self._next

    async def _perform(self) -> None:
        await asyncio.sleep(self._linger)  # with 0, until every task that is ready now has had its turn
        keys, self._gathering, self._next = self._gathering, [], None
        self._settle(keys, await self._fetch(keys))


def _linger(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        raise InvalidRequestError(f"expected linger to be a number of seconds from 0 and finite, got {given!r}")
    return given
