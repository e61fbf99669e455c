"""The tree of errors, and what an exception shows of what it has passed."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import re
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

import moengage_personalize as package
from moengage_personalize import PersonalizeError, RateLimit, _errors
from moengage_personalize._redact import (
    drop_foreign_causes,
    printable,
    quote,
    redact_traceback,
    redact_traceback_async,
    strip_tracebacks,
)
from moengage_personalize._transport._exchange import ExchangeError

LIMIT = RateLimit(100, 0, datetime(2026, 11, 23, tzinfo=UTC))
WORDS: dict[str, Any] = {"status": 400, "title": "t", "description": "d", "code": "c", "rate_limit": LIMIT}
SAMPLES = [
    package.ConfigurationError("m"),
    package.InvalidRequestError("m"),
    package.DeadlineExceeded("m", timeout=0.5),
    package.ConnectionFailed("m"),
    package.MalformedResponse("m", status=200, retryable=True),
    package.CircuitOpen("m", LIMIT.reset_at),
    package.EventsNotAccepted("m"),
    package.APIError("m", **WORDS),
    package.BadRequest("m", **WORDS),
    package.AuthenticationFailed("m", **WORDS),
    package.PermissionDenied("m", **WORDS),
    package.RateLimited("m", **WORDS),
    package.ServerError("m", **WORDS),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling_whole(error: PersonalizeError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_the_samples_are_every_error_there_is() -> None:
    classes = {cls for _, cls in inspect.getmembers(package, inspect.isclass) if issubclass(cls, PersonalizeError)}
    assert {type(error) for error in SAMPLES} == classes - {PersonalizeError}


def test_every_error_stands_in_the_tree_that_the_docstring_draws() -> None:
    for error in SAMPLES:
        assert type(error).__name__ in (_errors.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("ConfigurationError", ValueError),
        ("InvalidRequestError", ValueError),
        ("DeadlineExceeded", TimeoutError),
        ("ConnectionFailed", ConnectionError),
    ],
)
def test_an_error_is_also_the_builtin_that_a_caller_may_expect(name: str, also: type[Exception]) -> None:
    assert issubclass(getattr(package, name), also)


def test_only_what_may_succeed_later_is_retryable() -> None:
    retryable = {type(error).__name__ for error in SAMPLES if error.retryable}
    assert retryable == {
        "DeadlineExceeded",
        "ConnectionFailed",
        "MalformedResponse",
        "CircuitOpen",
        "RateLimited",
        "ServerError",
    }


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_made_with_its_text_alone_says_nothing_else(error: PersonalizeError) -> None:
    plain = type(error)("m")
    assert str(plain) == "m"
    expected = {"timeout": 0.0, "status": 0, "retryable": False}
    assert all(value == expected[name] if name in expected else value is None for name, value in vars(plain).items())


def test_the_fields_of_an_error_are_those_it_was_made_with() -> None:
    for kind in (package.APIError, package.BadRequest, package.RateLimited, package.ServerError):
        assert {field: getattr(kind("m", **WORDS), field) for field in WORDS} == WORDS
    assert package.DeadlineExceeded("m", timeout=0.5).timeout == 0.5
    assert package.CircuitOpen("m", LIMIT.reset_at).retry_at == LIMIT.reset_at
    malformed = package.MalformedResponse("m", status=200, retryable=True)
    assert (malformed.status, malformed.retryable) == (200, True)
    assert not package.MalformedResponse("m").retryable
    assert package.RateLimited("m").retry_after is None
    assert (package.EventsNotAccepted("m").events, package.EventsNotAccepted("m").errors) == ((), ())


# ---- What an exception shows -----------------------------------------------------------------------------------------


def raised(error: BaseException) -> BaseException:
    """The same, with a frame that holds a secret."""
    secret = "canary"
    with pytest.raises(type(error)) as caught:
        raise error
    assert secret
    return caught.value


def test_frames_are_forgotten_through_all_causes() -> None:
    error, cause, deeper = PersonalizeError("m"), raised(ValueError("cause")), raised(OSError("deeper"))
    error.__cause__, cause.__cause__ = cause, deeper
    assert strip_tracebacks(error) is error
    assert (cause.__traceback__, deeper.__traceback__) == (None, None)
    assert error.__cause__ is cause
    assert cause.__cause__ is deeper


def test_a_chain_that_leads_back_to_itself_is_gone_through_once() -> None:
    error, cause = PersonalizeError("m"), raised(ValueError("cause"))
    error.__cause__, cause.__cause__ = cause, error
    strip_tracebacks(error)
    assert cause.__traceback__ is None


def test_the_errors_of_a_group_forget_their_frames_too() -> None:
    one, other = raised(ValueError("one")), raised(KeyboardInterrupt("other"))
    strip_tracebacks(BaseExceptionGroup("both", [one, BaseExceptionGroup("inner", [other])]))
    assert (one.__traceback__, other.__traceback__) == (None, None)


def test_what_was_being_handled_is_forgotten_and_keeps_its_own_frames() -> None:
    error, callers = PersonalizeError("m"), raised(LookupError("the caller's"))
    error.__context__ = callers
    strip_tracebacks(error)
    assert error.__context__ is None
    assert callers.__traceback__ is not None


def test_a_fault_that_is_none_of_ours_keeps_the_places_that_it_has_passed() -> None:
    fault = strip_tracebacks(raised(ZeroDivisionError("x")))
    (note,) = fault.__notes__
    assert note.startswith("Raised through test_errors.py:")
    assert " raised; the frames are left out" in note
    assert "canary" not in note
    strip_tracebacks(fault)
    assert len(fault.__notes__) == 1


@pytest.mark.parametrize("error", [PersonalizeError("m"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_an_error_of_the_tree_and_an_interruption_get_no_note(error: BaseException) -> None:
    assert not hasattr(strip_tracebacks(raised(error)), "__notes__")


def fails(error: BaseException, secret: str) -> None:
    assert secret
    raise error


async def fails_later(error: BaseException, secret: str) -> None:
    await asyncio.sleep(0)
    fails(error, secret)


def test_the_places_of_a_fault_stand_in_the_order_of_its_frames() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        fails(ZeroDivisionError("x"), "canary")
    (note,) = strip_tracebacks(caught.value).__notes__
    name = "test_the_places_of_a_fault_stand_in_the_order_of_its_frames"
    assert re.match(rf"Raised through test_errors\.py:\d+ {name}, test_errors\.py:\d+ fails; the frames", note)


def fail_sync(error: BaseException) -> None:
    redact_traceback(fails)(error, secret="canary")


def fail_async(error: BaseException) -> None:
    call = redact_traceback_async(fails_later)(error, secret="canary")
    with suppress(StopIteration):  # by hand, because a loop treats some of them in ways of its own
        while True:
            call.send(None)


@pytest.mark.parametrize("call", [fail_sync, fail_async])
@pytest.mark.parametrize(
    "error",
    [
        PersonalizeError("m"),
        ValueError("m"),
        asyncio.CancelledError(),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
    ids=repr,
)
def test_no_exception_passes_a_public_method_with_a_frame_that_shows_its_arguments(
    call: Callable[[BaseException], None], error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        call(error)
    assert caught.value is error
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    assert [frame.name for frame in frames][-1] == "call"
    assert len(frames) == 3
    assert "canary" not in repr([frame.locals for frame in frames])


def test_an_error_is_freed_with_its_last_reference() -> None:
    gone: list[Callable[[], object]] = []

    def fail() -> None:
        error = PersonalizeError("m")
        gone.append(weakref.ref(error))
        raise error

    async def fail_later() -> None:
        fail()

    gc.disable()
    try:
        with suppress(PersonalizeError):
            redact_traceback(fail)()
        with suppress(PersonalizeError):
            redact_traceback_async(fail_later)().send(None)
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


def test_a_redacted_method_returns_what_it_returns() -> None:
    async def later(value: int) -> int:
        return value

    assert redact_traceback(abs)(-5) == 5
    assert asyncio.run(redact_traceback_async(later)(5)) == 5


FOREIGN = type("ForeignError", (Exception,), {"__module__": f"{package.__name__}_of_another"})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PersonalizeError("expected\nthis"), "expected\\nthis"),
        (ExchangeError("protocol", "expected HTTP/1.1"), "expected HTTP/1.1"),
        (ConnectionRefusedError(111, "Refused\x1b"), "ConnectionRefusedError: Refused\\x1b"),
        (OSError("canary"), "OSError"),
        (ValueError("canary"), "ValueError"),
        (FOREIGN("canary"), "ForeignError"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_of_an_error_of_another_library_only_the_type_is_quoted(error: Exception, words: str) -> None:
    assert quote(error) == words


def caused_by(*chain: BaseException) -> BaseException:
    """The first of these, each caused by the next."""
    for error, cause in pairwise(chain):
        error.__cause__ = cause
    return chain[0]


def test_the_causes_that_are_shown_end_before_the_first_of_another_library() -> None:
    ours, systems = PersonalizeError("m"), OSError(104, "reset")
    assert drop_foreign_causes(caused_by(ours, systems, ValueError("canary"))) is ours
    assert ours.__cause__ is systems
    assert systems.__cause__ is None
    for foreign in (ValueError("canary"), OSError("canary"), FOREIGN("canary")):
        assert drop_foreign_causes(foreign) is None
        assert drop_foreign_causes(caused_by(systems, foreign)) is systems
        assert systems.__cause__ is None


@given(st.text())
def test_printable_text_is_as_it_was_and_all_other_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("größe", "größe"), ("größe\n", "größe\\n"), ("a\x1bb\u202e\ud800\n", "a\\x1bb\\u202e\\ud800\\n"), ("", "")],
)
def test_only_what_cannot_be_printed_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
