"""YAML and JSON Schema, with the types that their libraries leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from ruamel.yaml import YAML


def load(path: Path) -> Any:
    """What a YAML 1.2 file holds."""
    return cast(Any, YAML(typ="safe", pure=True)).load(path.read_text("utf-8"))


def checker(schema: Mapping[str, Any]) -> Callable[[object], Iterator[ValidationError]]:
    """What finds where a value does not fit a schema; made once, because making it reads the whole schema."""
    check: Callable[[object], Iterator[ValidationError]] = cast(Any, Draft202012Validator(schema)).iter_errors
    return check
