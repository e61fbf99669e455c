"""init takes the settings from a snippet of the dashboard, or says what is wrong with it, and never shows a token."""

from __future__ import annotations

import io
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from moengage_personalize import ConfigurationError
from moengage_personalize.cli import main
from moengage_personalize.cli._init import parse

TOKEN = b64encode(b"WS_DEBUG:the key's").decode()
CURL = f"""\
curl --request POST \\
  --url https://sdk-03.moengage.com/v1/experiences/fetch \\
  --header 'Authorization: Basic {TOKEN}' \\
  --header 'Content-Type: application/json' \\
  --header 'MOE-APPKEY: WS_DEBUG' \\
  --data '{{
    "identifiers": {{"customer_id": "user_8821"}},
    "experience_key": ["homepage-banner", "promo strip"],
    "utm_medium": "email"
  }}'
"""
PYTHON = f"""\
import requests
url = "https://sdk-03.moengage.com/v1/experiences/fetch"
payload = {{"experience_key": ["homepage-banner"], "identifiers": {{"customer_id": "a"}}}}
headers = {{"Authorization": "Basic {TOKEN}", "MOE-APPKEY": "WS_DEBUG"}}
response = requests.post(url, json=payload, headers=headers)
"""
JAVA = f"""\
RequestBody body = RequestBody.create(mediaType, "{{\\"experience_key\\":[\\"homepage-banner\\"]}}");
Request request = new Request.Builder().url("https://sdk-03.moengage.com/v1/experiences/fetch")
  .post(body).addHeader("MOE-APPKEY", "WS_DEBUG").addHeader("Authorization", "Basic {TOKEN}").build();
"""


@pytest.mark.parametrize("snippet", [CURL, PYTHON, JAVA], ids=["curl", "python", "java"])
def test_a_snippet_of_any_language_has_the_settings(snippet: str) -> None:
    found = parse(snippet)
    assert (found.data_center, found.workspace_id, found.api_key) == ("03", "WS_DEBUG", "the key's")
    assert found.keys[0] == "homepage-banner"
    assert "the key" not in repr(found)


def test_a_snippet_that_is_piped_becomes_exports(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CURL.encode())))
    assert main(["init"]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        "export MOENGAGE_WORKSPACE_ID=WS_DEBUG\n"
        "export MOENGAGE_PERSONALIZE_API_KEY='the key'\"'\"'s'\n"
        "export MOENGAGE_DATA_CENTER=03\n"
    )
    assert "this is the test environment" in printed.err
    assert "try: moengage-personalize fetch homepage-banner 'promo strip'" in printed.err


def test_at_a_terminal_it_asks_for_the_snippet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    plain = CURL.replace("WS_DEBUG", "WS").replace(TOKEN, b64encode(b"WS:key").decode()).replace("experience_key", "x")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Terminal(plain.encode())))
    assert main(["init"]) == 0
    assert capsys.readouterr().err.startswith("Paste the snippet")


@pytest.fixture
def snippet(tmp_path: Path) -> str:
    path = tmp_path / "snippet.sh"
    path.write_text(CURL, "utf-8")
    return str(path)


def test_a_file_of_settings_is_read_by_its_owner_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, snippet: str, sandbox_url: str
) -> None:
    target = tmp_path / ".env"
    assert main(["init", snippet, "--write", str(target)]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the key" not in printed.err
    assert target.stat().st_mode & 0o777 == 0o600
    assert main(["metadata", "--env-file", str(target), "--base-url", sandbox_url]) == 1  # it is read: 401 there
    assert "AuthenticationFailed" in capsys.readouterr().err


def test_a_file_that_is_there_is_written_over_only_if_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, snippet: str
) -> None:
    target = tmp_path / ".env"
    target.write_text("precious", "utf-8")
    target.chmod(0o644)
    assert main(["init", snippet, "--write", str(target)]) == 2
    assert "which is there; --force writes over it" in capsys.readouterr().err
    assert target.read_text("utf-8") == "precious"
    assert main(["init", snippet, "--write", str(target), "--force"]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert "precious" not in target.read_text("utf-8")
    assert main(["init", snippet, "--write", str(tmp_path / "no" / ".env")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("snippet", "expected"),
    [
        ("", "expected the snippet of the Test Experience step, got nothing"),
        ("hello", "expected a snippet with an address such as https://sdk-01.moengage.com, got none"),
        (
            CURL.replace("sdk-03.moengage.com", "api.example"),
            "expected a host such as sdk-01.moengage.com, got ",
        ),
        (
            CURL.replace("sdk-03.moengage.com", "sdk-03.moengage.com.evil.example"),
            "got 'sdk-03.moengage.com.evil.example",
        ),
        (CURL.replace("https://sdk-03", "https://evil.example/sdk-03"), "got 'evil.example'"),
        (CURL.replace("https://sdk-03.moengage.com", "https://[sdk"), "expected a host such as sdk-01.moengage.com"),
        (CURL.replace("sdk-03", "sdk-77"), "expected data_center to be one of 01,"),
        (
            CURL.replace("Authorization", "X-Authorization: none").replace("Basic", ""),
            "expected a snippet with 'Auth",
        ),
        (CURL.replace(TOKEN, "<token>"), "expected a snippet with the token itself, got a placeholder"),
        (CURL.replace(TOKEN, "{{token}}"), "expected a snippet with the token itself, got a placeholder"),
        (CURL.replace(TOKEN, "YOUR_TOKEN"), "expected a snippet with the token itself, got a placeholder"),
        (CURL.replace(TOKEN, "secret!"), "expected a token that is base64 of WORKSPACE_ID:KEY, got another text"),
        (CURL.replace(TOKEN, b64encode(b"secret").decode()), "expected a token that is base64"),
        (CURL.replace(TOKEN, b64encode(b":secret").decode()), "expected a token that is base64"),
        (CURL.replace(TOKEN, b64encode(b"\xff:secret").decode()), "expected a token that is base64"),
        (CURL.replace(TOKEN, b64encode(b"WS\x1b:secret").decode()), "expected a token that is base64"),
        (
            CURL.replace("APPKEY: WS_DEBUG", "APPKEY: OTHER"),
            "expected one workspace in the token and in MOE-APPKEY",
        ),
    ],
)
def test_a_snippet_that_does_not_do_says_why(
    snippet: str, expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "snippet"
    path.write_text(snippet, "utf-8")
    assert main(["init", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"moengage-personalize: error: {expected}" in printed.err or expected in printed.err
    assert "secret" not in printed.err
    assert "the key's" not in printed.err


def test_a_placeholder_for_the_workspace_is_no_contradiction() -> None:
    assert parse(CURL.replace("APPKEY: WS_DEBUG", "APPKEY: <workspace>")).workspace_id == "WS_DEBUG"


def test_keys_in_another_notation_are_left() -> None:
    assert parse(CURL.replace('["homepage-banner", "promo strip"]', "[KEY, OTHER]")).keys == []


@given(st.text() | st.lists(st.sampled_from([*CURL.split(" "), "https://", "[", "Basic ", "<"])).map(" ".join))
def test_whatever_is_pasted_is_read_or_refused(text: str) -> None:
    with suppress(ConfigurationError):
        parse(text)
