"""Keeps keys and visitors out of what an exception shows: its text, and the frames of ours that it has passed.

A frame holds the arguments of its function, and what reports errors prints them, so that no exception may leave the
package with one: none of our tree, and none that only came through, such as the CancelledError of asyncio.timeout, the
SystemExit of a server that stops a worker, or KeyboardInterrupt.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeGuard, TypeVar, cast

from ._errors import PersonalizeError

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=BaseException)

PACKAGE = __name__.partition(".")[0]


def strip_tracebacks(error: E) -> E:
    """The error and its causes without the frames that they have passed.

    What was being handled is forgotten, and not stripped: it may be an error of the caller's own, who asks us while
    handling it. Raised outside of an `except` clause of ours, the error is given that one as its context again.
    """
    chain: list[BaseException | None] = [error]
    seen: set[int] = set()
    while chain:
        link = chain.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if isinstance(link, Exception) and not isinstance(link, PersonalizeError):
            _note_where(link)
        link.__traceback__ = link.__context__ = None
        chain.append(link.__cause__)
        if isinstance(link, BaseExceptionGroup):
            chain += cast(BaseExceptionGroup[BaseException], link).exceptions
    return error


def _note_where(error: Exception) -> None:
    """Keep the places that a fault has passed, for who looks for it, when the frames go."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [
        f"{Path(code.co_filename).name}:{line} {code.co_name}" for code, line in frames if code.co_filename != __file__
    ]
    if places:
        error.add_note(f"Raised through {', '.join(places)}; the frames are left out, as they may hold a key.")


def redact_traceback(method: Callable[P, R]) -> Callable[P, R]:
    """Make a public method raise without frames of ours that show its arguments."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- raised again, below
            raised = error
        del args, kwargs
        try:
            raise strip_tracebacks(raised)
        finally:
            del raised  # else the frame and the error would keep each other alive

    return call


def redact_traceback_async(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """As `redact_traceback`, for a method that is awaited."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- raised again, below
            raised = error
        del args, kwargs
        try:
            raise strip_tracebacks(raised)
        finally:
            del raised

    return call


def quote(error: BaseException) -> str:
    """What may be said of an exception that a transport reports: our own words, or the system's, else only its type.

    Other libraries quote what they cannot read, and that may be the request with all it holds.
    """
    name = type(error).__name__
    if _is_ours(error):
        return printable(str(error))
    return f"{name}: {printable(str(error.strerror))}" if _is_of_the_system(error) else name


def drop_foreign_causes(error: BaseException) -> BaseException | None:
    """The exception as a cause that may be shown, with those of its own causes that may; None if it may not itself."""
    if not (_is_ours(error) or _is_of_the_system(error)):
        return None
    if error.__cause__ is not None:
        error.__cause__ = drop_foreign_causes(error.__cause__)
    return error


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == PACKAGE


def _is_of_the_system(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno is not None


def printable(text: str) -> str:
    """Text with what cannot be printed escaped, so that no answer moves a cursor or begins a line of a log."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
