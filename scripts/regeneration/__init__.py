"""Vendored document -> overlay -> validation -> openapi-python-client -> ruff -> generated/.

Law of this package: nothing in spec/ or generated/ is touched before every step has succeeded, and a step that fails
says which one it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Object = dict[str, Any]


class StepFailed(Exception):
    """One step of a regeneration could not be done; nothing has been changed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
