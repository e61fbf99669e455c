"""Finds an OpenAPI document in what a maintainer points at, and keeps its bytes as they are."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from attrs import frozen
from ruamel.yaml.error import YAMLError

from . import Object, StepFailed, is_object, load_yaml

# https://spec.commonmark.org/0.31.2/#fenced-code-blocks: the closing fence is at least as long as the opening one, so
# that a document with ``` inside stands between four.
FENCED = re.compile(
    rb"^ {0,3}(?P<fence>`{3,}|~{3,})[^\r\n]*\r?\n(?P<body>.*?)^ {0,3}(?P=fence)[`~]*[ \t]*\r?$",
    re.MULTILINE | re.DOTALL,
)


@frozen
class Source:
    name: str
    """What SOURCE.toml records: an address, or the name of a file without its folder."""
    content: bytes
    document: Object


def parse(content: bytes) -> Object | None:
    """The OpenAPI document that these bytes are, or None."""
    try:
        document = load_yaml(content.decode("utf-8-sig"))
    except (YAMLError, ValueError):
        return None
    return document if is_object(document) and "openapi" in document else None


def read(location: str) -> Source:
    """A YAML or JSON file, an http(s) address, or a documentation page with the document fenced inside."""
    content = _fetch(location) if re.match(r"https?://", location) else _open(location)
    name = location if "://" in location else Path(location).name
    document = parse(content)
    if document is not None:
        return Source(name, content, document)
    fenced = [(body, parsed) for body in _fenced(content) if (parsed := parse(body)) is not None]
    if len(fenced) != 1:
        expected = "expected an OpenAPI document in YAML or JSON, or a page with exactly one fenced inside"
        raise StepFailed("read", f"{expected}, got {len(content)} bytes with {len(fenced)} fenced in {location!r}")
    return Source(name, *fenced[0])


def _fenced(content: bytes) -> list[bytes]:
    return [match["body"] for match in FENCED.finditer(content)]


def _open(location: str) -> bytes:
    try:
        return Path(location).read_bytes()
    except OSError as error:
        raise StepFailed("read", f"expected a file or an http(s) address, got {location!r} ({error})") from error


def _fetch(location: str) -> bytes:
    try:
        return httpx.get(location, follow_redirects=True, timeout=30).raise_for_status().content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StepFailed("read", f"expected an answer from {location!r}, got {error}") from error
