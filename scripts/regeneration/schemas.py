"""One schema of OpenAPI 3.0 or 3.1 in a form in which two can be compared, whichever way they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from attrs import Factory, define, frozen

from . import Object, is_list, is_object

NUMBERS = (int, float)
ANY = frozenset({"any"})
# What says something to people, or to other tools, and nothing about a value.
WORDS = {"description", "title", "example", "examples", "externalDocs", "xml", "$comment", "discriminator"}
SHAPE = {"type", "nullable", "enum", "const", "x-extensible-enum", "properties", "required", "additionalProperties"}
SHAPE_OF_PARTS = {"items", "allOf", "oneOf", "anyOf"}
UPPER = ("maxItems", "maxLength", "maximum", "exclusiveMaximum", "maxProperties")
LOWER = ("minItems", "minLength", "minimum", "exclusiveMinimum", "minProperties")
OTHER = ("pattern", "multipleOf", "uniqueItems", "format", "default", "deprecated", "readOnly", "writeOnly")
KEYWORDS = {*UPPER, *LOWER, *OTHER}
KNOWN = WORDS | SHAPE | SHAPE_OF_PARTS | KEYWORDS


@frozen
class Node:
    """A part of a document, and the pointer to where it stands, behind every reference."""

    value: Any
    pointer: str

    def get(self, name: str) -> Any:
        """What is there, as it stands."""
        return self.value.get(name) if is_object(self.value) else None

    def inside(self, name: str) -> Object:
        """An object that is there, an empty one where there is none."""
        found = self.get(name)
        return found if is_object(found) else {}


Into = Callable[[Any, str], Node]


@define
class View:
    """A schema with what its `allOf` adds, and with what is understood without being said."""

    types: frozenset[str]
    values: list[Any] | None = None
    """Those of its enum; None if any value is admitted."""
    open: bool = False
    """Whether the values are only those that are known (x-extensible-enum)."""
    title: str | None = None
    """If the generator names a class after it."""
    properties: dict[str, Node] = Factory(dict[str, Any])
    required: set[str] = Factory(set[str])
    further: Node | None = None
    """The schema of fields that it does not name; None if there may be none."""
    items: Node | None = None
    variants: list[Node] = Factory(list[Any])
    keywords: Object = Factory(dict[str, Any])
    others: Object = Factory(dict[str, Any])
    """What is not known here."""

    @classmethod
    def of(cls, schema: Any, into: Into) -> View:
        """The view of a schema; `into` resolves a part of it and remembers the way."""
        merged = _merged(schema, into)
        view = cls(frozenset(_types(merged, into)))
        view.values, view.open = _values(merged)
        view.properties = {
            name: into(inner, f"properties/{name}") for name, inner in _get(merged, "properties").items()
        }
        view.required = set(merged.get("required", ()))
        further = merged.get("additionalProperties", True)
        if further is not False:
            view.further = into({} if further is True else further, "additionalProperties")
        if "items" in merged:
            view.items = into(merged["items"], "items")
        view.variants = [into(inner, way) for inner, way in _variants(merged)]
        view.keywords = {name: value for name, value in merged.items() if name in KEYWORDS}
        view.others = {name: value for name, value in merged.items() if name not in KNOWN and name[:2] != "x-"}
        if view.properties or (view.values is not None and not view.open):
            view.title = merged.get("title")
        return view

    def admits(self, other: View) -> bool:
        """Whether every type of another is one of its own."""
        return self.types >= ANY or other.types <= self.types | ({"integer"} if "number" in self.types else set())


def same(one: Any, another: Any) -> bool:
    """Whether two parts of documents say the same, wording and order of fields left out."""
    return json.dumps(_without_words(one), sort_keys=True) == json.dumps(_without_words(another), sort_keys=True)


def _without_words(part: Any) -> Any:
    if is_list(part):
        return [_without_words(inner) for inner in part]
    if not is_object(part):
        return part
    return {name: _without_words(inner) for name, inner in part.items() if name not in WORDS or is_object(inner)}


def _get(schema: Object, name: str) -> Object:
    found = schema.get(name)
    return found if is_object(found) else {}


def _merged(schema: Any, into: Into) -> Object:
    """A schema and everything in its `allOf`, and the only one of its variants, as one."""
    if not is_object(schema):  # true and false are schemas of 3.1
        return {} if schema is not False else {"not": {}}
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    parts = [(part, f"allOf/{index}") for index, part in enumerate(schema.get("allOf", []))]
    for name in ("oneOf", "anyOf"):
        if len(merged.get(name, ())) == 1:
            parts.append((merged.pop(name)[0], f"{name}/0"))
    for part, way in parts:
        inner = _merged(into(part, way).value, into)
        for name, value in inner.items():
            if name == "properties":
                merged[name] = {**value, **_get(merged, name)}
            elif name == "required":
                merged[name] = [*merged.get(name, []), *value]
            else:
                merged.setdefault(name, value)
    return merged


def _variants(schema: Object) -> Iterable[tuple[Any, str]]:
    for name in ("oneOf", "anyOf"):
        for index, part in enumerate(schema.get(name, ())):
            yield part, f"{name}/{index}"


def _types(schema: Object, into: Into) -> Iterable[str]:
    stated = schema.get("type")
    variants = [_merged(into(part, way).value, into) for part, way in _variants(schema)]
    if stated is not None:
        yield from stated if is_list(stated) else [stated]
    elif variants:
        for variant in variants:
            yield from _types(variant, into)
    elif schema.get("properties") or "additionalProperties" in schema:
        yield "object"
    else:
        yield "array" if "items" in schema else "any"
    if schema.get("nullable"):
        yield "null"


def _values(schema: Object) -> tuple[list[Any] | None, bool]:
    if is_list(schema.get("enum")):
        return schema["enum"], False
    if "const" in schema:
        return [schema["const"]], False
    known = schema.get("x-extensible-enum")
    return (known, True) if is_list(known) else (None, False)
