"""Mutated responses: nothing that a server sends brings more than a result or an error of our tree."""

from __future__ import annotations

import os
import re
from random import Random

import mutated
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from measurement import fuzz
from moengage_personalize import PersonalizeError, RateLimited

# Most come from a number, which is quick and covers much; the rest are drawn choice by choice, which is slow, but what
# fails is made smaller. A million and more: scripts/measure fuzz.
MORE = 20 if os.environ.get("CI") else 1
EXAMPLES = {"response": 500 * MORE, "wire": 400 * MORE, "body": 100 * MORE}
DRAWN = {"response": 40 * MORE, "wire": 50 * MORE, "body": 15 * MORE}


def holds(name: str, dice: Random) -> None:
    """Whatever is no error of ours, or breaks a promise, is raised."""
    make, check = mutated.KINDS[name]
    check(make(dice))


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_mutated_response_breaks_a_promise(name: str) -> None:
    @settings(max_examples=EXAMPLES[name], deadline=None, database=None)
    @given(case=st.integers(0, 2**40 - 1))
    def each(case: int) -> None:
        holds(name, mutated.dice_of(0, case))

    each()


@pytest.mark.parametrize("name", DRAWN)
def test_no_response_mutated_choice_by_choice_breaks_a_promise(name: str) -> None:
    @settings(max_examples=DRAWN[name], deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(dice=st.randoms(use_true_random=False))
    def each(dice: Random) -> None:
        holds(name, dice)

    each()


def test_a_broken_promise_is_found_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_nothing(_: object) -> str:
        raise KeyError("raw")

    monkeypatch.setitem(mutated.KINDS, "response", (mutated.make_response, reads_nothing))
    report = fuzz.cases(7, 0, 50)
    (failure,) = report.failures.values()
    assert "KeyError('raw')" in failure
    found = re.match(r"--seed 7 --only (\d+) \(response\)", failure)
    assert found is not None
    with pytest.raises(KeyError, match="raw"):
        fuzz.again(7, int(found[1]))


def test_a_promise_that_is_not_kept_is_seen() -> None:
    """What the fuzzer would not notice it could not find."""
    for field, wrong in (("retry_after", -1.0), ("status", 200)):
        error = RateLimited("refused", status=429)
        error.retry_after = 1.0
        mutated.check_error(error)
        setattr(error, field, wrong)
        with pytest.raises(mutated.BrokenPromiseError):
            mutated.check_error(error)
    with pytest.raises(mutated.BrokenPromiseError, match="secret"):
        mutated.check_error(PersonalizeError(f"no such visitor: {mutated.VISITOR}"))


def test_what_the_modes_of_the_fault_server_send_is_where_the_fuzzer_starts() -> None:
    seeds = mutated.recorded()
    assert {"good", "good chunks", "surplus answer", "429", "half a JSON"} <= seeds.keys()
    assert mutated.recorded.__wrapped__() == seeds  # the same each time, or no case could be repeated
    assert {response.status for response in mutated.responses()} >= {200, 400, 401, 403, 404, 429, 500, 503}


def test_a_response_is_told_from_more_and_from_less() -> None:
    whole = mutated.recorded()["good"]
    assert mutated.parsed([whole])[0] == "kept"
    assert mutated.parsed([whole + b"HTTP"])[0] == mutated.parsed([whole, b"HTTP"])[0] != "kept"
    assert mutated.parsed([whole[:-1]])[0] == "waits for more"
    assert "Error" in mutated.parsed([b"220 smtp.example.com ESMTP\r\n\r\n"])[0]
    assert mutated.parsed([mutated.WIRE[-2]])[0] != "kept"
