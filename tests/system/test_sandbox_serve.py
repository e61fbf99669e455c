"""The sandbox behind a socket: at once up and down, asked directly, failing on command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import ROOT
from sandboxing import AUTH, HEADERS, ask_app, root

from moengage_personalize import ConfigurationError, ConnectionFailed, PersonalizeClient, sandbox

APP: Any = {"banner": {"Title": "Hello"}}


@pytest.fixture
def app() -> sandbox.Sandbox:
    return sandbox.app(APP)


def test_its_keys_are_those_of_its_experiences(app: sandbox.Sandbox) -> None:
    assert app.keys == ["banner"]


@pytest.fixture
def http(app: sandbox.Sandbox) -> Iterator[httpx.Client]:
    with sandbox.serve(app) as url, httpx.Client(base_url=root(url), headers=HEADERS, auth=AUTH) as client:
        yield client


def fetch(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/experiences/fetch", json={})


def test_it_starts_and_stops_many_times_a_second(app: sandbox.Sandbox) -> None:
    started = time.monotonic()
    for _ in range(20):
        with sandbox.serve(app) as url:
            assert url.startswith("http://127.0.0.1:")
    # Fifty milliseconds each are promised, and it takes three: only a wait for something would take so long.
    assert time.monotonic() - started < 20 * 0.25


def test_nothing_of_a_server_is_left_when_it_has_stopped(app: sandbox.Sandbox) -> None:
    threads = threading.active_count()
    failed = threading.Event()

    def wait(url: str) -> None:
        with pytest.raises(httpx.HTTPError):
            httpx.post(f"{url}/experiences/fetch", json={}, headers=HEADERS, auth=AUTH)
        failed.set()

    with sandbox.serve(app) as url, httpx.Client(base_url=root(url), headers=HEADERS, auth=AUTH) as http:
        assert fetch(http).status_code == 200  # its connection stays open
        app.fail(delay=60)
        waiting = threading.Thread(target=wait, args=(url,))
        waiting.start()
        while app.armed:
            time.sleep(0.001)
    assert failed.wait(5)
    waiting.join()
    assert threading.active_count() == threads
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with sandbox.listen(0) as taken, pytest.raises(OSError, match="in use"):
        sandbox.listen(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
)
def test_the_base_url_is_one_that_this_machine_reaches(host: str, expected: str) -> None:
    with sandbox.listen(0, host) as listener:
        assert sandbox.base_url(listener) == f"http://{expected}:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "127.0.0.1"),
        ({"NO_PROXY": ""}, "127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
        ({"NO_PROXY": "localhost, 127.0.0.1"}, "localhost, 127.0.0.1"),
        ({"NO_PROXY": "intra.example"}, "intra.example,127.0.0.1"),
        ({"no_proxy": "intra.example"}, "intra.example,127.0.0.1"),
    ],
)
def test_no_proxy_names_the_sandbox_beside_what_it_named(environ: dict[str, str], expected: str) -> None:
    with sandbox.listen(0) as listener:
        assert sandbox.no_proxy(listener, environ) == {"NO_PROXY": expected, "no_proxy": expected}


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("before", [None, "intra.example"])
def test_a_proxy_of_the_environment_is_not_asked_for_the_sandbox(
    variable: str, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    if before is not None:
        monkeypatch.setenv("NO_PROXY", before)
    environment = dict(os.environ)
    with (
        sandbox.serve(sandbox.app(APP)) as url,
        PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=url) as client,
    ):
        assert client.fetch("banner")["banner"]["Title"] == "Hello"
    assert dict(os.environ) == environment


def test_the_environment_is_left_alone_where_it_names_no_proxy(app: sandbox.Sandbox) -> None:
    environment = dict(os.environ)
    with sandbox.serve(app):
        assert dict(os.environ) == environment


def test_a_status_is_answered_as_often_as_it_was_armed(http: httpx.Client, app: sandbox.Sandbox) -> None:
    armed = http.post("/_sandbox/fail", json={"status": 503, "times": 2})
    assert (armed.status_code, armed.json()) == (200, {"status": 503, "times": 2, "delay": 0, "drop": False})
    assert [fetch(http).status_code for _ in range(3)] == [503, 503, 200]
    app.fail()
    assert [fetch(http).status_code for _ in range(2)] == [500, 200]
    app.fail(429, times=5)
    app.fail(times=0)
    assert fetch(http).status_code == 200


def test_an_answer_is_delayed(http: httpx.Client) -> None:
    assert http.post("/_sandbox/fail", json={"delay": 0.2}).json()["status"] is None
    started = time.monotonic()
    assert fetch(http).status_code == 200
    assert time.monotonic() - started >= 0.2
    http.post("/_sandbox/fail", json={"delay": 0.01, "status": 502})
    assert fetch(http).status_code == 502


def test_a_connection_is_dropped_without_an_answer(http: httpx.Client, app: sandbox.Sandbox) -> None:
    assert http.post("/_sandbox/fail", json={"drop": True}).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        fetch(http)
    assert app.requests[0].status is None
    assert fetch(http).status_code == 200


def test_a_client_of_ours_meets_a_dropped_connection(app: sandbox.Sandbox) -> None:
    app.fail(drop=True, times=9)
    with (
        sandbox.serve(app) as url,
        PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=url, max_retries=1) as client,
        pytest.raises(ConnectionFailed),
    ):
        client.fetch("banner")
    assert len(app.requests) == 2


def test_in_process_a_dropped_connection_is_an_error_of_the_application(app: sandbox.Sandbox) -> None:
    app.fail(drop=True)
    with pytest.raises(ConnectionResetError):
        ask_app(app, [{}])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Could not decode"),
        (b'{"status": 503', "Could not decode"),
        (b'{"status": "\xff"}', "Could not decode"),
        (b'{"delay": NaN}', "Could not decode"),
        (b"[" * 100_000, "Could not decode"),
        (b"[]", "$: [] is not of type 'object'"),
        (b'{"status": 99}', "$.status: 99 is less than the minimum of 400"),
        (b'{"status": 200}', "$.status: 200 is less than the minimum of 400"),
        (b'{"status": 600}', "$.status: 600 is greater than the maximum of 599"),
        (b'{"status": "503"}', "$.status: '503' is not of type 'integer'"),
        (b'{"status": true}', "$.status: True is not of type 'integer'"),
        (b'{"status": null}', "$.status: None is not of type 'integer'"),
        (b'{"times": -1}', "$.times: -1 is less than the minimum of 0"),
        (b'{"times": 1.5}', "$.times: 1.5 is not of type 'integer'"),
        (b'{"delay": 61}', "$.delay: 61 is greater than the maximum of 60"),
        (b'{"drop": 1}', "$.drop: 1 is not of type 'boolean'"),
        (b'{"statu": 503}', "$: Additional properties are not allowed ('statu' was unexpected)"),
        (b'{"\\ud800": 503}', "Additional properties are not allowed"),
        (b'{"status": 99, "times": -1}', "minimum of 400; $.times: -1 is less"),
    ],
)
def test_a_failure_that_cannot_be_is_refused_with_the_reason(
    http: httpx.Client, app: sandbox.Sandbox, body: bytes, reason: str
) -> None:
    answer = http.post("/_sandbox/fail", content=body)
    assert answer.status_code == 400
    assert reason in answer.json()["description"]
    assert fetch(http).status_code == 200
    assert app.armed == 0


def test_a_failure_of_the_api_in_python_is_checked_too(app: sandbox.Sandbox) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a failure that can be armed, got \$\.status: 99 is less"):
        app.fail(99)


def test_a_client_that_goes_within_its_request_is_no_trouble() -> None:
    scope = {"type": "http", "method": "POST", "path": "/v1/experiences/fetch", "headers": [], "query_string": b""}
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(sandbox.app()(scope, receive, send))
    assert sent[0]["status"] == 400


def test_without_its_extra_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['uvicorn'] = None\nfrom moengage_personalize import sandbox"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    needed = (
        'ImportError: expected the extra of the sandbox (pip install "moengage-personalize[sandbox]"), got no uvicorn'
    )
    assert done.stderr.splitlines()[-1] == needed


def test_a_module_of_ours_that_is_missing_is_no_missing_extra() -> None:
    code = (
        "import sys; sys.modules['moengage_personalize.sandbox._app'] = None\nfrom moengage_personalize import sandbox"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: import of moengage_personalize.sandbox._app halted" in done.stderr


@pytest.mark.slow
def test_it_answers_out_of_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "unpacked" / "app.pyz"  # where coverage does not look for the source
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as into:
        for folder in (ROOT / "wrapper", ROOT / "generated"):
            for path in folder.rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    into.write(path, path.relative_to(folder))
    code = """if True:
        import httpx
        from moengage_personalize import sandbox
        headers, auth = {"MOE-APPKEY": sandbox.WORKSPACE_ID}, (sandbox.WORKSPACE_ID, sandbox.API_KEY)
        with sandbox.serve() as url:
            print(sandbox.__file__)
            print(httpx.get(url.removesuffix("v1")).status_code)
            print(*httpx.post(url + "/experiences/fetch", json={}, headers=headers, auth=auth).json()["experiences"])
    """
    environment = os.environ | {"PYTHONPATH": str(archive)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{archive}/moengage_personalize/sandbox/__init__.py",
        "200",
        "promo-strip cart-upsell",
    ]
