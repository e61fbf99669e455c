"""doctor names the cause of a broken set-up in its first line, and never prints the key."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import Behaviour, answers, hangs, hangs_up, serving
from shell import settings

from moengage_personalize import sandbox
from moengage_personalize.cli import main

KEY = "a-very-secret-key"
Doctor = Callable[..., list[str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Generator[Doctor]:
    """The lines that doctor prints, whose exit status agrees with the first; pytest -k broken -rP shows them all."""
    shown: list[str] = []

    def examined(*arguments: str) -> list[str]:
        status = main(["doctor", "--timeout", "2", *arguments])
        printed = capsys.readouterr()
        lines = printed.out.splitlines()
        assert printed.err == ""
        assert status == (0 if lines[0] == "all is well" else 1)
        assert (status == 0) == ("  FAIL  " not in printed.out)
        assert KEY not in printed.out
        assert all(line.isprintable() for line in lines)
        shown.extend(lines)
        return lines

    yield examined
    sys.stdout.write("\n".join(shown))


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, sandbox_url: str) -> None:
    for name, value in settings(sandbox_url).items():
        monkeypatch.setenv(name, value)


@contextmanager
def tls(context: ssl.SSLContext) -> Generator[str]:
    """A server that speaks TLS and answers every request with no experiences."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                answers(200, {"metadata": {"experiences": []}}, "connection: close")(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA(organization_name="Test CA")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def test_a_set_up_that_works_is_well(doctor: Doctor, sandbox_url: str) -> None:
    lines = doctor()
    assert lines[0] == "all is well"
    assert f"  ok    MOENGAGE_BASE_URL: {sandbox_url}, from the environment" in lines
    assert "  ok    MOENGAGE_PERSONALIZE_API_KEY: (not shown), from the environment" in lines
    assert "  ok    proxy: none" in lines
    assert "  ok    DNS: 127.0.0.1: 127.0.0.1" in lines
    assert "  ok    clock: as that of the server" in lines
    assert any("rate limit: " in line and " of 10000 left" in line for line in lines)
    keys = next(line for line in lines if "keys of the workspace" in line)
    assert "homepage-banner, " in keys
    assert keys.endswith("summer-sale (Paused)")


def test_broken_1_nothing_is_set(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings(""):
        monkeypatch.delenv(name)
    names = "MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL"
    assert doctor()[0].startswith(f"missing: {names}: export them")


def test_one_missing_setting_leaves_the_others_listed(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOENGAGE_PERSONALIZE_API_KEY")
    lines = doctor()
    assert lines[0].startswith("missing: MOENGAGE_PERSONALIZE_API_KEY: ")
    assert "  ok    MOENGAGE_WORKSPACE_ID: SANDBOX, from the environment" in lines


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("MOENGAGE_DATA_CENTER", "99", "expected either data_center or base_url, got both"),
        ("MOENGAGE_BASE_URL", "127.0.0.1:8025/v1", "expected base_url to be an http(s) URL"),
        ("MOENGAGE_BASE_URL", f"http://me:{KEY}@127.0.0.1/v1", "expected base_url to be an http(s) URL"),
        ("MOENGAGE_WORKSPACE_ID", "a:b", "expected workspace_id without a colon"),
    ],
)
def test_broken_2_a_setting_that_cannot_be(
    name: str, value: str, cause: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert doctor()[0].startswith(cause)


def test_a_data_center_that_is_none_is_named(doctor: Doctor) -> None:
    assert doctor("--data-center", "99")[0].startswith("expected data_center to be one of 01, 02,")


def test_broken_3_a_host_without_an_address(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    assert doctor("--data-center", "3")[0].startswith("cannot find the host 'sdk-03.moengage.com': no such host")


def test_broken_4_nobody_listens(doctor: Doctor) -> None:
    lines = doctor("--base-url", "http://127.0.0.1:9/v1")
    assert lines[0].startswith("cannot connect to the host 127.0.0.1:9: Connection refused: see whether it runs")


@pytest.mark.parametrize(
    ("scheme", "variable"), [("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY"), ("https", "ALL_PROXY")]
)
def test_broken_5_a_proxy_that_is_not_there(
    scheme: str, variable: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "127.0.0.1:9")
    lines = doctor("--base-url", f"{scheme}://api.example/v1")
    assert lines[0].startswith("cannot connect to the proxy 127.0.0.1:9: Connection refused: see HTTPS_PROXY")


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("socks5://127.0.0.1:9", "the proxy 127.0.0.1:9 is no plain http proxy"),
        ("http://:5", "the proxy of the environment is no URL"),
        ("http://127.0.0.1:port", "the proxy of the environment is no URL"),
    ],
)
def test_a_proxy_that_cannot_be_is_named(
    address: str, cause: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    assert doctor("--data-center", "1")[0].startswith(cause)


def test_a_proxy_that_refuses_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers(407, {})) as proxy:
        address = proxy.base_url.removesuffix("/v1").replace("http://", f"http://me:{KEY}@")
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert "Tunnel connection failed: 407" in doctor("--data-center", "1")[0]
        assert doctor("--base-url", "http://api.example/v1")[0].startswith("the proxy wants a user name and a password")
    (connect, get) = proxy.requests
    assert connect.startswith(b"CONNECT sdk-01.moengage.com:443 HTTP/1.")
    assert get.startswith(b"GET http://api.example/v1/experiences/metadata HTTP/1.1\r\n")
    assert b"\r\nHost: api.example\r\n" in get
    assert b"Proxy-Authorization: Basic bWU6" in connect
    assert b"Proxy-Authorization: Basic bWU6" in get


def test_a_proxy_that_names_no_user_gets_no_credentials(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers(200, {"metadata": {"experiences": []}})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        assert doctor("--base-url", "http://api.example:8080/v1")[0] == "all is well"
    assert b"Proxy-Authorization" not in proxy.requests[0]
    assert b"Host: api.example:8080\r\n" in proxy.requests[0]


def test_broken_6_a_certificate_that_is_not_trusted(doctor: Doctor, authority: trustme.CA) -> None:
    with tls(context_of(authority.issue_cert("127.0.0.1"))) as url:
        line = doctor("--base-url", url)[0]
    assert "cannot trust 127.0.0.1:" in line
    assert "unable to get local issuer certificate" in line
    assert "see SSL_CERT_FILE" in line


def test_a_certificate_of_another_host_is_named(
    doctor: Doctor, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with tls(context_of(authority.issue_cert("other.example"))) as url:
        assert "IP address mismatch" in doctor("--base-url", url)[0]


def test_a_certificate_that_is_trusted_is_shown(
    doctor: Doctor, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with tls(context_of(authority.issue_cert("127.0.0.1"))) as url:
        lines = doctor("--base-url", url)
    assert lines[0] == "all is well"
    assert any(line.startswith("  ok    TLS: TLSv1.3, by Test CA, until ") for line in lines)
    assert "  ok    keys of the workspace: none" in lines
    assert "  ok    clock: the answer does not say its time" in lines
    assert "  ok    rate limit: the answer does not say what is left" in lines


def test_broken_7_a_file_of_certificates_that_is_not_there(
    doctor: Doctor, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with tls(context_of(authority.issue_cert("127.0.0.1"))) as url:
        line = doctor("--base-url", url)[0]
    assert line == "cannot read the certificates of /nowhere/ca.pem: No such file or directory: " + (
        "see SSL_CERT_FILE and SSL_CERT_DIR"
    )


def test_broken_8_https_where_http_is_spoken(doctor: Doctor, sandbox_url: str) -> None:
    line = doctor("--base-url", sandbox_url.replace("http://", "https://"))[0]
    assert "no TLS there" in line
    assert line.endswith("see whether the URL should begin with http")


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (hangs_up, "it hung up: the server hung up"),
        (lambda connection: connection.sendall(b"220 smtp.example ESMTP\r\n"), "no HTTP there"),
        (hangs, "no answer in time"),
        (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000), "LineTooLong"),
    ],
)
def test_a_server_of_another_kind_is_named(behaviour: Behaviour, cause: str, doctor: Doctor) -> None:
    with serving(behaviour) as server:
        line = doctor("--timeout", "0.2", "--base-url", server.base_url)[0]
    assert line.startswith("cannot ask 127.0.0.1:")
    assert cause in line


def test_broken_9_a_key_that_is_not_accepted(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", KEY)
    line = doctor()[0]
    assert line.startswith("the key is not accepted (401): it must be the key of the Personalize tile")


def test_broken_10_a_key_without_the_right(doctor: Doctor) -> None:
    with serving(answers(403, {})) as server:
        line = doctor("--base-url", server.base_url)[0]
    assert line.startswith("the key may not use Personalize (403): ")
    assert "Personalize tile" in line


def test_broken_11_another_data_center(doctor: Doctor) -> None:
    with serving(answers(400, {"title": "Request Error", "description": "Client not \x1b[31mfound"})) as server:
        line = doctor("--base-url", server.base_url)[0]
    cause = "the workspace is not known here (400: Request Error: Client not \\x1b[31mfound): see MOENGAGE_WORKSPACE_ID"
    assert line.startswith(cause)
    assert "dashboard-NN.moengage.com" in line


def test_broken_12_v1_is_missing(doctor: Doctor, sandbox_url: str) -> None:
    base_url = sandbox_url.removesuffix("/v1")
    assert doctor("--base-url", base_url)[0] == (f"/v1 is missing at the end of the base URL: ask {sandbox_url}")


def test_an_address_without_the_api_is_named(doctor: Doctor) -> None:
    with serving(answers(404, [])) as server:
        for url in (server.base_url, server.base_url.removesuffix("/v1")):
            assert doctor("--base-url", url)[0].startswith("there is no such API at this address (404)")
    with serving(answers(404, []), hangs_up) as server:
        url = server.base_url.removesuffix("/v1")
        assert doctor("--base-url", url)[0].startswith("there is no such API at this address (404)")


@pytest.mark.parametrize(
    ("date", "way"), [("Wed, 25 Nov 2020 10:00:00 GMT", "ahead of"), ("Sun, 25 Nov 2091 10:00:00 GMT", "behind")]
)
def test_broken_13_a_clock_that_is_off(date: str, way: str, doctor: Doctor) -> None:
    with serving(answers(200, {"metadata": {"experiences": []}}, f"date: {date}")) as server:
        lines = doctor("--base-url", server.base_url)
    assert lines[0].startswith("the clock of this machine is ")
    assert f"{way} that of the server: set it (NTP)" in lines[0]
    assert "  ok    key: accepted" in lines  # it goes on


def test_broken_14_a_rate_limit_that_is_used_up(doctor: Doctor) -> None:
    with sandbox.serve(sandbox.app(rate_limit=0)) as url:
        line = doctor("--base-url", url)[0]
    assert line.startswith("the rate limit of the workspace is used up (429): Retry-After or reset says ")
    with serving(answers(429, b"")) as server:
        assert ": wait a minute; " in doctor("--base-url", server.base_url)[0]


@pytest.mark.parametrize(
    ("status", "body", "headers", "cause"),
    [
        (301, b"", ["location: https://sdk-01.moengage.com"], "the address leads elsewhere (301): to https://sdk-01"),
        (503, b"<html>", [], "the API or a gateway before it failed (503): "),
        (204, b"", [], "the answer is not what the API documents (204): "),
        (418, {"title": "Tea"}, [], "the answer is not what the API documents (418: Tea): "),
        (200, b"<html>", [], "the answer is not what the API documents: "),
        (200, {"metadata": None}, [], "the answer is not what the API documents: "),
        (200, [], [], "the answer is not what the API documents: "),
        (200, {"metadata": {"experiences": [5]}}, [], "the answer is not what the API documents: "),
    ],
)
def test_an_answer_of_another_kind_is_named(
    status: int, body: Any, headers: list[str], cause: str, doctor: Doctor
) -> None:
    with serving(answers(status, body, *headers)) as server:
        assert doctor("--base-url", server.base_url)[0].startswith(cause)


def test_an_address_of_version_6_is_asked(doctor: Doctor) -> None:
    try:
        listener = sandbox.listen(0, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = listener.getsockname()[1]
    assert doctor("--base-url", f"http://[::1]:{port}/v1")[0].startswith(f"cannot connect to the host [::1]:{port}: ")
