"""Merges our own document of further operations into one that may have come to describe them itself.

Where the document has a path, its own description stands. Two things of ours are laid over it all the same: names
(operationId, tags, title), because they decide what the generated modules and classes are called and the wrapper
imports those; and which fields of a request are required, because the API refuses a request without them whatever the
document says. Where the document lacks a path, ours is put in and marked, so that the report can say when it gives way.
"""

from __future__ import annotations

import copy
from typing import Any

from . import Object, StepFailed, is_list, is_object
from .references import resolve

STEP = "companion"
NAMES = ("operationId", "tags", "title")
MARK = "x-described-by"
COMPANION = "spec/companion.yaml"


def merge(document: Object, companion: Object) -> Object:
    """The document with each path and component of the companion that it lacks; the one passed in stays as it is."""
    if not is_object(companion.get("paths")) or not all(map(is_object, companion.get("components", {}).values())):
        raise StepFailed(STEP, f"{COMPANION}: expected paths and components to be objects, got something else")
    merged = copy.deepcopy(document)
    for path, item in companion["paths"].items():
        if path in merged["paths"]:
            _lay_over(merged["paths"][path], item, merged)
        else:
            merged["paths"][path] = {MARK: COMPANION, **copy.deepcopy(item)}
    for kind, parts in companion.get("components", {}).items():
        ours = merged.setdefault("components", {}).setdefault(kind, {})
        merged["components"][kind] = copy.deepcopy(parts) | ours
    return merged


def _lay_over(theirs: Any, ours: Any, document: Object) -> None:
    """Lay names and required fields over what stands at the same place, through each $ref."""
    theirs = resolve(theirs, document)
    if not is_object(theirs) or not is_object(ours):
        return
    for key, value in ours.items():
        if key == "content" and is_object(theirs.get(key)) and len(theirs[key]) == len(value) == 1:
            # The only media type, whatever it is called.
            _lay_over(next(iter(theirs[key].values())), next(iter(value.values())), document)
        elif key in NAMES and not is_object(value):  # a property may be called title, too
            theirs[key] = copy.deepcopy(value)
        elif key == "required" and is_list(value) and is_object(theirs.get("properties")):
            known = theirs.get("required", [])
            theirs[key] = known + [name for name in value if name not in known and name in theirs["properties"]]
        elif key in theirs:
            _lay_over(theirs[key], value, document)
