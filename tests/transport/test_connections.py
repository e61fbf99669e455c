"""No answer for the wrong visitor, no refusal lost, no call hung: what connections hold on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import httpx
import httpx2
import pytest
from faces import CREDENTIALS, Face
from helpers import does_not_start
from servers import Server, answers, hangs, hangs_up, raw, serves, serving, then_closes

from moengage_personalize import (
    AsyncPersonalizeClient,
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    PersonalizeClient,
    PersonalizeError,
    RateLimited,
)
from moengage_personalize._messages import Outcome, Request, Response, TransportError
from moengage_personalize._transport import (
    AsyncHttpxTransport,
    AsyncPooledTransport,
    HttpxAdapter,
    HttpxTransport,
    PooledTransport,
    _async,
    _dns,
    _parser,
    _sync,
    _threads,
    make_async_transport,
    make_transport,
)

SECRET = "c4nary"


def served(visitor: str) -> bytes:
    return json.dumps({"experiences": {"a": {"payload": {"Title": {"value": f"FOR {visitor}"}}}}}).encode()


def visitor(request: bytes) -> str:
    return str(json.loads(request.partition(b"\r\n\r\n")[2])["identifiers"]["customer_id"])


def request(server: Server | str, timeout: float = 5.0, body: bytes = b"{}", **headers: str) -> Request:
    url = server if isinstance(server, str) else server.base_url
    return Request("POST", url, headers, body, timeout)


def perform(face: Face, transport: Any, send: Request) -> Outcome:
    outcome: Outcome = face.run(transport.perform(send))
    return outcome


def close(face: Face, transport: Any) -> None:
    face.run(transport.close() if face.kind == "sync" else transport.aclose())


def own_client(face: Face) -> Any:
    """A client of httpx, whose connections differ from ours."""
    return face.httpx_class(trust_env=False)


# ---- No answer reaches the wrong visitor -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 205, 304, 206, 299])
def test_no_visitor_gets_a_body_that_was_held_back(face: Face, status: int) -> None:
    """The answer for each visitor is announced by a status that may have no body, and comes with the next request."""

    def holds_back(connection: socket.socket) -> None:
        if connection in held:
            connection.sendall(held[connection])
        body = held[connection] = raw(200, served(visitor(server.requests[-1])))
        connection.sendall(b"HTTP/1.1 %d Any\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))

    held: dict[socket.socket, bytes] = {}
    with serving(holds_back) as server:
        client = face.client(base_url=server.base_url, timeout=0.3, max_retries=0, circuit_breaker=None)
        for name in ("anna", "bert", "cora"):
            experiences = face.fetch_or_empty(client, "a", customer_id=name)
            assert experiences.string("a", "Title", "") in ("", f"FOR {name}")


@pytest.mark.parametrize("status", [200, 401, 429, 500])
def test_a_connection_is_kept_after_a_status_that_the_api_documents(face: Face, status: int) -> None:
    with serving(answers(status, b"{}")) as server:
        transport = face.transport_class()
        for _ in range(3):
            perform(face, transport, request(server))
        assert len(server._connections) == 1
        close(face, transport)


@pytest.mark.parametrize("early", [raw(200, served("somebody")), b""], ids=["an answer", "its end"])
def test_what_comes_before_a_request_is_no_answer_to_it(
    face: Face, monkeypatch: pytest.MonkeyPatch, early: bytes
) -> None:
    """A server that answers as soon as it is reached; the client looks when that has come."""
    accepted: list[socket.socket] = []
    look, look_async = _sync.SyncConnection.refuse_early_bytes, _async.AsyncConnection.refuse_early_bytes

    def later(connection: _sync.SyncConnection) -> None:
        time.sleep(0.1)
        look(connection)

    async def later_async(connection: _async.AsyncConnection, *, tls: bool) -> None:
        time.sleep(0.1)  # noqa: ASYNC251 -- the loop has had no turn to read it
        await look_async(connection, tls=tls)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            accepted.append(connection)
            connection.sendall(early)
            if not early:
                connection.shutdown(socket.SHUT_RDWR)

    monkeypatch.setattr(_sync.SyncConnection, "refuse_early_bytes", later)
    monkeypatch.setattr(_async.AsyncConnection, "refuse_early_bytes", later_async)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        client = face.client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1", timeout=5, max_retries=0)
        with pytest.raises(MalformedResponse if early else ConnectionFailed) as caught:
            face.fetch(client, "a")
    assert ("bytes before it" if early else "closed the connection without an answer") in str(caught.value)
    for connection in accepted:
        connection.close()


def test_what_the_loop_has_read_before_a_request_is_no_answer_to_it() -> None:
    async def ask() -> None:
        here, there = socket.socketpair()
        with there:
            make = lambda: _async.AsyncConnection(_parser.PoolGeneration(), memoryview(bytearray(64)))  # noqa: E731
            _, connection = await asyncio.get_running_loop().create_connection(make, sock=here)
            await connection.refuse_early_bytes(tls=True)
            there.sendall(b"unasked")
            await asyncio.sleep(0.05)
            with pytest.raises(Exception, match="bytes before it"):
                await connection.refuse_early_bytes(tls=True)
            connection.close()
            await asyncio.sleep(0)

    asyncio.run(ask())


# ---- A refusal is never lost to its body -----------------------------------------------------------------------------


REFUSALS: dict[int, type[PersonalizeError]] = {429: RateLimited, 401: AuthenticationFailed, 204: MalformedResponse}


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "utf-8", "none"])
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_itself_whatever_its_coding(face: Face, status: int, coding: str, own: bool) -> None:
    answer = raw(status, b"", f"Content-Encoding: {coding}", "Retry-After: 7")
    with serving(then_closes(lambda connection: connection.sendall(answer))) as server:
        http = own_client(face) if own else None
        client = face.client(base_url=server.base_url, timeout=5, http_client=http)
        with pytest.raises(REFUSALS[status]) as caught:
            face.fetch(client, "a")
        assert len(server.requests) == 1
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 7
        if http is not None:
            close(face, http)


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Content-Length: 100000000\r\n\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_refusal_is_itself_whatever_its_framing(face: Face, body: bytes, own: bool) -> None:
    head = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\n"
    with serving(then_closes(lambda connection: connection.sendall(head + body))) as server:
        transport = (HttpxTransport if face.kind == "sync" else AsyncHttpxTransport)(own_client(face)) if own else None
        ours = face.transport_class()
        outcome = perform(face, transport or ours, request(server))
        assert isinstance(outcome, Response)
        assert (outcome.status, outcome.headers["retry-after"], outcome.body) == (429, "7", b"")
        close(face, ours)
        if transport is not None:
            close(face, transport.client)


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
def test_a_refusal_whose_body_does_not_come_is_itself_at_the_deadline(face: Face, own: bool) -> None:
    def begins(connection: socket.socket) -> None:
        connection.sendall(raw(401, b"", length=100))
        hangs(connection)

    with serving(begins) as server:
        http = own_client(face) if own else None
        client = face.client(base_url=server.base_url, timeout=0.3, http_client=http, max_retries=0)
        started = time.monotonic()
        with pytest.raises(AuthenticationFailed):
            face.fetch(client, "a")
        assert time.monotonic() - started < 1.5
        if http is not None:
            close(face, http)


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("identity", bytes),
        ("none", bytes),
        ("UTF-8", bytes),
        ("gzip, identity", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    ],
)
def test_what_is_coded_in_an_odd_way_is_read(
    face: Face, own: bool, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    answer = raw(200, pack(served("anna")), f"Content-Encoding: {coding}")
    with serving(lambda connection: connection.sendall(answer)) as server:
        http = own_client(face) if own else None
        client = face.client(base_url=server.base_url, timeout=5, http_client=http)
        assert face.fetch(client, "a").string("a", "Title", "") == "FOR anna"
        if http is not None:
            close(face, http)


# ---- The keep-alive race and the age of a connection -----------------------------------------------------------------


def test_a_408_on_a_connection_that_lay_idle_costs_no_attempt_and_one_on_a_new_one_is_an_answer(face: Face) -> None:
    def once_then_408(connection: socket.socket) -> None:
        answers(*((200, {"experiences": {}}) if len(server.requests) == 1 else (408, {})))(connection)

    with serving(once_then_408, serves("a")) as server:
        client = face.client(base_url=server.base_url, timeout=5, max_retries=0)
        face.fetch(client, "b")
        assert "a" in face.fetch(client, "a")
        assert len(server.requests) == 3
    with serving(answers(408, {})) as server:
        client = face.client(base_url=server.base_url, timeout=5, max_retries=0)
        assert getattr(face.fetch_or_empty(client, "a").error, "status", None) == 408
        assert len(server.requests) == 1


def test_a_connection_serves_no_longer_than_its_age_however_busy(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parser, "MAX_AGE", 0.3)
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            face.fetch(client, "a")
        assert 3 <= len(server._connections) <= 6


# ---- Who was asked, and what is not said -----------------------------------------------------------------------------


def test_each_request_names_us_and_our_version(face: Face) -> None:
    with serving(serves("a")) as server:
        face.fetch(face.client(base_url=server.base_url), "a")
    assert re.search(rb"\r\nUser-Agent: moengage-personalize/\d+\.\d+\.\d+\r\n", server.requests[0])


def test_without_its_metadata_the_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert _parser.user_agent.__wrapped__() == b"moengage-personalize"


def echoes_in_a_bad_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX Y: " + SECRET.encode() + b"\r\n\r\n")


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
def test_no_words_of_another_library_are_quoted(face: Face, own: bool, caplog: pytest.LogCaptureFixture) -> None:
    with serving(echoes_in_a_bad_header) as server:
        http = own_client(face) if own else None
        client = face.client(base_url=server.base_url, timeout=5, http_client=http, max_retries=0)
        error = face.fetch_or_empty(client, "a", customer_id=SECRET).error
        assert isinstance(error, ConnectionFailed if own else MalformedResponse)
        told = "".join(traceback.format_exception(error)) + caplog.text
        assert SECRET not in told
        assert server.base_url.removeprefix("http://").removesuffix("/v1") in told
        if http is not None:
            close(face, http)


class Interrupt(BaseException):
    """As KeyboardInterrupt, but for pytest."""


def interrupts(*_: Any, **__: Any) -> None:
    raise Interrupt


STEPS: dict[str, tuple[Any, str]] = {
    "look-up": (socket, "getaddrinfo"),
    "connect": (socket, "create_connection"),
    "write": (socket.socket, "send"),
    "read": (socket.socket, "recv_into"),
    "headers": (_parser.ResponseParser, "on_headers_complete"),
    "body": (_parser.ResponseParser, "on_body"),
    "response": (_parser, "Response"),
}


@pytest.mark.parametrize("step", STEPS)
def test_no_variable_of_a_frame_shows_what_was_sent_or_came(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """An interrupt at each step of a blocking exchange, on a new connection and on one that has served."""
    with serving(answers(200, {"own": SECRET}, f"X-Echo: {SECRET}")) as server:
        for fresh in (True, False):
            transport = PooledTransport()
            send = request(
                server.base_url.replace("127.0.0.1", "localhost"), body=SECRET.encode() * 9, authorization=SECRET
            )
            if not fresh:
                transport.perform(send)
            _dns._found.clear()
            with monkeypatch.context() as patched:
                patched.setattr(sys, "is_finalizing", lambda: True)  # looks up in this thread
                patched.setattr(*STEPS[step], interrupts)
                if fresh or step not in ("look-up", "connect"):
                    with pytest.raises(Interrupt) as caught:
                        transport.perform(send)
                    assert SECRET not in shown(caught.value)
                    left = sum(len(pool) for pool in transport._made.pools.by_origin.values())
                    assert left == (step == "response")  # where all of it had been read
            assert isinstance(transport.perform(send), Response)
            assert transport._made.slots.qsize() == _sync.MAX_CONNECTIONS
            transport.close()


def shown(error: BaseException) -> str:
    """What a tool that shows variables makes of the frames of the transport."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack if "_transport" in frame.filename]
    assert frames
    return repr([frame.locals for frame in frames])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_no_variable_of_a_cancelled_frame_shows_what_was_sent(loop: str) -> None:
    async def cancel(send: Request) -> None:
        transport = AsyncPooledTransport()
        task = asyncio.create_task(transport.perform(send))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert SECRET not in shown(caught.value)
        await transport.aclose()

    with serving(hangs) as server, Face(loop)._runner as runner:
        runner.run(cancel(request(server, body=SECRET.encode(), authorization=SECRET)))


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
def test_a_failed_exchange_holds_no_frames(face: Face, own: bool) -> None:
    with serving(then_closes(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-"))) as server:
        transport = (HttpxTransport if face.kind == "sync" else AsyncHttpxTransport)(own_client(face)) if own else None
        outcome = perform(face, transport or face.transport_class(), request(server, authorization=SECRET))
        assert isinstance(outcome, TransportError)
        link: BaseException | None = outcome.cause
        while link is not None:
            assert (link.__traceback__, link.__context__) == (None, None)
            link = link.__cause__
        if transport is not None:
            close(face, transport.client)


# ---- What is not I/O's goes through at once --------------------------------------------------------------------------


class SoftTimeLimitExceeded(Exception):
    pass


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded, SystemExit, TimeoutError], ids=lambda error: error.__name__)
@pytest.mark.parametrize("keys", [1, 60])
@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
def test_what_a_signal_handler_raises_comes_out_at_once(error: type[BaseException], keys: int, own: bool) -> None:
    def raises(*_: object) -> None:
        raise error

    if own and error is TimeoutError:
        return  # which httpx takes for its own
    names = [f"key-{number}" for number in range(keys)]

    def at_first(connection: socket.socket) -> None:
        (hangs if hanging else serves(*names))(connection)

    hanging: list[bool] = []
    before = signal.signal(signal.SIGALRM, raises)
    http = httpx.Client(trust_env=False) if own else None
    with serving(at_first) as server:
        try:
            with PersonalizeClient(**CREDENTIALS, base_url=server.base_url, timeout=10, http_client=http) as client:
                client.fetch(names)  # so that connections lie idle
                hanging.append(True)
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                started = time.monotonic()
                with pytest.raises(error):
                    client.fetch_or_empty(names)
                assert time.monotonic() - started < 2
                hanging.clear()
                if not own:
                    made = client.transport._made  # type: ignore[attr-defined]
                    assert set(client.fetch(names)) == set(names)
                    time.sleep(0.1)
                    assert made.slots.qsize() >= _sync.MAX_CONNECTIONS - 3  # threads beside wait until the deadline
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if http is not None:
                http.close()


def test_what_is_not_io_of_an_awaited_transport_comes_out_at_once() -> None:
    def raises(*_: object) -> None:
        raise SoftTimeLimitExceeded

    async def ask(base_url: str) -> None:
        transport = AsyncPooledTransport()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(_parser.ResponseParser, "on_headers_complete", raises)
            with pytest.raises(SoftTimeLimitExceeded):
                await transport.perform(request(base_url))
        assert isinstance(await transport.perform(request(base_url)), Response)
        await transport.aclose()

    with serving(answers(200, {})) as server:
        asyncio.run(ask(server.base_url))


class Unstartable(threading.Thread):
    def start(self) -> None:
        does_not_start(self)


# ---- Several requests of one call ------------------------------------------------------------------------------------


def test_requests_are_written_before_the_first_is_read_on_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers none of them until it has all; no thread is started on the client's side."""
    together = threading.Barrier(4)

    def waits(connection: socket.socket) -> None:
        answer = raw(200, server.requests[-1].partition(b"\r\n\r\n")[2])
        together.wait(5)
        connection.sendall(answer)

    with serving(waits) as server:
        transport = PooledTransport()
        sends = [request(server, body=b"%d" % number) for number in range(4)]
        transport.perform_all(sends)
        monkeypatch.setattr(_threads, "Thread", Unstartable)
        for _ in range(3):
            assert len(transport.perform_all(sends)) == 4
        assert len(server._connections) == 4
        transport.close()


def test_each_of_several_requests_has_its_own_answer_in_its_place() -> None:
    def echoes(connection: socket.socket) -> None:
        body = server.requests[-1].partition(b"\r\n\r\n")[2]
        connection.sendall(raw(200, body))

    with serving(echoes) as server:
        transport = PooledTransport()
        for count in (1, 2, 30, 7):
            for _ in range(3):
                sends = [request(server, body=b"%d" % number) for number in range(count)]
                outcomes = transport.perform_all(sends)
                assert len(outcomes) == count
                assert all(isinstance(outcome, Response) for outcome in outcomes)
        transport.close()
        assert transport.perform_all([]) == []


def test_an_answer_that_has_come_is_kept_though_another_never_does() -> None:
    """Both are read in turn, and the first takes all of their time."""

    def first_hangs(connection: socket.socket) -> None:
        number = server.requests[-1].partition(b"\r\n\r\n")[2]
        (hangs if number == b"0" and hanging else answers(200, {}))(connection)

    hanging: list[bool] = []
    with serving(first_hangs) as server:
        transport = PooledTransport()
        sends = [request(server, 0.4, b"%d" % number) for number in range(4)]
        transport.perform_all(sends)
        hanging.append(True)
        started = time.monotonic()
        first, *others = transport.perform_all(sends)
        assert time.monotonic() - started < 1.5
        assert isinstance(first, TransportError)
        assert first.kind == "timeout"
        assert all(isinstance(outcome, Response) for outcome in others)
        transport.close()


def test_connections_that_were_closed_while_idle_are_stale_one_by_one() -> None:
    def closes(connection: socket.socket) -> None:
        if not closing:
            together.wait(5)
        (hangs_up if closing else answers(200, {}))(connection)

    together = threading.Barrier(3)
    closing: list[bool] = []
    with serving(closes) as server:
        transport = PooledTransport()
        sends = [request(server, 2.0) for _ in range(3)]
        transport.perform_all(sends)
        closing.append(True)
        outcomes = transport.perform_all(sends)
        assert [outcome.kind for outcome in outcomes if isinstance(outcome, TransportError)] == ["stale"] * 3
        assert len(server._connections) == 3
        closing.clear()
        assert all(isinstance(outcome, Response) for outcome in transport.perform_all(sends))
        transport.close()


def test_a_large_request_leaves_the_calling_thread_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system does not take at once would hold up the others, while nobody reads it."""
    with serving(answers(200, {})) as server:
        transport = PooledTransport()
        small, large = request(server), request(server, body=b"x" * (_sync.PIECE + 1))
        transport.perform_all([small, large])
        started: list[str] = []
        start = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))
        assert all(isinstance(outcome, Response) for outcome in transport.perform_all([small, large]))
        assert len([name for name in started if name == "moengage-personalize"]) == 1
        transport.close()


def test_several_requests_of_more_than_there_are_connections_end_by_their_deadline(monkeypatch: Any) -> None:
    monkeypatch.setattr(_sync, "MAX_CONNECTIONS", 2)
    with serving(answers(200, {})) as server:
        transport = PooledTransport()
        for _ in range(3):
            outcomes = transport.perform_all([request(server) for _ in range(20)])
            assert all(isinstance(outcome, Response) for outcome in outcomes)
        assert transport._made.slots.qsize() == 2
        assert len(server._connections) == 2
        slots = [transport._made.slots.get_nowait() for _ in range(2)]
        started = time.monotonic()
        outcomes = transport.perform_all([request(server, 0.2) for _ in range(20)])
        assert time.monotonic() - started < 1.5
        assert {outcome.kind for outcome in outcomes if isinstance(outcome, TransportError)} == {"busy"}
        assert len(slots) == 2
        transport.close()


@pytest.mark.parametrize("own", [False, True], ids=["ours", "httpx"])
def test_threads_beside_have_the_context_of_the_caller_and_none_is_started_at_the_end(
    monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    trace: ContextVar[str] = ContextVar("trace")
    seen: list[tuple[str | None, str]] = []
    trace.set("the caller's")

    def record(connection: Any, *_: Any) -> Any:
        seen.append((trace.get(None), threading.current_thread().name))
        return connection

    transport: Any = PooledTransport()
    if own:
        transport = HttpxTransport(httpx.Client(trust_env=False, event_hooks={"request": [record]}))
    else:
        monkeypatch.setattr(_sync, "SyncConnection", lambda *arguments: record(original(*arguments)))

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.05)  # so that several threads begin
        answers(200, {})(connection)

    with serving(slowly) as server:
        sends = [request(server) for _ in range(5)]
        assert all(isinstance(outcome, Response) for outcome in transport.perform_all(sends))
        assert {value for value, _ in seen} == {"the caller's"}
        assert len(seen) >= 2
        transport.close()
        seen.clear()
        monkeypatch.setattr(_threads, "Thread", Unstartable)
        other: Any = PooledTransport() if not own else transport
        for finalizing in (False, True):
            monkeypatch.setattr(sys, "is_finalizing", lambda ending=finalizing: ending)
            assert all(isinstance(outcome, Response) for outcome in other.perform_all(sends))
        assert {name for _, name in seen} == {threading.current_thread().name}
        other.close()
        if own:
            transport.client.close()


original = _sync.SyncConnection


def test_what_one_thread_raises_reaches_the_caller_at_once_and_nothing_more_is_begun() -> None:
    begun: list[bytes] = []

    def handle(made: httpx.Request) -> httpx.Response:
        begun.append(made.content)
        if made.content == b"1":
            raise LookupError("not of I/O")
        time.sleep(0.5)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        transport = HttpxTransport(http)
        started = time.monotonic()
        with pytest.raises(LookupError):
            transport.perform_all([request("http://host/v1", body=b"%d" % number) for number in range(40)])
        assert time.monotonic() - started < 5
        assert len(begun) < 40


# ---- Look-ups --------------------------------------------------------------------------------------------------------


def test_a_host_is_looked_up_in_the_calling_thread_while_the_interpreter_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("it would never end"))
    monkeypatch.setattr(_dns, "_found", {})
    assert "127.0.0.1" in _dns.look_up("localhost").result(0)


FINALIZING = """if True:
    import sys, time
    from moengage_personalize import PersonalizeClient

    class Late:
        def __del__(self, client=PersonalizeClient("WS", "key", base_url=sys.argv[1], timeout=2, max_retries=0)):
            assert sys.is_finalizing()
            experiences = client.fetch_or_empty([f"key-{number}" for number in range(60)])
            print(len(experiences), experiences.error is None)

    late = Late()
    sys.modules["late"] = late
"""


def test_a_split_fetch_while_the_interpreter_ends_ends() -> None:
    with serving(serves(*(f"key-{number}" for number in range(60)))) as server:
        url = server.base_url.replace("127.0.0.1", "localhost")
        command = [sys.executable, "-c", FINALIZING, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.returncode) == ("60 True\n", 0), done.stderr


def test_a_child_looks_hosts_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of its parent never ends in it, and a lock of its parent may be held for ever."""
    monkeypatch.setattr(_dns, "_lock", threading.Lock())
    monkeypatch.setattr(_dns, "_found", {"localhost": (time.monotonic(), Future())})
    _dns._lock.acquire()
    _dns._forget()
    assert "127.0.0.1" in _dns.look_up("localhost").result(5)


def test_a_look_up_that_is_interrupted_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dns, "_found", {})
    monkeypatch.setattr(socket, "getaddrinfo", interrupts)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    with pytest.raises(Interrupt):
        _dns.look_up("localhost")
    with pytest.raises(OSError, match="interrupted"):
        _dns._found["localhost"][1].result(0)


@pytest.mark.parametrize("now", [-1e9, 1e9], ids=["before", "after"])
def test_an_answer_of_dns_from_another_clock_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    asked: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(_dns, "_found", {})
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    clock = [0.0]
    monkeypatch.setattr(_dns.time, "monotonic", lambda: clock[0])
    for clock[0] in (0.0, 29.0, now, now + 29.0):
        assert _dns.look_up("api.test").result(5) == ("127.0.0.1",)
    assert len(asked) == 2


# ---- Loops and gevent ------------------------------------------------------------------------------------------------

LOOPS = """if True:
    import asyncio, gc, os, sys
    import uvloop
    from moengage_personalize import AsyncPersonalizeClient

    async def fetch():
        await asyncio.gather(*(client.fetch("a") for _ in range(3)))

    def closed_by_hand():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(fetch())
        loop.close()

    def run():
        with asyncio.Runner(loop_factory={"asyncio": asyncio, "uvloop": uvloop}[sys.argv[2]].new_event_loop) as runner:
            runner.run(fetch())

    client = AsyncPersonalizeClient("WS", "key", base_url=sys.argv[1], timeout=5)
    failed, held = [], []
    sys.unraisablehook = lambda caught: failed.append(caught.exc_value)
    for _ in range(4):
        (closed_by_hand if sys.argv[3] == "by hand" else run)()
        gc.collect()
        held.append(len(os.listdir("/proc/self/fd")))
    run()
    del client
    gc.collect()
    print(held[-1] - held[0], failed)
"""


@pytest.mark.parametrize(("loop", "closed"), [("asyncio", "by run"), ("uvloop", "by run"), ("asyncio", "by hand")])
def test_the_connections_of_an_event_loop_that_has_ended_are_closed(loop: str, closed: str) -> None:
    """By the loop, where it shuts its generators down, and else when the next loop begins; uvloop itself closes all."""
    with serving(serves("a")) as server:
        command = [sys.executable, "-W", "error", "-c", LOOPS, server.base_url, loop, closed]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("0 []\n", "")


GEVENT = """if True:
    import sys, time
    from moengage_personalize import PersonalizeClient

    client = PersonalizeClient("WS", "key", base_url=sys.argv[1], timeout=10)
    before = client.transport._made
    if sys.argv[2] == "used":
        client.fetch("a")

    import warnings
    warnings.simplefilter("ignore")
    from gevent import monkey
    monkey.patch_all()
    import gevent

    turns = []
    def ticks():
        while True:
            turns.append(time.monotonic())
            gevent.sleep(0.02)

    ticking = gevent.spawn(ticks)
    started = time.monotonic()
    asked = [gevent.spawn(client.fetch, [f"key-{number}" for number in range(26)]) for _ in range(120)]
    gevent.joinall(asked, raise_error=True)
    took = time.monotonic() - started
    longest = max(later - earlier for earlier, later in zip(turns, turns[1:]))
    print(client.transport._made is not before, took < 8, longest < 1.0, took, longest, file=sys.stderr)
    sys.exit(0 if client.transport._made is not before and took < 8 and longest < 1.0 else 1)
"""


@pytest.mark.parametrize("used", ["used", "new"])
def test_a_client_made_before_gevent_patches_blocks_no_hub(used: str) -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.1)
        serves("a")(connection)

    with serving(slow) as server:
        command = [sys.executable, "-c", GEVENT, server.base_url, used]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---- Clients of httpx, on either side --------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_client_of_either_httpx_is_known_by_its_methods(library: Any) -> None:
    client, awaited = library.Client(), library.AsyncClient()
    assert repr(make_transport(client)) == f"HttpxTransport({library.__name__}.Client)"
    assert repr(make_async_transport(awaited)) == f"AsyncHttpxTransport({library.__name__}.AsyncClient)"
    for make, other in ((make_transport, awaited), (make_async_transport, client)):
        with pytest.raises(ConfigurationError, match="expected http_client to be an httpx"):
            make(other)
    client.close()
    asyncio.run(awaited.aclose())


@pytest.mark.parametrize(
    "other",
    [object(), httpx.Client, "http://proxy", 7, PooledTransport()],
    ids=["object", "class", "text", "number", "transport"],
)
def test_what_is_no_client_is_refused(other: object) -> None:
    with pytest.raises(ConfigurationError, match=r"expected http_client to be an httpx\.Client, got "):
        PersonalizeClient(**CREDENTIALS, base_url="http://host/v1", http_client=other)
    with pytest.raises(ConfigurationError, match=r"expected http_client to be an httpx\.AsyncClient, got "):
        AsyncPersonalizeClient(**CREDENTIALS, base_url="http://host/v1", http_client=other)


@pytest.mark.parametrize("make", [make_transport, make_async_transport])
def test_a_url_that_can_never_work_is_refused_with_what_makes_a_transport(make: Any) -> None:
    make(None)
    for url in ("https://a..b/v1", f"https://{'x' * 64}.test/v1", "https://", "gopher://host", "https://[::1"):
        with pytest.raises(ConfigurationError, match="expected a URL with a host that can be looked up"):
            make(None, url)


FAULTS = {
    "ConnectTimeout": "timeout",
    "ReadTimeout": "timeout",
    "PoolTimeout": "busy",
    "ConnectError": "connection",
    "RemoteProtocolError": "connection",
    "LocalProtocolError": "protocol",
    "DecodingError": "protocol",
    "UnsupportedProtocol": "connection",
    "TooManyRedirects": "connection",
}


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("awaited", [False, True])
def test_what_httpx_raises_is_a_value_without_its_words(library: Any, name: str, awaited: bool) -> None:
    def handle(_: Any) -> Any:
        raise getattr(library, name)(SECRET)

    mock = library.MockTransport(handle)
    if awaited:
        outcome = asyncio.run(AsyncHttpxTransport(library.AsyncClient(transport=mock)).perform(request("http://h/v1")))
    else:
        outcome = HttpxTransport(library.Client(transport=mock)).perform(request("http://h/v1"))
    assert isinstance(outcome, TransportError)
    assert (outcome.kind, str(outcome.cause)) == (FAULTS[name], f"{name} (h:80)")


def test_the_response_of_a_mock_is_taken_as_it_is(face: Face) -> None:
    http = face.httpx_class(transport=httpx.MockTransport(lambda _: httpx.Response(404, text="gone")))
    transport = (HttpxTransport if face.kind == "sync" else AsyncHttpxTransport)(http)
    outcome = perform(face, transport, request("http://h/v1"))
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body) == (404, b"gone")
    close(face, http)


def test_the_systems_own_words_are_repeated(face: Face) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise OSError(111, "refused")

    http = face.httpx_class(transport=httpx.MockTransport(handle))
    transport = (HttpxTransport if face.kind == "sync" else AsyncHttpxTransport)(http)
    outcome = perform(face, transport, request("http://h/v1"))
    assert isinstance(outcome, TransportError)
    assert str(outcome.cause) == "[Errno 111] refused (h:80)"
    close(face, http)
    outcome = perform(face, transport, request("http://h/v1"))
    assert isinstance(outcome, TransportError)
    assert "expected an open http_client" in str(outcome.cause)


@pytest.fixture
def adapted(face: Face) -> Iterator[Any]:
    """A client of httpx over a transport of ours."""
    transport = face.transport_class()
    client = face.httpx_class(transport=HttpxAdapter(transport), timeout=0.5)
    yield client
    close(face, client)
    close(face, transport)


def test_a_client_of_httpx_over_ours_sends_what_it_is_told(face: Face, adapted: Any) -> None:
    answer = raw(201, gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip", "X-Y: 1", "x-y: 2")
    with serving(lambda connection: connection.sendall(answer)) as server:
        for body in ({"asked": 1}, None):
            response = face.run(adapted.post(f"{server.base_url}/any?x=1", json=body, headers={"X-Own": "one"}))
            assert (response.status_code, response.json(), response.headers["x-y"]) == (201, {"a": 1}, "1, 2")
        head, _, body = server.requests[0].decode().partition("\r\n\r\n")
        assert (head.splitlines()[0], json.loads(body)) == ("POST /v1/any?x=1 HTTP/1.1", {"asked": 1})
        for name in ("x-own: one", "content-length: ", "host: ", "user-agent: ", "accept-encoding: "):
            assert head.lower().count(f"\r\n{name}") == 1


def test_a_client_of_httpx_over_ours_keeps_a_deadline(face: Face, adapted: Any) -> None:
    def drips(connection: socket.socket) -> None:
        for byte in raw(200, b"{}"):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with serving(drips) as server:
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout, match="the deadline passed while reading"):
            face.run(adapted.get(server.base_url))
        assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (hangs_up, httpx.NetworkError),
        (lambda connection: connection.sendall(b"SMTP"), httpx.RemoteProtocolError),
        (lambda connection: connection.sendall(raw(200, b"", length=10**9)), httpx.RemoteProtocolError),
    ],
)
def test_a_client_of_httpx_over_ours_raises_its_own(face: Face, adapted: Any, behaviour: Any, error: Any) -> None:
    with serving(behaviour) as server, pytest.raises(error, match=r"127\.0\.0\.1"):
        face.run(adapted.get(server.base_url, timeout=None))


def test_a_blocking_transport_may_be_awaited_and_not_the_other_way_round() -> None:
    async def get(url: str) -> int:
        transport = PooledTransport()
        async with httpx.AsyncClient(transport=HttpxAdapter(transport)) as client:
            status = (await client.get(url)).status_code
        transport.close()
        return status

    with serving(answers(200, {})) as server:
        assert asyncio.run(get(server.base_url)) == 200
        with (
            httpx.Client(transport=HttpxAdapter(AsyncPooledTransport())) as client,
            pytest.raises(TypeError, match=r"expected an httpx\.AsyncClient"),
        ):
            client.get(server.base_url)


def test_a_deadline_that_passed_before_anything_was_done_is_a_timeout(face: Face) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        face.fetch(client, "a")
        with pytest.raises(DeadlineExceeded):
            face.fetch(client, "a", timeout=1e-9)
        assert "a" in face.fetch(client, "a")
        assert _threads.THREADS == 16
