"""Moves what was built into its place, all of it or nothing, whatever ends the process.

A run works in a folder `.regenerate-PID-…` beside spec/ and generated/, on the same file system, so that a move is a
rename. Old pieces are first moved aside into that folder. If a rename fails, those that were moved aside are put back.
If the process is killed meanwhile, the next run finds the folder of a process that is gone, and puts them back then.
Once every piece is in its place, the folder with the old ones is renamed, which says that there is nothing to put back.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from . import Project, StepFailed, step

PREFIX = ".regenerate-"
ASIDE, REPLACED = "aside", "replaced"
Moves = Sequence[tuple[Path, Path]]


@contextmanager
def workshop(project: Project) -> Generator[Path]:
    """A folder of this run's own, gone at its end; those of runs that were killed go, too."""
    with step("prepare"):
        sweep(project)
        folder = tempfile.TemporaryDirectory(
            prefix=f"{PREFIX}{os.getpid()}-", dir=project.root, ignore_cleanup_errors=True
        )
    with folder as name:
        yield Path(name)


def sweep(project: Project) -> None:
    """Put back what killed runs have moved aside, and remove their folders."""
    places = {place.name: place for place in (project.generated, project.vendored, project.record)}
    for folder in project.root.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and _lives(int(owner)):
            continue
        for old in (folder / ASIDE).glob("*"):
            if old.name in places:
                _replace(old, places[old.name])
        shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()


def move(moves: Moves, folder: Path) -> None:
    """Put every new piece in its place, or, if one cannot be, every old one back."""
    aside = folder / ASIDE
    begun: list[Path] = []
    try:
        aside.mkdir()
        for new, place in moves:
            begun.append(place)
            place.parent.mkdir(exist_ok=True)
            if place.exists():
                place.rename(aside / place.name)
            new.rename(place)
        aside.rename(folder / REPLACED)
    except BaseException as error:
        for place in begun:
            if (aside / place.name).exists():
                _replace(aside / place.name, place)
        if isinstance(error, OSError):
            raise StepFailed("move", str(error)) from error
        raise


def _replace(old: Path, place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    old.replace(place)


def files(folder: Path) -> set[Path]:
    """What is in a package, by its path inside; compiled files are none of it."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder) for path in found}


def digest(folder: Path) -> str:
    """One number for all that is in a package."""
    whole = sha256()
    for name in sorted(files(folder), key=Path.as_posix):
        for part in (name.as_posix().encode("utf-8", "surrogateescape"), (folder / name).read_bytes()):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()
