"""Merges our own document of further operations into one that may have come to describe them itself.

Law of this module: what the document says, stands. Only names are laid over it (operationId, tags, title), because they
decide what the generated modules and classes are called, and the wrapper imports those.
"""

from __future__ import annotations

import copy
from typing import Any

from . import Object, is_object

NAMES = ("operationId", "tags", "title")


def merge(document: Object, companion: Object) -> Object:
    """The document with each path and component of the companion that it lacks; the one passed in stays as it is."""
    merged = copy.deepcopy(document)
    for path, item in companion["paths"].items():
        if path in merged["paths"]:
            _name(merged["paths"][path], item, merged)
        else:
            merged["paths"][path] = copy.deepcopy(item)
    for kind, parts in companion["components"].items():
        ours = merged.setdefault("components", {}).setdefault(kind, {})
        merged["components"][kind] = copy.deepcopy(parts) | ours
    return merged


def _name(theirs: Any, ours: Any, document: Object) -> None:
    """Lay our names over what stands at the same place, through each $ref."""
    theirs = _resolved(theirs, document)
    if is_object(theirs) and is_object(ours):
        for key, value in ours.items():
            if key in NAMES and not is_object(value):  # a property may be called title, too
                theirs[key] = copy.deepcopy(value)
            elif key in theirs:
                _name(theirs[key], value, document)


def _resolved(part: Any, document: Object) -> Any:
    while is_object(part) and str(part.get("$ref", "")).startswith("#/"):
        reference: str = part["$ref"]
        part = document
        for step in reference[2:].split("/"):
            part = part.get(step.replace("~1", "/").replace("~0", "~"))
    return part
