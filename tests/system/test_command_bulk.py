"""The command asks for each customer of a file, and goes on where it was interrupted."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from servers import answers, serving
from shell import PROGRAM, settings, start

from moengage_personalize import sandbox
from moengage_personalize.cli import main
from moengage_personalize.cli._bulk import Done
from moengage_personalize.cli._customers import Customer

FAST = ["--rate", "600000", "--keys", "a"]
CANARY = "canary-8821"


@pytest.fixture
def app() -> sandbox.Sandbox:
    return sandbox.app({"a": {"Title": "Hello"}, "b": {}}, rate_limit=600_000)


@pytest.fixture(autouse=True)
def url(app: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with sandbox.serve(app) as url:
        for name, value in settings(url).items():
            monkeypatch.setenv(name, value)
        yield url


def output() -> list[Any]:
    return [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]


def ids(*numbers: int) -> str:
    return "customer_id\n" + "".join(f"user-{number}\n" for number in numbers)


def run(name: str, *arguments: str) -> int:
    return main(["bulk", name, "--out", "out.jsonl", *FAST, *arguments])


def test_each_line_of_csv_is_fetched(app: sandbox.Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_bytes(
        b"\xef\xbb\xbfcustomer_id,identifier.u_em,attribute.plan,note\r\n"
        b'anna,a@example.com,gold,x\r\n\r\n"be,n\nny",,,"two\nlines"\r\n,x@example.com,,\r\n'
    )
    more = ["--attribute", "plan=none", "--attribute", "source=job", "--at", "2026-11-23T14:00+00:00"]
    assert run("c.csv", "--keys", "b,c", "--concurrency", "1", *more) == 0
    assert capsys.readouterr() == ("", "3 fetched, 0 not\n")
    assert [(one["line"], one["customer_id"]) for one in output()] == [(2, "anna"), (4, "be,n\nny"), (7, None)]
    assert output()[0]["experiences"]["a"]["payload"] == {"Title": "Hello"}
    assert output()[0]["experiences"]["a"]["experience_context"]["experience"] == "a"
    anna, benny, nobody = (request.body for request in app.requests)
    assert anna["experience_key"] == ["a", "b", "c"]
    assert anna["identifiers"] == {"customer_id": "anna", "user_identifiers": {"u_em": "a@example.com"}}
    assert (anna["plan"], anna["source"], anna["TIME_OF_THE_DAY"]) == ("gold", "job", "14")
    assert (benny["plan"], nobody["identifiers"]) == ("none", {"user_identifiers": {"u_em": "x@example.com"}})


def test_each_line_of_json_is_fetched(app: sandbox.Sandbox) -> None:
    lines = ['"anna"', "7", "", '{"customer_id": "ben", "user_identifiers": {"u_em": "x"}, "attributes": {"n": 1}}']
    Path("c.ndjson").write_text("\n".join(lines), "utf-8")
    assert run("c.ndjson", "--concurrency", "1") == 0
    assert [(one["line"], one["customer_id"]) for one in output()] == [(1, "anna"), (2, 7), (4, "ben")]
    assert [request.body["identifiers"]["customer_id"] for request in app.requests] == ["anna", "7", "ben"]
    assert app.requests[-1].body["n"] == 1


def test_customers_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
    assert run("-", "--format", "jsonl") == 0
    process = subprocess.run(
        [*PROGRAM, "bulk", "-", "--format", "csv", "--out", "piped.jsonl", *FAST], input=ids(1, 2, 3), text=True
    )
    assert process.returncode == 0
    assert len(Path("piped.jsonl").read_text("utf-8").splitlines()) == 3


BAD_JSON = {
    '{"customer_id": "canary-8821"': "expected JSON, got something else",
    "[" * 100_000: "expected JSON, got something else",
    '{"customer_id": "canary-8821", "name": "x"}': (
        "expected an object of customer_id, user_identifiers and attributes, got another"
    ),
    '{"customer_id": "canary-8821", "attributes": 7}': "expected an object of customer_id",
    '{"customer_id": "canary-8821", "attributes": {"identifiers": 7}}': "InvalidRequestError: expected an in-session",
    '{"customer_id": "canary-8821\\ud800"}': "InvalidRequestError: expected",
    '{"customer_id": ["canary-8821"]}': "InvalidRequestError: expected customer_id to be",
    "{}": "InvalidRequestError: expected customer_id to be a non-empty str, an int or a UUID, got an empty one",
    "null": "InvalidRequestError: expected customer_id",
    '""': "InvalidRequestError: expected customer_id",
    "1.5": "InvalidRequestError: expected customer_id",
}


@pytest.mark.parametrize("bad", BAD_JSON, ids=lambda bad: bad[:40])
def test_a_bad_line_of_json_costs_itself(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.jsonl").write_text(f'"anna"\n{bad}\n"ben"\n', "utf-8")
    assert run("c.jsonl") == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"2 fetched, 1 not\nline 2: {BAD_JSON[bad]}")
    assert CANARY not in printed.err + printed.out
    assert sorted(one["line"] for one in output()) == [1, 3]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"canary-8821", "expected 2 columns, got 1"),
        (b"canary-8821,x,y", "expected 2 columns, got 3"),
        (b'"canary-8821"x,y', "expected CSV, got a broken quote or a NUL"),
        (b"canary-8821\xff,x", "InvalidRequestError: expected"),
        (b",x", "InvalidRequestError: expected customer_id"),
    ],
    ids=repr,
)
def test_a_bad_line_of_csv_costs_itself(bad: bytes, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_bytes(b"customer_id,note\nanna,1\n" + bad + b"\nben,2\n")
    assert run("c.csv") == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"2 fetched, 1 not\nline 3: {reason}")
    assert CANARY not in printed.err
    assert sorted(one["line"] for one in output()) == [2, 4]


def test_many_bad_lines_are_told_in_one() -> None:
    Path("c.jsonl").write_text("x\n" * 1030, "utf-8")
    done = subprocess.run([*PROGRAM, "bulk", "c.jsonl", "--out", "out.jsonl"], capture_output=True, text=True)
    numbers = ", ".join(map(str, range(1, 21)))
    assert done.stderr == f"0 fetched, 1,030 not\nlines {numbers} and 1,010 more: expected JSON, got something else\n"
    assert done.returncode == 1


def test_what_failed_is_asked_again_and_nothing_twice(app: sandbox.Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text(ids(*range(10)), "utf-8")
    app.fail(400, times=3)
    assert run("c.csv") == 1
    assert capsys.readouterr().err.startswith("7 fetched, 3 not\nlines ")
    app.reset()
    assert run("c.csv", "--resume") == 0
    assert capsys.readouterr().err == "3 fetched, 0 not\n"
    assert len(app.requests) == 3
    assert sorted(one["line"] for one in output()) == list(range(2, 12))
    assert run("c.csv", "--resume") == 0
    assert len(app.requests) == 3


def test_a_line_that_was_cut_off_is_asked_again(app: sandbox.Sandbox) -> None:
    Path("c.csv").write_text(ids(1, 2, 3), "utf-8")
    assert run("c.csv", "--resume", "--concurrency", "1") == 0  # there is nothing yet
    whole = Path("out.jsonl").read_bytes()
    Path("out.jsonl").write_bytes(whole[:-20])
    app.reset()
    assert run("c.csv", "--resume") == 0
    assert Path("out.jsonl").read_bytes() == whole
    assert len(app.requests) == 1


@given(st.permutations(range(1, 12)), st.integers(0, 11))
def test_what_is_done_is_known_in_any_order(order: list[int], many: int) -> None:
    done = Done()
    for number in order[:many]:
        done.add(number, number)
    assert {number for number in range(1, 15) if Customer(number, {"customer_id": number}) in done} == {*order[:many]}


def test_an_interrupted_run_leaves_a_file_to_go_on_with(app: sandbox.Sandbox, url: str) -> None:
    Path("c.csv").write_text(ids(*range(400)), "utf-8")
    arguments = ["bulk", "c.csv", "--out", "out.jsonl", "--keys", "a", "--rate", "6000"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in a script's background ignores it
    try:
        process = start(*arguments, **settings(url))
        while len(app.requests) < 50:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode == 130
    assert re.fullmatch(r"interrupted: --resume goes on with it\n\d+ fetched, 0 not\n\s*", complained)
    assert 0 < len(output()) < 400
    assert run("c.csv", "--resume") == 0
    assert sorted(one["line"] for one in output()) == list(range(2, 402))


def test_a_terminal_sees_how_far_it_is_and_no_customer(url: str) -> None:
    Path("c.csv").write_text(ids(*range(30)) + f"{CANARY},x\n", "utf-8")
    ours, theirs = pty.openpty()
    command = [*PROGRAM, "bulk", "c.csv", "--out", "out.jsonl", "--rate", "3000", "--keys", "a"]
    process = subprocess.Popen(command, stderr=theirs, env=os.environ | {"COLUMNS": "100", "TERM": "xterm"})
    os.close(theirs)
    printed = b""
    while True:
        try:
            printed += os.read(ours, 1 << 16)
        except OSError:  # its end
            break
    os.close(ours)
    assert process.wait(10) == 1
    assert re.search(rb"31/31", printed)
    assert re.search(rb"[1-9][\d,]* a minute", printed)
    assert re.search(rb"0:00:0\d", printed)
    assert CANARY.encode() not in printed
    assert b"line 32: expected 1 columns, got 2" in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.csv"], "expected a readable file of customers, got 'nowhere.csv': No such file or directory"),
        (["c.txt"], "expected a FILE whose name ends in .csv or .jsonl, or --format"),
        (["no-header.csv"], "expected a header with the column customer_id in the first line, got another"),
        (["broken-header.csv"], "expected a header with the column customer_id in the first line, got another"),
        (["c.csv", "--rate", "0"], "expected rate to be a number of requests a minute above 0, got 0.0"),
        (["c.csv", "--concurrency", "0"], "expected concurrency to be a whole number from 1, got 0"),
        (["c.csv", "--keys", "a,,b"], "expected an experience key to be a non-empty str, got ''"),
        (["c.csv", "--attribute", "identifiers=x"], "expected an in-session attribute, got 'identifiers'"),
        (["c.csv", "--out", "full.jsonl"], "expected --out to name a new file, or --resume, got 'full.jsonl'"),
        (["c.csv", "--out", "."], "expected a file to write, got '.': Is a directory"),
        (["c.csv", "--out", "c.csv", "--resume"], "expected --out to be a file of an earlier run, got another in line"),
        (["c.csv", "--out", "full.jsonl", "--resume"], "expected the input of the earlier run, got another customer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_and_nothing_is_asked(
    app: sandbox.Sandbox, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("c.csv", "c.txt"):
        Path(name).write_text(ids(1), "utf-8")
    Path("no-header.csv").write_text(CANARY, "utf-8")
    Path("broken-header.csv").write_text(f'"{CANARY}"x', "utf-8")
    Path("full.jsonl").write_text('{"line": 2, "customer_id": "user-7", "experiences": {}}\n', "utf-8")
    assert main(["bulk", "--out", "out.jsonl", *arguments]) == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert CANARY not in printed
    assert app.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_what_would_fail_for_all_ends_the_run(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text(ids(*range(1000)), "utf-8")
    with serving(answers(status, {"title": "x", "description": CANARY})) as server:
        assert run("c.csv", "--base-url", server.base_url) == 1
        assert len(server.requests) < 100
    printed = capsys.readouterr().err
    assert re.search(rf"line \d+: (AuthenticationFailed|PermissionDenied): expected status 200, got {status}", printed)
    assert CANARY not in printed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text(ids(1), "utf-8")
    assert main(["bulk", "c.csv", "--out", "/dev/full", *FAST]) == 1
    assert "expected to read c.csv and write /dev/full, got No space left on device" in capsys.readouterr().err


def test_another_failure_costs_its_customer(app: sandbox.Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.csv").write_text(ids(1, 2), "utf-8")
    app.fail(404)
    assert run("c.csv", "--concurrency", "1") == 1
    assert "line 2: APIError: expected status 200, got 404" in capsys.readouterr().err
