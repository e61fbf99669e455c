"""A file of experiences as JSON values, with the line of each.

People write these files by hand. YAML has types that JSON lacks (dates, sets, bytes), keeps the last of two equal keys
in silence, and a reader that stops at the first mistake makes its author run it again and again. So the text is read as
a tree of nodes, and turned into values here: every mistake is kept with its line, and the rest is read on.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from attrs import Factory, define, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Place = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")}
_NAMES = {"timestamp": "a date", "binary": "bytes", "set": "a set", "omap": "an ordered mapping", "pairs": "pairs"}


@frozen(order=True)
class Mistake:
    """What is wrong with a file or with a value; line 0 where there is none."""

    line: int
    place: str
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}, {self.place}" if self.line else self.place
        return f"{where}: {self.reason}"


@define
class Document:
    """A value that is JSON but for its mistakes, and the lines on which its parts stand."""

    value: Any = None
    mistakes: list[Mistake] = Factory(list[Mistake])
    _lines: dict[Place, int] = Factory(dict[Place, int])
    _open: set[int] = Factory(set[int])

    def mistaken(self, place: Place, reason: str) -> None:
        """Keep a mistake at a place, with the line of the place or of what it stands in."""
        line = next((self._lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self._lines), 0)
        self.mistakes.append(Mistake(line, written(place), reason))

    def stands(self, place: Place, line: int) -> None:
        """Keep the line of a place."""
        self._lines.setdefault(place, line)

    @contextmanager
    def within(self, part: object, place: Place) -> Generator[bool]:
        """Whether a part may be read: not while it is being read already, or it would never end."""
        if id(part) in self._open:
            self.mistaken(place, "expected a JSON value, got one that holds itself")
            yield False
            return
        self._open.add(id(part))
        yield True
        self._open.remove(id(part))


def written(place: Place) -> str:
    """A place as people write it: $.experiences[0].name; a name that is no plain word in quotes."""
    parts = (f".{one}" if str(one).isidentifier() else f"[{one!r}]" for one in place)
    return "$" + "".join(parts)


def from_text(text: str) -> Document:
    """Read YAML 1.2."""
    document = Document()
    yaml = cast(Any, YAML(typ="safe", pure=True))
    try:
        node = yaml.compose(text)
        document.value = None if node is None else _from_node(node, (), document, yaml.constructor)
    except MarkedYAMLError as error:
        marked: Any = error
        line = 0 if marked.problem_mark is None else marked.problem_mark.line + 1
        document.mistakes.append(Mistake(line, "$", f"expected YAML, got a mistake: {marked.problem}"))
    except YAMLError as error:
        document.mistakes.append(Mistake(0, "$", f"expected YAML, got a mistake: {str(error).splitlines()[0]}"))
    except RecursionError:
        document.mistakes.append(Mistake(0, "$", "expected YAML, got one that is nested too deep"))
    return document


def from_value(value: object) -> Document:
    """Read a value of Python's own."""
    document = Document()
    try:
        document.value = _from_value(value, (), document)
    except RecursionError:
        document.mistaken((), "expected a JSON value, got one that is nested too deep")
    return document


def _from_node(node: Any, place: Place, document: Document, constructor: Any) -> Any:
    document.stands(place, node.start_mark.line + 1)
    tag = str(node.tag)
    with document.within(node, place) as readable:
        if not readable:
            return None
        if node.id == "mapping" and tag == f"{_TAG}map":
            return _mapping(node, place, document, constructor)
        if node.id == "sequence" and tag == f"{_TAG}seq":
            return [_from_node(one, (*place, at), document, constructor) for at, one in enumerate(node.value)]
        if node.id == "scalar" and tag in _SCALARS:
            try:
                return _from_value(constructor.construct_object(node), place, document)
            except ValueError as error:  # an integer of thousands of digits, !!int x
                document.mistaken(place, f"expected a JSON value, got {error}")
                return None
    kind = _NAMES.get(tag.removeprefix(_TAG), f"a value with the tag {tag!r}")
    document.mistaken(place, f"expected a JSON value, got {kind} (in quotes it is text)")
    return None


def _mapping(node: Any, place: Place, document: Document, constructor: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.id != "scalar" or str(key.tag) != f"{_TAG}str":
            text = repr(key.value) if key.id == "scalar" else "a collection"
            reason = f"expected text as the name of a field, got {text} (in quotes it is text)"
            document.mistakes.append(Mistake(line, written(place), reason))
            continue
        name = str(key.value)
        if name in found:
            document.mistakes.append(Mistake(line, written((*place, name)), "expected each field once, got it again"))
            continue
        document.stands((*place, name), line)
        found[name] = _from_node(value, (*place, name), document, constructor)
    return found


def _from_value(value: object, place: Place, document: Document) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            document.mistaken(place, f"expected a finite number, got {value}")
        return value
    if not isinstance(value, Mapping | list | tuple):
        document.mistaken(place, f"expected a JSON value, got {type(value).__name__}")
        return None
    with document.within(cast(object, value), place) as readable:
        if not readable:
            return None
        if isinstance(value, Mapping):
            return _fields(cast(Mapping[object, object], value), place, document)
        parts = cast(Sequence[object], value)
        return [_from_value(one, (*place, at), document) for at, one in enumerate(parts)]


def _fields(value: Mapping[object, object], place: Place, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(name, str):
            found[name] = _from_value(one, (*place, name), document)
        else:
            document.mistaken(place, f"expected text as the name of a field, got {name!r}")
    return found
