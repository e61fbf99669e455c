"""Applies an OpenAPI Overlay 1.1 document strictly: https://spec.openapis.org/overlay/v1.1.0.html

The specification lets an action that selects nothing succeed. Here it fails, and so does one that finds something other
than its `x-expect`: what upstream renamed or corrected must not be lost in silence. Every action that no longer fits is
named, not only the first. What moved is followed: a target goes through each `$ref`, and an update reaches the schema
itself wherever it stands.

Four flags are our own; a tool that does not know them still applies the overlay:

    x-expect            what the target has to hold (an object may hold more), else the action no longer fits
    x-optional          of a removal: there may be nothing to remove, because upstream may not have it, or no longer
    x-keep-as           of a removal: what is removed stays beside it under this name, for the report and the wrapper's
                        contract to read; the generator does not know the name
    x-class-overrides   how the generator has to rename the classes that it makes of the target, as in generator.yaml
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonpath
from attrs import Factory, define

from . import Object, StepFailed, is_list, is_object, part, parts
from .references import Linked, linked, reference, resolve

STEP = "overlay"


Place = tuple[Any, ...]


@define
class Applied:
    """What came of an overlay."""

    document: Object
    class_overrides: Object = Factory(dict[str, Any])
    followed: dict[tuple[Place, str], int] = Factory(dict[tuple[Place, str], int])
    """How many actions have gone through which reference: where it stands, and what it leads to."""


def moved(applied: Applied, before: object) -> list[str]:
    """What has moved behind a reference since an earlier effective document, one line for each cause."""
    return [
        f"{' '.join(map(str, place)).removeprefix('paths ')} is now a $ref to {target}: "
        f"{count} action(s) of the overlay follow it"
        for (place, target), count in applied.followed.items()
        if reference(_found(before, place)) != target
    ]


def _found(document: object, place: Place) -> object:
    """What stands in a place, through the references on the way to it; None if there is nothing."""
    node: object = document
    for name in place:
        node = part(resolve(node, document), name)
    return node


def apply(document: Object, overlay: Object) -> Applied:
    """Apply every action in order; the document that was passed in stays as it is. `references.check` has passed it."""
    _check(overlay)
    graph = linked(copy.deepcopy(document), STEP)
    holder = {"$": graph.document}  # inside another, so that the whole document can be replaced like a part
    misfits: dict[str, list[str]] = {}
    applied = Applied(document)
    for action in overlay["actions"]:
        try:
            matches = _matches(holder["$"], action["target"])
            reason = _misfit(matches, action) or _nothing(matches, action, holder["$"])
        except jsonpath.JSONPathError as error:
            matches, reason = [], f"expected a JSONPath of RFC 9535, got one that is not: {error}"
        if reason:
            misfits.setdefault(reason, []).append(_named(action))
            continue
        for passed in {passed for match in matches for passed in _passed(match, graph)}:
            applied.followed[passed] = applied.followed.get(passed, 0) + 1
        _act(holder, matches, action)
        if matches:
            applied.class_overrides |= action.get("x-class-overrides", {})
    if misfits:
        told = [line for reason, named in misfits.items() for line in (f"  {reason}", *named)]
        count = sum(map(len, misfits.values()))
        raise StepFailed(STEP, "\n".join([f"{count} action(s) no longer fit the document", *told]))
    applied.document = Linked(holder["$"], graph.followed).unlinked()
    return applied


def _check(overlay: Object) -> None:
    if not str(overlay.get("overlay", "")).startswith("1.1."):
        raise StepFailed(STEP, f"expected an OpenAPI Overlay 1.1 document, got version {overlay.get('overlay')!r}")
    actions = overlay.get("actions")
    if not is_list(actions) or not all(is_object(one) and isinstance(one.get("target"), str) for one in actions):
        raise StepFailed(STEP, "expected actions to be a list of objects with a target each, got something else")


def _matches(document: Any, target: str) -> list[jsonpath.JSONPathMatch]:
    """Each place once, however many ways lead to it."""
    places: dict[tuple[int, Any], jsonpath.JSONPathMatch] = {}
    for match in jsonpath.finditer(target, document):
        container = None if match.parent is None else match.parent.obj
        places.setdefault((id(container), match.parts[-1] if match.parts else "$"), match)
    return list(places.values())


def _passed(match: jsonpath.JSONPathMatch, graph: Linked) -> Iterator[tuple[Place, str]]:
    """The references that lie on the way to a match, with what they lead to."""
    step = match
    while step.parent is not None:
        target = graph.reference(step.parent.obj, step.parts[-1])
        if target is not None:
            yield tuple(step.parts), target
        step = step.parent


def _act(holder: Any, matches: list[jsonpath.JSONPathMatch], action: Object) -> None:
    for match in reversed(matches):  # from the end, so that removing an item leaves the earlier indices true
        container: Any = holder if match.parent is None else match.parent.obj
        place = match.parts[-1] if match.parts else "$"
        if "update" in action:
            container[place] = merge(match.obj, action["update"])
        else:
            if "x-keep-as" in action:
                container[action["x-keep-as"]] = container[place]
            del container[place]


def _misfit(matches: list[jsonpath.JSONPathMatch], action: Object) -> str | None:
    removes = action.get("remove") is True
    if ("update" in action) == removes:
        return "expected either update or remove: true"
    if not removes and ("x-optional" in action or "x-keep-as" in action):
        return "expected x-optional and x-keep-as with remove only"
    if removes and any(match.parent is None for match in matches):
        return "expected something inside the document to remove, got the whole document"
    if "x-expect" in action:
        for match in matches:
            if not contains(match.obj, action["x-expect"]):
                return f"expected to replace {action['x-expect']!r}, got {_shorten(repr(match.obj))}"
    return None


def _nothing(matches: list[jsonpath.JSONPathMatch], action: Object, document: Any) -> str | None:
    """Up to where a target leads that selects nothing: what is missing there is the cause of every action beyond it."""
    if matches or action.get("x-optional") is True:
        return None
    path = jsonpath.compile(action["target"])
    if not isinstance(path, jsonpath.JSONPath):  # several in one, by an extension of the library
        return "expected at least one match, got none"
    length, reached, found = len(path.segments), path, list[Any]()
    while not found:  # which ends at the document itself
        length -= 1
        reached = jsonpath.JSONPath(env=path.env, segments=path.segments[:length])
        found = reached.findall(document)
    there = ", ".join(sorted({str(name) for one in found for name, _ in parts(one)})) or "nothing"
    return f"expected at least one match, got none: no {path.segments[length]} in {reached}, only {_shorten(there)}"


def merge(old: Any, new: Any) -> Any:
    """`new` into `old`: objects merge key by key, arrays are concatenated, anything else is replaced.

    An object or array stays the same one, because it may stand in several places.
    """
    if is_object(old) and is_object(new):
        for key, value in new.items():
            old[key] = merge(old[key], value) if key in old else copy.deepcopy(value)
    elif is_list(old):
        old.extend(copy.deepcopy(new if is_list(new) else [new]))
    else:
        return copy.deepcopy(new)
    return old


def contains(actual: Any, expected: Any) -> bool:
    """Whether everything in `expected` stands in `actual`; an object may hold more."""
    if is_object(expected):
        inside = actual if is_object(actual) else {}
        return all(key in inside and contains(inside[key], value) for key, value in expected.items())
    return bool(actual == expected)


def _named(action: Object) -> str:
    name = " ".join(str(action.get("description") or "(an action without a description)").split())
    return f"    - {name}\n      target: {action['target']}"


def _shorten(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
