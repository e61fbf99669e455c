"""JSON Schema, with the types that its library leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError


def checker(schema: Mapping[str, Any]) -> Callable[[object], Iterator[ValidationError]]:
    """What finds where a value does not fit a schema; made once, because making it reads the whole schema."""
    check: Callable[[object], Iterator[ValidationError]] = cast(Any, Draft202012Validator(schema)).iter_errors
    return check


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these fields and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def some(item: Any) -> dict[str, Any]:
    """The schema of a list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}
