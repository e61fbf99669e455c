"""Holds a document against what the wrapper knows by heart: the table in facts.py.

The places of that table are JSONPaths into the document as a caller meets it: references are followed, and every
operation has the servers, the security and the parameters that hold for it, whether they stand in it or above it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import jsonpath
from attrs import frozen

from . import Object, is_list, is_object
from .references import linked

Rule = Literal["equals", "includes", "admits", "if listed", "names"]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@frozen
class Fact:
    """One row.

    `place` is a JSONPath into the document with references followed, in which each operation has the servers, the
    security and the parameters that hold for it. `rule` says how what is there has to be to `value`:

        equals      everything there is the value
        includes    the value is among it, in any case
        admits      it is a list with every one of the values, or there is none
        if listed   it is a list of exactly the values, or there is none
        names       it is an object with every one of the names
    """

    constant: str
    place: str
    rule: Rule
    value: Any


def as_met(document: Object) -> Object:
    """A copy of a document in which each operation holds all that is true of it."""
    met: Object = linked(copy.deepcopy(document), "contract").document
    schemes = met.get("components", {}).get("securitySchemes", {})
    for item in met["paths"].values():
        for method in METHODS:
            operation = item.get(method)
            if is_object(operation):
                operation["servers"] = operation.get("servers") or item.get("servers") or met.get("servers", [])
                operation["security"] = _schemes(operation.get("security", met.get("security")), schemes)
                operation["parameters"] = parameters(item, operation)
    return met


def parameters(item: Object, operation: Object) -> list[Object]:
    """All parameters of an operation; its own come before those of its path, which they replace."""
    found: dict[tuple[Any, Any], Object] = {}
    for parameter in [*operation.get("parameters", []), *item.get("parameters", [])]:
        found.setdefault((parameter.get("in"), parameter.get("name")), parameter)
    return list(found.values())


def _schemes(requirements: Any, schemes: Object) -> list[list[Object]]:
    """The ways in, each as the schemes that it takes together."""
    stated: list[Object] = requirements if is_list(requirements) else []
    return [[schemes[name] for name in one if name in schemes] for one in stated]


def misfits(document: Object, facts: Iterable[Fact]) -> list[str]:
    """Every row that the document contradicts: the constant, the place and both values."""
    met = as_met(document)
    return [misfit for fact in facts for misfit in _misfit(met, fact)]


def _misfit(document: Object, fact: Fact) -> Iterator[str]:
    found = [match.obj for match in jsonpath.finditer(fact.place, document)]
    if not _holds(fact.rule, fact.value, found):
        expected = f"{WORDS[fact.rule]}{fact.value!r}"
        yield f"{fact.constant}: expected {expected} at {fact.place}, got {_came(found)}"


WORDS = {"equals": "", "includes": "", "admits": "all of ", "if listed": "exactly ", "names": "the fields "}


def _holds(rule: str, value: Any, found: list[Any]) -> bool:
    if rule == "equals":
        return bool(found) and all(one == value for one in found)
    if rule == "includes":
        return any(_folded(one) == _folded(value) for one in found)
    if rule == "admits":
        return all(is_list(one) and set(value) <= set(one) for one in found)
    if rule == "if listed":
        return all(is_list(one) and set(value) == set(one) for one in found)
    return bool(found) and all(is_object(one) and set(value) <= set(one) for one in found)


def _folded(value: Any) -> Any:
    """Names of headers and schemes of HTTP are the same in any case: https://www.rfc-editor.org/rfc/rfc9110#section-5.1"""
    return value.casefold() if isinstance(value, str) else value


def _came(found: list[Any]) -> str:
    shown = [sorted(one) if is_object(one) else one for one in found]
    return "nothing" if not shown else repr(shown[0]) if len(shown) == 1 else f"{len(shown)} of them: {shown!r}"
