"""Vendored document -> overlay -> validation -> openapi-python-client -> ruff -> generated/.

Law of this package: nothing in spec/ or generated/ is touched before every step has succeeded, and a step that fails
says which one it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard, cast

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]

Object = dict[str, Any]


def load_yaml(text: str) -> Any:
    """YAML 1.2, of which JSON is a part."""
    return cast(Any, YAML(typ="safe", pure=True)).load(text)


def is_object(value: object) -> TypeGuard[Object]:
    """Whether a value is a mapping, as every one in a document has text for keys."""
    return isinstance(value, dict)


class StepFailed(Exception):
    """One step of a regeneration could not be done; nothing has been changed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)
