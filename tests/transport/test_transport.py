"""The parts under the transports, tested with values, and what they hold together on real sockets."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from ssl import SSLWantReadError, SSLWantWriteError
from typing import Any, cast

import httpx
import pytest
from faces import CREDENTIALS, Face
from helpers import does_not_start
from servers import answers, hangs, hangs_up, raw, serves, serving, then_closes

from moengage_personalize import (
    AsyncPersonalizeClient,
    CircuitBreaker,
    ConnectionFailed,
    DeadlineExceeded,
    InSession,
    MalformedResponse,
    PersonalizeClient,
)
from moengage_personalize._messages import Request, Response
from moengage_personalize._policy import _fork as _forked
from moengage_personalize._transport import (
    PooledTransport,
    _async,
    _dns,
    _exchange,
    _idle,
    _origin,
    _parser,
    _sync,
)
from moengage_personalize._transport._exchange import Deadline, ExchangeError
from moengage_personalize._transport._idle import IdlePool, readiness
from moengage_personalize._transport._parser import HTTP11Connection, PoolGeneration
from moengage_personalize._transport._sync import SyncConnection

WHOLE = raw(200, b"{}")
REQUEST = memoryview(b"POST / HTTP/1.1\r\n\r\n")


def received(data: bytes) -> HTTP11Connection:
    """A connection that has sent a request, and read this."""
    connection = HTTP11Connection(PoolGeneration())
    connection.start_request()
    connection.receive_data(data)
    return connection


def awaited() -> _async.AsyncConnection:
    """A connection that is not made yet, with a buffer of its own."""
    return _async.AsyncConnection(PoolGeneration(), memoryview(bytearray(64)))


class Returning:
    """A connection without a socket, whose response is whole."""

    def __init__(self) -> None:
        self.http = received(WHOLE)
        self.closed = False

    def has_come(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("closed", ["before", "between"])
def test_a_connection_that_comes_back_to_a_closed_pool_is_closed(closed: str) -> None:
    class Late(deque[Any]):
        """What another thread finds, which closes the pool at this instant."""

        def append(self, item: Any) -> None:
            idle.close()
            super().append(item)

    idle: IdlePool[Any] = IdlePool(_origin.split_url("http://host")[0], None)
    if closed == "before":
        idle.close()
    else:
        idle._kept = Late()
    connection = Returning()
    idle.release(connection)
    assert connection.closed
    assert idle.acquire() is None


def test_connections_that_may_serve_no_more_are_closed_when_another_comes_back() -> None:
    idle: IdlePool[Any] = IdlePool(_origin.split_url("http://host")[0], None)
    expired, fresh, last = Returning(), Returning(), Returning()
    for connection in (expired, fresh):
        idle.release(connection)
    expired.http.must_close = True
    idle.release(last)
    assert (expired.closed, fresh.closed, last.closed) == (True, False, False)
    assert [idle.acquire(), idle.acquire(), idle.acquire()] == [last, fresh, None]


def test_two_threads_may_let_go_of_the_same_expired_connection() -> None:
    class Racing(deque[Any]):
        """Another thread takes all of them between two steps of this one."""

        def popleft(self) -> Any:
            self.clear()
            return super().popleft()

    idle: IdlePool[Any] = IdlePool(_origin.split_url("http://host")[0], None)
    idle._kept = Racing([Returning()])
    idle._kept[0].http.must_close = True
    idle.release(Returning())
    assert idle.acquire() is None


def test_a_request_that_was_cut_off_leaves_no_connection_for_others() -> None:
    near, far = socket.socketpair()
    with near, far:
        connection = SyncConnection(near, PoolGeneration())
        far.sendall(WHOLE)
        near.shutdown(socket.SHUT_WR)
        connection.send(REQUEST, Deadline(5))
        answer = connection.receive(Deadline(5))
    assert (answer.body, connection.http.reusable) == (b"{}", False)


@pytest.mark.parametrize("polled", [True, False], ids=["poll", "as on Windows"])
def test_what_has_come_on_a_connection_is_seen(monkeypatch: pytest.MonkeyPatch, polled: bool) -> None:
    if not polled:
        monkeypatch.delattr(select, "poll")
    near, far = socket.socketpair()
    with near:
        with far:
            has_come = readiness(near.fileno())
            assert not has_come()
            far.sendall(b"x")
            assert has_come()
            near.recv(1)
            assert not has_come()
        assert has_come()  # its end


def test_an_answer_without_a_length_is_whole_when_its_sender_has_said_all(face: Face) -> None:
    def ends(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"experiences": {}}')
        connection.shutdown(socket.SHUT_WR)

    with serving(ends) as server:
        assert face.fetch(face.client(base_url=server.base_url, timeout=5), "a").reason("a") == "not_served"


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.5), (5.0, 0.3), (0.3, 0.3)])
def test_each_call_on_a_connection_has_a_deadline_of_its_own(face: Face, first: float, second: float) -> None:
    answered: list[socket.socket] = []

    def once(connection: socket.socket) -> None:
        answered.append(connection)
        (serves("a") if len(answered) < 3 else hangs)(connection)

    with serving(once) as server:
        client = face.client(base_url=server.base_url)
        face.fetch(client, "a", timeout=first)
        time.sleep(0.25)  # the deadline of the first may pass while the connection lies idle
        face.fetch(client, "a", timeout=second)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            face.fetch(client, "a", timeout=second)
        took = time.monotonic() - started
    assert second - 0.01 <= took <= second + 0.25
    assert len(set(answered)) == 1


def test_a_request_that_nobody_reads_ends_by_the_deadline(face: Face) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = face.client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        large = InSession(attributes={"text": "x" * 10_000_000})  # more than the system keeps for a reader
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            face.fetch(client, "a", in_session=large, timeout=0.3)
        assert time.monotonic() - started < 0.8


@pytest.mark.parametrize("polled", [True, False], ids=["poll", "as on Windows"])
def test_a_socket_that_takes_more_is_waited_for(monkeypatch: pytest.MonkeyPatch, polled: bool) -> None:
    if not polled:
        monkeypatch.delattr(select, "poll")
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        ready = readiness(near.fileno())
        assert ready(5.0, writing=True)
        with suppress(BlockingIOError):
            while True:
                near.send(b"x" * 65536)
        assert not ready(0.01, writing=True)
        assert not ready(0.01)


def test_a_slot_that_falls_between_two_steps_goes_back() -> None:
    slots = PooledTransport()._made.slots
    fallen = [slots.get_nowait() for _ in range(_idle.MAX_CONNECTIONS)]
    assert slots.empty()
    fallen.clear()
    assert slots.qsize() == _idle.MAX_CONNECTIONS
    last = slots.get_nowait()
    del slots, last  # and one whose transport is gone, to nowhere


def test_what_went_wrong_first_is_what_is_told() -> None:
    async def lose() -> None:
        connection, ended = awaited(), asyncio.get_running_loop().create_future()
        connection.connection_lost(None)  # nobody waits
        connection._waiter = ended
        connection.connection_lost(OSError(104, "first"))
        connection.connection_lost(OSError(104, "second"))
        with pytest.raises(ExchangeError, match="first"):
            await ended

    asyncio.run(lose())


@pytest.mark.parametrize("header", [b"host\r\nX: injected", b"host\r\n", b"host\n", b"host\r"])
def test_no_header_can_become_two(header: bytes) -> None:
    request = Request("POST", "http://host/v1", {"X-Y": header.decode()}, b"", 1.0)
    with pytest.raises(ExchangeError, match="expected headers without line breaks"):
        _parser.request_bytes(request, None)


def test_what_comes_while_a_connection_lies_idle_ends_it() -> None:
    """Whether the event loop has read it by then or not."""

    async def kept(wait: float) -> bool:
        here, there = socket.socketpair()
        with there:
            _, connection = await asyncio.get_running_loop().create_connection(awaited, sock=here)
            connection.http = received(WHOLE)
            assert not connection.has_come()
            there.sendall(b"unasked")
            await asyncio.sleep(wait)
            usable = connection.http.reusable and not connection.has_come()
            connection.close()
            await asyncio.sleep(0)
            return usable

    assert not asyncio.run(kept(0))
    assert not asyncio.run(kept(0.05))


def test_a_connection_that_is_lost_as_a_request_goes_out_was_stale() -> None:
    async def ask() -> None:
        here, there = socket.socketpair()
        _, connection = await asyncio.get_running_loop().create_connection(awaited, sock=here)
        connection.http = received(WHOLE)
        there.close()
        await asyncio.sleep(0.05)
        with pytest.raises(ExchangeError) as caught:
            await connection.exchange(REQUEST, Deadline(5))
        assert caught.value.kind == "stale"

    asyncio.run(ask())


def test_a_deadline_tells_what_is_left_until_nothing_is() -> None:
    assert 0 < Deadline(0.5).left("reading") <= 0.5
    with pytest.raises(ExchangeError, match="while writing"):
        Deadline(0.0).left("writing")


def test_a_deadline_of_another_clock_is_no_longer_than_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_exchange, "monotonic", lambda: 2e9)  # frozen when the call began, and thawed then
    deadline = Deadline(0.5)
    monkeypatch.undo()
    assert deadline.remaining() == 0.5


def test_dead_addresses_leave_time_for_the_next() -> None:
    deadline = Deadline(3.0)
    shares = [deadline.left("connecting", left) for left in (3, 2, 1)]
    assert shares == [pytest.approx(share, abs=0.05) for share in (1.0, 1.5, 3.0)]  # nothing was used by those before


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Host names of the test's own: addresses, or an exception, or a number of seconds that the look-up hangs."""
    given: dict[str, Any] = {"asked": 0}
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if host not in given:
            return real(host, *arguments, **keywords)
        given["asked"] += 1
        found = given[host]
        if isinstance(found, Exception):
            raise found
        if isinstance(found, float):
            time.sleep(found)
            found = ["127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("NO_PROXY", "*")
    _dns._found.clear()
    yield given
    _dns._found.clear()


def named(base_url: str) -> str:
    return base_url.replace("127.0.0.1", "api.test")


def test_a_host_is_looked_up_once_and_reached_behind_dead_addresses(face: Face, names: dict[str, Any]) -> None:
    names["api.test"] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    with serving(serves("a")) as server:
        client = face.client(base_url=named(server.base_url))
        assert face.fetch(client, "a").value("a", "Title", "") == "title of a"
        face.fetch(client, [f"key-{number}" for number in range(60)])
    assert names["asked"] == 1


def test_an_answer_of_dns_is_asked_for_again_when_it_is_old(names: dict[str, Any], monkeypatch: Any) -> None:
    names["api.test"] = ["127.0.0.1"]
    assert _dns.look_up("api.test").result(5) == ("127.0.0.1",)
    assert _dns.look_up("api.test").result(5) == ("127.0.0.1",)
    assert names["asked"] == 1
    monkeypatch.setattr(_dns, "FRESH", -1.0)
    names["api.test"] = ["127.0.0.9"]
    assert _dns.look_up("api.test").result(5) == ("127.0.0.9",)


@pytest.mark.parametrize(
    "found", [OSError("unknown"), UnicodeError("label too long"), []], ids=["unknown", "no name", "no address"]
)
def test_a_host_that_is_not_found_is_a_failed_connection(face: Face, names: dict[str, Any], found: Any) -> None:
    names["api.test"] = found
    client = face.client(base_url="http://api.test/v1", max_retries=0)
    with pytest.raises(ConnectionFailed, match=r"\(api.test:80\)$"):
        face.fetch(client, "a")
    before = names["asked"]
    with pytest.raises(ConnectionFailed):
        face.fetch(client, "a")
    assert names["asked"] == before + (1 if found else 0)


def test_a_slow_dns_ends_by_the_deadline(face: Face, names: dict[str, Any]) -> None:
    names["api.test"] = 0.8
    client = face.client(base_url="http://api.test/v1")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        face.fetch(client, "a", timeout=0.2)
    assert time.monotonic() - started < 0.6
    _dns.look_up("api.test").result(5)


def test_dead_addresses_alone_are_a_failed_connection(face: Face, names: dict[str, Any]) -> None:
    names["api.test"] = ["127.0.0.2", "127.0.0.3"]
    with serving(serves("a")) as server, pytest.raises(ConnectionFailed):
        face.fetch(face.client(base_url=named(server.base_url), max_retries=0), "a")


def test_a_connection_closed_while_idle_costs_no_attempt(face: Face) -> None:
    def answers_once_then_hangs_up(connection: socket.socket) -> None:
        """Answer the first request, and close when the second one comes: the keep-alive race."""
        if not answered:
            answered.append(connection)
            serves("a")(connection)
        else:
            hangs_up(connection)

    answered: list[socket.socket] = []
    with serving(answers_once_then_hangs_up, serves("a")) as server:
        client = face.client(base_url=server.base_url, max_retries=0)
        for _ in range(3):
            assert face.fetch(client, "a").value("a", "Title", "") == "title of a"
        assert len(server.requests) == 4


@pytest.mark.parametrize("later", [0.0, 0.05], ids=["with the answer", "later"])
def test_surplus_bytes_never_become_the_next_answer(face: Face, later: float) -> None:
    somebody = raw(200, b'{"experiences": {"a": {"payload": {"Title": {"value": "SOMEBODY ELSE"}}}}}')

    def answers_twice(connection: socket.socket) -> None:
        own = raw(200, b'{"experiences": {"a": {"payload": {"Title": {"value": "own"}}}}}')
        connection.sendall(own if later else own + somebody)
        if later:
            time.sleep(later)
            connection.sendall(somebody)

    with serving(answers_twice) as server:
        client = face.client(base_url=server.base_url)
        for _ in range(4):
            assert face.fetch(client, "a", timeout=5).value("a", "Title", "") == "own"
            time.sleep(2 * later)


def test_a_clean_connection_is_kept(face: Face) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url)
        for _ in range(5):
            face.fetch(client, "a")
        assert len(server._connections) == 1


def test_headers_that_drip_end_by_the_deadline(face: Face) -> None:
    def drips(connection: socket.socket) -> None:
        for byte in raw(200, b"{}"):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with serving(drips) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            face.fetch(client, "a", timeout=0.3)
        assert time.monotonic() - started < 0.6
        face.close(client)


def test_an_answer_beyond_its_limit_is_left_while_reading(face: Face) -> None:
    endless = b"x" * 65536

    def floods(connection: socket.socket) -> None:
        connection.sendall(raw(200, b"", length=10**9))
        while True:
            connection.sendall(endless)

    with serving(floods) as server:
        client = face.client(base_url=server.base_url)
        with pytest.raises(MalformedResponse, match="expected an answer within its limits, got a body of more than"):
            face.fetch(client, "a", timeout=5)
        assert len(server.requests) == 1


def in_child(client: PersonalizeClient, results: Any) -> None:
    served = [client.fetch("a", customer_id=f"child {os.getpid()}", timeout=5) for _ in range(20)]
    results.put([one.value("a", "Title", "") for one in served] + [f"child {os.getpid()}"])
    client.close()


def echoes(connection: socket.socket, request: bytes) -> None:
    customer = httpx.Response(200, content=request.partition(b"\r\n\r\n")[2]).json()["identifiers"]["customer_id"]
    answers(200, {"experiences": {"a": {"payload": {"Title": {"value": customer}}}}})(connection)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_client_made_before_a_fork_has_connections_of_its_own_after_it() -> None:
    with serving(lambda connection: echoes(connection, server.requests[-1])) as server:
        server.respond = echoes
        with PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client:
            for _ in range(3):
                client.fetch("a", customer_id="parent")
            context = multiprocessing.get_context("fork")
            results: Any = context.SimpleQueue()
            children = [context.Process(target=in_child, args=(client, results)) for _ in range(4)]
            for child in children:
                child.start()
            mine = [client.fetch("a", customer_id="parent", timeout=5).value("a", "Title", "") for _ in range(50)]
            for _ in children:
                *titles, own = results.get()
                assert titles == [own] * 20
            for child in children:
                child.join()
            assert mine == ["parent"] * 50


def test_many_threads_share_one_pool(sandbox_url: str) -> None:
    with PersonalizeClient(**CREDENTIALS, base_url=sandbox_url) as client:
        wrong: list[str] = []

        def ask(customer: str) -> None:
            for _ in range(5):
                if "promo-strip" not in client.fetch("promo-strip", customer_id=customer, timeout=20):
                    wrong.append(customer)

        threads = [threading.Thread(target=ask, args=(f"customer {number}",)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


LOOPS = """if True:
    import asyncio, gc, os, sys
    from moengage_personalize import AsyncPersonalizeClient, sandbox

    client = AsyncPersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=sys.argv[1])
    held = []
    for _ in range(12):
        assert "promo-strip" in asyncio.run(client.fetch("promo-strip", timeout=5))
        gc.collect()
        held.append(len(os.listdir("/proc/self/fd")))
    print(held[-1] - held[1])
"""


def test_event_loops_that_are_gone_leave_no_connections(sandbox_url: str) -> None:
    command = [sys.executable, "-c", LOOPS, sandbox_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_cancelled_calls_leave_the_pool_whole(sandbox_url: str) -> None:
    async def use(slow: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=slow, circuit_breaker=None) as client:
            for _ in range(5):
                tasks = [asyncio.create_task(client.fetch("promo-strip", timeout=10)) for _ in range(150)]
                await asyncio.sleep(0.02)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(one, asyncio.CancelledError) for one in ended)
            await asyncio.sleep(0.2)
            assert len(asyncio.all_tasks()) == 1
            (here,) = client._transport._made.values()  # type: ignore[attr-defined]
            assert here.slots._value == _idle.MAX_CONNECTIONS
            assert [len(pool) for pool in here.pools.by_origin.values()] == [0]
            answering.set()  # the same pool, and the same server
            done = await asyncio.gather(*(client.fetch("promo-strip", timeout=10) for _ in range(100)))
            assert len(done) == 100

    answering = threading.Event()

    def hangs_at_first(connection: socket.socket) -> None:
        if not answering.is_set():
            hangs(connection)
        else:
            serves("promo-strip")(connection)

    with serving(hangs_at_first) as server:

        async def run() -> None:
            await use(server.base_url)

        asyncio.run(run())


def test_a_call_waits_for_a_connection_no_longer_than_its_deadline(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_sync, _async):
        monkeypatch.setattr(module, "MAX_CONNECTIONS", 1)
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url)
        started = time.monotonic()
        experiences = face.fetch_or_empty(client, [f"key-{number}" for number in range(30)], timeout=0.3)
        assert time.monotonic() - started < 0.8
        assert isinstance(experiences.error, DeadlineExceeded)
        assert len(server.requests) == 1
        face.close(client)


def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing(names: dict[str, Any]) -> None:
    names["api.test"] = 0.3

    async def run() -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url="http://api.test:9/v1") as client:
            task = asyncio.create_task(client.fetch("a", timeout=5))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1
        await asyncio.wrap_future(_dns.look_up("api.test"))

    asyncio.run(run())


def test_proxies_come_from_the_environment(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(serves("a")) as proxy:
        address = proxy.base_url.removesuffix("/v1")
        monkeypatch.setenv("HTTP_PROXY", address.removeprefix("http://"))
        client = face.client(base_url="http://api.nowhere.test/v1")
        assert "a" in face.fetch(client, "a")
        assert proxy.requests[0].startswith(b"POST http://api.nowhere.test/v1/experiences/fetch HTTP/1.1")
        monkeypatch.setenv("NO_PROXY", "api.nowhere.test")
        with pytest.raises(ConnectionFailed):
            face.fetch(face.client(base_url="http://api.nowhere.test/v1", max_retries=0), "a")


def test_a_proxy_may_ask_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:3128")
    proxy = _origin.proxy_for(_origin.split_url("https://api.test/v1")[0])
    assert proxy is not None
    assert str(proxy.origin) == "127.0.0.1:3128"
    assert proxy.headers == ((b"Proxy-Authorization", b"Basic bWU6c2VjcmV0"),)
    assert "secret" not in repr(proxy)
    assert "bWU6" not in repr(proxy)


def test_the_transports_give_an_answer_as_values(face: Face) -> None:
    with serving(answers(404, b"gone", "x-thing: one")) as server:
        transport = face.transport_class()
        outcome = face.run(transport.perform(Request("POST", server.base_url, {}, b"{}", 1.0)))
        assert isinstance(outcome, Response)
        assert (outcome.status, outcome.body, outcome.headers["x-thing"]) == (404, b"gone", "one")
        assert b"accept-encoding: gzip\r\n" in server.requests[0].lower()
        face.run(transport.close() if face.kind == "sync" else transport.aclose())


def test_a_client_tells_its_transport(face: Face) -> None:
    transport = face.client(base_url="http://127.0.0.1:9/v1").transport
    assert isinstance(transport, face.transport_class)
    assert repr(transport) == f"{face.transport_class.__name__}()"


def test_an_transport_that_has_not_been_used_closes(face: Face) -> None:
    transport = face.transport_class()
    face.run(transport.close() if face.kind == "sync" else transport.aclose())


def test_connections_that_have_lain_idle_too_long_go_when_another_comes_back(face: Face, monkeypatch: Any) -> None:
    def connections(client: Any) -> int:
        made = client.transport._made if face.kind == "sync" else next(iter(client.transport._made.values()))
        (pool,) = made.pools.by_origin.values()
        return len(pool)

    with serving(serves(*(f"key-{number}" for number in range(60)))) as server:
        client = face.client(base_url=server.base_url, timeout=5)
        monkeypatch.setattr(_parser, "IDLE_EXPIRY", 0.0)
        face.fetch(client, [f"key-{number}" for number in range(60)])
        monkeypatch.undo()
        face.fetch(client, "key-0")
        face.fetch(client, "key-1")
        assert connections(client) == 1
        assert len(server._connections) >= 2


def test_a_host_is_looked_up_without_a_thread_where_none_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", does_not_start)
    monkeypatch.setattr(_dns, "_found", {})
    assert "127.0.0.1" in _dns.look_up("localhost").result(0)


def test_keys_travel_one_request_after_the_other_where_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"key-{number}" for number in range(60)]
    with serving(serves(*keys)) as server, PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client:
        client.fetch("key-0")  # the server has its thread for this connection now
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", does_not_start)
            assert set(client.fetch(keys)) == set(keys)
    assert len(server.requests) == 4


def test_another_exception_of_an_transport_comes_out_of_several_requests_unchanged() -> None:
    class Broken:
        def perform_all(self, requests: list[Request]) -> list[Response]:
            raise LookupError("a fault of the transport's own")

        def close(self) -> None:
            raise AssertionError("not ours")

    client = PersonalizeClient(**CREDENTIALS, base_url="http://127.0.0.1:9/v1")
    client._transport = Broken()  # type: ignore[assignment]
    with pytest.raises(LookupError, match="a fault of the transport's own"):
        client.fetch([f"key-{number}" for number in range(60)])


def test_a_child_has_locks_of_its_own_whoever_holds_the_parents() -> None:
    with serving(serves("a")) as server, PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client:
        policy = client._fetch_policy
        locks = [policy._lock, policy._circuit._lock]  # type: ignore[union-attr]
        for lock in locks:
            lock.acquire()
        _forked._after_fork()
        assert client.fetch("a").value("a", "Title", "") == "title of a"
        held = [policy._lock, policy._circuit._lock]  # type: ignore[union-attr]
        assert not any(lock.locked() for lock in held)


def test_a_full_pool_does_not_open_the_circuit() -> None:
    with serving(serves("a")) as server:
        client = PersonalizeClient(**CREDENTIALS, base_url=server.base_url, circuit_breaker=CircuitBreaker(failures=1))
        transport = cast(PooledTransport, client.transport)
        slots = [transport._made.slots.get_nowait() for _ in range(_idle.MAX_CONNECTIONS)]
        with pytest.raises(DeadlineExceeded):
            client.fetch("a", timeout=0.3)
        slots.clear()
        assert client.fetch("a").value("a", "Title", "") == "title of a"
        client.close()


def test_a_deadline_too_short_for_any_answer_does_not_open_the_circuit(face: Face) -> None:
    with serving(then_closes(hangs), serves("a")) as server:
        client = face.client(base_url=server.base_url, circuit_breaker=CircuitBreaker(failures=1))
        with pytest.raises(DeadlineExceeded):
            face.fetch(client, "a", timeout=0.05)
        assert face.fetch(client, "a").value("a", "Title", "") == "title of a"


class Scripted:
    """A socket whose next steps raise these, as TLS does that waits for the other direction."""

    def __init__(self, real: socket.socket, *raised: Exception) -> None:
        self._real = real
        self._raised = list(raised)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return partial(self._step, found) if name in ("send", "recv_into") else found

    def _step(self, step: Any, *arguments: Any) -> Any:
        if self._raised:
            raise self._raised.pop(0)
        return step(*arguments)

    def do_handshake(self) -> None:
        self._step(lambda: None)

    def pending(self) -> int:
        return 1


@pytest.mark.parametrize(
    "error", [SSLWantWriteError, SSLWantReadError, BlockingIOError], ids=lambda error: error.__name__
)
def test_a_step_that_waits_for_either_direction_goes_on_when_it_is_there(error: type[Exception]) -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(WHOLE)  # so that neither direction keeps it waiting
        connection = SyncConnection(cast(Any, Scripted(near, error())), PoolGeneration())
        connection.send(REQUEST, Deadline(5))
        assert far.recv(1000) == REQUEST
        connection._socket = cast(Any, Scripted(near, error()))
        assert connection.receive(Deadline(5)).body == b"{}"


@pytest.mark.parametrize("error", [SSLWantWriteError, SSLWantReadError], ids=lambda error: error.__name__)
def test_a_handshake_that_waits_for_either_direction_goes_on(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        def wrap_socket(self, *_: Any, **__: Any) -> Any:
            return Scripted(near, error())

    monkeypatch.setattr(_sync, "ssl_context", Context)
    near, far = socket.socketpair()
    with near, far:
        far.sendall(WHOLE)
        SyncConnection(near, PoolGeneration()).secure("host", Deadline(5))


def test_a_step_that_nothing_lets_go_on_ends_by_the_deadline() -> None:
    near, far = socket.socketpair()
    with near, far:
        connection = SyncConnection(cast(Any, Scripted(near, SSLWantReadError())), PoolGeneration())
        with pytest.raises(ExchangeError, match="the deadline passed while writing"):
            connection.send(REQUEST, Deadline(0.05))


def test_a_timeout_error_of_a_signal_handler_is_not_the_sockets() -> None:
    near, far = socket.socketpair()
    with near, far:
        for step in ("send", "receive"):
            connection = SyncConnection(cast(Any, Scripted(near)), PoolGeneration())
            connection.send(REQUEST, Deadline(5))
            connection._socket = cast(Any, Scripted(near, TimeoutError()))
            with pytest.raises(TimeoutError):
                connection.send(REQUEST, Deadline(5)) if step == "send" else connection.receive(Deadline(5))
