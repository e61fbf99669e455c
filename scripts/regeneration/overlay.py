"""Applies an OpenAPI Overlay 1.1 document strictly: https://spec.openapis.org/overlay/v1.1.0.html

The specification lets an action that selects nothing succeed. Here it fails, and so does one that would write beside a
$ref (OpenAPI 3.0 ignores what stands there) or that finds something other than its `x-expect`: what upstream renamed,
moved or corrected must not be lost in silence. Every action that no longer fits is named, not only the first.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonpath

from . import Object, StepFailed, is_list, is_object

STEP = "overlay"


def apply(document: Object, overlay: Object) -> Object:
    """The document with every action of the overlay applied in order; the one passed in stays as it is."""
    if not str(overlay.get("overlay", "")).startswith("1.1."):
        raise StepFailed(STEP, f"expected an OpenAPI Overlay 1.1 document, got version {overlay.get('overlay')!r}")
    patched = {"$": copy.deepcopy(document)}  # inside another, so that the whole document can be replaced like a part
    misfits = [misfit for action in overlay["actions"] for misfit in _act(patched, action)]
    if misfits:
        raise StepFailed(STEP, "\n".join([f"{len(misfits)} action(s) no longer fit the document", *misfits]))
    return patched["$"]


def _act(holder: Object, action: Object) -> Iterator[str]:
    matches = list(jsonpath.finditer(action["target"], holder["$"]))
    reason = _misfit(matches, action)
    if reason:
        name = action.get("description") or "(an action without a description)"
        yield f"  - {name}\n      target: {action['target']}\n      {reason}"
        return
    for match in reversed(matches):  # from the end, so that removing an item leaves the earlier indices true
        container: Any = holder if match.parent is None else match.parent.obj
        place = match.parts[-1] if match.parts else "$"
        if action.get("remove"):
            del container[place]
        else:
            container[place] = merge(match.obj, action["update"])


def _misfit(matches: list[jsonpath.JSONPathMatch], action: Object) -> str | None:
    if ("update" in action) == bool(action.get("remove")):
        return "expected either update or remove"
    if not matches:
        return "expected at least one match, got none"
    if any(is_object(match.obj) and "$ref" in match.obj for match in matches):
        return "expected the schema itself, got a $ref, beside which nothing counts"
    if action.get("remove") and any(match.parent is None for match in matches):
        return "expected something inside the document to remove, got the whole document"
    if "x-expect" in action:
        for match in matches:
            if not contains(match.obj, action["x-expect"]):
                return f"expected to replace {action['x-expect']!r}, got {_shorten(match.obj)}"
    return None


def merge(old: Any, new: Any) -> Any:
    """`new` over `old`: objects merge key by key, arrays are concatenated, anything else is replaced."""
    new = copy.deepcopy(new)
    if is_object(old) and is_object(new):
        return old | {key: merge(old[key], value) if key in old else value for key, value in new.items()}
    if is_list(old):
        return old + (new if is_list(new) else [new])
    return new


def contains(actual: Any, expected: Any) -> bool:
    """Whether everything in `expected` stands in `actual`; an object may hold more."""
    if is_object(expected):
        inside = actual if is_object(actual) else {}
        return all(key in inside and contains(inside[key], value) for key, value in expected.items())
    return bool(actual == expected)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
