"""Reads YAML 1.2 or JSON into plain JSON values, and says what is wrong with it and where.

YAML is composed by ruamel.yaml into nodes, and the nodes are made into values here, by the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema). Its own constructors would make a date of `2026-01-01`, and an integer
of a key `200`, which OpenAPI has as text. Three more things are seen to on the way, because a document comes from
outside: a mapping may not have the same key twice, an alias may not make a small text a large value (each is counted
as often as it is used), and nothing is nested so deeply that Python cannot follow.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scanner import Scanner

from . import Object, StepFailed, is_list, is_object

LIMIT = 5_000_000  # bytes of a source, and characters of the values in it once every alias is written out
DEPTH = 100  # levels; the published documents have 24
TAG = "tag:yaml.org,2002:"
NULL = re.compile(r"null|Null|NULL|~|")
BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
LIKE_JSON = re.compile(r"\s*(\{\s*[\"}]|\[)")


class Unreadable(Exception):
    """A text is not YAML or JSON; the message says what and in which line."""


def parse(text: str) -> Any:
    """The value that a text holds; raise Unreadable."""
    try:
        return _json(text) if LIKE_JSON.match(text) else _yaml(text)
    except RecursionError:
        raise Unreadable(f"expected at most {DEPTH} levels inside one another, got far more") from None


def load_own(path: Path, step: str) -> Object:
    """A file of ours that holds a mapping; StepFailed with its name and what is wrong with it."""
    try:
        loaded = parse(path.read_text("utf-8"))
    except (OSError, ValueError, Unreadable) as error:
        raise StepFailed(step, f"spec/{path.name}: {error}") from error
    if not is_object(loaded):
        raise StepFailed(step, f"spec/{path.name}: expected a mapping, got {type(loaded).__name__}")
    return loaded


class _Scanner(Scanner):
    """Differs from its base in two things.

    It takes the first line that is not blank for the indentation of a block, whatever blanks the lines before have:
    three documents of MoEngage have a literal block that begins with a line of more blanks than the next. The
    specification calls that an error, many readers do not. And it stops at so many open brackets, because the base
    takes the square of their number in time.
    """

    def fetch_flow_collection_start(self, *arguments: Any, **options: Any) -> None:
        scanner, base = cast(Any, self), cast(Any, super())
        if len(scanner.flow_context) > DEPTH:
            raise RecursionError
        base.fetch_flow_collection_start(*arguments, **options)

    def scan_block_scalar_indentation(self) -> Any:
        scanner: Any = self  # ruamel.yaml leaves much without a type
        breaks: list[str] = []
        end = scanner.reader.get_mark()
        while scanner.reader.peek() in " \r\n\x85\u2028\u2029":
            if scanner.reader.peek() == " ":
                scanner.reader.forward()
            else:
                breaks.append(scanner.scan_line_break())
                end = scanner.reader.get_mark()
        return breaks, scanner.reader.column, end


def _yaml(text: str) -> Any:
    reader: Any = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    try:
        node = reader.compose(text)
    except MarkedYAMLError as error:
        raise Unreadable(_words(error)) from error
    except YAMLError as error:
        raise Unreadable(" ".join(str(error).split())) from error
    return None if node is None else _Values().of(node)


def _words(error: Any) -> str:
    """The parser's own words in one line, and where."""
    said = ", ".join(str(part) for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    return said if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {said}"


class _Values:
    """Makes values of nodes, and counts. A node is Any: ruamel.yaml leaves its attributes without a type."""

    def __init__(self) -> None:
        self._left = LIMIT
        self._inside: list[Any] = []

    def of(self, node: Any) -> Any:
        if node in self._inside:
            raise Unreadable(f"{_line(node)}: expected values, got an anchor that contains itself")
        self._count(node, 4)
        if node.id == "scalar":
            return self._scalar(node)
        if len(self._inside) >= DEPTH:
            raise Unreadable(f"{_line(node)}: expected at most {DEPTH} levels inside one another, got more")
        self._inside.append(node)
        value = self._mapping(node) if node.id == "mapping" else [self.of(inner) for inner in node.value]
        self._inside.pop()
        return value

    def _scalar(self, node: Any) -> Any:
        text: str = node.value
        self._count(node, len(text))
        tag = _tag(node)
        if node.style is not None or tag == "str":
            return text
        if NULL.fullmatch(text):
            return None
        if BOOLEAN.fullmatch(text):
            return text.lower() == "true"
        if INTEGER.fullmatch(text):
            return int(text, 0) if text.startswith("0") and text[1:2] in ("o", "x") else _integer(text, _line(node))
        if FLOAT.fullmatch(text):
            return _finite(text, _line(node))
        if NO_NUMBER.fullmatch(text):
            raise Unreadable(f"{_line(node)}: expected a number that JSON has, got {text}")
        return text

    def _mapping(self, node: Any) -> Object:
        own: Object = {}
        merged: Object = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                raise Unreadable(f"{_line(key_node)}: expected a key as text, got a collection")
            key: str = key_node.value
            self._count(key_node, len(key))
            if key in own:
                raise Unreadable(f"{_line(key_node)}: found duplicate key {key!r}")
            if key == "<<" and key_node.style is None:
                for part in self._merges(value_node):
                    merged = part | merged
            else:
                own[key] = self.of(value_node)
        return merged | own

    def _merges(self, node: Any) -> list[Object]:
        """What `<<` brings; not of YAML 1.2, but written by people all the same."""
        value = self.of(node)
        parts = value if is_list(value) else [value]
        if not all(is_object(part) for part in parts):
            raise Unreadable(f"{_line(node)}: expected a mapping or mappings to merge, got something else")
        return parts

    def _count(self, node: Any, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            limit = f"expected at most {LIMIT:,} characters once every alias is written out"
            raise Unreadable(f"{_line(node)}: {limit}, got more")


def _tag(node: Any) -> str:
    """The type that a node was given or is guessed to have; only those that JSON has."""
    tag = str(node.tag)
    short = tag.removeprefix(TAG)
    if not tag.startswith(TAG) or short in ("binary", "set", "omap", "pairs"):
        raise Unreadable(f"{_line(node)}: expected a value that JSON has, too, got the tag {tag}")
    return short


def _line(node: Any) -> str:
    mark = node.start_mark
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _json(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise Unreadable(str(error)) from error
    _check_depth(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> Object:
    made: Object = {}
    for key, value in pairs:
        if key in made:
            raise Unreadable(f"found duplicate key {key!r}")
        made[key] = value
    return made


def _constant(name: str) -> Any:
    raise Unreadable(f"expected a number that JSON has, got {name}")


def _finite(text: str, where: str = "somewhere") -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable(f"{where}: expected a number that a float can hold, got a larger one")
    return value


def _integer(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Unreadable(f"{where}: {error}") from error


def _check_depth(value: Any, depth: int) -> None:
    if depth > DEPTH:
        raise Unreadable(f"expected at most {DEPTH} levels inside one another, got more")
    inner = value.values() if is_object(value) else value if is_list(value) else ()
    for part in inner:
        _check_depth(part, depth + 1)
