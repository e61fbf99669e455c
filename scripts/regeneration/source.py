"""Finds an OpenAPI document in what a maintainer points at, and keeps its bytes as they are.

What a maintainer points at is a file, an address, or a documentation page with the document in a fenced block. What
comes from outside is limited in size and time, and what is refused is refused with the reason that the parser gave.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx
from attrs import frozen

from . import Object, StepFailed, is_list, is_object, references
from .reading import LIMIT, Unreadable, parse

STEP = "read"
SECONDS = 10.0  # wall clock for all of a download, redirects included
# https://spec.commonmark.org/0.31.2/#fenced-code-blocks, at any indentation, because a fence may stand inside a list or
# a component of a page; the closing one is at least as long and hardly more indented, so that what looks like a fence
# inside a description of the document does not close it.
OPENING = re.compile(r"(?P<lead>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
# With the version, because a page may name its operation as "openapi: post /x" before the text.
TOP_LEVEL = re.compile(r"""^(\{\s*)?["']?(openapi|swagger)["']?[ \t]*:\s*["']?\d""", re.MULTILINE)
WANTED = "expected an OpenAPI document in YAML or JSON, or a page with exactly one fenced inside"


@frozen
class Source:
    """One edition of the document."""

    name: str
    """What SOURCE.toml records: an address without user, password and query, or the name of a file."""
    content: bytes
    document: Object


@frozen
class Fence:
    """A fenced block of a page; lines count from 1."""

    line: int
    content: str
    closed: bool


def read(location: str) -> Source:
    """A YAML or JSON file, an http(s) or file address, or a documentation page with the document fenced inside."""
    if not location.strip():
        raise StepFailed(STEP, "expected a file or an http(s) address, got an empty text")
    name, content = _content(location)
    try:
        return Source(name, *find(content))
    except Unreadable as error:
        raise StepFailed(STEP, f"{name}: {error}") from error


def find(content: bytes) -> tuple[bytes, Object]:
    """The document in these bytes, as bytes and as a value; raise Unreadable."""
    text = _text(content)
    fences = list(fenced(text))
    documents = [fence for fence in fences if TOP_LEVEL.search(fence.content)]
    if TOP_LEVEL.search(_without(text, documents)) or text.lstrip().startswith("{"):
        return content, _document(parse(text))
    if len(documents) == 1:
        return _fenced_document(documents[0])
    if documents:
        lines = ", ".join(str(fence.line) for fence in documents)
        raise Unreadable(f"{WANTED}, got {len(documents)} (lines {lines}); save the one that is meant as a file")
    if re.search(r"<!doctype html|<html", text[:2000], re.IGNORECASE):
        raise Unreadable(f"{WANTED}, got HTML; many pages have a Markdown edition at the same address with .md")
    unclosed = [f"; the fence in line {fence.line} is not closed" for fence in fences if not fence.closed]
    if fences or not text.strip():
        raise Unreadable(f"{WANTED}, got {len(content):,} bytes with {len(fences)} fenced{''.join(unclosed)}")
    return content, _document(parse(text))


def fenced(text: str) -> Iterator[Fence]:
    """The fenced blocks of a page."""
    lines = enumerate(text.splitlines(keepends=True), 1)
    for number, line in lines:
        opening = OPENING.match(line)
        if opening is None:
            continue
        indent, fence = len(opening["lead"]), opening["fence"]
        closing = re.compile(rf"[ \t]{{0,{indent + 3}}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*\r?\n?")
        inside: list[str] = []
        closed = False
        for _, inner in lines:
            if closing.fullmatch(inner):
                closed = True
                break
            inside.append(inner)
        blanks = [len(inner) - len(inner.lstrip(" \t")) for inner in inside if inner.strip()]
        cut = min([indent, *blanks])
        yield Fence(number, "".join(inner[cut:] if inner.strip() else inner for inner in inside), closed)


def _fenced_document(fence: Fence) -> tuple[bytes, Object]:
    if not fence.closed:
        raise Unreadable(f"expected the fence in line {fence.line} to be closed, got the end of the page")
    try:
        return fence.content.encode(), _document(parse(fence.content))
    except Unreadable as error:
        raise Unreadable(f"in the block that is fenced in line {fence.line}: {error}") from error


def _without(text: str, fences: list[Fence]) -> str:
    """What stands outside these fences."""
    lines = text.splitlines(keepends=True)
    for fence in fences:
        end = fence.line + len(fence.content.splitlines())
        lines[fence.line - 1 : end] = [""] * (end - fence.line + 1)
    return "".join(lines)


def _text(content: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")):
        if content.startswith(mark):
            raise Unreadable(f"expected UTF-8, got {encoding}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line}: expected UTF-8, got the byte 0x{content[error.start]:02x}") from error


def _document(value: object) -> Object:
    """A value as a document, of whose outline every later step may be sure; the rest is validated after the overlay."""
    if not is_object(value):
        kind = "a list" if is_list(value) else "text without one"
        raise Unreadable(f"{WANTED}, got {kind}")
    if "swagger" in value:
        raise Unreadable(f"Swagger {value['swagger']} is not supported, expected OpenAPI 3.0 or 3.1")
    version = value.get("openapi")
    if not isinstance(version, str) or not re.match(r"3\.[01]\.\d+", version):
        raise Unreadable(f"expected openapi to be a version of 3.0 or 3.1 as text, such as '3.0.3', got {version!r}")
    _outline(value)
    references.check(value, STEP)
    return value


def _outline(document: Object) -> None:
    for name in ("paths", "components"):
        if name in document or name == "paths":
            part = document.get(name)
            if not is_object(part):
                raise Unreadable(f"expected {name} to be an object, got {part!r}")
            for inner_name, inner in part.items():
                if not is_object(inner) and not inner_name.startswith("x-"):
                    raise Unreadable(f"expected {name} {inner_name!r} to be an object, got {inner!r}")
    for name in ("servers", "security", "tags"):
        if name in document and not is_list(document[name]):
            raise Unreadable(f"expected {name} to be a list, got {document[name]!r}")


def _content(location: str) -> tuple[str, bytes]:
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise StepFailed(STEP, f"expected a file or an http(s) address, got {_shown(location)!r} ({error})") from error
    scheme = parts.scheme.lower()
    if "://" not in location or scheme == "file":
        path = Path(url2pathname(parts.path) if scheme == "file" and "://" in location else location)
        return _shown(path.name), _open(path)
    public = urlunsplit((scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if scheme not in ("http", "https"):
        raise StepFailed(STEP, f"expected a file or an http(s) address, got one with {scheme}:// ({public})")
    return public, asyncio.run(_download(location, public))


def _shown(name: str) -> str:
    """A name as text that can be written; a path may hold bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _open(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StepFailed(
            STEP, f"expected a file or an http(s) address, got {_shown(str(path))!r} ({reason})"
        ) from error
    _check_size(_shown(path.name), len(content))
    return content


async def _download(location: str, public: str) -> bytes:
    try:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(follow_redirects=True, max_redirects=5) as client:
            return await _received(client, location, public)
    except TimeoutError as error:
        raise StepFailed(STEP, f"expected all of {public} within {SECONDS:g} s, got a part of it") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # whose text may hold the address
        reason = type(error).__name__
        raise StepFailed(STEP, f"expected an answer from {public}, got none ({reason})") from error


async def _received(client: httpx.AsyncClient, location: str, public: str) -> bytes:
    content = bytearray()
    async with client.stream("GET", location, timeout=SECONDS) as answer:
        if answer.status_code != 200:
            raise StepFailed(STEP, f"expected status 200 from {public}, got {answer.status_code}")
        async for chunk in answer.aiter_bytes():
            content += chunk
            _check_size(public, len(content))
    return bytes(content)


def _check_size(name: str, size: int) -> None:
    if size > LIMIT:
        raise StepFailed(STEP, f"expected at most {LIMIT:,} bytes, got more from {name}")
