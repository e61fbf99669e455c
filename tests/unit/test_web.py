"""What a web request tells of a visit, whoever has sent it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from helpers import make_requests
from hypothesis import given, strategies as st
from odd import ODD, tried

from moengage_personalize import InSession, InvalidRequestError
from moengage_personalize._generated import FETCH_FIELDS


def asgi(headers: Any = (), query: Any = b"", client: Any = ("203.0.113.42", 4711), **arguments: Any) -> InSession:
    scope = {"type": "http", "headers": headers, "query_string": query, "client": client}
    return InSession.from_asgi(scope, **arguments)


def wsgi(**arguments: Any) -> InSession:
    names = ("query", "referrer")
    keywords = {name: arguments.pop(name) for name in names if name in arguments}
    return InSession.from_wsgi({"wsgi.version": (1, 0), **arguments}, **keywords)


def test_an_asgi_scope_tells_of_the_visit() -> None:
    before = datetime.now(UTC)
    visit = asgi(
        headers=[(b"host", b"shop"), (b"user-agent", b"Firefox"), (b"referer", b"https://example.com/")],
        query=b"utm_medium=email&utm_source=may%20sale&id=7",
    )
    assert (visit.user_agent, visit.ip_address) == ("Firefox", "203.0.113.42")
    assert visit.attributes == {"utm_medium": "email", "utm_source": "may sale"}
    assert visit.at is not None
    assert before <= visit.at <= before + timedelta(minutes=1)


def test_a_wsgi_environ_tells_of_the_visit() -> None:
    visit = wsgi(
        REMOTE_ADDR="2001:db8::1",
        HTTP_USER_AGENT="Firefox",
        HTTP_REFERER="https://example.com/",
        HTTP_X_FORWARDED_FOR="198.51.100.7",
        QUERY_STRING="utm_medium=email&id=7",
        referrer="referrer",
    )
    assert (visit.user_agent, visit.ip_address) == ("Firefox", "2001:db8::1")
    assert visit.attributes == {"utm_medium": "email", "referrer": "https://example.com/"}


def test_a_visit_that_tells_nothing_is_empty_but_for_the_time() -> None:
    for visit in (InSession.from_asgi({}), InSession.from_wsgi({})):
        assert (visit.user_agent, visit.ip_address, visit.attributes) == (None, None, {})
        assert visit.at is not None


def test_the_referer_becomes_the_attribute_that_is_named_for_it() -> None:
    came_from = "https://example.com/"
    assert asgi(headers=[(b"referer", came_from.encode())], referrer="seen_on").attributes == {"seen_on": came_from}
    assert wsgi(HTTP_REFERER=came_from, referrer="seen_on").attributes == {"seen_on": came_from}
    assert asgi(headers=[(b"referer", b"")], referrer="seen_on").attributes == {}
    assert wsgi(referrer="seen_on").attributes == {}


@pytest.mark.parametrize(
    "client",
    [None, (), ("", 0), ("testclient", 50_000), ["/run/shop.sock", None], ("203.0.113.42, 10.0.0.1", 1)],
    ids=repr,
)
def test_an_address_that_is_none_is_not_sent(client: Any) -> None:
    assert asgi(client=client).ip_address is None
    if client:
        assert wsgi(REMOTE_ADDR=client[0]).ip_address is None


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), {}),
        ("id", {"id": "7"}),
        (["id", "*_medium"], {"id": "7", "utm_medium": "email"}),
        ("utm_[ms]*", {"utm_medium": "email", "utm_source": "a"}),
        ("*", {"id": "7", "utm_medium": "email", "utm_source": "a", "Utm_case": "b"}),
    ],
)
def test_the_parameters_that_are_named_become_attributes(patterns: Any, expected: dict[str, str]) -> None:
    query = "id=7&utm_medium=email&utm_source=a&Utm_case=b&utm_source=second&empty=&=nameless&" + "&".join(
        f"{name}=reserved" for name in FETCH_FIELDS
    )
    assert InSession.from_asgi({"query_string": query.encode()}, query=patterns).attributes == expected
    assert wsgi(QUERY_STRING=query, query=patterns).attributes == expected


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Firefox", "Firefox"),
        ("Müller ₹".encode(), "Müller ₹"),
        (b"M\xfcller", "Müller"),
        (b" padded\t", "padded"),
        (b"", None),
        (b" ", None),
        (b"a" * 2_048, "a" * 2_048),
        (b"a" * 2_049, None),
        (b"\xed\xa0\x80", "í\xa0\x80"),
        (b"\0", "\0"),
    ],
)
def test_a_header_is_read_as_what_it_was_meant_to_be(raw: bytes, text: str | None) -> None:
    assert asgi(headers=[(b"user-agent", raw)]).user_agent == text
    assert wsgi(HTTP_USER_AGENT=raw.decode("latin-1")).user_agent == text
    query = b"utm_x=" + quote(raw).encode() + b"&utm_y=" + raw.replace(b"\0", b"").strip()
    if text is not None and b"\xed" not in raw and b"\xfc" not in raw:
        assert asgi(query=query).attributes["utm_x"] == text


def test_the_first_of_several_headers_counts() -> None:
    assert asgi(headers=[(b"user-agent", b"one"), (b"User-Agent", b"two")]).user_agent == "one"


def test_no_more_than_a_hundred_parameters_become_attributes() -> None:
    query = "&".join(f"utm_{number}={number}" for number in range(500))
    assert [*asgi(query=query.encode()).attributes] == [f"utm_{number}" for number in range(100)]


@pytest.mark.parametrize(("length", "taken"), [(1, True), (2_048, True), (2_049, False)])
def test_the_name_of_an_attribute_is_not_endless(length: int, taken: bool) -> None:
    name = "a" * length
    visit = InSession.from_asgi({"query_string": f"{name}=1".encode()}, query="*")
    assert visit.attributes == ({name: "1"} if taken else {})


@given(
    headers=st.lists(st.tuples(st.sampled_from([b"user-agent", b"referer", b"x"]) | st.binary(), st.binary())),
    query=st.binary() | st.text("utm_%=&;+ä\0", max_size=40).map(str.encode),
    client=st.none() | st.tuples(st.text(), st.integers()),
)
def test_no_asgi_request_raises_or_makes_what_cannot_be_sent(headers: Any, query: bytes, client: Any) -> None:
    visit = asgi(headers=headers, query=query, client=client)
    scope = {"headers": headers, "query_string": query, "client": client}
    for made in (visit, InSession.from_asgi(scope, query="*", referrer="referrer")):
        assert make_requests("banner", in_session=made)


@given(
    st.dictionaries(
        st.sampled_from(["REMOTE_ADDR", "HTTP_USER_AGENT", "QUERY_STRING", "HTTP_REFERER", "OTHER"]),
        st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | st.text(st.characters(categories=["Cs"])),
    )
)
def test_no_wsgi_request_raises_or_makes_what_cannot_be_sent(environ: dict[str, str]) -> None:
    for made in (wsgi(**environ), wsgi(**environ, query="*", referrer="referrer")):
        assert make_requests("banner", in_session=made)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": 5}, "expected query as a pattern or an iterable of patterns, got int"),
        ({"query": [""]}, "expected a pattern of query to be a non-empty str"),
        ({"query": [5]}, "expected a pattern of query to be a non-empty str, got int"),
        ({"referrer": ""}, "expected referrer to be a non-empty str"),
        ({"referrer": "identifiers"}, "expected an in-session attribute, got 'identifiers'"),
    ],
)
def test_what_a_caller_passes_wrongly_is_refused_for_every_request(arguments: Any, message: str) -> None:
    for make in (lambda: InSession.from_asgi({}, **arguments), lambda: InSession.from_wsgi({}, **arguments)):
        with pytest.raises(InvalidRequestError, match=message):
            make()


def test_what_is_no_request_is_refused_by_its_name_and_type() -> None:
    for make, message in (
        (lambda: InSession.from_asgi(5), "expected scope to be a mapping, got int"),  # type: ignore[arg-type]
        (lambda: InSession.from_wsgi(5), "expected environ to be a mapping, got int"),  # type: ignore[arg-type]
        (lambda: asgi(client=5), "expected the client of scope as a pair, got int"),
    ):
        with pytest.raises(InvalidRequestError, match=message):
            make()


@pytest.mark.parametrize(
    "headers", [[5], [(b"a",)], [("user-agent", "text")], ["ab"], [(b"user-agent", None)]], ids=repr
)
def test_what_is_no_header_is_left_out(headers: Any) -> None:
    assert asgi(headers=headers).user_agent is None
    with pytest.raises(InvalidRequestError, match="expected the headers of scope as pairs, got int"):
        asgi(headers=5)


@pytest.mark.parametrize("name", [name for name in ODD if "hostile" not in name])
def test_an_odd_object_raises_only_the_tree(name: str) -> None:
    odd = ODD[name]
    for make in (InSession.from_asgi, InSession.from_wsgi):
        tried(lambda make=make: make(odd))  # type: ignore[misc]
        tried(lambda make=make: make({}, query=odd))  # type: ignore[misc]
        tried(lambda make=make: make({}, referrer=odd))  # type: ignore[misc]
    for field in ("headers", "query_string", "client"):
        tried(lambda field=field: InSession.from_asgi({field: odd}))  # type: ignore[misc]
    for field in ("REMOTE_ADDR", "HTTP_USER_AGENT", "QUERY_STRING", "HTTP_REFERER"):
        tried(lambda field=field: InSession.from_wsgi({field: odd}))  # type: ignore[misc]


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    code = "import sys, moengage_personalize; print('moengage_personalize._web' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
