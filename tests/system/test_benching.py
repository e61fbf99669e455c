"""The arithmetic of the benchmark, what it shows, and one tiny round of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from measurement import bench, clients, figures, report
from measurement.clients import CLIENTS, HTTPX, ONE, OURS
from measurement.server import serving
from measurement.sides import Threads, Worker

README = report.README.read_text("utf-8")
ALONE = bench.Setting("sync", ONE, 1)


def sample(**changed: Any) -> bench.Sample:
    taken = {"calls": 1, "errors": {}, "wrong": 0, "requests": 1.0, "server": 0.1}
    return bench.Sample(**{**taken, "cpu": None, "wall": None, "p50": None, "p99": None, **changed})


def test_a_ratio_is_of_the_same_round() -> None:
    one = [sample(cpu=cpu) for cpu in (1.0, 20.0, 3.0)]
    other = [sample(cpu=cpu) for cpu in (2.0, 10.0, None)]
    assert bench.ratio(one, other, "cpu") == (1.25, 0.5, 2.0)
    assert bench.ratio(one, other[:1], "cpu") == (0.5, 0.5, 0.5)
    assert bench.ratio(one, [], "cpu") is None


def test_a_percentile_is_a_value_that_was_taken() -> None:
    assert [figures.percentile(range(200), percent) for percent in (50, 99, 99.9)] == [100, 198, 199]
    assert figures.percentile([7.0], 99) == 7.0
    assert figures.percentile([], 50) is None


def test_errors_are_counted_over_all_rounds() -> None:
    found = bench.middle([sample(errors={"ReadTimeout": 2}), sample(errors={"ReadTimeout": 1}, wrong=1)])
    assert (found["errors"], found["wrong"], found["cpu"]) == ({"ReadTimeout": 3}, 1, None)


def test_only_a_timeout_of_somebody_else_is_forgiven() -> None:
    samples = {
        (HTTPX, ALONE): [sample(errors={"PoolTimeout": 1})],
        (OURS, ALONE): [sample(errors={"PoolTimeout": 1})],
        ("pyreqwest by hand", ALONE): [sample(errors={"SSLError": 1})],
        ("aiohttp by hand", ALONE): [sample(wrong=1)],
    }
    assert [line.partition(" by ")[0] for line in bench.broken(samples)] == [
        f"{OURS}, {ALONE}: 0 wrong, {{'PoolTimeout': 1}}",
        "pyreqwest",
        "aiohttp",
    ]


def test_a_goal_is_met_on_its_side_of_the_bound() -> None:
    assert bench.Goal("a", "≤ 2", 2.0).texts == ["a", "≤ 2", "2", "yes"]
    assert bench.Goal("a", "≥ 2", 1.9, " ms").texts == ["a", "≥ 2 ms", "1.9 ms", "no"]
    assert bench.Goal("a", "≥ 2", None).texts == ["a", "≥ 2", "not installed", "-"]


def test_a_quick_run_has_what_the_goals_need() -> None:
    """Each goal has a value, though the run is the quick one."""
    samples = {case: [sample(cpu=1.0, wall=1.0, p99=1.0)] for case in bench.chosen(quick=True)}
    names = ("second client made, s", "second client's first call, TLS, s", "second client's later calls, TLS, s")
    others = ("a connection and a call by http.client, TLS, s", "its later calls, TLS, s")
    made = ("PersonalizeClient made beyond it, s", "import httpx, s")
    found = bench.goals(samples, dict.fromkeys((*names, *others, *made), 1.0))
    assert [goal.name for goal in found if goal.measured is None] == []
    assert set(samples) <= set(bench.chosen(quick=False))


def test_the_readme_shows_a_run_between_its_marks() -> None:
    where = {"cpu": "CPU", "cores": 2, "python": "3.11.7", "date": "2026-11-25", "versions": {"httpx": "0.28.1"}}
    text = report.markdown({"machine": where, "goals": [bench.Goal("a", "≤ 2", 1.0).texts]})
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


@pytest.mark.skipif(not report.KEPT.exists(), reason="no run is kept")
def test_the_readme_shows_the_run_that_is_kept() -> None:
    kept = json.loads((report.KEPT / "bench.json").read_text("utf-8"))
    assert report.shown(README, report.markdown(kept)) == README


def test_a_round_answers_as_the_server_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client that is installed, ours among them, plain; calls for a moment only."""
    monkeypatch.setattr(bench, "WARM", 0.0)
    every = [(client, bench.Setting(side, ONE, 2)) for side in CLIENTS for client in CLIENTS[side]]
    with serving() as server:
        samples = bench.rounds(server, every, 1, 0.01)
    assert {(client, setting.side) for client, setting in samples} >= {(OURS, side) for side in CLIENTS}
    assert bench.broken(samples) == []
    assert all(taken[0].calls >= 2 for taken in samples.values())
    kept = report.values(samples, [], {}, [], quick=True)
    assert {case["client"] for case in kept["cases"]} == {client for client, _ in samples}
    assert len(report.table(samples)[1]) == len(samples)


def test_a_wrong_answer_is_counted() -> None:
    tally = bench.Tally()

    def call() -> Worker:
        return (yield ("somebody else's",))

    with Threads() as side:
        side.run([bench.calls(call, ("Title of solo-000",), 0.0, tally)])
    assert (len(tally.seconds), tally.wrong) == (1, [("somebody else's",)])


def test_a_request_by_hand_is_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"
    assert [clients.missing(received) for received in (head[:20], head, head + b"12345", head + b"1234567890")] == [
        1,
        10,
        5,
        0,
    ]
