"""Rate limits and refusals over real sockets, through both clients: what leaves the client, and when."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from faces import Face
from servers import answers, serves, serving, then_closes

from moengage_personalize import (
    AuthenticationFailed,
    CircuitBreaker,
    CircuitOpen,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimited,
    ServerError,
)


def test_a_call_that_knows_of_a_429_waits_for_the_reset_if_its_deadline_allows(face: Face) -> None:
    with serving(then_closes(answers(429, b"", "retry-after: 1")), serves("a")) as server:
        client = face.client(base_url=server.base_url)
        with pytest.raises(RateLimited):
            face.fetch(client, "a", timeout=0.5)
        with pytest.raises(RateLimited, match="got a 429 before"):
            face.fetch(client, "a", timeout=0.5)
        assert len(server.requests) == 1
        assert "a" in face.fetch(client, "a", timeout=10)
        assert len(server.requests) == 2


def test_calls_side_by_side_all_come_through_a_429(face: Face) -> None:
    limited, good = then_closes(answers(429, b"", "retry-after: 0.3")), serves("a")
    with serving(limited, limited, good) as server:
        client = face.client(base_url=server.base_url, timeout=30)
        found: list[Any] = []
        if face.kind == "sync":
            threads = [threading.Thread(target=lambda: found.append(client.fetch("a"))) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:

            async def together() -> None:
                found.extend(await asyncio.gather(*(client.fetch("a") for _ in range(16))))

            face.run(together())
    assert ["a" in experiences for experiences in found] == [True] * 16


@pytest.mark.parametrize("brought", [False, True], ids=["own connections", "httpx client"])
@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (429, RateLimited, 1),
        (401, AuthenticationFailed, 2),
        (403, PermissionDenied, 2),
        (503, ServerError, 6),
        (304, MalformedResponse, 2),
    ],
)
def test_status_and_headers_decide_before_the_coding_of_the_body(
    face: Face, brought: bool, status: int, kind: type[PersonalizeError], requests: int
) -> None:
    # It says that it closes, or an httpx client may send the next request into what is closed, and that is an attempt.
    refusal = then_closes(answers(status, b"", "content-encoding: gzip", "retry-after: 7", "connection: close"))
    with serving(refusal) as server:
        http_client = face.httpx_class(trust_env=False) if brought else None
        client = face.client(base_url=server.base_url, http_client=http_client, circuit_breaker=None)
        for _ in range(2):
            with pytest.raises(kind) as caught:
                face.fetch(client, "a")
        assert len(server.requests) == requests
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == pytest.approx(7, rel=0.2)
        face.close(client)
        if isinstance(http_client, httpx.Client):
            http_client.close()
        elif http_client is not None:
            face.run(http_client.aclose())


def test_an_open_circuit_sends_nothing_until_its_probe(face: Face) -> None:
    breaker = CircuitBreaker(failures=1, pause=0.5)
    with serving(then_closes(answers(503, b"")), serves("a")) as server:
        client = face.client(base_url=server.base_url, max_retries=0, circuit_breaker=breaker)
        with pytest.raises(ServerError):
            face.fetch(client, "a")
        with pytest.raises(CircuitOpen):
            face.fetch(client, "a")
        assert len(server.requests) == 1


def test_what_a_retry_mends_opens_no_circuit(face: Face) -> None:
    down = then_closes(answers(503, b""))
    with serving(down, down, serves("a")) as server:
        client = face.client(base_url=server.base_url, timeout=5, circuit_breaker=CircuitBreaker(failures=1))
        assert "a" in face.fetch(client, "a")
        assert "a" in face.fetch(client, "a")
        assert len(server.requests) == 4
