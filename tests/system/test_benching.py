"""The arithmetic of the benchmark, what it shows, and one tiny round of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import ROOT

from benching import canned, cases, figures, fresh, goals, report, rounds
from benching.others import HTTPX
from benching.ours import DEFAULT

README = (ROOT / "README.md").read_text("utf-8")
ALONE = cases.Setting("sync", canned.ONE, 1)


def sample(**given: Any) -> figures.Sample:
    taken = {"calls": 1, "errors": {}, "wrong": 0, "requests": 1.0, "server": 0.1}
    return figures.Sample(**{**taken, "cpu": None, "wall": None, "p50": None, "p99": None, **given})


def test_a_ratio_is_of_the_same_round() -> None:
    one = [sample(cpu=cpu) for cpu in (1.0, 20.0, 3.0)]
    other = [sample(cpu=cpu) for cpu in (2.0, 10.0, None)]
    assert figures.ratio(one, other, "cpu") == figures.Ratio(1.25, 0.5, 2.0)
    assert figures.ratio(one, other[:1], "cpu") == figures.Ratio(0.5, 0.5, 0.5)
    assert figures.ratio(one, [], "cpu") is None


def test_a_percentile_is_a_value_that_was_taken() -> None:
    assert [figures.percentile(range(200), percent) for percent in (50, 99)] == [100, 198]
    assert figures.percentile([7.0], 99) == 7.0
    assert figures.percentile([], 50) is None


def test_errors_are_counted_over_all_rounds() -> None:
    found = figures.middle([sample(errors={"ReadTimeout": 2}), sample(errors={"ReadTimeout": 1}, wrong=1)])
    assert (found["errors"], found["wrong"], found["cpu"]) == ({"ReadTimeout": 3}, 1, None)


def test_only_a_timeout_of_somebody_else_is_forgiven() -> None:
    samples = {
        cases.Case(HTTPX, ALONE): [sample(errors={"PoolTimeout": 1})],
        cases.Case(DEFAULT, ALONE): [sample(errors={"PoolTimeout": 1})],
        cases.Case("requests by hand", ALONE): [sample(errors={"SSLError": 1})],
        cases.Case("aiohttp by hand", ALONE): [sample(wrong=1)],
    }
    assert [line.partition(" by ")[0] for line in report.broken(samples)] == [
        f"{DEFAULT}, {ALONE}: 0 wrong, {{'PoolTimeout': 1}}",
        "requests",
        "aiohttp",
    ]


def test_a_goal_is_met_on_its_side_of_the_bound() -> None:
    assert goals.Row("a", 2, False, 2.0).texts() == ("a", "≤ 2", "2", "yes")
    assert goals.Row("a", 2, True, 1.9, " ms").texts() == ("a", "≥ 2 ms", "1.9 ms", "no")
    assert goals.Row("a", 2, True, None).texts() == ("a", "≥ 2", "not installed", "-")


def test_imports_are_those_that_the_program_made_itself() -> None:
    tree = "import time:       10 |       2000 | httpx\nimport time:        5 |          5 |   httpx._api\n"
    assert fresh.imported(tree) == {"httpx": 0.002}


def test_the_readme_shows_a_run_between_its_marks() -> None:
    kept = {
        "machine": {
            "cpu": "CPU",
            "cores": 2,
            "python": "3.11.7",
            "date": "2026-11-25",
            "versions": {"httpx": "0.28.1"},
        },
        "goals": report.goals([goals.Row("a", 2, False, 1.0)]),
    }
    text = report.markdown(kept, "bench.svg")
    assert text.splitlines()[2:] == [
        "2026-11-25, CPU, 2 cores, Python 3.11.7; httpx 0.28.1.",
        "",
        "| what | goal | measured | met |",
        "| --- | --- | --- | --- |",
        "| a | ≤ 2 | 1 | yes |",
    ]
    changed = report.shown(README, text)
    assert text in changed
    assert report.shown(changed, "again") == report.shown(README, "again")
    with pytest.raises(ValueError, match="expected <!-- bench -->"):
        report.shown("nothing", text)


RESULTS = ROOT / "scripts" / "bench-results"


@pytest.mark.skipif(not RESULTS.exists(), reason="no run is kept")
def test_the_readme_shows_the_run_that_is_kept() -> None:
    kept = json.loads((RESULTS / "bench.json").read_text("utf-8"))
    assert report.shown(README, report.markdown(kept, "scripts/bench-results/bench.svg")) == README


def test_a_round_answers_as_the_server_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client that is installed, ours among them, plain; calls for a moment only."""
    monkeypatch.setattr(rounds, "WARM", 0.0)
    every = [
        cases.Case(client, cases.Setting(face, canned.ONE, 2))
        for face in cases.FACES
        for client in cases.clients()[face]
    ]
    with canned.serving() as server:
        samples = rounds.rounds(server, every, 1, 0.01, lambda _: None)
    assert {(case.client, case.setting.face) for case in samples} >= {(DEFAULT, face) for face in cases.FACES}
    assert report.broken(samples) == []
    assert all(taken[0].calls >= 2 for taken in samples.values())
