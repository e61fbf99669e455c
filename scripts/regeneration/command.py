"""The command line of scripts/regenerate."""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from . import ROOT, StepFailed, changes, generate, library, source

VENDORED = ROOT / "spec" / "personalize-experience.yaml"
RECORD = ROOT / "spec" / "SOURCE.toml"
GENERATED = ROOT / "generated" / generate.PACKAGE

FITS, FAILED, WRAPPER_MISFIT = 0, 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, as its help says."""
    parser = argparse.ArgumentParser(
        prog="regenerate",
        description="Rebuild generated/ from spec/: document, overlay, validation, generator, format.",
        epilog="Exit status: 0 done; 1 drift or a failed step, nothing changed; 3 done, the wrapper no longer fits.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; exit 1 with a diff on drift")
    choice.add_argument(
        "--from",
        dest="location",
        metavar="SOURCE",
        help="vendor a new edition first: a YAML or JSON file, an http(s) URL, or a page with it fenced inside",
    )
    parser.add_argument(
        "--http", choices=library.LIBRARIES, help="move wrapper and generated client to this HTTP library"
    )
    options = parser.parse_args(arguments)
    if options.check and options.http:
        parser.error("argument --http: not allowed with argument --check")
    try:
        generate.check_pins()
        with tempfile.TemporaryDirectory(prefix=".regenerate-", dir=ROOT) as folder:
            return _check(Path(folder)) if options.check else _rebuild(Path(folder), options.location, options.http)
    except StepFailed as failure:
        print(f"regenerate: failed at {failure}\nregenerate: nothing was changed", file=sys.stderr)
        return FAILED


def _rebuild(folder: Path, location: str | None, http: str | None) -> int:
    vendored = source.read(str(VENDORED))
    edition = source.read(location) if location else vendored
    package = generate.build(edition.document, folder, http or library.current())
    moves = [(package, GENERATED)]
    if http:
        (folder / library.NAMED.name).write_text(library.switched(http), "utf-8")
        moves.append((folder / library.NAMED.name, library.NAMED))
    if location:
        print(f"read {edition.name}: {len(edition.content):,} bytes, sha256 {_sha256(edition.content)}")
        _report(changes.between(vendored.document, edition.document))
    if edition.content != vendored.content:
        (folder / VENDORED.name).write_bytes(edition.content)
        (folder / RECORD.name).write_text(_record(edition), "utf-8")
        moves += [(folder / VENDORED.name, VENDORED), (folder / RECORD.name, RECORD)]
    drifted = _differences(GENERATED, package)
    _move(moves, folder)
    print(f"generated/{generate.PACKAGE}: {len(drifted)} file(s) changed")
    return _wrapper_fits()


def _check(folder: Path) -> int:
    recorded, actual = tomllib.loads(RECORD.read_text("utf-8"))["sha256"], _sha256(VENDORED.read_bytes())
    if recorded != actual:
        print(f"spec/{VENDORED.name}: expected sha256 {recorded} (spec/{RECORD.name}), got {actual}")
        return FAILED
    package = generate.build(source.read(str(VENDORED)).document, folder, library.current())
    drifted = _differences(GENERATED, package)
    for difference in drifted.values():
        sys.stdout.writelines(difference)
    print(f"generated/{generate.PACKAGE}: {len(drifted)} file(s) drifted")
    return FAILED if drifted else FITS


def _report(found: Sequence[changes.Change]) -> None:
    if not found:
        print("changes: none that a caller meets")
    for breaking, title in ((True, "breaking"), (False, "not breaking")):
        lines = [change.text for change in found if change.breaking == breaking]
        if lines:
            print("\n".join([f"changes, {title}:", *(f"  {line}" for line in lines)]))


def _differences(old: Path, new: Path) -> dict[str, list[str]]:
    """A unified diff for each file that is not the same in both folders."""
    differences: dict[str, list[str]] = {}
    for name in sorted(_files(old) | _files(new)):
        before, after = _lines(old / name), _lines(new / name)
        if before != after:
            lines = difflib.unified_diff(before or [], after or [], f"generated/{name}", f"regenerated/{name}")
            differences[name] = list(lines) or [f"only in one of them: {name}\n"]
    return differences


def _lines(path: Path) -> list[str] | None:
    return path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else None


def _files(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in paths}


def _move(moves: Sequence[tuple[Path, Path]], folder: Path) -> None:
    """Put every new piece in its place, or, if one cannot be, every old one back."""
    aside = folder / "aside"
    aside.mkdir()
    begun: list[Path] = []
    try:
        for new, place in moves:
            begun.append(place)
            place.parent.mkdir(exist_ok=True)
            if place.exists():
                place.rename(aside / place.name)
            new.rename(place)
    except BaseException as error:
        for place in begun:
            if (aside / place.name).exists():
                shutil.rmtree(place, ignore_errors=True)
                (aside / place.name).replace(place)
        if isinstance(error, OSError):
            raise StepFailed("move", str(error)) from error
        raise


def _wrapper_fits() -> int:
    """Type-check the wrapper against what now stands in generated/: what no longer fits is an error with its place."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "wrapper"]
    environment = {**os.environ, "MYPYPATH": str(GENERATED.parent)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"wrapper: no longer fits here\n{done.stdout.strip()}")
        return WRAPPER_MISFIT
    print("wrapper: fits (mypy)")
    return FITS


def _record(edition: source.Source) -> str:
    return (
        f"# Where spec/{VENDORED.name} came from. Written by scripts/regenerate --from; checked by --check.\n"
        f"source = {json.dumps(edition.name, ensure_ascii=False)}\n"
        f"retrieved = {datetime.now(UTC).date().isoformat()}\n"
        f'sha256 = "{_sha256(edition.content)}"\n'
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
