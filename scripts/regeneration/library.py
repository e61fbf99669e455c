"""The HTTP library that the wrapper and the generated client speak with: httpx, or httpx2, which continues it.

Law of this module: one file of the wrapper names it, and what is generated follows that file.
"""

from __future__ import annotations

import re
from pathlib import Path

from . import ROOT, StepFailed

NAMED = ROOT / "wrapper" / "moengage_personalize" / "_http.py"
LIBRARIES = ("httpx", "httpx2")
IMPORT = re.compile(r"^import (httpcore|httpx)(2?) as \1$", re.MULTILINE)


def current() -> str:
    """The library that the wrapper names now."""
    found: set[str] = {suffix for _, suffix in IMPORT.findall(NAMED.read_text("utf-8"))}
    if len(found) != 1:
        raise StepFailed("library", f"expected {NAMED.name} to import httpcore and httpx of one kind, got another text")
    return "httpx" + found.pop()


def switched(library: str) -> str:
    """The file of the wrapper, naming this library."""
    suffix = library.removeprefix("httpx")
    return IMPORT.sub(rf"import \g<1>{suffix} as \1", NAMED.read_text("utf-8"))


def follow(package: Path, library: str) -> None:
    """Let a generated package, which imports httpx, import this library."""
    if library == "httpx":
        return
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        path.write_text(re.sub(r"^import httpx$", f"import {library} as httpx", text, flags=re.MULTILINE), "utf-8")
