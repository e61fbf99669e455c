"""Vendored document -> overlay -> companion -> validation -> openapi-python-client -> ruff -> generated/.

Nothing in spec/ or generated/ is touched before every step has succeeded, and a step that fails says which one it was
and why. `command` is the command line, and its `_rebuild` the way through all of the steps; every other module is one
of them.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "moengage_personalize_api"

Object = dict[str, Any]


class Project:
    """Where everything stands, below one folder."""

    def __init__(self, root: Path) -> None:
        spec = root / "spec"
        self.root = root
        self.vendored = spec / "personalize-experience.yaml"  # the document as it was published, byte for byte
        self.record = spec / "SOURCE.toml"  # where that came from
        self.overlay = spec / "overlay.yaml"  # our names and corrections
        self.companion = spec / "companion.yaml"  # the operations that the document lacks
        self.configuration = spec / "generator.yaml"  # what the generator is told
        self.generated = root / "generated" / PACKAGE  # what is written
        self.wrapper = root / "wrapper"  # what imports that


class StepFailed(Exception):
    """One step of a regeneration could not be done; nothing has been changed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step, self.reason = step, reason


@contextmanager
def step(name: str) -> Generator[None]:
    """Turn whatever fails inside into a StepFailed that names this step; only an interrupt gets out as it is."""
    try:
        yield
    except StepFailed:
        raise
    except RecursionError as error:
        raise StepFailed(name, "expected fewer levels inside one another, got more than Python can follow") from error
    except Exception as error:
        reason = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise StepFailed(name, reason) from error


def is_object(value: object) -> TypeGuard[Object]:
    """Whether a value is a mapping; `reading` has seen to it that its keys are text."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def parts(value: object) -> list[tuple[Any, Any]]:
    """What is inside a value, with its name or index; nothing where there is no inside."""
    if is_object(value):
        return list(value.items())
    return list(enumerate(value)) if is_list(value) else []


def part(value: object, name: Any) -> Any:
    """What is in this place inside a value, None if there is none."""
    if is_object(value):
        return value.get(name)
    return value[name] if is_list(value) and isinstance(name, int) and 0 <= name < len(value) else None
