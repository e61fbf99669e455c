"""YAML and JSON Schema, with the types that their libraries leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from ruamel.yaml import YAML


def load(path: Traversable) -> Any:
    """What a YAML 1.2 file holds; a file or, in a zipapp, a resource."""
    return cast(Any, YAML(typ="safe", pure=True)).load(path.read_text("utf-8"))


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
