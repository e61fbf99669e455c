"""The command line of scripts/regenerate."""

from __future__ import annotations

import argparse
import difflib
import hashlib
import io
import json
import os
import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from . import PACKAGE, ROOT, Project, StepFailed, changes, fit, generate, is_object, moving, overlay, source, step
from .report import FORMATS, Report

FITS, FAILED, WRAPPER_MISFIT, INTERRUPTED = 0, 1, 3, 130


@frozen
class Record:
    """What spec/SOURCE.toml says."""

    source: str
    retrieved: str
    sha256: str
    """Of the vendored document."""
    generated: str
    """Of the package that was written last."""

    @classmethod
    def read(cls, project: Project) -> Record:
        """Read it; StepFailed if it is broken."""
        name = f"spec/{project.record.name}"
        try:
            found = tomllib.loads(project.record.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise StepFailed("record", f"{name}: {error}") from error
        missing = [key for key in ("source", "sha256", "generated") if not isinstance(found.get(key), str)]
        if missing or not isinstance(found.get("retrieved"), date):
            wanted = "source, sha256 and generated as text and retrieved as a date"
            raise StepFailed("record", f"{name}: expected {wanted}, got {', '.join(found) or 'nothing'}")
        return cls(found["source"], found["retrieved"].isoformat(), found["sha256"], found["generated"])

    def written(self, project: Project) -> str:
        """As text; JSON's strings are TOML's."""
        return (
            f"# Where spec/{project.vendored.name} came from, and what was generated from it.\n"
            "# Written by scripts/regenerate and checked by it; nobody edits it.\n"
            f"source = {json.dumps(self.source, ensure_ascii=False)}\n"
            f"retrieved = {self.retrieved}\n"
            f"sha256 = {json.dumps(self.sha256)}\n"
            f"generated = {json.dumps(self.generated)}\n"
        )


def main(arguments: Sequence[str] | None = None, project: Project | None = None) -> int:
    """Run the command and return its exit status, as its help says."""
    options = _parser().parse_args(arguments)
    try:
        with step("run"):
            return _run(options, project or Project(ROOT))
    except StepFailed as failure:
        _say(f"regenerate: failed at {failure}\nregenerate: nothing was changed\n", sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        _say("regenerate: interrupted\nregenerate: nothing was changed\n", sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="regenerate",
        description="Rebuild generated/ from spec/: document, overlay, companion, validation, generator, format.",
        epilog="Exit status: 0 done, and the wrapper fits; 1 drift or a failed step, nothing changed; "
        "3 done, and the wrapper does not fit, each place named. spec/README.md says what to do then.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; exit 1 with a diff on drift")
    choice.add_argument(
        "--from",
        dest="location",
        metavar="SOURCE",
        help="vendor a new edition first: a YAML or JSON file, an http(s) URL, or a page with it fenced inside",
    )
    parser.add_argument("--dry-run", action="store_true", help="do all but the move, and report")
    parser.add_argument("--report", choices=FORMATS, default="text", help="how to report (default: text)")
    parser.add_argument("--force", action="store_true", help="write over local changes in generated/")
    return parser


def _run(options: argparse.Namespace, project: Project) -> int:
    generate.check_pins(project)
    record = Record.read(project)
    with moving.workshop(project) as folder:
        if options.check:
            return _check(project, record, folder)
        return _rebuild(project, record, folder, options)


def _rebuild(project: Project, record: Record, folder: Path, options: argparse.Namespace) -> int:
    with step("prepare"):
        _refuse_local_changes(project, record, force=options.force or options.dry_run)
    edition = _edition(project, record, options.location)
    effective = generate.effective(edition.document, project)
    package = generate.build(effective, folder)
    with step("compare"):
        before = _generated_document(project)
        found = None if before is None else changes.between(before, effective.document)
        notes = [] if before is None else overlay.moved(effective.applied, before)
        drifted = _differences(project.generated, package)
    misfits = fit.misfits(project, package, effective.document, folder)
    with step("write"):
        digest, size = _sha256(edition.content), len(edition.content)
        new = record
        if options.location is not None and digest != record.sha256:
            new = evolve(record, source=edition.name, retrieved=datetime.now(UTC).date().isoformat(), sha256=digest)
        new = evolve(new, generated=moving.digest(package))
        moves = [(package, project.generated)]
        if options.location is not None and _content(project.vendored) != edition.content:
            (folder / project.vendored.name).write_bytes(edition.content)
            moves.append((folder / project.vendored.name, project.vendored))
        if new != record:
            (folder / project.record.name).write_text(new.written(project), "utf-8")
            moves.append((folder / project.record.name, project.record))
    report = Report(
        source=edition.name,
        retrieved=new.retrieved,
        size=size,
        sha256=digest,
        vendored=options.location is not None,
        changes=found,
        notes=notes,
        files=len(drifted),
        misfits=misfits,
    )
    if not options.dry_run:
        moving.move(moves, folder)
    _say(report.written(options.report))
    if options.dry_run:
        _say("regenerate: a dry run, nothing was changed\n", sys.stderr)
    return WRAPPER_MISFIT if misfits else FITS


def _refuse_local_changes(project: Project, record: Record, *, force: bool) -> None:
    """Stop before something is lost that nobody can generate; a file that is missing is no loss."""
    if project.generated.is_dir() and not force and moving.digest(project.generated) != record.generated:
        raise StepFailed(
            "prepare",
            f"expected generated/{PACKAGE} as it was generated last, got local changes; scripts/regenerate --check "
            "shows them, --force writes over them",
        )


def _edition(project: Project, record: Record, location: str | None) -> source.Source:
    """The edition to build from; a vendored one that was edited by hand is said."""
    with step(source.STEP):
        vendored = source.read(str(project.vendored)) if location is None else source.read(location)
        edited = _edited(project, record)
    if edited:
        _say(f"regenerate: note: {edited}\n", sys.stderr)
    return vendored if location is not None else source.Source(record.source, vendored.content, vendored.document)


def _edited(project: Project, record: Record) -> str | None:
    content = _content(project.vendored)
    if content is not None and _sha256(content) == record.sha256:
        return None
    actual = "no file" if content is None else _sha256(content)
    where = f"spec/{project.vendored.name} was edited by hand"
    return f"{where}: expected sha256 {record.sha256} (spec/{project.record.name}), got {actual}"


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _check(project: Project, record: Record, folder: Path) -> int:
    with step(source.STEP):
        edited = _edited(project, record)
        document = source.read(str(project.vendored)).document
    if edited:
        _say(f"{edited}\n")
        return FAILED
    package = generate.build(generate.effective(document, project), folder)
    with step("compare"):
        drifted = _differences(project.generated, package)
        recorded = moving.digest(package) == record.generated
    for difference in drifted.values():
        _say("".join(difference))
    if not drifted and not recorded:
        _say(f"spec/{project.record.name}: expected it to record what is generated, got another sha256\n")
    _say(f"generated: {len(drifted)} file(s) drifted\n")
    return FAILED if drifted or not recorded else FITS


def _generated_document(project: Project) -> Any:
    """The effective document of the last time; None if there is none to compare with."""
    try:
        found = json.loads((project.generated / generate.DOCUMENT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if is_object(found) and is_object(found.get("paths")) else None


def _differences(old: Path, new: Path) -> dict[str, list[str]]:
    """A unified diff for each file that is not the same in both folders."""
    differences: dict[str, list[str]] = {}
    for path in sorted(moving.files(old) | moving.files(new)):
        name, before, after = path.as_posix(), _lines(old / path), _lines(new / path)
        if before != after:
            lines = difflib.unified_diff(before or [], after or [], f"generated/{name}", f"regenerated/{name}")
            differences[name] = list(lines) or [f"only in one of them: {name}\n"]
    return differences


def _lines(path: Path) -> list[str] | None:
    return path.read_text("utf-8", "replace").splitlines(keepends=True) if path.is_file() else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _say(text: str, stream: Any = None) -> None:
    """Print; where nothing can be written any more, what was done is done, and the exit status says it all the same."""
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # LC_ALL=C cannot write everything that a document holds
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with suppress(OSError), open(os.devnull, "w") as nothing:  # noqa: PTH123 -- a descriptor is wanted
            os.dup2(nothing.fileno(), stream.fileno())  # or the interpreter fails at its end, flushing what is left
