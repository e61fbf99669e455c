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

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "moengage_personalize_api"

Object = dict[str, Any]


@frozen
class Project:
    """Where everything stands, below one folder."""

    root: Path

    @property
    def vendored(self) -> Path:
        """The document as it was published, byte for byte."""
        return self.root / "spec" / "personalize-experience.yaml"

    @property
    def record(self) -> Path:
        """Where that came from."""
        return self.root / "spec" / "SOURCE.toml"

    @property
    def overlay(self) -> Path:
        """Our names and corrections."""
        return self.root / "spec" / "overlay.yaml"

    @property
    def companion(self) -> Path:
        """The operations that the document lacks."""
        return self.root / "spec" / "companion.yaml"

    @property
    def configuration(self) -> Path:
        """What the generator is told."""
        return self.root / "spec" / "generator.yaml"

    @property
    def generated(self) -> Path:
        """The package that is written."""
        return self.root / "generated" / PACKAGE

    @property
    def wrapper(self) -> Path:
        """What imports that package."""
        return self.root / "wrapper"


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
