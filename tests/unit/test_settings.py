from __future__ import annotations

import base64
import math
import re
from typing import Any

import pytest
from faces import Face
from helpers import ROOT
from ruamel.yaml import YAML

from moengage_personalize import ConfigurationError, DataCenter, PersonalizeClient
from moengage_personalize._settings import SERVER, Credentials, environment

GOOD: dict[str, Any] = {"workspace_id": "WS", "api_key": "key-canary", "data_center": "01"}
LONGEST_HOST = ".".join(["a" * 63] * 3 + ["a" * 61])  # 253 characters


@pytest.mark.parametrize("given", [3, "3", "03", DataCenter.DC_03])
def test_a_data_center_may_be_written_in_every_usual_way(given: Any) -> None:
    client = PersonalizeClient(**GOOD | {"data_center": given})
    assert "https://sdk-03.moengage.com/v1" in repr(client)
    client.close()


@pytest.mark.parametrize("given", [101, "101"])
def test_data_center_101_is_not_padded(given: Any) -> None:
    with PersonalizeClient(**GOOD | {"data_center": given}) as client:
        assert "https://sdk-101.moengage.com/v1" in repr(client)


@pytest.mark.parametrize("given", [3, "3", "03"])
def test_a_data_center_is_made_of_every_usual_way(given: Any) -> None:
    assert DataCenter(given) is DataCenter.DC_03


@pytest.mark.parametrize(
    ("given", "came"),
    [
        ("7", "'7'"),
        ("DC-01", "'DC-01'"),
        ("", "''"),
        (0, "'0'"),
        (-1, "'-1'"),
        ("001", "'001'"),
        ("1 ", "'1 '"),
        (True, "'bool'"),
        (1.0, "'1.0'"),
        (object, "'type'"),
    ],
)
def test_another_data_center_is_refused_with_what_is_accepted(given: Any, came: str, face: Face) -> None:
    accepted = r"one of 01, 02, 03, 04, 05, 06, 101 \(1, '1' and '01'.*"
    with pytest.raises(ConfigurationError, match=f"{accepted}got {came}$"):
        face.client_class(**GOOD | {"data_center": given})


def test_the_data_centers_and_their_url_are_those_of_the_vendored_document() -> None:
    document = YAML(typ="safe", pure=True).load(ROOT / "spec" / "personalize-experience.yaml")
    (server,) = document["servers"]
    assert server["url"] == SERVER
    described = re.search(r"can be ([\d, or]+)\.", server["variables"]["dc"]["description"])
    assert described is not None
    assert set(re.findall(r"\d+", described[1])) == {str(center) for center in DataCenter}
    assert DataCenter(server["variables"]["dc"]["default"]).url == "https://sdk-01.moengage.com/v1"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"workspace_id": None}, "expected workspace_id to be a non-empty str, got NoneType"),
        ({"workspace_id": ""}, "expected workspace_id to be a non-empty str, got an empty one"),
        ({"workspace_id": "a:b"}, "expected workspace_id without a colon, which Basic auth cannot carry"),
        ({"workspace_id": "a\nb"}, "expected workspace_id without control characters"),
        ({"workspace_id": "a\ud800"}, "expected workspace_id without control characters"),
        ({"api_key": None}, "expected api_key to be a non-empty str, got NoneType"),
        ({"api_key": "  "}, "expected api_key to be a non-empty str, got an empty one"),
        ({"api_key": "key-canary\n"}, "expected api_key without control characters or space around it"),
        ({"api_key": b"key-canary"}, "expected api_key to be a non-empty str, got bytes"),
        ({"data_center": None}, "expected either data_center or base_url, got neither"),
        ({"base_url": "http://127.0.0.1/v1"}, "expected either data_center or base_url, got both"),
        ({"timeout": 0}, "expected timeout to be a number of seconds greater than 0, up to 30 days, got 0"),
        ({"timeout": -1.5}, "got -1.5"),
        ({"timeout": math.nan}, "got nan"),
        ({"timeout": math.inf}, "got inf"),
        ({"timeout": True}, "got True"),
        ({"timeout": "1"}, "got '1'"),
        ({"max_retries": -1}, "expected max_retries to be a whole number from 0, got -1"),
        ({"max_retries": 1.0}, "got 1.0"),
        ({"max_retries": True}, "got True"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed: dict[str, Any], expected: str, face: Face) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(expected)) as caught:
        face.client_class(**GOOD | changed)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "127.0.0.1:8025/v1",
        "ftp://host/v1",
        "http://",
        "http://host:port/v1",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://host/v 1",
        "http://host/\u200bv1",
        "http://h:0/",
        "http://\u2603.example",
        "http://[::1]x:80",
        "http://a..b/v1",
        "http://-host/v1",
        f"http://{'a' * 64}.example/v1",
        f"http://{'a.' * 130}example/v1",
        f"http://{LONGEST_HOST}a/v1",
        "http://1.2.3.999/v1",
        "https://sdk-{dc}.moengage.com/v1",
    ],
)
def test_a_base_url_that_is_none_is_refused(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected base_url to be an http"):
        PersonalizeClient("WS", "key", base_url=base_url)


def test_a_base_url_that_is_no_text_is_refused_by_its_type() -> None:
    with pytest.raises(ConfigurationError, match=r"expected base_url to be an http.*, got int$"):
        PersonalizeClient("WS", "key", base_url=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "base_url", ["http://me:canary@host/v1", "me:canary@host/v1", "http://host/?k=canary", "http://h/#f"]
)
def test_a_base_url_that_may_hold_a_key_is_refused_without_repeating_it(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="got one with a user name, a query or a fragment") as caught:
        PersonalizeClient("WS", "key", base_url=base_url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["[::1]:80", "127.0.0.1", "localhost.", "my_host", "b\u00fccher.example", LONGEST_HOST]
)
def test_a_host_that_can_be_is_taken(host: str) -> None:
    with PersonalizeClient("WS", "key", base_url=f"http://{host}/v1") as client:
        assert host in repr(client)


def test_a_placeholder_is_named_as_what_it_is() -> None:
    with pytest.raises(ConfigurationError, match="got one with a placeholder that nobody has filled in"):
        PersonalizeClient("WS", "key", base_url="https://sdk-{dc}.moengage.com/v1")


def test_a_slash_at_the_end_of_a_base_url_changes_nothing() -> None:
    with PersonalizeClient("WS", "key", base_url="http://host/v1/") as client:
        assert "'http://host/v1'" in repr(client)


def test_credentials_are_carried_in_utf_8() -> None:
    token = Credentials("Größe", "ключ").authorization.removeprefix("Basic ")
    assert base64.b64decode(token).decode("utf-8") == "Größe:ключ"


def test_no_repr_holds_the_key(face: Face) -> None:
    client = face.client(**GOOD)
    token = base64.b64encode(b"WS:key-canary").decode()
    shown = [repr(client), repr(client.api), repr(client._settings), repr(client._transport)]
    assert not [text for text in shown if "canary" in text or token in text]


ENVIRONMENT = {"MOENGAGE_WORKSPACE_ID": "WS", "MOENGAGE_PERSONALIZE_API_KEY": "key", "MOENGAGE_DATA_CENTER": "2"}


class TestFromEnv:
    def client(self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], face: Face, **given: Any) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        client = face.client_class.from_env(**given)
        face.close(client)
        return repr(client)

    def test_settings_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch, face: Face) -> None:
        shown = self.client(monkeypatch, ENVIRONMENT, face)
        assert shown.endswith("(workspace_id='WS', base_url='https://sdk-02.moengage.com/v1')")

    def test_keyword_arguments_win(self, monkeypatch: pytest.MonkeyPatch, face: Face) -> None:
        shown = self.client(monkeypatch, ENVIRONMENT, face, workspace_id="OWN", base_url="http://localhost:1/v1")
        assert shown.endswith("(workspace_id='OWN', base_url='http://localhost:1/v1')")

    def test_a_key_that_is_passed_wins(self) -> None:
        names = {"workspace_id": None, "data_center": None, "base_url": None}
        assert environment(ENVIRONMENT, api_key="own", **names)["api_key"] == "own"
        assert environment(ENVIRONMENT, api_key=None, **names)["api_key"] == "key"

    def test_a_base_url_may_stand_for_the_data_center(self, monkeypatch: pytest.MonkeyPatch, face: Face) -> None:
        environment = ENVIRONMENT | {"MOENGAGE_DATA_CENTER": "", "MOENGAGE_BASE_URL": "http://localhost:1/v1"}
        assert "'http://localhost:1/v1'" in self.client(monkeypatch, environment, face)

    def test_both_are_refused(self, monkeypatch: pytest.MonkeyPatch, face: Face) -> None:
        with pytest.raises(ConfigurationError, match="got both"):
            self.client(monkeypatch, ENVIRONMENT | {"MOENGAGE_BASE_URL": "http://localhost:1/v1"}, face)

    @pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
    def test_a_variable_that_is_missing_is_named(
        self, monkeypatch: pytest.MonkeyPatch, face: Face, missing: str
    ) -> None:
        environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}
        with pytest.raises(ConfigurationError, match=f"expected {missing}.* in the environment"):
            self.client(monkeypatch, environment, face)

    def test_all_variables_that_are_missing_are_named_at_once(self, face: Face) -> None:
        named = "MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL in"
        with pytest.raises(ConfigurationError, match=f"expected {named} the environment, got nothing"):
            face.client_class.from_env()

    def test_a_data_center_that_is_passed_wins_over_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, face: Face
    ) -> None:
        shown = self.client(monkeypatch, ENVIRONMENT, face, data_center="03")
        assert "sdk-03" in shown
        only_url = ENVIRONMENT | {"MOENGAGE_DATA_CENTER": "", "MOENGAGE_BASE_URL": "http://localhost:1/v1"}
        assert "sdk-03" in self.client(monkeypatch, only_url, face, data_center="03")
