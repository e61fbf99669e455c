"""Whatever a server does, a call ends in time, as one of the outcomes that MODES names, and with its own visitor."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from faces import CREDENTIALS, Face
from faultserver import LATE, MODES, SOMEBODY_ELSE, FaultServer, Mode, as_json, experience, whole
from servers import read_request

from moengage_personalize import APIError, ConnectionFailed, DeadlineExceeded, Experiences, PersonalizeError
from moengage_personalize._transport import _sync

COUNT = 20
KEY, VISITOR, OURS = "canary-key", "canary-visitor", "moengage_personalize"
TOKEN = b64encode(f"{CREDENTIALS['workspace_id']}:{KEY}".encode()).decode()
MARGIN = 0.5  # seconds that a call may overrun; generous, because the machine of a test may be busy
CASES = [
    pytest.param(mode, tls, id=f"{mode.name}, {'TLS' if tls else 'plain'}")
    for mode in MODES.values()
    for tls in (False, True)
    if not (mode.plain_only if tls else mode.tls_only)
]
SAVABLE = [case for case in CASES if isinstance(case.values[0], Mode) and case.values[0].savable]
# A fault in one experience costs that one: it is absent, and its neighbour is served; one in a variable, the variable.
SPOILT = ["null experience", "a list for a payload"]
SPOILT_VARIABLE = ["NaN", "Infinity", "1e999", "lone surrogate"]
SURPLUS = ["surplus answer", "surplus answer, late", "surplus answer after the last chunk"]
IDLE = ["idle closed at once", "idle closed under the next request", "idle reset under the next request"]
both_transports = pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer() as server, pytest.MonkeyPatch.context() as environment:
        bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
        bundle.write_bytes(server.ca_pem())
        environment.setenv("SSL_CERT_FILE", str(bundle))
        yield server


@contextmanager
def client_for(
    face: Face, server: FaultServer, mode: str, tls: bool, *, once: bool = False, **arguments: Any
) -> Iterator[Any]:
    """A client of a new listener for the mode."""
    client = face.client(base_url=server.url(mode, tls=tls, once=once), **arguments)
    try:
        yield client
    finally:
        face.close(client)


def ended(face: Face, client: Any, keys: Any = "a") -> Experiences | PersonalizeError:
    """What a call ended as; whatever is not of the tree is raised."""
    try:
        return face.fetch(client, keys, customer_id=VISITOR)
    except PersonalizeError as error:
        return error


def left_behind(error: PersonalizeError) -> str:
    """All that a log or an error reporter could show of an error, and of the frames of ours that it passed."""
    links: list[traceback.TracebackException | None]
    links = [traceback.TracebackException.from_exception(error, capture_locals=True)]
    told = [repr(error)]
    while links:
        if (link := links.pop()) is not None:
            told += [
                *link.format_exception_only(),
                *(str(frame.locals) for frame in link.stack if OURS in frame.filename),
            ]
            links += [link.__cause__, link.__context__]
    return "\n".join(told)


def name(end: Experiences | PersonalizeError) -> str:
    return "value" if isinstance(end, Experiences) else type(end).__name__


@pytest.mark.parametrize(("mode", "tls"), CASES)
def test_a_call_ends_in_time_as_what_it_may_end_as_and_leaks_nothing(
    face: Face, server: FaultServer, mode: Mode, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    timeout = 0.3 if mode.outcomes == {"DeadlineExceeded"} else 0.5
    asked = len(server.requests)
    caplog.set_level("INFO")
    with client_for(face, server, mode.name, tls, timeout=timeout, max_retries=0, api_key=KEY) as client:
        started = time.monotonic()
        end = ended(face, client)
        took = time.monotonic() - started
    assert name(end) in mode.outcomes, repr(end)
    assert took < timeout + MARGIN
    assert [received for received in server.requests[asked:] if received[0] == "elsewhere"] == []
    if isinstance(end, Experiences):
        assert end.value("a", "Title", VISITOR) == VISITOR
        assert set(end) <= {"a"}
        return
    told = left_behind(end) + caplog.text
    assert [secret for secret in (KEY, VISITOR, TOKEN) if secret in told] == []
    if isinstance(end, ConnectionFailed | DeadlineExceeded):
        assert end.__cause__ is not None
    elif isinstance(end, APIError):
        assert end.__cause__ is None


@pytest.mark.parametrize(("mode", "tls"), SAVABLE)
def test_a_retry_saves_a_call_that_the_next_answer_can_save(
    face: Face, server: FaultServer, mode: Mode, tls: bool
) -> None:
    with client_for(face, server, mode.name, tls, once=True, timeout=5) as client:
        end = ended(face, client)
    assert isinstance(end, Experiences), repr(end)
    assert end["a"]["Title"] == VISITOR


@both_transports
@pytest.mark.parametrize("mode", SURPLUS)
def test_no_visitor_gets_what_was_left_on_a_connection(face: Face, server: FaultServer, mode: str, tls: bool) -> None:
    server.surplus_sent.clear()
    with client_for(face, server, mode, tls, once=True, timeout=5, max_retries=0) as client:
        assert name(ended(face, client)) in MODES[mode].outcomes
        if mode == "surplus answer, late":  # a busy machine may be later, and then it were the second visitor's answer
            assert server.surplus_sent.wait(30)
        face.run(asyncio.sleep(LATE * 3))  # in the loop of the client, which goes on in a service too
        for visitor in ("second", "third"):
            experiences = face.fetch(client, "a", customer_id=visitor)
            assert experiences["a"]["Title"] == visitor != SOMEBODY_ELSE


@both_transports
@pytest.mark.parametrize("mode", IDLE)
def test_a_kept_connection_that_ends_costs_no_call(face: Face, server: FaultServer, mode: str, tls: bool) -> None:
    with client_for(face, server, mode, tls, timeout=5, max_retries=0) as client:
        for visitor in ("first", "second", "third"):
            assert face.fetch(client, "a", customer_id=visitor)["a"]["Title"] == visitor
            face.run(asyncio.sleep(LATE))


@pytest.mark.parametrize("size", [250_000, 600_000])
def test_a_large_answer_is_whole_however_soon_its_connection_ends(face: Face, server: FaultServer, size: int) -> None:
    answer = whole(200, as_json({"experiences": {"a": experience("a", "x" * size)}}), "Connection: close")

    def serve() -> None:
        for _ in range(COUNT):
            with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as connection:
                read_request(connection)
                connection.sendall(answer)

    context = server.server_context()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = face.client(base_url=f"https://localhost:{listener.getsockname()[1]}/v1", timeout=5, max_retries=0)
        for _ in range(COUNT):
            assert len(face.fetch(client, "a")["a"]["Title"]) == size
        thread.join()


@pytest.mark.parametrize("mode", SPOILT)
def test_an_experience_that_is_spoilt_costs_itself(face: Face, server: FaultServer, mode: str) -> None:
    with client_for(face, server, mode, False, timeout=5, max_retries=0) as client:
        experiences = face.fetch(client, ["a", "b"], customer_id="visitor")
    assert (experiences.reason("a"), experiences.reason("b")) == ("malformed", "served")
    assert experiences["b"]["Title"] == "visitor"


@pytest.mark.parametrize("mode", SPOILT_VARIABLE)
def test_a_variable_that_is_spoilt_costs_itself(face: Face, server: FaultServer, mode: str) -> None:
    with client_for(face, server, mode, False, timeout=5, max_retries=0) as client:
        experiences = face.fetch(client, ["a", "b"], customer_id="visitor")
    assert {key: dict(one) for key, one in experiences.items()} == {key: {"Title": "visitor"} for key in ("a", "b")}


@both_transports
def test_no_cookie_goes_back(face: Face, server: FaultServer, tls: bool) -> None:
    asked = len(server.requests)
    with client_for(face, server, "Set-Cookie", tls, timeout=5) as client:
        for _ in range(2):
            face.fetch(client, "a")
    heads = [head for _, head, _ in server.requests[asked:]]
    assert len(heads) == 2
    assert b"canary" not in b"".join(heads)


def test_the_server_lets_go_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer() as server:
        monkeypatch.setattr(_sync, "ssl_context", server.ssl_context)
        face = Face("sync")
        for mode in ("accept and hang", "body dripped", "endless chunks"):
            with client_for(face, server, mode, False, timeout=0.1, max_retries=0) as client:
                ended(face, client)
        with client_for(face, server, "good", True, timeout=5) as client:
            assert name(ended(face, client)) == "value"
            assert server.connections() >= 1
            started = time.monotonic()
            server.close()
            assert time.monotonic() - started < 1
        face.finish()
    assert server.connections() == 0
