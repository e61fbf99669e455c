"""Responses as no server should give them, mutated from those of the fault server, and what must hold for each.

A case is one of three kinds, and all of it follows from its dice:

    response  status, headers and body through a client: a result or an error of our tree, no secret in its text, every
              value of the type that it promises
    wire      bytes in pieces through the parser: the same whatever the pieces, and a connection that is kept serves
              the next request with its own response
    body      a packed body in pieces: at most as many bytes as the limit, or refused
"""

# What is driven here has no public name.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import math
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from itertools import pairwise
from random import Random
from typing import Any, cast
from unittest import mock

from faultserver import MODES, Exchange

from moengage_personalize import (
    APIError,
    ExperienceContext,
    Experiences,
    PersonalizeClient,
    PersonalizeError,
    RateLimited,
)
from moengage_personalize._messages import Request, Response
from moengage_personalize._transport._body import DECODED, ON_THE_WIRE, BodyReader
from moengage_personalize._transport._exchange import ExchangeError
from moengage_personalize._transport._parser import HTTP11Connection, PoolGeneration

SEED_SIZE = 2**14  # bytes of what a mode sends, at most
KEYS = ("homepage-banner", "promo-strip", "cart-upsell")
VISITOR, MAIL, API_KEY = SECRETS = ("user_8821", "jane@example.com", "the-key-of-the-fuzzer")

# ---- What knows the names inside the rooms ---------------------------------------------------------------------------


class Canned:
    """A transport with one response for each request in which the first key stands, and a good one for others."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def perform(self, request: Request) -> Response:
        """At once."""
        return self._response if KEYS[0].encode() in request.body else GOOD

    def perform_all(self, requests: Iterable[Request]) -> list[Response]:
        """In turn."""
        return [self.perform(request) for request in requests]

    def close(self) -> None:
        """Nothing is open."""


def client_with(response: Response) -> PersonalizeClient:
    """A client that gets this response."""
    client = PersonalizeClient("WS", API_KEY, base_url="http://127.0.0.1:9/v1", max_retries=0)
    client.transport.close()
    client._transport = cast(Any, Canned(response))
    return client


def parsed(pieces: Sequence[bytes]) -> tuple[str, bytes, Callable[[bytes], tuple[int, bytes]]]:
    """How a response in these pieces ended, its body, and what reads another one on the same connection."""
    connection = HTTP11Connection(PoolGeneration())

    def another(data: bytes) -> tuple[int, bytes]:
        connection.start_request()
        hold(connection.receive_data(data), "kept, but the next response has no end")
        response = connection.response()
        return response.status, response.body

    connection.start_request()
    rest = [piece for piece in pieces if piece]
    try:
        while rest:
            if connection.receive_data(rest.pop(0)):
                # What is not read yet makes the socket readable, and the connection unfit.
                kept = connection.reusable and not rest
                body = connection.response().body
                return "kept" if kept else "whole, something behind it or the end", body, another
    except ExchangeError as error:
        return type(error).__name__, b"", another
    return "waits for more", b"", another


def unpacked(headers: dict[str, str], pieces: Sequence[bytes]) -> bytes | str:
    """A body that came in these pieces, or why it was refused."""
    reader = BodyReader()
    try:
        for piece in pieces:
            reader.feed(piece)
        return reader.decode(headers.get("content-encoding", ""))
    except ExchangeError as error:
        return type(error).__name__


# ---- Seeds: what the modes of the fault server send ------------------------------------------------------------------


def experience(key: str) -> dict[str, Any]:
    """One with a variable of each data type."""
    variables = {
        "Title": ("Free shipping on orders over ₹999", "string"),
        "Limit": ("2", "number"),
        "Ratio": ("0.25", "float"),
        "Price": (19.5, "number"),
        "Countdown": ("true", "boolean"),
        "Dark": (False, "boolean"),
        "Products": ('[{"sku": "A-17"}, {"sku": "B-2"}]', "json"),
        "Style": ({"color": "red", "sizes": [1, 2, 3]}, "json"),
    }
    return {
        "payload": {name: {"value": value, "data_type": kind} for name, (value, kind) in variables.items()},
        "experience_context": {
            "cid": f"{key}_1",
            "experience": key,
            "moe_variation_id": "1",
            "audience_id": "42D",
            "nested": {"list": [1, None, True], "time": "2026-11-23T08:30:00Z"},
        },
    }


class Recorded(Exchange):
    """Keeps what a mode sends; nobody is there and nothing is slow."""

    def __init__(self) -> None:
        self.body = json.dumps({"identifiers": {"customer_id": VISITOR}, "experience_key": KEYS}).encode()
        self.sent = b""

    def content(self, title: str | None = None) -> dict[str, Any]:
        return {"experiences": {key: experience(key) for key in KEYS}}

    async def send(self, data: bytes) -> None:
        self.sent += data
        hold(len(self.sent) <= SEED_SIZE, "too much for a seed")

    async def drip(self, data: bytes, wrap: Callable[[bytes], bytes] = bytes) -> None:
        await self.send(wrap(data))

    async def _nothing(self) -> Any:
        return b""

    receive = read = gone = close = reset = abort = _nothing

    def surplus_is_sent(self) -> None:
        pass

    def elsewhere(self) -> str:
        return "http://elsewhere.example/v1"


@cache
def recorded() -> dict[str, bytes]:
    """What each mode sends that comes to an end, always the same."""

    async def record() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name, mode in MODES.items():
            exchange = Recorded()
            if mode.at == "request":
                with suppress(BrokenPromiseError, TimeoutError):
                    async with asyncio.timeout(0.5):
                        await mode.behave(exchange)
                        found[name] = exchange.sent
        return {name: sent for name, sent in found.items() if sent}

    with mock.patch("time.time", return_value=1_763_900_000.0):
        return asyncio.run(record())


def read_by_the_book(sent: bytes) -> Response | None:
    """The response as the standard library reads it, where it can."""

    class Read:
        def makefile(self, _: str) -> BytesIO:
            return BytesIO(sent)

    response = HTTPResponse(cast(Any, Read()))
    try:
        response.begin()
        return Response(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    except (HTTPException, ValueError):
        return None


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


GOOD = Response(200, {}, dumped({"experiences": {KEYS[1]: experience(KEYS[1])}}).encode())


@cache
def responses() -> tuple[Response, ...]:
    """Good ones most often; and one that repeats what was sent, as it should not."""
    secrets = dumped(
        {"title": f"Bad key {API_KEY}", "description": f"{VISITOR} {MAIL} may not, {API_KEY}", "code": "E1"}
    )
    found = [response for sent in recorded().values() if (response := read_by_the_book(sent))]
    good = [response for response in found if response.status == 200]
    refused = [Response(status, {}, secrets.encode()) for status in (400, 401, 403, 404, 429, 500, 503)]
    return (*found, *refused, *good, *good[:1] * (len(found) // 2))


# ---- Odd pieces ------------------------------------------------------------------------------------------------------

DEPTHS = (10, 150, 320, 480, 900, 985, 1_000, 3_000, 30_000)
ODD = (
    *("null", "true", "false", "0", "-0", "-1", '""', "[]", "{}", '"null"', "[null]", "{}{}", "[", "]", "{", "}"),
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "1E400", "1.7976931348623157e308", "0.1e1"),
    *("18446744073709551616", *("7" * digits for digits in (400, 4_300, 5_000, 10_000)), "0." + "7" * 5_000),
    *("01", "1.", "+1", "/* */", "'", "\ufeff", "\\", "🦜", dumped("🦜" * 300)),
    *(r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', '"\ud800"', '"\x00"', '"\ufeff"', '"\u2028"', '"x', r'"\x"'),
    *('"NaN"', '"1e999"', '"-Infinity"', '"TRUE"', '"tRuE"', '"1_000"', '"٣"', '" 2 "', '"0x10"', f'"{"7" * 5_000}"'),
    *(r'"[1, NaN]"', r'"{\"a\": \"\\ud800\"}"', r'"\"text\""', '"[" ', '"2026-13-45T99:99:99Z"', '"9999-12-31"'),
    *('{"value":1}', '{"data_type":"number"}', '{"value":"x","data_type":{}}', '{"value":null,"data_type":null}'),
    *(',"experiences":null', '"experiences":[]', dumped(experience(KEYS[1]))),
    dumped({f"k{number}": number for number in range(300)}),
)
NESTED = (
    *("[" * depth + "]" * depth for depth in DEPTHS),
    *('{"a":' * depth + "1" + "}" * depth for depth in DEPTHS),
)
DEEP = (*NESTED, *(dumped("[" * n + "]" * n) for n in DEPTHS[:-1]), "[" * 100_000, "[0" + ",0" * 100_001 + "]")
NUMBERS = (
    *("", "0", "1", "-1", "60", "1e9", "0.5", "1.5", "NaN", "inf", "٣", "²", "1_0", "+1", " 7 ", "0x1", "\x00", "\xff"),
    *("1763900000", "1763900000000", "253402300800", "100000000000", *("9" * digits for digits in (17, 18, 19, 400))),
    *("10000, 10000;w=60", "37, 37"),
)
_DATE = "Mon, 23 Nov 2026 14:00:00 "
DATES = (
    *(_DATE + zone for zone in ("GMT", "+9999", "-2400", "")),
    *("Mon, 23 Nov 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 31 Feb 2026 25:61:61 GMT"),
    *("Mon, 23 Nov 99999999999999999999 14:00:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"),
    *("23 Nov 2026", "Mon, 23 Nov", ", , , ,", "soon", "2026-11-23T14:00:00Z"),
)
HEADERS: dict[str, tuple[str, ...]] = {
    "x-ratelimit-limit": NUMBERS,
    "x-ratelimit-remaining": NUMBERS,
    "x-ratelimit-reset": NUMBERS + DATES,
    "retry-after": NUMBERS + DATES,
    "content-encoding": ("gzip", "GZIP", "x-gzip", "br", "deflate", "identity", "", "gzip, gzip", " gzip ", "\xff"),
    "content-length": NUMBERS,
    "content-type": ("application/json", "text/html", "application/json; charset=utf-16", "\xff"),
    "date": DATES,
    "location": ("http://elsewhere.example/", "//", "\xff"),
}
STATUSES = (400, 401, 403, 404, 429, 429, 429, 500, 502, 503, 599, 204, 301, 100, 101, 0, 600, 999)
HEAD = b"HTTP/1.1 200 OK\r\n"
TWO = HEAD + b"Content-Length: 2\r\n\r\n{}"
SURPLUS = (TWO, HEAD + b"X: y\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", b"\r\n", b"\n", b"0\r\n\r\n", b"\x00")
WIRE = (  # beside what the modes send
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b'a\r\n{"experien\r\n9;x=y\r\nces": {}}\r\n0\r\n\r\n',
    HEAD + b"transfer-encoding: Chunked\r\n\r\n" + b"2\r\n{}\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + TWO,
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}",
)
LINES = (
    *(b"Content-Length: 0", b"Content-Length: 2", b"Content-Length: 5, 5", b"Content-Length: +2"),
    *(b"Content-Length: 2 ", b"Content-Length:\t2", b"Content-Length: 0x2", b"Content-Length: " + b"0" * 50 + b"2"),
    *(b"Content-Length : 2", b": no name", b"Connection: close", b" folded", b"\tContent-Length: 3", b" chunked"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked"),
    *(b"Transfer-Encoding:", b"X-Y: z", b"X: \xff\x00"),
)
SIZES = (b"0", b"00", b"-1", b"+2", b"0x2", b"1_0", b" 2", b"2 ", b"f" * 17, b"2;\n", b"2\n", b"", b"2;a=\xff")
ENDINGS = (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\n\n", b"\r\n\r\n", b"\r\n\n", b"", b" \r\n", b"\x0b", b"\x85")

# ---- Mutation --------------------------------------------------------------------------------------------------------

Edit = Callable[[Random, bytes], bytes]


def edit(dice: Random, data: bytes) -> bytes:
    """One small change: flip a bit, delete, repeat, move, cut off, put bytes in, or put an odd piece in."""
    start = dice.randrange(len(data) + 1)
    end = min(len(data), start + (1 << dice.randrange(9)))  # mostly short
    part, rest = data[start:end], data[:start] + data[end:]
    at = dice.randrange(len(rest) + 1)
    changes = (
        lambda: data[:start] + bytes(byte ^ 1 << dice.randrange(8) for byte in part[:1]) + data[start + 1 :],
        lambda: rest,
        lambda: data[:end] + part * dice.randint(1, 3) + data[end:],
        lambda: rest[:at] + part + rest[at:],
        lambda: data[:start],
        lambda: data[:start] + dice.randbytes(1 << dice.randrange(5)) + data[start:],
        lambda: data[:start] + odd(dice) + data[end if dice.random() < 0.5 else start :],
    )
    return dice.choice(changes)()


def edit_wire(dice: Random, data: bytes) -> bytes:
    """One change to what stands on the wire: another line ending, line or number, a response behind it or within."""

    def spot(pattern: bytes) -> tuple[int, int]:
        found = [match.span() for match in re.finditer(pattern, data)]
        return dice.choice(found) if found else (len(data), len(data))

    start, end = spot(rb"\r?\n")
    first, last = spot(rb"(?<![0-9a-f])[0-9a-f]{1,20}(?=[\r\n; ])")
    at = dice.choice((len(data), len(data), end, dice.randrange(len(data) + 1)))
    changes = (
        lambda: data[:start] + dice.choice(ENDINGS) + data[end:],
        lambda: data[:end] + dice.choice((*LINES, *SIZES)) + b"\r\n" + data[end:],
        lambda: data[:first] + dice.choice((*SIZES, b"1", b"2", b"9", b"20", b"204", b"101", b"304")) + data[last:],
        lambda: data[:at] + dice.choice(SURPLUS) + data[at:],
    )
    return dice.choice(changes)() if dice.random() < 0.7 else edit(dice, data)


def edited(dice: Random, data: bytes, change: Edit = edit, most: int = 4) -> bytes:
    """Several changes."""
    for _ in range(dice.randint(1, most)):
        data = change(dice, data)
    return data


def raw(text: str) -> bytes:
    """As UTF-8, lone surrogates as the three bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def readable(text: str | bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


ODD_VALUES = tuple(filter(readable, ODD))  # which leave the text around them readable, NaN and its kin included


def odd(dice: Random) -> bytes:
    """A piece of JSON, or nearly; the deep and long ones are rare, because they are slow."""
    return raw(dice.choice(DEEP if dice.random() < 0.02 else ODD))


def odd_value(dice: Random) -> bytes:
    chance = dice.random()
    return odd(dice) if chance < 0.1 else raw(dice.choice(NESTED if chance < 0.12 else ODD_VALUES))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its indexes or keys."""
    if isinstance(value, dict | list):
        container = cast(Any, value)
        for at in list(container if isinstance(value, dict) else range(len(container))):
            yield container, at
            yield from places(container[at])


@cache
def places_in(body: bytes) -> int:
    """How many there are in a JSON text; 0 in any other."""
    return sum(1 for _ in places(json.loads(body))) if readable(body) and body[:1] == b"{" else 0


def replaced(dice: Random, body: bytes) -> bytes:
    """Whole values of a JSON text replaced by odd ones, so that the rest stays readable."""
    tree, wanted = json.loads(body), {dice.randrange(places_in(body)) for _ in range(dice.randint(1, 3))}
    for number, (container, at) in enumerate(list(places(tree))):
        if number in wanted:
            container[at] = f"@{number}@"
    mutated = raw(dumped(tree))
    for number in wanted:
        mutated = mutated.replace(b'"@%d@"' % number, odd_value(dice))
    return mutated


def mutated_body(dice: Random, body: bytes) -> bytes:
    body = replaced(dice, body) if places_in(body) and dice.random() < 0.7 else body
    return edited(dice, body) if dice.random() < 0.25 else body


def mutated_headers(dice: Random, headers: dict[str, str]) -> dict[str, str]:
    for name in dice.sample(sorted(HEADERS), dice.randrange(5)):
        value = dice.choice(HEADERS[name])
        headers[name] = edited(dice, raw(value)).decode("latin-1") if dice.random() < 0.2 else value
    return headers


def in_pieces(dice: Random, data: bytes) -> tuple[bytes, ...]:
    """The same bytes as a socket may give them."""
    edges = sorted({0, len(data), *(dice.randrange(len(data) + 1) for _ in range(dice.randrange(6)))})
    return tuple(data[start:end] for start, end in pairwise(edges))


# ---- Responses through a client --------------------------------------------------------------------------------------


class BrokenPromiseError(Exception):
    """What the client promises does not hold."""


def hold(promise: object, otherwise: str) -> None:
    """Raise, unless the promise is kept."""
    if not promise:
        raise BrokenPromiseError(otherwise)


ASKED: tuple[Any, ...] = (KEYS, KEYS[0], None, [*KEYS, *(f"key-{number}" for number in range(30))])


class Watch(logging.Handler):
    """Looks at what is logged instead of writing it."""

    def emit(self, record: logging.LogRecord) -> None:
        check_text(record.getMessage())


logging.getLogger("moengage_personalize").addHandler(Watch())


def make_response(dice: Random) -> tuple[int, Response]:
    seed = dice.choice(responses())
    status = dice.choice((seed.status, seed.status, 200, dice.choice(STATUSES), dice.randrange(1000)))
    response = Response(status, mutated_headers(dice, dict(seed.headers)), mutated_body(dice, seed.body))
    return dice.choice((0, 0, 1, 1, 2, 3) if dice.random() < 0.1 else (0, 1)), response


def check_response(case: tuple[int, Response]) -> str:
    """Fetch it, use all that comes of it, and say what it was."""
    keys, client = ASKED[case[0]], client_with(case[1])
    visitor: Any = {"customer_id": VISITOR, "user_identifiers": {"u_em": MAIL}}
    try:
        found = client.fetch(keys, **visitor)
    except PersonalizeError as error:
        check_error(error)
        touch(client.fetch_or_empty(keys, **visitor, timeout=0.02))  # with what the client has learnt
        return type(error).__name__
    touch(found)
    reasons = {found.reason(key) for key in KEYS}
    return "value, some malformed" if "malformed" in reasons else "value" if "served" in reasons else "value, empty"


def check_text(text: str) -> None:
    """It may stand in a log: no secret, and nothing that a terminal would obey."""
    hold(not any(secret in text for secret in SECRETS), "a text shows a secret")
    hold(text.isprintable(), "a text holds what cannot be printed")


def check_error(error: PersonalizeError) -> None:
    """It shows no secret, can be pickled, and is what it says."""
    check_text(f"{error}{error!r}")
    back = pickle.loads(pickle.dumps(error))
    hold(type(back) is type(error) and str(back) == str(error) and vars(back) == vars(error), "pickled, it is another")
    if isinstance(error, APIError):
        hold(400 <= error.status < 600, "an APIError for no error")
    if isinstance(error, RateLimited) and error.retry_after is not None:
        hold(0 <= error.retry_after < math.inf, f"retry after {error.retry_after}")


def touch(found: Experiences) -> None:
    """Use everything that a service can get at."""
    for key in (*found, *KEYS, "not-asked-for"):
        found.value(key, "Title", "default")
        hold((key in found) == (found.reason(key) == "served"), "a reason that does not fit")
    for each in found.values():
        touch_one(each)
    hold(found.contexts().keys() == found.keys(), "contexts that do not fit")
    hold(len(found) == len(list(found)) and repr(found), "a length that does not fit")


def touch_one(experience: Any) -> None:
    """Use one; its type is not named, because what the types promise is checked."""
    hold(len(dict(experience)) == len(experience) and repr(experience), "a length that does not fit")
    for name in experience:
        hold(isinstance(experience.string(name, ""), str), "text of another type")
        hold(isinstance(experience.boolean(name, False), bool), "a boolean of another type")
        number = experience.number(name, 0)
        hold(isinstance(number, int) or math.isfinite(number), "a number that is none")
        hold(readable(json.dumps(experience[name], allow_nan=False)), "a value that is not JSON")
    context = experience.context
    hold(ExperienceContext.from_json(context.to_json()) == context, "another context after its way through JSON")
    hold(context.attributes() == dict(context) and repr(context), "attributes that are not the context")


# ---- Bytes through the parser, and packed bodies ---------------------------------------------------------------------


def make_wire(dice: Random) -> tuple[bytes, ...]:
    data = dice.choice((*recorded().values(), *WIRE * 5))
    return in_pieces(dice, edited(dice, data, edit_wire, most=3) if dice.random() < 0.95 else data)


def check_wire(pieces: tuple[bytes, ...]) -> str:
    """It ends the same way whatever the pieces, and a connection that is kept serves the next request with its own."""
    ended, body, another = parsed(pieces)
    whole, same, _ = parsed((b"".join(pieces),))
    hold((ended, body) == (whole, same) or "behind" in ended + whole, f"{ended} in pieces, {whole} in one")
    if ended == "kept":
        content = b'{"experiences": {"own": {}}}'
        hold(another(HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content) == (200, content), "not its own")
    return ended


@cache
def packed_large(size: int) -> bytes:
    return gzip.compress(bytes(size), mtime=0)


def make_packed(dice: Random) -> tuple[dict[str, str], tuple[bytes, ...]]:
    chance = dice.random()
    plain = mutated_body(dice, dice.choice(responses()).body)
    large = DECODED + dice.choice((0, 1, 10**6))
    data = packed_large(large) if chance < 0.005 else gzip.compress(plain, 1, mtime=0)
    data = edited(dice, data) if chance > 0.3 else data * dice.randint(1, 2)
    data = bytes(ON_THE_WIRE - 1) + data if 0.005 < chance < 0.007 else data
    packed = {"content-encoding": "gzip"} if dice.random() < 0.8 else {}
    return mutated_headers(dice, {}) | packed, in_pieces(dice, data)


def check_packed(case: tuple[dict[str, str], tuple[bytes, ...]]) -> str:
    """It is refused, or within its limits."""
    found = unpacked(*case)
    if isinstance(found, str):
        return found
    hold(len(found) <= DECODED, f"a body of {len(found)} bytes")
    return "unpacked"


# ---- Cases -----------------------------------------------------------------------------------------------------------

Kind = tuple[Callable[[Random], Any], Callable[[Any], str]]
KINDS: dict[str, Kind] = {
    "response": (make_response, check_response),
    "wire": (make_wire, check_wire),
    "body": (make_packed, check_packed),
}
SHARES = ("response",) * 5 + ("wire",) * 4 + ("body",)


def dice_of(seed: int, case: int) -> Random:
    """All that a case depends on."""
    return Random(seed << 40 | case)
