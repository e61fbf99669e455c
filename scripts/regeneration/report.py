"""What one regeneration says: what changed for a caller, what a maintainer should know, and whether the wrapper fits.

As text for a terminal, as Markdown for a pull request, as JSON for a program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from attrs import frozen

from .changes import LEVELS, Change, Level

FORMATS = ("text", "json", "markdown")
TITLES: dict[Level, str] = {
    "breaking": "breaking: a caller has to change something",
    "warning": "warning: a caller may meet something else than before",
    "info": "info: nothing that a caller has to know",
}


@frozen
class Report:
    """The outcome of one run."""

    source: str
    """Where the document comes from."""
    retrieved: str
    size: int
    """Bytes of the document."""
    sha256: str
    vendored: bool
    """Whether a document was read, or the vendored one was taken."""
    changes: list[Change] | None
    """None if there is nothing to compare with."""
    notes: list[str]
    files: int
    """How many files of the generated package are not what they were."""
    misfits: list[str]

    def written(self, form: str) -> str:
        """All of it in one of the formats."""
        lines = {"text": self._text, "json": self._json, "markdown": self._markdown}[form]
        return "\n".join(lines()) + "\n"

    def _text(self) -> Iterator[str]:
        if self.vendored:
            yield f"read {self.source}: {self.size:,} bytes, sha256 {self.sha256}"
        yield from (f"note: {note}" for note in self.notes)
        if self.changes is None:
            yield "changes: unknown, because there is no earlier generated document to compare with"
        elif self.vendored and not self.changes:
            yield "changes: none that a caller meets"
        for level, changes in self._by_level():
            yield f"changes, {TITLES[level]}"
            yield from (f"  {change}" for change in changes)
        if self.changes:
            yield "proposed for wrapper/CHANGELOG.md:"
            yield from (f"  {line}" for line in self._entry())
        yield f"generated: {self.files} file(s) changed"
        yield "wrapper: does not fit here" if self.misfits else "wrapper: fits, in its types and in its contract"
        yield from (f"  {misfit}" for misfit in self.misfits)

    def _by_level(self) -> Iterator[tuple[Level, list[Change]]]:
        for level in LEVELS:
            changes = [change for change in self.changes or () if change.level == level]
            if changes:
                yield level, changes

    def _entry(self) -> Iterator[str]:
        """In the form of https://keepachangelog.com/en/1.1.0/."""
        yield "### Changed"
        yield ""
        yield f"- The API's document as it was published on {self.retrieved} (sha256 {self.sha256[:12]}):"
        told = [change for change in self.changes or () if change.level != "info"]
        yield from (f"  - {change}" for change in told)
        quiet = len(self.changes or ()) - len(told)
        if quiet:
            yield f"  - {quiet} addition(s) that a caller need not know of"

    def _markdown(self) -> Iterator[str]:
        yield "## The API's document has changed" if self.changes else "## The API's document"
        yield ""
        yield f"Read from {_code(self.source)}: {self.size:,} bytes, sha256 `{self.sha256}`."
        yield f"{self.files} generated file(s) changed."
        yield ""
        verdict = "The wrapper fits, in its types and in its contract."
        yield f"**{'The wrapper does not fit' if self.misfits else verdict}**"
        yield ""
        yield from (f"- {_code(misfit)}" for misfit in self.misfits)
        yield from (f"- Note: {_code(note)}" for note in self.notes)
        for level, changes in self._by_level():
            yield f"\n### {TITLES[level].capitalize()}\n"
            yield from (f"- {_code(str(change))}" for change in changes)
        if self.changes:
            yield "\n### Proposed for wrapper/CHANGELOG.md\n\n````markdown"
            yield from (line.replace("````", "") for line in self._entry())
            yield "````"

    def _json(self) -> Iterator[str]:
        changes = [{"level": one.level, "text": str(one), "places": one.places} for one in self.changes or ()]
        told = {
            "source": self.source,
            "retrieved": self.retrieved,
            "bytes": self.size,
            "sha256": self.sha256,
            "changes": changes if self.changes is not None else None,
            "notes": self.notes,
            "files_changed": self.files,
            "fits": not self.misfits,
            "misfits": self.misfits,
            "changelog": list(self._entry()) if self.changes else [],
        }
        yield json.dumps(told, ensure_ascii=False, indent=2)


def _code(text: str) -> str:
    """Text of a document as code, so that it cannot be anything else in a pull request."""
    return f"`` {' '.join(text.split()).replace('`', chr(39))} ``"
