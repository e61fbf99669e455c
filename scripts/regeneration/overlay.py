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

from . import Object, StepFailed

STEP = "overlay"


def apply(document: Object, overlay: Object) -> Object:
    """The document with every action of the overlay applied in order; the one passed in stays as it is."""
    if not str(overlay.get("overlay", "")).startswith("1.1."):
        raise StepFailed(STEP, f"expected an OpenAPI Overlay 1.1 document, got version {overlay.get('overlay')!r}")
    patched = copy.deepcopy(document)
    misfits = [misfit for action in overlay["actions"] for misfit in _act(patched, action)]
    if misfits:
        raise StepFailed(STEP, "\n".join([f"{len(misfits)} action(s) no longer fit the document", *misfits]))
    return patched


def _act(document: Object, action: Object) -> Iterator[str]:
    matches = list(jsonpath.finditer(action["target"], document))
    reason = _misfit(matches, action)
    if reason:
        name = action.get("description") or "(an action without a description)"
        yield f"  - {name}\n      target: {action['target']}\n      {reason}"
        return
    for match in reversed(matches):  # from the end, so that removing an item leaves the earlier indices true
        if match.parent is None:
            merge(document, action["update"])
        elif action.get("remove"):
            del _node(match.parent)[match.parts[-1]]
        else:
            _node(match.parent)[match.parts[-1]] = merge(match.obj, action["update"])


def _misfit(matches: list[jsonpath.JSONPathMatch], action: Object) -> str | None:
    if ("update" in action) == bool(action.get("remove")):
        return "expected either update or remove"
    if not matches:
        return "expected at least one match, got none"
    if any(isinstance(match.obj, dict) and "$ref" in match.obj for match in matches):
        return "expected the schema itself, got a $ref, beside which nothing counts"
    if action.get("remove") and any(match.parent is None for match in matches):
        return "expected something inside the document to remove, got the whole document"
    if "x-expect" in action:
        for match in matches:
            if not contains(match.obj, action["x-expect"]):
                return f"expected to replace {action['x-expect']!r}, got {_shorten(match.obj)}"
    return None


def _node(match: jsonpath.JSONPathMatch) -> Any:
    return match.obj


def merge(old: Any, new: Any) -> Any:
    """`new` over `old`: objects merge key by key, arrays are concatenated, anything else is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            old[key] = merge(old[key], value) if key in old else copy.deepcopy(value)
        return old
    if isinstance(old, list):
        return old + (copy.deepcopy(new) if isinstance(new, list) else [copy.deepcopy(new)])
    return copy.deepcopy(new)


def contains(actual: Any, expected: Any) -> bool:
    """Whether everything in `expected` stands in `actual`; an object may hold more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in expected.items()
        )
    return bool(actual == expected)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
