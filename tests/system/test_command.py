"""The command line, as a shell user meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from servers import answers, hangs, serving
from test_sandbox import OWN

from moengage_personalize import sandbox
from moengage_personalize.__main__ import main

PROGRAM = [sys.executable, "-m", "moengage_personalize"]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, sandbox_url: str) -> None:
    monkeypatch.setenv("MOENGAGE_WORKSPACE_ID", sandbox.WORKSPACE_ID)
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", sandbox.API_KEY)
    monkeypatch.setenv("MOENGAGE_BASE_URL", sandbox_url)


@pytest.mark.usefixtures("settings")
def test_fetch_prints_what_was_served_and_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "homepage-banner", "unknown", "--customer-id", "user_8821"]) == 0
    printed = capsys.readouterr().out
    assert '  Title = "Free shipping on orders over ₹999"\n' in printed
    assert '  context: {"cid":"65eae5738ea5032b0ef60138_F_T_WP_AB_2_P_0_AU_42D"' in printed
    assert printed.endswith("unknown: not_served\n")


@pytest.mark.usefixtures("settings")
def test_fetch_takes_everything_that_targets(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--attribute", "utm_medium=email", "--at", "2026-11-23T02:00+05:30", "--identifier", "u_em=me@x.com"]
    assert main(["fetch", *arguments, "--ip-address", "203.0.113.1", "--user-agent", "x", "--json"]) == 0
    printed: Any = json.loads(capsys.readouterr().out)
    assert printed["reasons"] == dict.fromkeys(["promo-strip", "cart-upsell", "email-landing-banner"], "served")
    # 02:00 on Monday in India is Sunday evening in UTC.
    assert printed["experiences"]["promo-strip"]["payload"]["Text"] == "Tonight only: two for one"
    assert printed["experiences"]["promo-strip"]["experience_context"]["audience_name"] == "Weekend Evenings"


def test_nothing_served_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers(200, {"experiences": {}})) as server:
        monkeypatch.setenv("MOENGAGE_WORKSPACE_ID", "WS")
        monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", "key")
        monkeypatch.setenv("MOENGAGE_BASE_URL", server.base_url)
        assert main(["fetch"]) == 0
    assert capsys.readouterr().out == "no experience was served\n"


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--at", "2026-11-23T24:00+00:00"], "expected a time such as 2026-11-23T14:00+05:30, got '2026-11-23T24:00"),
        (["--at", "tomorrow"], "expected a time such as"),
        (["--at", "2026-11-23T14:00"], "expected a time with its zone, such as 14:00+05:30, got '2026-11-23T14:00'"),
        (["--at", "2026-11-23 14:00 XYZ"], "expected a time with its zone"),
        (["--attribute", "utm_medium"], "expected NAME=VALUE, got 'utm_medium'"),
        (["--attribute", "=email"], "expected NAME=VALUE, got '=email'"),
        (["--timeout", "soon"], "invalid float value: 'soon'"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fetch", "promo-strip", *arguments])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert printed.out == ""


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--timeout", "nan"],
            "expected timeout to be a number of seconds greater than 0, up to 30 days, got nan",
        ),
        (["--attribute", "TIME_OF_THE_DAY=24"], "expected an in-session attribute, got 'TIME_OF_THE_DAY'"),
        (["--customer-id", ""], "expected customer_id to be a non-empty str, got an empty one"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "promo-strip", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m moengage_personalize: error: {expected}")


def test_settings_that_are_missing_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch"]) == 2
    assert "expected MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL in the environment" in capsys.readouterr().err


@pytest.mark.usefixtures("settings")
def test_a_failure_of_the_api_has_its_own_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", "wrong")
    assert main(["fetch", "promo-strip"]) == 1
    assert "AuthenticationFailed: expected status 200, got 401" in capsys.readouterr().err


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [*PROGRAM, *arguments]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | environment, **pipes)


def test_an_interrupted_fetch_ends_as_a_shell_expects() -> None:
    settings = {"MOENGAGE_WORKSPACE_ID": "WS", "MOENGAGE_PERSONALIZE_API_KEY": "key"}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in a script's background ignores it
    try:
        with serving(hangs) as server:
            process = start("fetch", "a", "--timeout", "20", **settings, MOENGAGE_BASE_URL=server.base_url)
            while not server.requests:
                assert process.poll() is None
            time.sleep(0.3)  # until it waits: a signal in the instant before is heard when the wait ends
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=10)[1] == ""
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode == 130


def test_the_sandbox_runs_as_a_process_and_prints_its_settings(tmp_path: Path) -> None:
    experiences = tmp_path / "own.yaml"
    experiences.write_text(OWN, "utf-8")
    process = start("sandbox", "--port", "0", "--experiences", str(experiences), "--rate-limit", "1")
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", settings["MOENGAGE_BASE_URL"])

    served = start("fetch", "own", "--at", "2026-11-23T23:00Z", "--attribute", "plan=gold", "--json", **settings)
    assert json.loads(served.communicate(timeout=20)[0])["reasons"] == {"own": "not_served"}  # beta=true is no text
    for _ in range(2):  # the first may come in another minute
        limited = start("fetch", "own", "--timeout", "0.5", **settings)
        told = limited.communicate(timeout=20)[1]
        if told:
            break
    assert "RateLimited: expected status 200, got 429" in told
    assert limited.returncode == 1

    taken = start("sandbox", "--port", settings["MOENGAGE_BASE_URL"].split(":")[2].removesuffix("/v1"))
    assert "expected a free port, got" in taken.communicate(timeout=20)[1]
    assert taken.returncode == 2

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


def test_a_sandbox_that_stops_by_itself_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "run", lambda application, listener: None)
    assert main(["sandbox", "--port", "0"]) == 0
    assert capsys.readouterr().out.startswith("export MOENGAGE_WORKSPACE_ID=SANDBOX\n")


def test_output_that_nobody_reads_on_is_no_error(sandbox_url: str) -> None:
    settings = {"MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID, "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY}
    process = start("fetch", **settings, MOENGAGE_BASE_URL=sandbox_url)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(timeout=10)
    process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "70000"], "expected a port from 0 to 65535, got '70000'"),
        (["--port", "-1"], "expected a whole number from 0, got '-1'"),
        (["--rate-limit", "many"], "expected a whole number from 0, got 'many'"),
    ],
)
def test_a_wrong_argument_of_the_sandbox_is_a_usage_error(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["sandbox", *arguments])
    assert expected in capsys.readouterr().err


def test_the_sandbox_without_its_extra_says_what_to_install() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from moengage_personalize.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, "sandbox"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "moengage-personalize[sandbox]"), got no uvicorn' in done.stderr


def test_the_demonstration_shows_two_variations_and_a_default() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demonstration.py")], capture_output=True, text=True, check=True
    )
    table = [re.split(r"\s*│\s*", line)[1:-1] for line in done.stdout.splitlines() if line.startswith("│ user_")]
    assert [(row[0], row[2], row[3]) for row in table] == [
        ("user_8821", "2", "served"),
        ("user_8822", "1", "served"),
        ("user_0007", "-", "not_served"),
    ]
    assert '"moe_variation_id": "2"' in done.stdout
