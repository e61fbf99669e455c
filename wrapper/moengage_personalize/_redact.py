"""Keeps keys and visitors out of tracebacks: a frame holds the arguments of its function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ._errors import PersonalizeError

P = ParamSpec("P")
R = TypeVar("R")


def strip_tracebacks(error: PersonalizeError) -> PersonalizeError:
    """The error and its causes without the frames they passed: a frame holds keys and visitors in its variables."""
    chain: list[BaseException | None] = [error]
    seen: set[int] = set()
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
    return error


def redact_traceback(method: Callable[P, R]) -> Callable[P, R]:
    """Make a public method raise without frames of ours that show its arguments."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except PersonalizeError as error:
            del args, kwargs
            raise strip_tracebacks(error)  # noqa: B904 -- the same error, its own cause kept

    return call


def redact_traceback_async(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """As `guarded`, for a method that is awaited."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except PersonalizeError as error:
            del args, kwargs
            raise strip_tracebacks(error)  # noqa: B904 -- the same error, its own cause kept

    return call
