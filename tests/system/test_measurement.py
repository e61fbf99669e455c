"""What is measured can be measured, and a promise that is not kept is seen."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from measurement import __main__ as door, drill, faults, mutate, soak, walk
from measurement.process import Held, held
from measurement.server import Fault, serving
from measurement.sides import SIDES, Side, Tasks, Threads, Worker, cancelled_after


@pytest.fixture(params=SIDES, ids=lambda made: made.name)
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    with request.param() as side:
        yield side


def test_every_measurement_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in door.MEASUREMENTS:
        with pytest.raises(SystemExit) as ended:
            door.main([name, "--help"])
        assert ended.value.code == 0
        assert f"scripts/measure {name}" in capsys.readouterr().out


def test_a_worker_sleeps_beside_others_and_gets_what_it_yields(side: Side) -> None:
    def worker(number: int) -> Worker:
        assert (yield side.sleep(0.1)) is None
        return number

    started = time.monotonic()
    assert side.run([worker(number) for number in range(10)]) == list(range(10))
    assert time.monotonic() - started < 0.9


def test_what_a_call_raises_is_raised_in_the_worker(side: Side) -> None:
    with side.opened(lambda: side.client("WS", "key", base_url="http://127.0.0.1:9/v1", max_retries=0)) as client:

        def worker() -> Worker:
            try:
                yield client.fetch("a")
            except ConnectionError:
                return "caught"

        assert side.run([worker()]) == [side.here(worker())] == ["caught"]

        def careless() -> Worker:
            yield client.fetch("a")

        with pytest.raises(ConnectionError):
            side.run([careless()])


def test_a_task_that_stays_is_counted() -> None:
    running: list[Any] = []

    def worker() -> Worker:
        async def for_ever() -> None:
            await asyncio.sleep(60)

        running.append(asyncio.ensure_future(for_ever()))
        yield asyncio.sleep(0)

    with Tasks() as side:
        side.run([worker()])
    assert side.left == 1


def test_a_caller_that_goes_away_cancels_its_call() -> None:
    def worker() -> Worker:
        try:
            yield cancelled_after(asyncio.sleep(60), 0.01)
        except asyncio.CancelledError:
            return "cancelled"

    with Tasks() as side:
        assert side.here(worker()) == "cancelled"


def test_what_stays_open_is_seen() -> None:
    before = held()
    with Path(__file__).open() as _:
        assert held().since(before).open == 1
    assert held().since(before).open == 0
    assert soak.leaked(Held(1, 1, 1, 0), Held(2, 2, 2, 0), Held(1, 1, 1, 1)) == ["tasks: 1 left"]
    assert soak.leaked(Held(1, 1, 1, 0), Held(2, 2, 2, 0), Held(99, 9, 1, 0)) == [
        "memory, MB: 98 left",
        "descriptors: 8 left",
    ]


def row(**changed: Any) -> faults.Row:
    fault = Fault("good", tls=False, url="", outcomes=frozenset({"value"}))
    kept = {"fault": fault, "side": "sync", "deadline": 0.1, "ends": [("value", 0.1)], "memory": 1.0}
    return faults.Row(**{**kept, "kept": 1, "left": 0, "tasks": 0, **changed})


def test_each_broken_promise_of_a_fault_is_seen() -> None:
    assert row().broken(1) == []
    assert row(ends=[("value", 0.1), ("RateLimited", 0.1)]).broken(1) == ["ended as RateLimited"]
    assert row(ends=[("value", 0.16)]).broken(1) == ["0.160 s"]
    assert row(memory=33.0).broken(1) == ["33 MB"]
    assert row(kept=2).broken(1) == ["2 kept"]
    assert row(kept=50, left=1, tasks=2).broken(50) == ["1 left", "2 tasks left"]


def test_faults_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["faults", "--modes", "good", "hang in body", "--rounds", "1", "--deadlines", "0.2"]) == 0
    assert "8 rows, 8 calls" in capsys.readouterr().out
    assert door.main(["faults", "--modes", "429", "--left", "60", "--deadlines", "1"]) == 0
    with pytest.raises(SystemExit, match="no such mode"):
        door.main(["faults", "--modes", "no such mode"])


def test_an_answer_for_somebody_else_is_seen(side: Side) -> None:
    """A server that answers everybody as the first one would break the promise of the soak."""

    class Answer:
        def value(self, *_: object) -> str:
            return "somebody else"

    class Confused:
        def fetch(self, *_: object, **__: object) -> Any:
            return Answer() if side.name == "sync" else asyncio.sleep(0, Answer())

    tally = soak.Tally()
    side.run([soak.call(soak.Target(Confused()), tally)])
    assert len(tally.wrong) == 1
    assert "wrong answers" in tally.broken()[0]


def test_a_tally_sees_failures_overruns_and_foreign_errors() -> None:
    tally = soak.Tally(outcomes=[(True, "value")] * 997 + [(True, "DeadlineExceeded")] * 3, overruns=[(0.3, "drip")])
    assert tally.broken() == ["a deadline overrun by 300 ms: drip", "healthy calls succeeded 99.700%"]
    tally.outside.append("KeyError")
    assert len(tally.broken(overrun=False)) == 2


@pytest.mark.parametrize(
    "options", [["--echo", "400"], ["--race", "64"], ["--cancelled", "200"], ["--minutes", "0.03"]]
)
def test_the_soak_is_measured(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "OVERRUN", 5.0)  # the machine of a test may have other things to do
    monkeypatch.setattr(soak, "HEALTHY", 0.0)
    assert door.main(["soak", *options]) == 0


def test_a_page_makes_as_few_requests_as_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["paging", "--rounds", "2", "--latency", "0", "--components", "26"]) == 0
    assert capsys.readouterr().out.endswith("26 components, medians of 2; requests as few as can be: yes\n")


def test_a_batch_loses_no_customer_and_leaves_pages_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether its rate is kept is for the whole measurement to say: here other tests have the processor, too."""
    door.main(["batch", "--customers", "120", "--minute", "5"])
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [(cells[0].strip(), cells[1].strip()) for cells in rows] == [
        *(("sync", "2,400"), ("sync", "3,000"), ("async", "2,400"), ("async", "3,000")),
    ]
    assert [(cells[4].strip(), cells[6].strip()) for cells in rows] == [("0", "0")] * 4


def test_a_lost_event_is_seen() -> None:
    assert drill.Row("a", put=2, arrived=2, duplicates=0).broken == ""
    assert drill.Row("a", put=2, arrived=1, duplicates=0).broken == "2 put, 1 arrived"
    assert drill.Row("a", put=2, arrived=2, duplicates=1, other="1 twice").broken == "1 twice"


@pytest.mark.slow
def test_events_are_drilled() -> None:
    assert door.main(["drill", "--only", "ends", "killed", "shared", "--rounds", "1", "--pages", "20"]) == 0


def test_the_walk_shows_each_function_once_below_its_caller() -> None:
    (lines, times), (_, reading) = walk.walked(Threads())
    assert {name for _, name in reading} >= {"KeyedValues.value", "decode"}
    functions = [found for _, found in lines]
    assert len(functions) == len(set(functions)) == len(times)
    depths = {name: depth for depth, (_, name) in lines}
    assert depths["PersonalizeClient.fetch"] < depths["retrying_call"]
    assert not any("<listcomp>" in name or "<genexpr>" in name for _, name in functions)


def test_the_quick_server_counts_its_requests() -> None:
    with serving() as server, Threads() as side:
        with side.opened(lambda: side.client("WS", "key", base_url=server.url("echo", 20))) as client:
            started = time.monotonic()
            assert client.fetch("a", customer_id="anna").value("a", "Title", "") == "anna"
            assert time.monotonic() - started >= 0.02
        assert server.counts()[0] == 1


def test_what_is_mutated_and_what_is_to_notice_are_there() -> None:
    for module, tests in mutate.MODULES.items():
        assert (mutate.ROOT / "wrapper" / "moengage_personalize" / f"{module}.py").is_file(), module
        assert [test for test in tests.split() if not (mutate.ROOT / "tests" / test).exists()] == []
    with pytest.raises(SystemExit, match="no_such_module"):
        door.main(["mutate", "no_such_module"])


def test_a_change_of_words_only_is_told_from_one_of_meaning() -> None:
    words = "--- a\n+++ b\n@@ -1 +1 @@\n-    raise Error('expected a Key')\n+    raise Error('XXexpected a keyXX')\n"
    assert mutate.changed_words_only(words)
    assert not mutate.changed_words_only(words.replace("raise Error('XX", "raise Other('XX"))


def test_what_survived_is_a_row_of_a_note() -> None:
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-    a = b | c\n+    a = b | d\n"
    survived = mutate.row("_call", Counter(noticed=3, survived=1), [mutate.changed_to(diff)])
    assert survived == "| _call | 4 | 3 | `a = b \\| d` |\n"
    assert mutate.row("_json", Counter(noticed=3), []) == "| _json | 3 | 3 | none |\n"


def test_a_moved_name_is_asked_at_its_old_address_while_its_connections_are_young(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert door.main(["moved", "--seconds", "0.5"]) == 0
    assert capsys.readouterr().out.count("async") == 1
