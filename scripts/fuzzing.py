"""Answers as no server should give them, mutated from good ones, through everything that reads an answer.

    scripts/fuzz [--cases 1000000] [--seed N]     # prints what they ended as; exit 1 if a promise was broken
    scripts/fuzz --seed N --only CASE             # one case again, its input in full

A case is one of three kinds, and all of it follows from its dice:
    answer    status, headers, body -> read, merged, and every value touched: a result or an error of our tree, no
              secret in its text, no NaN in a value
    dialogue  raw bytes in pieces: the same whatever the pieces, and what is left clean serves the next request rightly
    content   a packed body in pieces: at most as many bytes as the limit, or BadlyPacked, or TooLarge
"""

# What is driven here has no public name.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import pickle
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, cast

import httpcore
from attrs import Factory, define, field, frozen
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moengage_personalize import CircuitBreaker, ExperienceContext, Experiences, PersonalizeError, _generated as wire
from moengage_personalize._errors import APIError, RateLimited
from moengage_personalize._messages import Response
from moengage_personalize._policy._retry import RetryPolicy
from moengage_personalize._request import FetchRequest
from moengage_personalize._settings import settings
from moengage_personalize._split import FetchPlan, PartialResult, merge_results
from moengage_personalize._transport._body import ON_THE_WIRE, UNPACKED, BadlyPacked, Content, TooLarge
from moengage_personalize._transport._deadline import Deadline
from moengage_personalize._transport._parser import Dialogue, Epoch

BATCH = 2_000  # cases between two reports of a process
SHOWN = 2_000  # characters of an input
KINDS_OF_FAILURE = 10  # told apart by where they were raised

# ---- Good answers ----------------------------------------------------------------------------------------------------

KEYS = ("homepage-banner", "promo-strip", "cart-upsell")
VISITOR = "user_8821"
MAIL = "jane@example.com"
API_KEY = "the-key-of-the-fuzzer"
SECRETS = (VISITOR, MAIL, API_KEY)


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
            "moe_locale_id": "0",
            "moe_variation_id": "1",
            "audience_name": "All users",
            "audience_id": "42D",
            "type": "Web Personalization",
            "nested": {"list": [1, None, True], "time": "2026-11-23T08:30:00Z"},
        },
    }


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


SERVED = dumped({"experiences": {key: experience(key) for key in KEYS}})
ONE = dumped({"experiences": {KEYS[0]: experience(KEYS[0])}})
# An error that repeats what was sent, as it should not.
REFUSED = dumped({"title": f"Bad key {API_KEY}", "description": f"{VISITOR} may not, with {API_KEY}", "code": "E1"})
GATEWAY = "<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
BODIES = (SERVED, SERVED, ONE, ONE, ONE, REFUSED, REFUSED, GATEWAY, "", '{"experiences":{}}')

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
    *(',"experiences":null', '"experiences":[]'),
    dumped(experience("promo-strip")),
    dumped({f"k{number}": number for number in range(300)}),
)
NESTED = (
    *("[" * depth + "]" * depth for depth in DEPTHS),
    *('{"a":' * depth + "1" + "}" * depth for depth in DEPTHS),
)
DEEP = (
    *NESTED,
    *(dumped("[" * depth + "]" * depth) for depth in DEPTHS[:-1]),
    "[" * 100_000,
    "[0" + ",0" * 100_001 + "]",
)
NUMBERS = (
    *("", "0", "1", "-1", "60", "1e9", "0.5", "NaN", "inf", "٣", "²", "1_0", "+1", " 7 ", "0x1", "\x00", "\xff"),
    *("1763900000", "1763900000000", "253402300800", "100000000000", *("9" * digits for digits in (17, 18, 19, 400))),
)
DATES = (
    "Mon, 23 Nov 2026 14:00:00 GMT",
    "Mon, 23 Nov 2026 14:00:00 +9999",
    "Mon, 23 Nov 2026 14:00:00 -2400",
    "Mon, 23 Nov 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 31 Feb 2026 25:61:61 GMT",
    "Mon, 23 Nov 99999999999999999999 14:00:00 GMT",
    "23 Nov 2026",
    "Mon, 23 Nov",
    ", , , ,",
    "soon",
    "2026-11-23T14:00:00Z",
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
    "set-cookie": ("visitor=canary; Path=/", "=", ";"),
}
STATUSES = (400, 401, 403, 404, 429, 429, 429, 500, 502, 503, 599, 204, 301, 100, 101, 0, 600, 999)

# ---- Mutation --------------------------------------------------------------------------------------------------------


def span(dice: Random, data: bytes) -> tuple[int, int]:
    """Somewhere in it; mostly short."""
    start = dice.randrange(len(data) + 1)
    return start, min(len(data), start + (1 << dice.randrange(9)))


def flipped(dice: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def deleted(dice: Random, data: bytes) -> bytes:
    start, end = span(dice, data)
    return data[:start] + data[end:]


def doubled(dice: Random, data: bytes) -> bytes:
    start, end = span(dice, data)
    return data[:end] + data[start:end] * dice.randint(1, 3) + data[end:]


def moved(dice: Random, data: bytes) -> bytes:
    start, end = span(dice, data)
    rest, at = data[:start] + data[end:], dice.randrange(len(data) - (end - start) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def truncated(dice: Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def garbled(dice: Random, data: bytes) -> bytes:
    start, _ = span(dice, data)
    return data[:start] + dice.randbytes(1 << dice.randrange(5)) + data[start:]


def raw(text: str) -> bytes:
    """As UTF-8, lone surrogates as the three bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def odd(dice: Random) -> bytes:
    """A piece of JSON, or nearly; the deep and long ones are rare, because they are slow."""
    return raw(dice.choice(DEEP if dice.random() < 0.02 else ODD))


def spliced(dice: Random, data: bytes) -> bytes:
    start, end = span(dice, data)
    return data[:start] + odd(dice) + data[end if dice.random() < 0.5 else start :]


def readable(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# Whole values, which leave the text around them readable, NaN and its kin included.
ODD_VALUES = tuple(filter(readable, ODD))


def odd_value(dice: Random) -> bytes:
    chance = dice.random()
    return odd(dice) if chance < 0.1 else raw(dice.choice(NESTED if chance < 0.12 else ODD_VALUES))


Edit = Callable[[Random, bytes], bytes]
EDITS: tuple[Edit, ...] = (flipped, deleted, doubled, moved, truncated, garbled, spliced)


def edited(dice: Random, data: bytes, edits: Sequence[Edit] = EDITS, most: int = 4) -> bytes:
    for _ in range(dice.randint(1, most)):
        data = dice.choice(edits)(dice, data)
    return data


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its indexes or keys."""
    if isinstance(value, dict | list):
        container = cast(Any, value)
        for at in list(container if isinstance(value, dict) else range(len(container))):
            yield container, at
            yield from places(container[at])


@cache
def count(text: str) -> int:
    return sum(1 for _ in places(json.loads(text)))


def replaced(dice: Random, text: str) -> bytes:
    """Whole values of a JSON text replaced by odd ones, so that the rest stays readable."""
    tree, wanted = json.loads(text), {dice.randrange(count(text)) for _ in range(dice.randint(1, 3))}
    for number, (container, at) in enumerate(list(places(tree))):
        if number in wanted:
            container[at] = f"@{number}@"
    mutated = raw(dumped(tree))
    for number in wanted:
        mutated = mutated.replace(b'"@%d@"' % number, odd_value(dice))
    return mutated


def body(dice: Random) -> bytes:
    text = dice.choice(BODIES)
    made = replaced(dice, text) if text.startswith('{"') and count(text) > 1 and dice.random() < 0.7 else raw(text)
    return edited(dice, made) if dice.random() < 0.25 else made


def headers(dice: Random) -> dict[str, str]:
    names = dice.sample(sorted(HEADERS), dice.randrange(5))
    made = {name: dice.choice(HEADERS[name]) for name in names}
    for name in names:
        if dice.random() < 0.2:
            made[name] = edited(dice, raw(made[name])).decode("latin-1")
    return made


def status(dice: Random) -> int:
    return dice.choice((200, 200, 200, dice.choice(STATUSES), dice.randrange(1000)))


def pieces(dice: Random, data: bytes) -> tuple[bytes, ...]:
    """The same bytes as a socket may give them."""
    edges = sorted({0, len(data), *(dice.randrange(len(data) + 1) for _ in range(dice.randrange(6)))})
    return tuple(data[start:end] for start, end in pairwise(edges))


# ---- Answers through the core ----------------------------------------------------------------------------------------


class BrokenPromiseError(Exception):
    """What the client promises does not hold."""


def hold(promise: object, otherwise: str) -> None:
    if not promise:
        raise BrokenPromiseError(otherwise)


@frozen
class Given:
    """An answer, and which of the plans it is an answer to."""

    plan: str
    status: int
    headers: dict[str, str]
    body: bytes


def _plan(*arguments: Any) -> FetchPlan:
    found = settings(workspace_id="WS", api_key=API_KEY, data_center="01", base_url=None, timeout=1.0, max_retries=2)
    return wire.plan(found, FetchRequest.create(*arguments))


PLANS = {
    "these keys": _plan(KEYS, VISITOR, None, None),
    "one key": _plan(KEYS[0], VISITOR, None, None),
    "everything": _plan(None, VISITOR, {"u_em": MAIL}, None),
    "two requests": _plan([*KEYS, *(f"key-{number}" for number in range(30))], VISITOR, None, None),
}


def make_answer(dice: Random) -> Given:
    return Given(dice.choice(sorted(PLANS)), status(dice), headers(dice), body(dice))


def check_answer(given: Given) -> str:
    """Read it as a client does, use all that comes of it, and say what it was."""
    plan = PLANS[given.plan]
    answer = Response(given.status, given.headers, given.body)
    outcome: PartialResult | PersonalizeError
    try:
        outcome = wire.read(answer)
    except PersonalizeError as error:
        check_error(error)
        outcome = error
    good = PartialResult({KEYS[1]: experience(KEYS[1])}, lambda: None)
    found = merge_results(plan, [outcome, good][: len(plan.asks)], wire.decode)
    touch(found)
    if isinstance(outcome, PersonalizeError):
        return type(outcome).__name__
    reasons = {found.reason(key) for key in outcome.experiences}
    return "value, some malformed" if "malformed" in reasons else "value" if "served" in reasons else "value, empty"


def check_error(error: PersonalizeError) -> None:
    """It tells no secret, can be pickled, and the guard knows what to do about it."""
    told = f"{error}{error!r}"
    hold(not any(secret in told for secret in SECRETS), "an error tells a secret")
    hold(told.isprintable(), "an error text holds what cannot be printed")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 -- read is what this line has written, nothing from outside
    hold(type(back) is type(error) and str(back) == str(error) and vars(back) == vars(error), "pickled, it is another")
    if isinstance(error, APIError):
        hold(400 <= error.status < 600, "an APIError for no error")
    if isinstance(error, RateLimited) and error.retry_after is not None:
        hold(0 <= error.retry_after < math.inf, f"retry after {error.retry_after}")
    policy = RetryPolicy(2, CircuitBreaker())
    try:
        pause = policy.failed(error, 1, 0.9, 0.0, lambda: 0.5)
        hold(error.retryable and 0 <= pause <= 0.9, f"a pause of {pause}")
        policy.admit(0.9, 0.5)
    except PersonalizeError:
        pass


def touch(found: Experiences) -> None:
    """Use everything that a service can get at."""
    for key in (*found, *KEYS, "not-asked-for"):
        found.reason(key)
        found.value(key, "Title", "default")
        hold((key in found) == (found.reason(key) == "served"), "a reason that does not fit")
    for experience in found.values():
        touch_one(experience)
    hold(found.contexts().keys() == found.keys(), "contexts that do not fit")
    hold(len(found) == len(list(found)) and repr(found), "a length that does not fit")


def touch_one(experience: Any) -> None:
    """Use one; its type is not told, because what the types promise is checked."""
    hold(len(dict(experience)) == len(experience) and repr(experience), "a length that does not fit")
    for name in experience:
        hold(isinstance(experience.string(name, ""), str), "text of another type")
        hold(isinstance(experience.boolean(name, False), bool), "a boolean of another type")
        hold(isinstance(experience.json(name, []), dict | list), "JSON of another type")
        number = experience.number(name, 0)
        hold(isinstance(number, int) or math.isfinite(number), "a number that is none")
    context = experience.context
    hold(ExperienceContext.from_json(context.to_json()) == context, "another context after its way through JSON")
    hold(context.attributes() == dict(context) and repr(context), "attributes that are not the context")


# ---- Raw bytes through a dialogue ------------------------------------------------------------------------------------


def _head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


SURPLUS = (
    _head("200 OK", "Content-Length: 2") + b"{}",
    _head("200 OK", "Content-Length: 0"),
    _head("204 No Content"),
    _head("200 OK", "X: y"),
    b"\r\n",
    b"\n",
    b"0\r\n\r\n",
    b"\x00",
)
RAW = (
    _head("200 OK", "Server: x", "Content-Length: 20", "Content-Type: application/json") + b'{"experiences": {} }',
    _head("200 OK", "content-length:20") + b'{"experiences":\r\n{}}',
    _head("200 OK", "Transfer-Encoding: chunked") + b'a\r\n{"experien\r\n9;x=y\r\nces": {}}\r\n0\r\n\r\n',
    _head("200 OK", "transfer-encoding: Chunked") + b"2\r\n{}\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
    _head("103 Early Hints", "Link: x") + _head("200 OK", "Content-Length: 2") + b"{}",
    _head("100 Continue") * 2 + _head("404 Not Found", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    *SURPLUS[:4],
    _head("204 No Content", "Content-Length: 5"),
    _head("304 Not Modified", "Content-Length: 5"),
    _head("200 OK", "Content-Length: 2", "Connection: close") + b"{}",
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
ENDINGS = (
    *(b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\n\n", b"\r\n\r\n", b"\r\n\n", b"\n\r\n"),
    *(b"", b" \r\n", b"\x0b", b"\x85"),
)


def _lines(dice: Random, data: bytes) -> tuple[int, int]:
    """Where a line ends."""
    found = [match.span() for match in re.finditer(rb"\r?\n", data)]
    return dice.choice(found) if found else (len(data), len(data))


def other_ending(dice: Random, data: bytes) -> bytes:
    start, end = _lines(dice, data)
    return data[:start] + dice.choice(ENDINGS) + data[end:]


def other_line(dice: Random, data: bytes) -> bytes:
    _, end = _lines(dice, data)
    return data[:end] + dice.choice((*LINES, *SIZES)) + b"\r\n" + data[end:]


def other_number(dice: Random, data: bytes) -> bytes:
    found = [match.span() for match in re.finditer(rb"[0-9a-f]+(?=[\r\n; ])", data)]
    start, end = dice.choice(found) if found else (0, 0)
    return data[:start] + dice.choice((*SIZES, b"1", b"2", b"9", b"20", b"204", b"101", b"304")) + data[end:]


def with_surplus(dice: Random, data: bytes) -> bytes:
    """Another answer behind it, or in it."""
    at = len(data) if dice.random() < 0.5 else dice.choice((_lines(dice, data)[1], dice.randrange(len(data) + 1)))
    return data[:at] + dice.choice(SURPLUS) + data[at:]


RAW_EDITS: tuple[Edit, ...] = (other_ending, other_line, other_number, with_surplus) * 3 + EDITS[:-1]


def make_raw(dice: Random) -> tuple[bytes, ...]:
    data = dice.choice(RAW)
    return pieces(dice, edited(dice, data, RAW_EDITS, most=3) if dice.random() < 0.95 else data)


def check_raw(given: tuple[bytes, ...]) -> str:
    """It ends the same way whatever the pieces, and a connection that is kept serves the next request with its own."""
    ended, body, dialogue = heard(given)
    whole, same, _ = heard((b"".join(given),))
    hold((ended, body) == (whole, same) or "behind" in ended + whole, f"{ended} in pieces, {whole} in one")
    if ended != "clean":
        return ended
    again, content = Content(), b'{"experiences": {"own": {}}}'
    dialogue.begins()
    answer = _head("200 OK", f"Content-Length: {len(content)}") + content
    hold(dialogue.hears(answer, again, Deadline(60)), "clean, but the next answer has no end")
    hold(dialogue.status == 200 and again.unpack({}) == content, "clean, but the next answer is another")
    return ended


def heard(given: Sequence[bytes]) -> tuple[str, bytes, Dialogue]:
    """How an answer in these pieces ended, its body, and what heard it."""
    dialogue, content = Dialogue(Epoch()), Content()
    dialogue.begins()
    rest = [piece for piece in given if piece]
    try:
        while rest:
            if dialogue.hears(rest.pop(0), content, Deadline(60)):
                # What is not read yet makes the socket readable, and the connection unfit.
                kept = dialogue.clean and not rest
                return "clean" if kept else "whole, something behind it or the end", content.unpack({}), dialogue
    except (httpcore.LocalProtocolError, httpcore.RemoteProtocolError, TooLarge) as error:
        return type(error).__name__, b"", dialogue
    return "waits for more", content.unpack({}), dialogue


# ---- Packed bodies ---------------------------------------------------------------------------------------------------


@frozen
class Packed:
    """A body as it stands on the wire, and its headers."""

    headers: Mapping[str, str]
    pieces: tuple[bytes, ...]


@cache
def packed_large(size: int) -> bytes:
    return gzip.compress(bytes(size), mtime=0)


def make_packed(dice: Random) -> Packed:
    chance = dice.random()
    large = UNPACKED + dice.choice((0, 1, 10**6))
    data = packed_large(large) if chance < 0.005 else gzip.compress(body(dice), 1, mtime=0)
    data = edited(dice, data) if chance > 0.3 else data * dice.randint(1, 2)
    data = bytes(ON_THE_WIRE - 1) + data if 0.005 < chance < 0.007 else data
    return Packed(headers(dice) | ({"content-encoding": "gzip"} if dice.random() < 0.8 else {}), pieces(dice, data))


def check_packed(given: Packed) -> str:
    content = Content()
    try:
        for piece in given.pieces:
            content.take(piece)
        found = content.unpack(given.headers)
    except (BadlyPacked, TooLarge) as error:
        return type(error).__name__
    hold(len(found) <= UNPACKED, f"a body of {len(found)} bytes")
    return "unpacked"


# ---- Cases -----------------------------------------------------------------------------------------------------------


@frozen
class Kind:
    """How a kind of case is made and what must hold for it."""

    make: Callable[[Random], Any]
    check: Callable[[Any], str]


KINDS = {
    "answer": Kind(make_answer, check_answer),
    "dialogue": Kind(make_raw, check_raw),
    "content": Kind(make_packed, check_packed),
}
SHARES = ("answer",) * 5 + ("dialogue",) * 4 + ("content",)


@frozen
class Failure:
    case: int
    kind: str
    error: str
    where: str
    given: str

    @property
    def like(self) -> tuple[str, str]:
        """The same for failures of one kind."""
        own = BrokenPromiseError.__name__
        return self.error if self.error.startswith(own) else self.error.partition("(")[0], self.where


@define
class Report:
    """What came of some cases."""

    outcomes: Counter[tuple[str, str]] = Factory(Counter[tuple[str, str]])
    failures: list[Failure] = Factory(list[Failure])
    broken: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    lost: list[str] = field(factory=list[str])

    def add(self, other: Report) -> None:
        self.outcomes += other.outcomes
        self.broken += other.broken
        self.slowest = max(self.slowest, other.slowest)
        for failure in other.failures:
            self.fail(failure)

    def fail(self, failure: Failure) -> None:
        """Keep the first few of each kind, by where they were raised."""
        known = {one.like for one in self.failures}
        if failure.like not in known and len(self.failures) < KINDS_OF_FAILURE:
            self.failures.append(failure)


def dice_of(seed: int, case: int) -> Random:
    return Random(seed << 40 | case)  # noqa: S311 -- a case must come again from its seed, which secure randomness cannot


def run(seed: int, start: int, stop: int) -> Report:
    """The cases from start up to stop."""
    report = Report()
    for case in range(start, stop):
        dice = dice_of(seed, case)
        name = dice.choice(SHARES)
        given = KINDS[name].make(dice)
        started = time.perf_counter()
        try:
            outcome = KINDS[name].check(given)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it should not have come out
            outcome = f"FAILED: {type(error).__name__}"
            report.broken += 1
            report.fail(Failure(case, name, repr(error)[:SHOWN], _where(error), repr(given)[:SHOWN]))
        report.slowest = max(report.slowest, (time.perf_counter() - started, case))
        report.outcomes[name, outcome] += 1
    return report


def _where(error: Exception) -> str:
    """The last place in the wrapper, where an error has one: what lies below differs from depth to depth."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "moengage_personalize" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].line}"


def fuzz(cases: int, seed: int) -> Report:
    """All the cases, on every core."""
    report = Report()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        starts = range(0, cases, BATCH)
        tasks = {processes.submit(run, seed, start, min(cases, start + BATCH)): start for start in starts}
        for task, start in tasks.items():
            try:
                report.add(task.result())
            except Exception as error:  # noqa: BLE001 -- a process that died, by a stack that was too deep perhaps
                report.lost.append(f"cases from {start}: {error!r}")
    return report


def show(console: Console, report: Report, seed: int, seconds: float) -> None:
    table = Table(title="What the cases ended as", title_justify="left")
    table.add_column("kind")
    table.add_column("outcome")
    table.add_column("cases", justify="right")
    for (kind, outcome), number in sorted(report.outcomes.items(), key=lambda item: (item[0][0], -item[1])):
        table.add_row(kind, outcome, f"{number:,}")
    console.print(table)
    total = report.outcomes.total()
    slowest, case = report.slowest
    console.print(f"seed {seed}: {total:,} cases in {seconds:.1f} s, {total / seconds:,.0f} cases/s", highlight=False)
    console.print(f"slowest: case {case}, {slowest * 1000:.0f} ms; failures: {report.broken:,}", highlight=False)
    for failure in report.failures:
        console.print(f"\n[red]FAILED[/] --seed {seed} --only {failure.case} ({failure.kind})", highlight=False)
        for line in (failure.error, failure.where, failure.given):
            console.print("    " + escape(plain(line)), highlight=False, soft_wrap=True)
    for lost in report.lost[:KINDS_OF_FAILURE]:
        console.print(f"[red]LOST[/] --seed {seed}, {escape(lost)}", highlight=False)


def plain(text: str) -> str:
    """What any terminal can show: an input may hold lone surrogates."""
    return text.encode("ascii", "backslashreplace").decode()


def again(seed: int, case: int) -> str:
    """One case once more, its input printed whole; what it raises is raised."""
    dice = dice_of(seed, case)
    kind = KINDS[dice.choice(SHARES)]
    given = kind.make(dice)
    print(ascii(given))
    return kind.check(given)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Mutated answers through the pure core.")
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--only", type=int, metavar="CASE", help="one case again, its input in full")
    arguments = parser.parse_args()
    if arguments.only is not None:
        print(again(arguments.seed, arguments.only))
        return 0
    started = time.perf_counter()
    report = fuzz(arguments.cases, arguments.seed)
    show(Console(), report, arguments.seed, time.perf_counter() - started)
    return 1 if report.broken or report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
