"""Tells two editions of an OpenAPI document apart: what a caller meets, breaking and not breaking.

A document is flattened to facts, one for each operation, field and answer; two sets of facts are compared. References
are followed, so that moving a schema under `components` is no change, and wording is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from . import Object, is_object

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@frozen
class Field:
    """One place where a value may stand, in a request (`sent`) or in an answer."""

    sent: bool
    types: frozenset[str]
    required: bool
    enum: frozenset[str] | None


@frozen
class Change:
    breaking: bool
    text: str


def between(old: Object, new: Object) -> list[Change]:
    """What changed from one edition to the next, breaking changes first."""
    changes = [*_operations(old, new), *_surroundings(old, new)]
    return sorted(changes, key=lambda change: (not change.breaking, change.text))


def _operations(old: Object, new: Object) -> Iterator[Change]:
    before, after = _facts(old), _facts(new)
    for operation in before.keys() - after.keys():
        yield Change(True, f"{operation}: operation removed")
    for operation in after.keys() - before.keys():
        yield Change(False, f"{operation}: operation added")
    for operation in before.keys() & after.keys():
        yield from _fields(operation, before[operation], after[operation])


def _fields(operation: str, before: dict[str, Field], after: dict[str, Field]) -> Iterator[Change]:
    for place in before.keys() - after.keys():
        yield Change(True, f"{operation}: {place} removed")
    for place in after.keys() - before.keys():
        must = after[place].sent and after[place].required
        yield Change(must, f"{operation}: {place} added{' and required' if must else ''}")
    for place in before.keys() & after.keys():
        for change in _field(before[place], after[place]):
            yield Change(change.breaking, f"{operation}: {place} {change.text}")


def _field(old: Field, new: Field) -> Iterator[Change]:
    """A request may allow more and an answer may promise more; the other way round breaks a caller."""
    if old.types != new.types:
        wider = "any" in new.types or old.types < new.types
        narrower = "any" in old.types or new.types < old.types
        text = f"type {'|'.join(sorted(old.types))} -> {'|'.join(sorted(new.types))}"
        yield Change(not (wider if old.sent else narrower), text)
    if old.required != new.required:
        yield Change(new.required == old.sent, "is now required" if new.required else "is no longer required")
    if (old.enum is None) != (new.enum is None):
        yield Change(old.sent and old.enum is None, "enum closed" if old.enum is None else "enum opened")
    if old.enum is not None and new.enum is not None:
        # An answer's enums are open in the generated client, so that a new value there breaks nobody.
        for value in sorted(old.enum - new.enum):
            yield Change(old.sent, f"enum value {value} removed")
        for value in sorted(new.enum - old.enum):
            yield Change(False, f"enum value {value} added")


def _surroundings(old: Object, new: Object) -> Iterator[Change]:
    if _servers(old) != _servers(new):
        yield Change(True, f"servers: {_servers(old)} -> {_servers(new)}")
    if _security(old) != _security(new):
        yield Change(True, f"security: {_security(old)} -> {_security(new)}")


def _servers(document: Object) -> list[str]:
    return [str(server.get("url")) for server in document.get("servers", [])]


def _security(document: Object) -> list[str]:
    schemes: Object = document.get("components", {}).get("securitySchemes", {})
    return sorted(f"{name} ({scheme.get('type')} {scheme.get('scheme', '')})" for name, scheme in schemes.items())


def _facts(document: Object) -> dict[str, dict[str, Field]]:
    facts: dict[str, dict[str, Field]] = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                shared = item.get("parameters", [])
                facts[f"{method.upper()} {path}"] = dict(_Walk(document).operation(item[method], shared))
    return facts


class _Walk:
    """Goes through one operation and yields its places; holds the document because references lead back into it."""

    def __init__(self, document: Object) -> None:
        self._document = document

    def operation(self, operation: Object, shared: list[Object]) -> Iterator[tuple[str, Field]]:
        for given in [*shared, *operation.get("parameters", [])]:
            parameter = self._resolve(given)
            place = f"{parameter['in']} parameter {parameter['name']}"
            required = bool(parameter.get("required"))
            yield from self._schema(place, parameter.get("schema", {}), sent=True, required=required, seen=())
        body = self._resolve(operation.get("requestBody", {}))
        for media, content in body.get("content", {}).items():
            required = bool(body.get("required"))
            yield from self._schema(
                f"request {media}", content.get("schema", {}), sent=True, required=required, seen=()
            )
        for status, given in operation.get("responses", {}).items():
            answer = self._resolve(given)
            yield f"response {status}", Field(False, frozenset({"answer"}), False, None)
            for media, content in answer.get("content", {}).items():
                place = f"response {status} {media}"
                yield from self._schema(place, content.get("schema", {}), sent=False, required=False, seen=())

    def _schema(
        self, place: str, given: Any, *, sent: bool, required: bool, seen: tuple[int, ...]
    ) -> Iterator[tuple[str, Field]]:
        schema = self._resolve(given) if is_object(given) else {}
        enum = schema.get("enum")
        values = None if enum is None else frozenset(map(str, enum))
        yield place, Field(sent, frozenset(self._types(schema)), required, values)
        if id(schema) in seen:  # a schema that contains itself
            return
        seen = (*seen, id(schema))
        for part in schema.get("allOf", []) + schema.get("oneOf", []) + schema.get("anyOf", []):
            for inner, field in self._schema(place, part, sent=sent, required=required, seen=seen):
                if inner != place:
                    yield inner, field
        needed = schema.get("required", [])
        for name, inner_schema in schema.get("properties", {}).items():
            yield from self._schema(f"{place} .{name}", inner_schema, sent=sent, required=name in needed, seen=seen)
        for suffix, key in ((".*", "additionalProperties"), ("[]", "items")):
            if schema.get(key, False) is not False:
                yield from self._schema(f"{place} {suffix}", schema[key], sent=sent, required=False, seen=seen)

    def _types(self, schema: Object) -> Iterator[str]:
        parts = [self._resolve(part) for key in ("allOf", "oneOf", "anyOf") for part in schema.get(key, [])]
        if "type" in schema:
            types = schema["type"]
            yield from types if isinstance(types, list) else [types]
        elif parts:
            for part in parts:
                yield from self._types(part)
        else:
            yield "any"
        if schema.get("nullable"):
            yield "null"

    def _resolve(self, node: Object) -> Object:
        followed: list[str] = []
        while "$ref" in node and node["$ref"].startswith("#/") and node["$ref"] not in followed:
            followed.append(node["$ref"])
            target: Any = self._document
            for part in node["$ref"][2:].split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node
