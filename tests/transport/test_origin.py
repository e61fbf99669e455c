"""What is read off a URL and off the environment, as values: nothing is connected to."""

from __future__ import annotations

import ssl
from base64 import b64encode
from pathlib import Path

import pytest

from moengage_personalize._messages import Response
from moengage_personalize._transport import _origin
from moengage_personalize._transport._exchange import ExchangeError


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "authority", "shown", "server_name", "target"),
    [
        ("http://api.test/v1/x?y=1", b"api.test", "api.test:80", "api.test", b"/v1/x?y=1"),
        ("https://api.test./v1", b"api.test.", "api.test.:443", "api.test", b"/v1"),
        ("https://api.test:8443", b"api.test:8443", "api.test:8443", "api.test", b"/"),
        ("http://[::1]:8025/v1", b"[::1]:8025", "[::1]:8025", "::1", b"/v1"),
        ("https://bücher.test/v1", b"xn--bcher-kva.test", "xn--bcher-kva.test:443", "xn--bcher-kva.test", b"/v1"),
    ],
)
def test_an_origin_and_a_target_are_read_off_a_url(
    url: str, authority: bytes, shown: str, server_name: str, target: bytes
) -> None:
    origin, rest = _origin.split_url(url)
    assert (origin.authority, str(origin), origin.server_name, rest) == (authority, shown, server_name, target)
    assert origin.tls == url.startswith("https")


@pytest.mark.parametrize("url", ["http:///v1", "http://", "ftp://host/v1", "http://a..b/v1"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        _origin.split_url(url)


def proxy_of(url: str) -> tuple[str, bool, tuple[tuple[bytes, bytes], ...]] | None:
    """Host and port of the proxy for a URL, whether it speaks TLS, and what it is told."""
    found = _origin.proxy_for(_origin.split_url(url)[0])
    return None if found is None else (str(found.origin), found.origin.tls, found.headers)


def test_each_scheme_has_its_proxy_or_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of("http://api.test") is None
    monkeypatch.setenv("ALL_PROXY", "http://all:3")
    assert proxy_of("http://api.test") == proxy_of("https://api.test") == ("all:3", False, ())
    monkeypatch.setenv("HTTP_PROXY", "HTTP://plain:1")
    monkeypatch.setenv("HTTPS_PROXY", "https://secure")
    assert proxy_of("http://api.test") == ("plain:1", False, ())
    assert proxy_of("https://api.test") == ("secure:443", True, ())


def test_a_proxy_without_a_scheme_is_asked_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "between:3128")
    assert proxy_of("https://api.test") == ("between:3128", False, ())


def test_a_proxy_is_told_the_name_and_the_password_of_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://me:pass%40word@between:3128")
    credentials = b"Basic " + b64encode(b"me:pass@word")
    assert proxy_of("https://api.test") == ("between:3128", False, ((b"Proxy-Authorization", credentials),))


@pytest.mark.parametrize("excepted", ["api.test", "api.test:8025", "test"])
def test_a_host_may_be_excepted_with_and_without_its_port(monkeypatch: pytest.MonkeyPatch, excepted: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://between:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert proxy_of("http://api.test:8025/v1") is None
    assert proxy_of("http://other.example:8025/v1") is not None


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("socks5://between:1080", "expected an http or https proxy in the environment, got 'socks5'"),
        ("x://canary", "expected an http or https proxy in the environment, got 'x'"),
        ("://canary", "expected an http or https proxy in the environment, got ''"),
        ("http://user:canary@[::1", "expected the URL of a proxy in the environment, got another text"),
    ],
)
def test_a_proxy_that_cannot_be_asked_is_refused(monkeypatch: pytest.MonkeyPatch, address: str, message: str) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(ExchangeError) as caught:
        proxy_of("http://api.test")
    assert (str(caught.value), caught.value.kind) == (message, "connection")


@pytest.mark.parametrize(("status", "connects"), [(199, False), (200, True), (299, True), (300, False), (407, False)])
def test_a_proxy_connects_by_any_2xx(status: int, connects: bool) -> None:
    proxy = _origin.Proxy(_origin.split_url("http://between:3128")[0], ())
    if connects:
        proxy.check(Response(status, {}, b""))
        return
    with pytest.raises(ExchangeError, match=f"^expected the proxy to connect, got status {status}$") as caught:
        proxy.check(Response(status, {}, b""))
    assert caught.value.kind == "connection"


def test_certificates_of_ones_own_are_one_file_one_folder_or_both(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _origin.own_certificates() == ()
    monkeypatch.setenv("SSL_CERT_FILE", "file")
    assert _origin.own_certificates() == ("file", "")
    monkeypatch.setenv("SSL_CERT_DIR", "folder")
    assert _origin.own_certificates() == ("file", "folder")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert _origin.own_certificates() == ("", "folder")


def test_a_folder_of_certificates_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    with pytest.raises(NotADirectoryError) as caught:
        _origin.ssl_context()
    assert (caught.value.strerror, caught.value.filename) == ("not a directory", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert _origin.ssl_context().get_ca_certs() == []


def test_the_scheme_of_a_proxy_is_what_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://jane:secret@proxy.test:3128/?next=https://else.test")
    origin, _ = _origin.split_url("http://api.test/v1")
    proxy = _origin.proxy_for(origin)
    assert proxy is not None
    assert str(proxy.origin) == "proxy.test:3128"
    assert b"jane" not in proxy.origin.authority


def test_a_class_that_was_patched_meanwhile_gets_a_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Patched(ssl.SSLContext):
        pass

    before, kinds = ssl.SSLContext, list[object]()
    monkeypatch.setattr(_origin, "_ssl_context", lambda kind: kinds.append(kind))
    _origin.ssl_context()
    monkeypatch.setattr(ssl, "SSLContext", Patched)
    _origin.ssl_context()
    assert kinds == [before, Patched]
