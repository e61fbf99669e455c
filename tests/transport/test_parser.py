"""What received bytes mean, and whether a connection may serve again after them: values, no sockets."""

from __future__ import annotations

import gc
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from httptools import HttpParserError, HttpResponseParser
from hypothesis import given, strategies as st

from moengage_personalize._messages import Request, Response
from moengage_personalize._transport import _body, _origin, _parser
from moengage_personalize._transport._exchange import DecodingError, ExchangeError
from moengage_personalize._transport._parser import HTTP11Connection, PoolGeneration

BODIES = st.binary(max_size=300)
CHUNKS = st.lists(st.binary(min_size=1, max_size=50), max_size=5)
ANOTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


def gzipped(body: bytes) -> bytes:
    """The same bytes whenever it is called: pytest names tests by them, in each of its processes."""
    return gzip.compress(body, mtime=0)


def with_length(body: bytes, status: int = 200, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d Any" % status, *headers, b"content-length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


def with_chunks(chunks: list[bytes], trailer: bytes = b"Trailer: x") -> bytes:
    body = b"".join(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n\r\n"


WHOLE = st.builds(
    lambda before, answer: before + answer,
    st.sampled_from([b"", EARLY, b"HTTP/1.1 100 Continue\r\n\r\n"]),
    st.builds(with_length, BODIES, st.sampled_from(sorted(_parser.KEEP_ALIVE_STATUSES))) | CHUNKS.map(with_chunks),
)


def received(
    data: bytes, cuts: list[int] | None = None, connection: HTTP11Connection | None = None
) -> HTTP11Connection:
    """A connection that has sent a request, and read this, in pieces, until the response was whole."""
    connection = connection or HTTP11Connection(PoolGeneration())
    connection.start_request()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    for start, end in pairwise(edges):
        if connection.receive_data(data[start:end]):
            break
    return connection


@contextmanager
def beyond(text: str) -> Iterator[None]:
    """What is refused as too much, in these words."""
    with pytest.raises(ExchangeError, match=f"^{text}$") as caught:
        yield
    assert caught.value.kind == "limit"


def is_reusable(data: bytes, cuts: list[int] | None = None) -> bool:
    try:
        return received(data, cuts).reusable
    except ExchangeError:
        return False


@given(answer=WHOLE, cuts=st.lists(st.integers(0)))
def test_one_whole_answer_leaves_a_connection_reusable_however_it_was_cut(answer: bytes, cuts: list[int]) -> None:
    assert is_reusable(answer, cuts)


# Empty lines behind an answer are skipped by every parser, and are nobody's answer.
@given(answer=WHOLE, surplus=st.binary(min_size=1).filter(lambda data: data.strip(b"\r\n")) | st.just(ANOTHER))
def test_a_connection_with_anything_behind_an_answer_is_not_reusable(answer: bytes, surplus: bytes) -> None:
    assert not is_reusable(answer + surplus)


@given(answer=WHOLE, missing=st.integers(1, 400), cuts=st.lists(st.integers(0)))
def test_a_connection_with_half_an_answer_is_not_reusable(answer: bytes, missing: int, cuts: list[int]) -> None:
    assert not is_reusable(answer[: max(0, len(answer) - missing)], cuts)


@given(st.lists(st.binary(min_size=1), min_size=1))
def test_no_bytes_do_more_than_end_a_connection(pieces: list[bytes]) -> None:
    assert not is_reusable(b"".join(pieces), [len(piece) for piece in pieces])


@pytest.mark.parametrize("status", [status for status in range(200, 600) if status not in _parser.KEEP_ALIVE_STATUSES])
def test_no_connection_serves_again_after_a_status_that_the_api_does_not_document(status: int) -> None:
    assert not is_reusable(with_length(b"", status))
    assert not is_reusable(b"HTTP/1.1 %d Any\r\nContent-Length: 2\r\n\r\n" % status)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 smtp.example.com ESMTP\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\n[]" + ANOTHER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nX: 1\r\n\n" + ANOTHER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n" + ANOTHER,
        b"\r\n" + ANOTHER,
    ],
)
def test_what_is_not_one_whole_answer_ends_a_connection(answer: bytes) -> None:
    assert not is_reusable(answer)
    assert not is_reusable(answer, list(range(len(answer)))[:2_000])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "a folded header"),
        (b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n", "a control character in a header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1", "Content-Length twice"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "Missing expected CR after response line"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "another protocol"),
        (EARLY + b"RTSP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "another protocol"),
        (b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", "another protocol"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "another protocol"),
        (b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", "a status from 200, got 99"),
        (b"HTTP/1.1 101 Odd\r\nContent-Length: 0\r\n\r\n", "a status from 200, got 101"),
    ],
)
def test_what_is_not_http_1_1_is_refused_with_the_reason(answer: bytes, reason: str) -> None:
    with pytest.raises(ExchangeError, match=f"expected .*{reason}") as caught:
        received(answer)
    assert caught.value.kind == "protocol"


def test_another_protocol_is_refused_before_its_first_line_ends() -> None:
    with pytest.raises(ExchangeError):
        received(b"220 smtp")


def test_informational_answers_without_end_are_too_many() -> None:
    assert received(EARLY * _parser.INFORMATIONAL + with_length(b"{}")).reusable
    with beyond("more than 32 informational answers before the answer"):
        received(EARLY * (_parser.INFORMATIONAL + 1))


def test_the_headers_of_an_informational_answer_are_not_those_of_the_answer() -> None:
    answer = received(EARLY + with_length(b"{}", 200, b"X-Y: a", b"x-y: b", b"At: 12:30:00")).response()
    assert answer == Response(200, {"x-y": "a, b", "at": "12:30:00", "content-length": "2"}, b"{}")


def test_the_end_of_a_connection_tells_whether_it_lay_idle() -> None:
    connection = received(with_length(b"{}"))
    connection.start_request()
    with pytest.raises(ExchangeError, match="without an answer") as caught:
        connection.receive_data(b"")
    assert caught.value.kind == "stale"
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    with pytest.raises(ExchangeError, match="without an answer") as caught:
        connection.receive_data(b"")
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nContent-Le", EARLY, with_length(b"{}")[:-1]])
def test_a_connection_that_ends_within_an_answer_was_not_idle(begun: bytes) -> None:
    connection = received(begun, connection=received(with_length(b"{}")))
    with pytest.raises(ExchangeError, match="within its answer") as caught:
        connection.receive_data(b"")
    assert caught.value.kind == "connection"
    assert not connection.reusable


def test_a_connection_that_broke_says_how() -> None:
    reset = HTTP11Connection(PoolGeneration()).connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    assert (reset.kind, str(reset)) == ("connection", "[Errno 104] Connection reset by peer")


def test_a_408_on_a_connection_that_lay_idle_is_the_keep_alive_race() -> None:
    refused = with_length(b"{}", 408)
    assert received(refused).response().status == 408
    for body in (refused, with_length(b"x", 408, b"Content-Encoding: gzip")):
        with pytest.raises(ExchangeError, match="408") as caught:
            received(body, connection=received(with_length(b"{}"))).response()
        assert caught.value.kind == "stale"


def test_what_comes_behind_an_answer_that_was_whole_ends_the_connection() -> None:
    for response_first in (False, True):
        connection = received(with_length(b"{}"))
        if response_first:
            connection.response()
        assert connection.reusable
        assert connection.receive_data(with_length(b"[]"))
        assert not connection.reusable


@pytest.mark.parametrize("length", range(1, len(ANOTHER)))
def test_the_beginning_of_another_answer_behind_one_that_was_whole_ends_the_connection(length: int) -> None:
    assert not received(with_length(b"{}") + ANOTHER[:length]).reusable


def test_what_comes_before_any_request_ends_the_connection() -> None:
    connection = HTTP11Connection(PoolGeneration())
    assert connection.receive_data(with_length(b"{}"))
    assert (connection.must_close, connection.reusable) == (True, False)


def test_much_that_comes_behind_a_whole_answer_is_not_taken_for_its_trailers() -> None:
    connection = received(with_length(b"{}") + with_length(b"x" * 200_000))
    assert connection.response().body == b"{}"
    assert not connection.reusable


def test_trailers_are_no_headers_and_have_a_limit() -> None:
    answer = received(with_chunks([b"{}"], b"Content-Encoding: gzip")).response()
    assert answer == Response(200, {"transfer-encoding": "Chunked"}, b"{}")
    long = with_chunks([b"{}"], b"Trailer: " + b"x" * 200_000)
    with beyond("trailers of more than 102,400 bytes"):
        received(long, list(range(0, 300_000, 9999)))


def test_a_head_has_a_limit_which_is_not_that_of_the_body() -> None:
    fits = b"X: " + b"x" * (_parser.HEAD - 100)
    assert received(with_length(b"x" * _parser.HEAD * 2, 200, fits)).reusable
    for answer in (with_length(b"{}", 200, fits + b"x" * 200), b"HTTP/1.1 200 OK\r\nX: " + b"x" * _parser.HEAD):
        with beyond("headers of more than 102,400 bytes"):
            received(answer)


def head_of(size: int) -> bytes:
    """An answer whose head has so many bytes, and no body."""
    start, end = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("cuts", [[], [_parser.HEAD - 3], [_parser.HEAD // 2]], ids=["whole", "cut", "half"])
def test_a_head_may_have_as_many_bytes_as_its_limit(cuts: list[int]) -> None:
    assert received(head_of(_parser.HEAD), cuts).reusable
    with beyond("headers of more than 102,400 bytes"):
        received(head_of(_parser.HEAD + 1), cuts)


def test_a_head_that_does_not_end_is_refused_when_it_is_one_byte_too_long() -> None:
    endless = head_of(_parser.HEAD * 2)
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    assert not connection.receive_data(endless[: _parser.HEAD])
    with beyond("headers of more than 102,400 bytes"):
        connection.receive_data(endless[_parser.HEAD : _parser.HEAD + 1])


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_body_in_chunks_may_be_framed_by_so_many_bytes_and_no_more(more: int, fits: bool) -> None:
    framed = len(with_chunks([b"{}"], b"T: ")) - len(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n")
    padding = _parser.HEAD + _parser.FRAMED * len(b"{}") - framed + more
    answer = with_chunks([b"{}"], b"T: " + b"x" * padding)
    if fits:
        assert received(answer).reusable
        return
    with beyond("trailers of more than 102,400 bytes"):
        received(answer)


def test_header_values_are_latin_1_and_those_of_one_name_are_joined() -> None:
    answer = received(with_length(b"{}", 200, b"X-Y: caf\xe9", b"x-Y:b", b"X-y: \t\xa0c\x85 \t")).response()
    assert answer.headers["x-y"] == "café, b, \xa0c\x85"  # only space and tab are white space to HTTP


@pytest.mark.parametrize(
    ("url", "through_proxy", "first_line", "host", "told"),
    [
        ("https://api.test:8443/v1/x?y=1", False, b"POST /v1/x?y=1 HTTP/1.1", b"api.test:8443", b""),
        ("https://api.test/v1", True, b"POST /v1 HTTP/1.1", b"api.test", b""),
        ("http://api.test/v1", False, b"POST /v1 HTTP/1.1", b"api.test", b""),
        ("http://api.test/v1", True, b"POST http://api.test/v1 HTTP/1.1", b"api.test", b"Proxy-Authorization: p\r\n"),
    ],
)
def test_a_request_is_written_whole(url: str, through_proxy: bool, first_line: bytes, host: bytes, told: bytes) -> None:
    proxy = _origin.Proxy(_origin.split_url("http://between:3128")[0], ((b"Proxy-Authorization", b"p"),))
    told_apart = uuid4().hex  # heads are kept, and this one is to be written now
    request = Request("POST", url, {"A": "b", "C": told_apart}, b"{}")
    assert bytes(_parser.request_bytes(request, proxy if through_proxy else None)) == (
        first_line
        + b"\r\nHost: %b\r\nAccept-Encoding: gzip\r\nUser-Agent: %b\r\nA: b\r\nC: %b\r\n"
        % (host, _parser.user_agent(), told_apart.encode())
        + told
        + b"Content-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://api.test/v1", b"api.test:443"),
        ("https://[::1]:8443/v1", b"[::1]:8443"),
        ("https://bücher.test", b"xn--bcher-kva.test:443"),
    ],
)
def test_a_tunnel_leads_to_host_and_port(url: str, authority: bytes) -> None:
    between = _origin.split_url("http://proxy:3128")[0]
    request = _parser.connect_request(_origin.split_url(url)[0], _origin.Proxy(between, ()))
    assert bytes(request) == b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority)
    told = _origin.Proxy(between, ((b"Proxy-Authorization", b"p"),))
    request = _parser.connect_request(_origin.split_url(url)[0], told)
    assert bytes(request).endswith(b"\r\nProxy-Authorization: p\r\n\r\n")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb"])
def test_a_header_with_a_line_break_is_not_written(value: str) -> None:
    with pytest.raises(ExchangeError, match=r"^expected headers without line breaks, got one with some$") as caught:
        _parser.request_bytes(Request("POST", "http://api.test/v1", {"A": value}, b""), None)
    assert caught.value.kind == "protocol"


def test_the_user_agent_is_our_name_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _parser.user_agent() == f"moengage-personalize/{metadata.version('moengage-personalize')}".encode()

    def not_installed(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", not_installed)
    assert _parser.user_agent.__wrapped__() == b"moengage-personalize"


@pytest.mark.parametrize("status", [200, 429])
def test_a_content_length_beyond_the_limit_is_refused_at_once(status: int) -> None:
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    with pytest.raises(ExchangeError, match="a body of more than 2,097,152 bytes on the wire") as caught:
        connection.receive_data(b"HTTP/1.1 %d Any\r\nContent-Length: %d\r\n\r\n" % (status, _body.ON_THE_WIRE + 1))
    assert caught.value.kind == "limit"
    if status != 200:
        assert connection.response(caught.value).status == status
    assert not connection.reusable


def test_a_content_length_may_be_that_of_the_limit() -> None:
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    assert not connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _body.ON_THE_WIRE)


@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError], ids=["interrupt", "handler"])
def test_what_is_raised_within_a_callback_comes_out(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(_parser.ResponseParser, "on_headers_complete", interrupted)
    with pytest.raises(error):
        received(with_length(b"{}"))


def test_an_answer_leaves_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        received(with_length(b"{}")).response()
        connection = received(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        assert connection.receive_data(b"")
        del connection
        assert not gc.collect()
    finally:
        gc.enable()


def test_a_body_that_ends_with_its_connection_is_whole() -> None:
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    assert not connection.receive_data(b"HTTP/1.1 200 OK\r\n\r\nall ")
    assert not connection.receive_data(b"of it")
    assert connection.receive_data(b"")
    assert (connection.response().body, connection.reusable) == (b"all of it", False)


def test_a_tunnel_begins_behind_the_head_of_its_answer_and_ends_where_the_proxy_goes_on() -> None:
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request(tunnel=True)
    assert connection.receive_data(b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n")
    assert connection.response().status == 200
    assert not connection.reusable
    connection.start_request(tunnel=True)
    with pytest.raises(ExchangeError, match="bytes of the proxy's own") as caught:
        connection.receive_data(b"HTTP/1.1 200 Connection established\r\n\r\nunasked")
    assert caught.value.kind == "protocol"


def test_no_connection_of_a_generation_that_has_passed_serves_again() -> None:
    generation = PoolGeneration()
    for _ in range(3):
        connection = received(with_length(b"{}"), connection=HTTP11Connection(generation))
        assert connection.reusable
        generation.invalidate()
        assert not connection.reusable


@pytest.mark.parametrize(
    ("used", "now", "expired"),
    [
        (0.0, 54.9, False),
        (0.0, 55.1, True),
        (239.0, 239.9, False),  # the youngest end of an age
        (299.0, 300.1, True),  # the oldest, however busy
        (0.0, 2e9, True),  # a clock that was frozen elsewhere when it was used, or is now
        (2e9, 10.0, True),
        (2e9, 2e9 + 1, True),  # used while the clock was frozen, but made before
    ],
)
def test_a_connection_expires_idle_or_old_or_of_another_clock(
    monkeypatch: pytest.MonkeyPatch, used: float, now: float, expired: bool
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(_parser, "monotonic", lambda: clock[0])
    connection = HTTP11Connection(PoolGeneration())
    clock[0] += used
    received(with_length(b"{}"), connection=connection)
    clock[0] = 1000.0 + now
    assert connection.reusable != expired


def test_connections_made_together_do_not_age_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(_parser, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_parser, "IDLE_EXPIRY", 1e6)
    connections = [received(with_length(b"{}")) for _ in range(200)]
    clock[0] += 270.0
    assert 20 < sum(connection.reusable for connection in connections) < 180
    clock[0] += 30.0
    assert not any(connection.reusable for connection in connections)


# ---- A refusal is never lost to its body -----------------------------------------------------------------------------

REFUSALS = [202, 204, 301, 401, 403, 429, 503]
CODINGS = [b"gzip", b"br", b"deflate", b"utf-8", b"none", b"identity", b"gzip, gzip", b"\xff"]


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"junk", gzipped(b"{}")[:-3]])
def test_a_refusal_is_not_lost_to_its_coding(status: int, coding: bytes, body: bytes) -> None:
    data = with_length(b"" if status == 204 else body, status, b"Content-Encoding: " + coding, b"Retry-After: 7")
    answer = received(data).response()
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")


@pytest.mark.parametrize(
    "cut",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (_body.ON_THE_WIRE + 1, bytes(_body.ON_THE_WIRE + 1)),
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
def test_a_refusal_is_not_lost_to_its_framing_and_an_answer_is(cut: bytes) -> None:
    for status in (429, 200):
        connection = HTTP11Connection(PoolGeneration())
        connection.start_request()
        with pytest.raises(ExchangeError) as caught:
            any(map(connection.receive_data, (b"HTTP/1.1 %d Any\r\nRetry-After: 7\r\n" % status, cut, b"")))
        assert not connection.reusable
        if status == 429:
            refusal = connection.response(caught.value)
            assert (refusal.headers["retry-after"], refusal.body) == ("7", b"")
            continue
        with pytest.raises(type(caught.value)):
            connection.response(caught.value)


def test_an_error_before_the_status_is_what_came() -> None:
    connection = received(b"HTTP/1.1 4")
    with pytest.raises(ExchangeError, match="why"):
        connection.response(ExchangeError("limit", "why"))
    with pytest.raises(ExchangeError, match=r"^no answer$") as caught:
        received(b"").response()
    assert caught.value.kind == "connection"


# ---- Bodies ----------------------------------------------------------------------------------------------------------


def decoded(raw: bytes, coding: str = "") -> bytes:
    reader = _body.BodyReader()
    reader.feed(raw[:10])
    reader.feed(raw[10:])
    return reader.decode(coding)


@given(body=st.lists(st.binary(), min_size=1, max_size=5), coding=st.sampled_from(["gzip", "GZIP", "x-gzip"]))
def test_gzip_is_decoded_with_all_its_members(body: list[bytes], coding: str) -> None:
    packed = b"".join(map(gzipped, body))
    assert decoded(packed, coding) == decoded(packed + bytes(20), coding) == b"".join(body)


@pytest.mark.parametrize("coding", ["", "identity", "none", "utf-8", "UTF8", "us-ascii", "iso-8859-1", " , identity"])
def test_what_changes_nothing_leaves_a_body_as_it_is(coding: str) -> None:
    assert decoded(b'{"a": 1}', coding) == b'{"a": 1}'


def test_the_body_of_an_answer_is_decoded_as_its_header_says() -> None:
    packed = gzipped(b'{"a": 1}')
    assert received(with_length(packed, 200, b"CONTENT-ENCODING: GZip")).response().body == b'{"a": 1}'
    assert received(with_length(packed)).response().body == packed


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, gzip"])
def test_no_body_at_all_is_not_coded_whatever_is_said(coding: str) -> None:
    assert decoded(b"", coding) == b""


@pytest.mark.parametrize("coding", ["gzip, identity", "identity,gzip", "utf-8, gzip", "none, x-gzip"])
def test_what_changes_nothing_may_stand_beside_gzip(coding: str) -> None:
    assert decoded(gzipped(b"{}"), coding) == b"{}"


@pytest.mark.parametrize(
    ("raw", "coding", "expected"),
    [
        (gzipped(b"x" * 1000)[:-9], "gzip", "cut off"),
        (gzipped(b"x") + gzipped(b"y")[:-1], "gzip", "cut off"),
        (gzipped(b"x") + b"something else", "gzip", "not gzip"),
        (b"plain text", "gzip", "not gzip"),
        (zlib.compress(b"x"), "deflate", "not asked for"),
        (b"x", "br", "not asked for"),
        (b"x", "hex", "not asked for"),
        (b"x", "\x00", "not asked for"),
        (gzipped(gzipped(b"x")), "gzip, gzip", "not asked for"),
    ],
)
def test_a_body_that_is_not_coded_as_it_says_is_refused(raw: bytes, coding: str, expected: str) -> None:
    with pytest.raises(DecodingError, match=expected) as caught:
        decoded(raw, coding)
    assert caught.value.kind == "protocol"


def test_a_body_has_its_limits(monkeypatch: Any) -> None:
    assert len(decoded(b"x" * _body.ON_THE_WIRE)) == _body.ON_THE_WIRE
    with beyond("a body of more than 2,097,152 bytes on the wire"):
        decoded(b"x" * (_body.ON_THE_WIRE + 1))
    half = gzipped(bytes(_body.DECODED // 2))
    assert len(decoded(half * 2, "gzip")) == _body.DECODED
    for large in (gzipped(bytes(_body.DECODED + 1)), half * 2 + gzipped(b"x")):
        with beyond("a body of more than 4,194,304 bytes decoded"):
            decoded(large, "gzip")
    assert decoded(gzipped(b"") * _body.MEMBERS, "gzip") == b""
    with beyond("gzip of more than 100 members"):
        decoded(gzipped(b"") * (_body.MEMBERS + 1), "gzip")


class Listener:
    """What httptools calls out of a head."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.complete = True


ODD = [b"\r\n", b"\r\n", b":", b"A", b"b", b" ", b"\t", b",", b"\r", b"\n", b"\0", b"\x0b", b"\x7f", b"\x80", b"\xff"]


@given(
    lines=st.lists(st.sampled_from([*ODD, b"\r\nX: 1", b"\r\nx:2", b"\r\nContent-Length: 0"]), max_size=10).map(
        b"".join
    )
)
def test_the_headers_of_a_head_are_those_that_httptools_reads(lines: bytes) -> None:
    head, _, _ = (b"HTTP/1.1 200 OK" + lines + b"\r\n\r\n").partition(b"\r\n\r\n")
    listener = Listener()
    with suppress(HttpParserError):
        HttpResponseParser(listener).feed_data(head + b"\r\n\r\n")
    if not listener.complete:
        with pytest.raises(ExchangeError):
            received(head + b"\r\n\r\n")
        return
    connection = received(head + b"\r\n\r\n")
    if "content-length" not in listener.headers:
        connection.receive_data(b"")
    assert connection.response().headers == listener.headers


def test_a_body_that_is_packed_small_costs_no_more_memory_than_its_limit() -> None:
    bomb = gzipped(bytes(8 * _body.DECODED))
    tracemalloc.start()
    try:
        with beyond("a body of more than 4,194,304 bytes decoded"):
            decoded(bomb, "gzip")
        assert tracemalloc.get_traced_memory()[1] < 4 * _body.DECODED
    finally:
        tracemalloc.stop()
