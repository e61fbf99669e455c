"""JSON Schema, with the types that its library leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, ValidationError


class Checker:
    """Finds where a value does not fit a schema, which is read when it is first needed, because that takes long."""

    def __init__(self, schema: Callable[[], Mapping[str, Any]]) -> None:
        self._schema = schema

    @cached_property
    def _validator(self) -> Any:
        return Draft202012Validator(self._schema())

    def misfits(self, value: object) -> Iterator[ValidationError]:
        """Each place that does not fit."""
        found: Iterator[ValidationError] = self._validator.iter_errors(value)
        return found


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these fields and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def some(item: Any) -> dict[str, Any]:
    """The schema of a list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}
