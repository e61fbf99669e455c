from __future__ import annotations

import inspect
import pickle
from datetime import UTC, datetime

import pytest

import moengage_personalize as package
from moengage_personalize import PersonalizeError, RateLimit, _errors
from moengage_personalize._redact import strip_tracebacks

LIMIT = RateLimit(100, 0, datetime(2026, 11, 23, tzinfo=UTC))
WORDS = {"status": 400, "title": "t", "description": "d", "code": "c", "rate_limit": LIMIT}
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


def test_bare_forgets_frames_through_a_chain_that_leads_back_to_itself() -> None:
    with pytest.raises(ValueError, match="cause") as caught:
        raise ValueError("cause")
    cause = caught.value
    error = PersonalizeError("m")
    error.__cause__, cause.__context__ = cause, error
    assert cause.__traceback__ is not None
    strip_tracebacks(error)
    assert cause.__traceback__ is None
