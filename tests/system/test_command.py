"""The command fetches, lists and reports, as a shell user meets it."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from hypothesis import given, strategies as st
from sandboxing import write
from servers import answers, hangs, serving, then_closes
from shell import settings, start

from moengage_personalize import sandbox
from moengage_personalize.cli import _main, main
from moengage_personalize.cli._terminal import escape, to_json

EVIL = "\x1b[2J\x07\u202egnp.exe\nfake: line\x9b1m"


@pytest.fixture
def app() -> sandbox.Sandbox:
    return sandbox.app()


@pytest.fixture
def asked(app: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sandbox of its own, in the environment."""
    with sandbox.serve(app) as url:
        for name, value in settings(url).items():
            monkeypatch.setenv(name, value)
        yield url


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moengage_personalize.cli._terminal.is_terminal", lambda: True)
    monkeypatch.setattr("moengage_personalize.cli._fetch.is_terminal", lambda: True)
    monkeypatch.setattr("moengage_personalize.cli._metadata.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")


pytestmark = pytest.mark.usefixtures("asked")


def test_fetch_prints_what_was_served_and_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["homepage-banner", "homepage-baner", "summer-sale", "email-landing-banner", "zzz"]
    assert main(["fetch", *keys, "--customer-id", "user_8821"]) == 0
    printed = capsys.readouterr().out
    assert '  Title = "Free shipping on orders over ₹999"\n' in printed
    assert '  context: {"cid": "65eae5738ea5032b0ef60138_F_T_WP_AB_2_P_0_AU_42D"' in printed
    assert printed.splitlines()[-4:] == [
        "homepage-baner: not_served: unknown, did you mean homepage-banner?",
        "summer-sale: not_served: paused",
        "email-landing-banner: not_served: active, but not for this visitor",
        "zzz: not_served: unknown",
    ]


def test_fetch_takes_everything_that_targets(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--attribute", "utm_medium=email", "--at", "2026-11-23T02:00+05:30", "--identifier", "u_em=me@x.com"]
    assert main(["fetch", *arguments, "--ip-address", "203.0.113.1", "--user-agent", "x", "--json"]) == 0
    printed: Any = json.loads(capsys.readouterr().out)
    assert printed["reasons"] == dict.fromkeys(["promo-strip", "cart-upsell", "email-landing-banner"], "served")
    # 02:00 on Monday in India is Sunday evening in UTC.
    assert printed["experiences"]["promo-strip"]["payload"]["Text"] == "Tonight only: two for one"
    assert printed["experiences"]["promo-strip"]["experience_context"]["audience_name"] == "Weekend Evenings"
    assert printed["explained"] == {}


@pytest.mark.usefixtures("terminal")
def test_fetch_prints_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "promo-strip", "homepage-baner"]) == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["key", "reason", "values", "variation,", "audience"]
    assert lines[2].split() == 'promo-strip served Text = "Returns are free for 30 days" 1'.split()  # noqa: SIM905
    assert "not_served: unknown, did you mean homepage-banner?" in lines[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_served_is_said(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moengage_personalize.cli._fetch.is_terminal", lambda: terminal)
    with serving(answers(200, {"experiences": {}})) as server:
        assert main(["fetch", "--base-url", server.base_url]) == 0
    assert capsys.readouterr().out == "no experience was served\n"


def test_a_missing_key_can_fail_the_command(app: sandbox.Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "promo-strip", "--fail-on-missing"]) == 0
    assert len(app.requests) == 1  # nothing is missing, so that nothing is asked of the metadata
    assert main(["fetch", "promo-strip", "unknown", "--fail-on-missing"]) == 3
    assert "unknown: not_served" in capsys.readouterr().out


def test_fetch_says_what_it_knows_when_the_metadata_cannot_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(then_closes(answers(200, {"experiences": {}})), answers(401, {})) as server:
        assert main(["fetch", "a", "--base-url", server.base_url]) == 0
    assert capsys.readouterr().out == "a: not_served\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--at", "2026-11-23T24:00+00:00"], "expected a time such as 2026-11-23T14:00+05:30, got '2026-11-23T24:00"),
        (["--at", "tomorrow"], "expected a time such as"),
        (["--at", "2026-11-23T14:00"], "expected a time with its zone, such as 14:00+05:30, got '2026-11-23T14:00'"),
        (["--at", "2026-11-23 14:00 XYZ"], "expected a time with its zone"),
        (["--attribute", "utm_medium"], "expected NAME=VALUE, got 'utm_medium'"),
        (["--attribute", "=email"], "expected NAME=VALUE, got '=email'"),
        (["--timeout", "soon"], "'soon' is not a valid float"),
        (["--unknown"], "No such option"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "promo-strip", *arguments]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--timeout", "nan"], "expected timeout to be a number of seconds greater than 0, up to 30 days, got nan"),
        (["--attribute", "TIME_OF_THE_DAY=24"], "expected an in-session attribute, got 'TIME_OF_THE_DAY'"),
        (["--customer-id", ""], "expected customer_id to be a non-empty str, an int or a UUID, got an empty one"),
        (["--data-center", "99"], "expected data_center to be one of 01,"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "promo-strip", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"moengage-personalize: error: {expected}")


def test_a_failure_of_the_api_has_its_own_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", "wrong")
    assert main(["fetch", "promo-strip"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("moengage-personalize: AuthenticationFailed: expected status 200, got 401")
    assert line.endswith(": Invalid API_KEY used in Authentication Header")
    assert line.count("Invalid API_KEY") == 1


def is_clean(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


def evil_experience() -> dict[str, Any]:
    payload = {EVIL: {"value": {EVIL: EVIL}, "data_type": "json"}}
    return {"payload": payload, "experience_context": {"moe_variation_id": EVIL, "audience_name": EVIL, EVIL: EVIL}}


@pytest.mark.parametrize("arguments", [[], ["--json"], ["key"], ["key", "--json"]])
def test_nothing_that_is_served_reaches_the_terminal_unescaped(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    served = {"experiences": {EVIL: evil_experience()}}
    listed = {"metadata": {"experiences": [{"experience_key": "key", "experience_name": EVIL, "status": EVIL}]}}
    with serving(then_closes(answers(200, served)), answers(200, listed)) as server:
        assert main(["fetch", *arguments, "--base-url", server.base_url]) == 0
    printed = capsys.readouterr().out
    assert is_clean(printed)
    assert "[2J" in printed.replace("[2j", "[2J")  # a status is written in lower case
    assert "fake: line" not in [line.strip() for line in printed.splitlines()]


@pytest.mark.usefixtures("terminal")
def test_nothing_that_is_served_reaches_a_table_unescaped(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answers(200, {"experiences": {EVIL: evil_experience(), "[red]": evil_experience()}})) as server:
        assert main(["fetch", "--base-url", server.base_url]) == 0
    printed = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)  # what the table itself is drawn with
    assert is_clean(printed)
    assert "[red]" in printed  # is text, and no markup


@pytest.mark.parametrize("terminal", [True, False])
def test_metadata_reaches_the_terminal_escaped(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moengage_personalize.cli._metadata.is_terminal", lambda: terminal)
    listed = {"metadata": {"experiences": [{"experience_key": EVIL, "experience_name": EVIL, "status": EVIL}]}}
    for command in (["metadata"], ["metadata", "--json"], ["keys"]):
        with serving(answers(200, listed)) as server:
            assert main([*command, "--base-url", server.base_url]) == 0
        assert is_clean(re.sub(r"\x1b\[[\d;]*m|\t", "", capsys.readouterr().out))


@pytest.mark.parametrize("status", [400, 401, 403, 429, 503])
def test_the_words_of_an_error_reach_the_terminal_escaped(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answers(status, {"title": EVIL, "description": f"why: {EVIL}", "code": EVIL})) as server:
        assert main(["fetch", "a", "--timeout", "0.5", "--base-url", server.base_url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert is_clean(line)
    assert "why: \\x1b[2J" in line


@given(st.text())
def test_what_is_escaped_is_printable_and_in_one_line(text: str) -> None:
    assert escape(text).isprintable()
    if text.isprintable():
        assert escape(text) == text


@given(st.recursive(st.text() | st.none() | st.floats(allow_nan=False), lambda part: st.dictionaries(st.text(), part)))
def test_escaped_json_is_the_same_json(value: Any) -> None:
    for indent in (None, 2):
        assert json.loads(to_json(value, indent)) == value
        assert is_clean(to_json(value, indent))


def test_metadata_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metadata", "--status", "paused"]) == 0
    assert capsys.readouterr().out == "summer-sale\tPaused\tSummer Sale\n"
    assert main(["metadata", "--status", "Scheduled"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["metadata", "--status", "Paused", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"key": "summer-sale", "status": "Paused", "name": "Summer Sale"}]


@pytest.mark.usefixtures("terminal")
def test_metadata_is_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metadata"]) == 0
    assert "summer-sale" in capsys.readouterr().out


def test_an_event_is_reported_by_hand(
    app: sandbox.Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["shown", "homepage-banner", "--customer-id", "user_8821"]) == 0
    assert (
        main(["clicked", "homepage-banner", "--customer-id", "user_8821", "--element", "Add", "--platform", "ios"]) == 0
    )
    shown, clicked = app.events
    assert (shown["action"], shown["platform"], shown["customer_id"]) == (
        "MOE_PERSONALIZATION_MESSAGE_SHOWN",
        "web",
        "user_8821",
    )
    assert shown["attributes"]["moe_variation_id"] == "2"
    assert (clicked["action"], clicked["platform"]) == ("MOE_PERSONALIZATION_MESSAGE_CLICKED", "ios")
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == [
        shown["moe_event_uuid"],
        clicked["moe_event_uuid"],
    ]
    file = tmp_path / "context.json"
    file.write_text(json.dumps(shown["attributes"]), "utf-8")
    assert main(["shown", "--context", str(file), "--customer-id", "other"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(shown["attributes"])))
    assert main(["clicked", "--context", "-", "--customer-id", "other"]) == 0
    assert [event["attributes"]["cid"] for event in app.events[2:]] == [shown["attributes"]["cid"]] * 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["shown", "--customer-id", "a"], "expected either KEY or --context, got neither"),
        (["clicked", "a", "--context", "-", "--customer-id", "a"], "expected either KEY or --context, got both"),
        (["shown", "promo-strip"], "expected --customer-id, which every event has, got none"),
        (["shown", "unknown", "--customer-id", "a"], "expected an experience that this visitor gets, got 'unknown'"),
        (["shown", "--context", "/nowhere", "--customer-id", "a"], "got '/nowhere': No such file or directory"),
        (["shown", "--context", "{latin}", "--customer-id", "a"], "it is not UTF-8"),
        (["shown", "promo-strip", "--customer-id", "a", "--platform", "fridge"], "'fridge' is not one of"),
    ],
)
def test_an_event_that_cannot_be_is_a_usage_error(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    assert main([one.format(latin=tmp_path / "latin") for one in arguments]) == 2
    assert expected in capsys.readouterr().err


def test_the_keys_of_the_workspace_are_a_module(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["keys"]) == 0
    module = capsys.readouterr().out
    names: dict[str, Any] = {}
    exec(compile(module, "keys.py", "exec"), names)
    assert names["HOMEPAGE_BANNER"] == "homepage-banner"
    assert set(names["Key"].__args__) == set(sandbox.app().keys)
    file = tmp_path / "keys.py"
    file.write_text(module, "utf-8")
    assert main(["keys", "--check", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    file.write_text(module.replace('"promo-strip"', '"promo"'), "utf-8")
    assert main(["keys", "--check", str(file)]) == 3
    assert capsys.readouterr().err == 'new: "promo-strip"\ngone: "promo"\n'
    file.write_text(module.replace("PROMO_STRIP", "PROMO"), "utf-8")
    assert main(["keys", "--check", str(file)]) == 3
    assert capsys.readouterr().err == "the same keys, written otherwise\n"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff", "it is not UTF-8")])
def test_a_file_of_keys_that_cannot_be_read_is_said(
    content: bytes | None, reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "keys.py"
    if content is not None:
        file.write_bytes(content)
    assert main(["keys", "--check", str(file)]) == 2
    assert reason in capsys.readouterr().err


def test_every_key_has_a_name_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["a-b", "a b", "a_b", "5", "class", "None", "größe", "❤", 'quo"te\\', "Key", "x\ny", "\u202e"]
    listed = [{"experience_key": key, "experience_name": "x", "status": "Active"} for key in keys]
    with serving(answers(200, {"metadata": {"experiences": listed}})) as server:
        assert main(["keys", "--base-url", server.base_url]) == 0
    names: dict[str, Any] = {}
    exec(compile(capsys.readouterr().out, "keys.py", "exec"), names)
    constants = {name: value for name, value in names.items() if isinstance(value, str) and name.isupper()}
    assert sorted(constants.values()) == sorted(keys)
    assert set(names["Key"].__args__) == set(keys)


def test_an_empty_workspace_has_no_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answers(200, {"metadata": {"experiences": []}})) as server:
        assert main(["keys", "--base-url", server.base_url]) == 0
    exec(compile(capsys.readouterr().out, "keys.py", "exec"), {})


def test_the_options_of_the_place_may_stand_before_the_command(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    assert main(["--base-url", "http://127.0.0.1:9/v1", "metadata", "--base-url", asked]) == 0
    assert main(["--base-url", "http://127.0.0.1:9/v1", "metadata"]) == 1
    assert "ConnectionFailed" in capsys.readouterr().err


def test_settings_that_are_missing_are_all_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in settings(""):
        monkeypatch.delenv(name)
    assert main(["fetch"]) == 2
    assert capsys.readouterr().err == (
        "moengage-personalize: error: expected MOENGAGE_WORKSPACE_ID and MOENGAGE_PERSONALIZE_API_KEY and "
        "MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL in the environment, got nothing\n"
    )


def test_a_file_of_settings_is_read_if_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    for name in ("MOENGAGE_WORKSPACE_ID", "MOENGAGE_PERSONALIZE_API_KEY", "MOENGAGE_BASE_URL"):
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(
        f"# a comment\n\nexport MOENGAGE_WORKSPACE_ID='SANDBOX'\nMOENGAGE_PERSONALIZE_API_KEY=\"sandbox-key\"\n"
        f"MOENGAGE_BASE_URL={asked} # here\nOTHER=x\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    assert main(["metadata"]) == 2
    assert main(["metadata", "--env-file", ".env"]) == 0
    monkeypatch.setenv("MOENGAGE_DATA_CENTER", "99")  # the environment wins, and names the place alone
    assert main(["metadata", "--env-file", ".env"]) == 2
    assert "expected data_center to be one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (b"\xff", "it is not UTF-8"),
        (b"A=1\nexport B='secret", "expected NAME=VALUE in line 2"),
        (b"MOENGAGE_PERSONALIZE_API_KEY secret", "expected NAME=VALUE in line 1"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_said_without_its_words(
    content: bytes | None, expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    if content is not None:
        path.write_bytes(content)
    assert main(["metadata", "--env-file", str(path)]) == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert "secret" not in printed


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"moengage-personalize, version \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(_main, "version", missing)
    assert _main._version() == "unknown: not installed"


def test_no_command_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = "".join(capsys.readouterr())
    assert all(
        name in printed
        for name in ("fetch", "bulk", "doctor", "init", "metadata", "shown", "clicked", "keys", "sandbox")
    )


def test_a_shell_can_complete_the_command() -> None:
    done = start("", _MOENGAGE_PERSONALIZE_COMPLETE="bash_source")
    assert "_moengage_personalize_completion" in done.communicate(timeout=20)[0]


def test_without_its_extra_the_command_says_what_to_install() -> None:
    for module in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{module!r}] = None\nfrom moengage_personalize.cli import main; sys.exit(main())"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        needed = 'expected the extra of the command (pip install "moengage-personalize[cli]")'
        assert done.stderr == f"moengage-personalize: error: {needed}, got no {module}\n"


def test_a_module_of_ours_that_is_missing_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moengage_personalize.cli._main", None)
    with pytest.raises(ModuleNotFoundError):
        main([])


def test_an_interrupted_fetch_ends_as_a_shell_expects() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in a script's background ignores it
    try:
        with serving(hangs) as server:
            process = start("fetch", "a", "--timeout", "20", **settings(server.base_url))
            while not server.requests:
                assert process.poll() is None
            time.sleep(0.3)  # until it waits: a signal in the instant before is heard when the wait ends
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=10)[1].strip() == ""
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode == 130


def test_output_that_nobody_reads_on_ends_the_command_quietly(asked: str) -> None:
    process = start("fetch", **settings(asked))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=10) == 141


def test_a_stdout_that_lacks_a_character_gets_its_escape(asked: str) -> None:
    process = start(
        "fetch", "homepage-banner", "--customer-id", "user_8821", PYTHONIOENCODING="ascii", **settings(asked)
    )
    printed, complained = process.communicate(timeout=20)
    assert "over \\u20b9999" in printed
    assert (process.returncode, complained) == (0, "")


def test_a_stdout_that_is_no_stream_of_bytes_will_do() -> None:
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["metadata", "--status", "Paused"]) == 0
    assert printed.getvalue().startswith("summer-sale")


def test_a_server_that_closes_while_it_is_sent_much_is_an_error_with_its_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def closing() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.recv(100)
                connection.close()  # with more to read: the client's next write meets a reset

        thread = threading.Thread(target=closing, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        process = start("fetch", "a", "--attribute", f"x={'y' * 100_000}", "--timeout", "5", **settings(url))
        printed, complained = process.communicate(timeout=20)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert (process.returncode, printed) == (1, "")
    assert complained.startswith("moengage-personalize: ConnectionFailed: ")


def exports(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(5)]
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def test_the_sandbox_runs_as_a_process_and_prints_its_settings(tmp_path: Path) -> None:
    process = start(
        *("sandbox", "--port", "0", "--experiences", str(write(tmp_path)), "--rate-limit", "1"),
        no_proxy="intra.example",
    )
    found = exports(process)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", found["MOENGAGE_BASE_URL"])
    assert found["NO_PROXY"] == found["no_proxy"] == "intra.example,127.0.0.1"

    proxied = found | {"HTTP_PROXY": "http://127.0.0.1:9"}
    served = start("fetch", "own", "--at", "2026-11-23T23:00Z", "--attribute", "plan=gold", "--json", **proxied)
    assert json.loads(served.communicate(timeout=20)[0])["reasons"] == {"own": "not_served"}  # beta=true is no text
    for _ in range(2):  # the first may come in another minute
        limited = start("fetch", "own", "--timeout", "0.5", **found)
        complained = limited.communicate(timeout=20)[1]
        if complained:
            break
    assert "RateLimited: expected status 200, got 429" in complained
    assert limited.returncode == 1

    taken = start("sandbox", "--port", found["MOENGAGE_BASE_URL"].split(":")[2].removesuffix("/v1"))
    assert "expected an address and a port that are free, got '127.0.0.1', " in taken.communicate(timeout=20)[1]
    assert taken.returncode == 2

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


def test_a_client_that_hangs_up_does_not_end_the_sandbox() -> None:
    process = start("sandbox", "--port", "0")
    found = exports(process)
    assert process.stdout is not None
    process.stdout.close()  # nor does a reader who has read enough
    port = int(found["MOENGAGE_BASE_URL"].split(":")[2].removesuffix("/v1"))
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closed by a reset
            connection.sendall(b"GET /_sandbox/requests HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
    asked = start("metadata", **found)
    assert "promo-strip" in asked.communicate(timeout=20)[0]
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert "Traceback" not in process.communicate(timeout=10)[1]


def test_the_sandbox_reads_its_file_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    app = sandbox.app(path, reload=True)
    with sandbox.serve(app) as url:
        arguments = ["metadata", "--base-url", url]
        assert main(arguments) == 0
        write(tmp_path, path.read_text("utf-8").replace("My own", "My other"))
        assert main(arguments) == 0
        assert capsys.readouterr().out == "own\tActive\tMy own\nown\tActive\tMy other\n"
        write(tmp_path, "experiences: 5")
        assert main(arguments) == 0
        path.unlink()
        assert main(arguments) == 0
    complaints = [record.getMessage() for record in caplog.records if record.name == "moengage_personalize.sandbox"]
    assert len(complaints) == 2
    assert "5 is not of type 'array'" in complaints[0]
    assert app.keys == ["own"]


def test_a_sandbox_that_stops_by_itself_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "run", lambda application, listener: None)
    assert main(["sandbox", "--port", "0"]) == 0
    assert capsys.readouterr().out.startswith("export MOENGAGE_WORKSPACE_ID=SANDBOX\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--port", "-1"], "-1 is not in the range"),
        (["--rate-limit", "many"], "'many' is not a valid integer range"),
        (["--rate-limit", "-1"], "-1 is not in the range x>=0"),
        (["--reload"], "expected --experiences with --reload"),
        (
            ["--host", "256.1.1.1"],
            "expected an address and a port that are free, got '256.1.1.1', 8025: no such address",
        ),
        (["--experiences", "/nowhere.yaml"], "expected a readable YAML file of experiences, got /nowhere.yaml"),
    ],
)
def test_a_wrong_argument_of_the_sandbox_is_a_usage_error(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_the_mistakes_of_a_file_are_a_line_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path, 'experiences:\n  - {key: "\\e[2J", name: 5, "\\e[1m": 2}\n')
    assert main(["sandbox", "--experiences", str(path)]) == 2
    printed = capsys.readouterr().err
    assert is_clean(printed)
    assert len(printed.splitlines()) == 4


def test_the_sandbox_without_its_extra_says_what_to_install() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from moengage_personalize.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, "sandbox"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "moengage-personalize[sandbox]"), got no uvicorn' in done.stderr


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:9"])
@pytest.mark.slow
def test_the_demonstration_shows_two_variations_and_a_default(
    proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy is not None:
        monkeypatch.setenv("HTTP_PROXY", proxy)
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


def test_the_commands_of_the_guide_run(
    asked: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "wrapper" / "guides" / "command-line.md").read_text("utf-8").replace("\\\n", " ")
    commands = re.findall(r"^    moengage-personalize (.*)", guide, re.MULTILINE)
    token = base64.b64encode(f"{sandbox.WORKSPACE_ID}:{sandbox.API_KEY}".encode()).decode()
    snippet = f"curl https://sdk-01.moengage.com/v1/experiences/fetch -H 'Authorization: Basic {token}'"
    (tmp_path / "customers.csv").write_text("customer_id\nuser_8821\n", "utf-8")
    assert len(commands) == 10
    for command in commands:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(snippet.encode())))
        arguments, _, target = command.partition(" > ")
        assert main(shlex.split(arguments)) == 0, command
        printed = capsys.readouterr().out
        if target:
            (tmp_path / target).write_text(printed, "utf-8")
