"""Mutated answers: nothing that a server sends brings more than a result or an error of our tree; see scripts/fuzz."""

from __future__ import annotations

from random import Random

import fuzzing
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

# 20,000 in all. Most come from a number, which is quick and covers much; the rest are drawn choice by choice, which is
# slow, but what fails is made smaller.
EXAMPLES = {"answer": 10_000, "dialogue": 6_000, "content": 2_000}
DRAWN = {"answer": 800, "dialogue": 1_000, "content": 200}


def holds(name: str, dice: Random) -> None:
    """Whatever is no error of ours, or breaks a promise, is raised."""
    kind = fuzzing.KINDS[name]
    kind.check(kind.make(dice))


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_mutated_answer_breaks_a_promise(name: str) -> None:
    @settings(max_examples=EXAMPLES[name], deadline=None, database=None)
    @given(case=st.integers(0, 2**40 - 1))
    def each(case: int) -> None:
        holds(name, fuzzing.dice_of(0, case))

    each()


@pytest.mark.parametrize("name", DRAWN)
def test_no_answer_mutated_choice_by_choice_breaks_a_promise(name: str) -> None:
    @settings(max_examples=DRAWN[name], deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(dice=st.randoms(use_true_random=False))
    def each(dice: Random) -> None:
        holds(name, dice)

    each()


def test_a_broken_promise_is_found_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_nothing(_: object) -> str:
        raise KeyError("raw")

    monkeypatch.setitem(fuzzing.KINDS, "answer", fuzzing.Kind(fuzzing.make_answer, reads_nothing))
    report = fuzzing.run(7, 0, 50)
    (failure,) = report.failures
    assert failure.error == "KeyError('raw')"
    assert report.broken == report.outcomes["answer", "FAILED: KeyError"]
    with pytest.raises(KeyError, match="raw"):
        fuzzing.again(7, failure.case)


def test_a_dialogue_tells_one_answer_from_more_and_from_less() -> None:
    whole = fuzzing.RAW[0]
    assert fuzzing.heard([whole])[0] == "clean"
    assert fuzzing.heard([whole + b"HTTP"])[0] == fuzzing.heard([whole, b"HTTP"])[0] != "clean"
    assert fuzzing.heard([whole[:-1]])[0] == "waits for more"
    assert fuzzing.heard([b"220 smtp.example.com ESMTP\r\n\r\n"])[0] == "LocalProtocolError"
    assert fuzzing.heard([fuzzing.RAW[-2]])[0] != "clean"
