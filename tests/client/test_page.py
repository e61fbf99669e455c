"""One page render: what its components ask on their own travels in few requests, and each key once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faces import CREDENTIALS, Face
from helpers import does_not_start
from hypothesis import given, strategies as st
from servers import answers, hangs, serves, serving, then_closes

from moengage_personalize import (
    AsyncPage,
    AsyncPersonalizeClient,
    AuthenticationFailed,
    DeadlineExceeded,
    Experience,
    Experiences,
    InSession,
    InvalidRequestError,
    Page,
    PersonalizeClient,
    sandbox,
)

KEYS = [f"key-{number}" for number in range(20)]
EXPECTED = [f"title of {key}" for key in KEYS]


def titles(face: Face, page: Any, keys: Iterable[str] = KEYS) -> list[str]:
    """What components get that ask side by side, each for one key: from threads, or from tasks."""
    if face.kind == "sync":
        with ThreadPoolExecutor(20) as threads:
            return list(threads.map(lambda key: page.value(key, "Title", "default"), keys))

    async def render() -> list[str]:
        return list(await asyncio.gather(*(loaded(page, key) for key in keys)))

    return list(face.run(render()))


async def loaded(page: Any, key: Any) -> Any:
    """What a component of an async view does: wait for its key, and read it."""
    await page.load([key])
    return page.value(key, "Title", "default")


def value(face: Face, page: Any, key: str, name: str, default: str) -> Any:
    """A variable of a key, for which an async page is asked first."""
    if face.kind == "async":
        face.run(page.load(key))
    return page.value(key, name, default)


def prefetch(face: Face, page: Any, keys: Any) -> None:
    async def ask() -> None:
        page.prefetch(keys)

    if face.kind == "sync":
        page.prefetch(keys)
    else:
        face.run(ask())


def experience(face: Face, page: Any, key: Any) -> Experience | None:
    found = face.run(page.experience(key))
    assert found is None or isinstance(found, Experience)
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "moengage_personalize"]


def test_a_page_is_served_by_the_sandbox(face: Face, sandbox_url: str) -> None:
    page = face.client(base_url=sandbox_url).page(
        customer_id="user_8821", in_session=InSession(attributes={"utm_medium": "email"})
    )
    banner = experience(face, page, "homepage-banner")
    assert banner is not None
    assert banner["CtaLabel"] == "Shop Now"
    assert experience(face, page, "no-such-key") is None
    assert value(face, page, "promo-strip", "Text", "") == "Returns are free for 30 days"
    assert value(face, page, "promo-strip", "Missing", "default") == "default"
    assert value(face, page, "no-such-key", "Text", "default") == "default"
    keys = ["homepage-banner", "promo-strip", "no-such-key", "email-landing-banner"]
    assert [page.reason(key) for key in keys] == ["served", "served", "not_served", "not_requested"]
    assert page.contexts().keys() == {"homepage-banner", "promo-strip"}
    assert page.contexts()["homepage-banner"] == banner.context
    assert page.error is None


def test_twenty_components_are_one_request(face: Face) -> None:
    with serving(serves(*KEYS)) as server:
        page = face.client(base_url=server.base_url).page()
        prefetch(face, page, KEYS)
        assert titles(face, page) == EXPECTED
        (body,) = server.bodies()
        assert body["experience_key"] == KEYS


def test_tasks_that_ask_in_the_same_tick_are_one_request() -> None:
    async def component(page: AsyncPage, key: str) -> str:
        return str(await loaded(page, key))

    async def render(base_url: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url) as client:
            page = client.page()
            assert await asyncio.gather(*(component(page, key) for key in KEYS)) == EXPECTED
            assert await component(page, "later") == "title of later"

    with serving(serves(*KEYS, "later")) as server:
        asyncio.run(render(server.base_url))
        assert [body["experience_key"] for body in server.bodies()] == [KEYS, ["later"]]


def test_a_request_tells_of_the_visitor_of_its_page(face: Face) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url)
        page = client.page(
            customer_id="me", user_identifiers={"u_em": "you"}, in_session=InSession(attributes={"utm_medium": "email"})
        )
        assert experience(face, page, "a") is not None
        asked = face.fetch(
            client,
            "a",
            customer_id="me",
            user_identifiers={"u_em": "you"},
            in_session=InSession(attributes={"utm_medium": "email"}),
        )
        assert asked
        first, second = server.bodies()
        assert first == second


@pytest.mark.parametrize("key", ["a", "not-served"])
def test_a_key_is_asked_for_once_a_page(face: Face, key: str) -> None:
    with serving(serves("a")) as server:
        client = face.client(base_url=server.base_url)
        page = client.page()
        first = experience(face, page, key)
        prefetch(face, page, [key, key])
        assert experience(face, page, key) is first
        assert titles(face, page, [key] * 5) == [titles(face, page, [key])[0]] * 5
        assert len(server.requests) == 1
        experience(face, client.page(), key)  # and nothing is remembered for the next page
        assert len(server.requests) == 2


def test_more_keys_than_a_request_takes_are_split(face: Face) -> None:
    keys = [f"key-{number}" for number in range(60)]
    with serving(serves(*keys)) as server:
        page = face.client(base_url=server.base_url).page(timeout=10)
        prefetch(face, page, keys)
        assert titles(face, page, keys) == [f"title of {key}" for key in keys]
        assert sorted(len(body["experience_key"]) for body in server.bodies()) == [10, 25, 25]


def test_a_request_that_fails_costs_its_own_keys_and_once_is_once(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    with serving(then_closes(answers(401, b"", "connection: close")), serves("a", "b", "c")) as server:
        page = face.client(base_url=server.base_url).page(customer_id="canary")
        prefetch(face, page, ["a", "b"])
        assert experience(face, page, "a") is None
        assert value(face, page, "c", "Title", "default") == "title of c"
        assert value(face, page, "b", "Title", "default") == "default"
        assert [page.reason(key) for key in "abc"] == ["failed", "failed", "served"]
        assert page.contexts().keys() == {"c"}
        assert isinstance(page.error, AuthenticationFailed)
        assert len(server.requests) == 2
        assert repr(page) == f"{type(page).__name__}(['a', 'b', 'c'], error={page.error!r})"
        assert "canary" not in repr(page)
    assert [line.split(": ")[1] for line in warnings(caplog)] == ["AuthenticationFailed"]


def test_each_request_has_the_timeout_of_the_page(face: Face) -> None:
    with serving(hangs) as server:
        client = face.client(base_url=server.base_url, timeout=30)
        page = client.page(timeout=0.1)
        assert experience(face, page, "a") is None
        assert experience(face, page, "b") is None
        assert isinstance(page.error, DeadlineExceeded)
        assert page.error.timeout == 0.1
        face.close(client)


@pytest.mark.parametrize("key", [5, "", None, ["a"], {"a": 1}, b"a", "\ud800"])
def test_a_key_that_is_none_costs_itself(face: Face, key: Any, caplog: pytest.LogCaptureFixture) -> None:
    with serving(serves("a")) as server:
        page = face.client(base_url=server.base_url).page()
        if face.kind == "sync":
            assert page.experience(key) is None
            assert page.value("a", "Title", "") == "title of a"
        else:

            async def render() -> list[Any]:
                return await asyncio.gather(loaded(page, key), loaded(page, "a"))

            assert face.run(render()) == ["default", "title of a"]
        assert isinstance(page.error, InvalidRequestError)
        assert page.reason("a") == "served"
        assert [body["experience_key"] for body in server.bodies()] == [["a"]]
    assert [line.split(": ")[1] for line in warnings(caplog)] == ["InvalidRequestError"]


@pytest.mark.parametrize("keys", [5, None, ["a", 5], {"a": 1}])
def test_a_prefetch_that_cannot_be_asks_nothing(face: Face, keys: Any) -> None:
    with serving(serves("a")) as server:
        page = face.client(base_url=server.base_url).page()
        prefetch(face, page, keys)
        assert isinstance(page.error, InvalidRequestError)
        assert server.requests == []
        assert experience(face, page, "a") is not None


def test_a_visitor_who_cannot_be_asked_about_is_an_error_of_the_page(face: Face) -> None:
    with serving(serves("a")) as server:
        page = face.client(base_url=server.base_url).page(customer_id=5.5)
        assert experience(face, page, "a") is None
        assert str(page.error) == "expected customer_id to be a non-empty str, an int or a UUID, got float"
        assert page.reason("a") == "failed"
        assert server.requests == []


@pytest.mark.parametrize("linger", [-1, math.nan, math.inf, "0", True, None])
def test_a_linger_that_cannot_be_is_refused(linger: Any) -> None:
    client = AsyncPersonalizeClient(**CREDENTIALS, base_url="http://host/v1")
    with pytest.raises(InvalidRequestError, match=r"expected linger to be a number of seconds from 0 and finite"):
        client.page(linger=linger)


def test_what_is_asked_within_the_linger_is_one_request() -> None:
    async def component(page: AsyncPage, after: float, key: str) -> Experience | None:
        await asyncio.sleep(after)
        return await page.experience(key)

    async def render(base_url: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url) as client:
            page = client.page(linger=0.3)
            assert page.prefetch("a") is None
            assert page.reason("a") == "not_requested"
            found = await asyncio.gather(*(component(page, number / 100, key) for number, key in enumerate("bacd")))
            assert all(found)

    with serving(serves(*"abcd")) as server:
        asyncio.run(render(server.base_url))
        assert [body["experience_key"] for body in server.bodies()] == [["a", "b", "c", "d"]]


def gated(gate: threading.Event, *keys: str) -> Callable[[Any], None]:
    """Answer when the gate is open."""

    def waits(connection: Any) -> None:
        assert gate.wait(5)
        serves(*keys)(connection)

    return waits


def test_a_cancelled_component_leaves_the_request_to_the_others() -> None:
    gate = threading.Event()

    async def render(page: AsyncPage, requests: list[bytes]) -> None:
        first, second, third = (asyncio.create_task(page.experience(key)) for key in "aab")
        while not requests:  # noqa: ASYNC110 -- they come from a thread
            await asyncio.sleep(0.005)
        first.cancel()
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert await second is not None
        assert await page.experience("b") is not None

    async def use(base_url: str, requests: list[bytes]) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url, timeout=5) as client:
            await render(client.page(), requests)

    with serving(gated(gate, "a", "b")) as server:
        asyncio.run(use(server.base_url, server.requests))
        assert len(server.requests) == 1


def test_a_cancelled_view_leaves_nothing_behind() -> None:
    async def use(base_url: str) -> None:
        async with AsyncPersonalizeClient(**CREDENTIALS, base_url=base_url, timeout=0.5) as client:
            before = asyncio.all_tasks()
            page = client.page()
            dropped = weakref.ref(page)
            view = asyncio.create_task(page.experience("a"))
            await asyncio.sleep(0.05)
            view.cancel()
            with pytest.raises(asyncio.CancelledError):
                await view
            (request,) = (task for task in asyncio.all_tasks() if task.get_name() == "moengage-personalize page")
            del page, view
            await request
            del request
            gc.collect()
            assert dropped() is None
            assert asyncio.all_tasks() == before

    with serving(hangs) as server:
        asyncio.run(use(server.base_url))


def test_a_page_that_is_dropped_is_gone(face: Face, sandbox_url: str) -> None:
    page = face.client(base_url=sandbox_url).page()
    prefetch(face, page, ["promo-strip"])
    assert experience(face, page, "promo-strip") is not None
    dropped = weakref.ref(page)
    del page
    for thread in threading.enumerate():
        if thread.name == "moengage-personalize page":
            thread.join(5)
    gc.collect()
    assert dropped() is None


def test_a_prefetch_does_not_wait() -> None:
    gate = threading.Event()
    with serving(gated(gate, "a", "b")) as server:
        with PersonalizeClient(**CREDENTIALS, base_url=server.base_url, timeout=5) as client:
            page = client.page()
            page.prefetch(["a", "b"])
            assert page.reason("a") == "not_requested"
            gate.set()
            assert page.experience("a") is not None
            assert page.reason("b") == "served"
        assert len(server.requests) == 1


def test_threads_that_ask_for_a_key_that_is_under_way_wait_for_it() -> None:
    gate = threading.Event()
    with serving(gated(gate, "a")) as server:
        with (
            PersonalizeClient(**CREDENTIALS, base_url=server.base_url, timeout=5) as client,
            ThreadPoolExecutor(10) as threads,
        ):
            page = client.page()
            asked = [threads.submit(page.experience, "a") for _ in range(10)]
            gate.set()
            first, *others = [one.result() for one in asked]
            assert first is not None
            assert all(other is first for other in others)
        assert len(server.requests) == 1


def test_where_no_thread_starts_a_prefetch_travels_with_the_first_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(serves("a", "b")) as server:
        with PersonalizeClient(**CREDENTIALS, base_url=server.base_url) as client:
            page = client.page()
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", does_not_start)
                page.prefetch(["a", "b"])
            assert server.requests == []
            assert page.experience("b") is not None
            assert page.experience("a") is not None
        assert len(server.requests) == 1


def test_a_prefetch_has_the_context_of_who_asked() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace")
    seen: list[str] = []
    asked = threading.Event()

    def fetch(keys: list[str]) -> Experiences:
        seen.append(trace.get())
        asked.set()
        return served(keys)

    trace.set("this page")
    Page(fetch, same).prefetch("a")
    assert asked.wait(5)
    assert seen == ["this page"]


def test_who_was_interrupted_leaves_the_request_to_the_next() -> None:
    interrupted = [KeyboardInterrupt()]

    def fetch(keys: list[str]) -> Experiences:
        if interrupted:
            raise interrupted.pop()
        return served(keys)

    page = Page(fetch, same)
    with pytest.raises(KeyboardInterrupt):
        page.experience("a")
    assert page.reason("a") == "not_requested"
    assert page.experience("a") is not None


def same(experiences: Experiences) -> Experiences:
    return experiences


def served(keys: Iterable[str]) -> Experiences:
    """An answer that knows the keys whose name is in lower case."""
    asked = frozenset(keys)
    return Experiences(
        {key: key for key in asked if key.islower()}, lambda key, _: Experience(key, {}, {"cid": key}), requested=asked
    )


def shown(found: Iterable[Experience | None]) -> list[str | None]:
    return [None if experience is None else experience.key for experience in found]


ASKS = st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from("abcDEF"), max_size=4)), max_size=12)


@given(asks=ASKS)
def test_whatever_is_asked_when_each_key_travels_once_and_has_its_answer(asks: list[tuple[bool, list[str]]]) -> None:
    """Each ask is a prefetch of some keys, or components that ask for one each, in one tick; for both pages alike."""
    travelled: list[str] = []

    def fetch(keys: list[str]) -> Experiences:
        assert keys
        travelled.extend(keys)
        return served(keys)

    async def fetch_async(keys: list[str]) -> Experiences:
        await asyncio.sleep(0)
        return fetch(keys)

    async def render() -> AsyncPage:
        page = AsyncPage(fetch_async, same, 0)
        for ahead, keys in asks:
            if ahead:
                page.prefetch(keys)
            else:
                before = len(travelled)
                found = await asyncio.gather(*(page.experience(key) for key in keys))
                assert shown(found) == [key if key.islower() else None for key in keys]
                assert set(travelled[before:]) >= set(keys) - set(travelled[:before])
        await asyncio.gather(*(page.experience(key) for _, keys in asks for key in keys))
        return page

    def render_sync() -> Page:
        page = Page(fetch, same)
        for ahead, keys in asks:
            if ahead:
                page.prefetch(keys)
            else:
                found = [page.experience(key) for key in keys]
                assert shown(found) == [key if key.islower() else None for key in keys]
        assert all((page.experience(key) is not None) == key.islower() for _, keys in asks for key in keys)
        return page

    wanted = {key for _, keys in asks for key in keys}
    for rendered in (lambda: asyncio.run(render()), render_sync):
        travelled.clear()
        page = rendered()
        assert sorted(travelled) == sorted(wanted)
        assert page.contexts() == {key: {"cid": key} for key in wanted if key.islower()}
        for key in "abcDEF":
            answered = "served" if key.islower() else "not_served"
            assert page.reason(key) == (answered if key in wanted else "not_requested")


def test_a_page_of_a_sandbox_that_is_down_renders_its_defaults(face: Face) -> None:
    with sandbox.serve() as gone:
        pass
    page = face.client(base_url=gone, max_retries=0).page()
    assert titles(face, page, KEYS[:3]) == ["default"] * 3
    assert {page.reason(key) for key in KEYS[:3]} == {"failed"}
