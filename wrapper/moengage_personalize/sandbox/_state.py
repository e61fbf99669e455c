"""What one sandbox knows, has received and is about to do; the API changes it, the page shows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from .._errors import ConfigurationError
from ._answer import Usage, World
from ._events import Received
from ._failure import Failure
from ._reading import BUILT_IN, WatchedFile, read, read_text

logger = logging.getLogger("moengage_personalize.sandbox")

REQUESTS_KEPT = 10_000
MINUTE = 60  # seconds


@frozen
class ReceivedRequest:
    """One request to the API, as it came; its headers are not kept, because they hold the key."""

    method: str
    path: str
    query: str
    body: Any
    """The JSON of the body; None where there is none, or what came is no JSON."""
    status: int | None
    """What it was answered with; None where its connection was dropped."""
    at: float = field(factory=time.time)
    """When it was answered, in UTC epoch seconds."""


@define
class Minute:
    """Counts the requests of the current minute."""

    limit: int
    used: int = 0
    _minute: int = 0

    def count(self) -> Usage:
        """Count one more."""
        minute = int(time.time()) // MINUTE
        self.used = self.used + 1 if minute == self._minute else 1
        self._minute = minute
        return Usage(self.limit, self.used, (minute + 1) * MINUTE)


@define
class State:
    """All of it."""

    world: World
    minute: Minute
    source: Mapping[str, Any] | Path | None
    """Where the experiences came from: a dict, a file, or None for the built-in ones."""
    file: WatchedFile | None = None
    """The same file, if it is to be read again when it changes."""
    received: Received = Factory(Received)
    failure: Failure = Factory(Failure)
    requests: list[ReceivedRequest] = Factory(list[ReceivedRequest])
    edition: int = 0
    """Of the experiences: one more each time that they are read again, well or not."""
    mistake: ConfigurationError | None = None
    """Why the file as it is now is not served."""
    counted: int = 0
    """Requests since the start."""

    def keep(self, request: ReceivedRequest) -> None:
        """Keep a request, and forget the oldest where there are too many."""
        self.counted += 1
        self.requests.append(request)
        del self.requests[:-REQUESTS_KEPT]

    def forget(self) -> None:
        """Forget all that came, and what is armed; the experiences stay."""
        self.requests.clear()
        self.received.clear()
        self.failure.arm({"times": 0})
        self.minute.used = 0

    def refresh(self) -> None:
        """Take the file's experiences if it has changed; a mistake is in the log once, and changes nothing."""
        if self.file is None or not self.file.has_changed():
            return
        self.edition += 1
        try:
            self.world = evolve(self.world, experiences=read(self.file.path))
        except ConfigurationError as error:
            self.mistake = error
            logger.error("%s", error)  # noqa: TRY400 -- its own text says all
        else:
            self.mistake = None
            logger.info("read %s again", self.file.path)

    def load(self, experiences: Mapping[str, Any] | Path | str | None) -> None:
        """Serve these experiences in place of all others; they are not read again when a file changes."""
        source = Path(experiences) if isinstance(experiences, str) else experiences
        self.world, self.source, self.file = evolve(self.world, experiences=read(source)), source, None
        self.edition += 1
        self.mistake = None

    def text(self) -> str | None:
        """The text of the experiences, to be edited; None where they came from a dict."""
        if isinstance(self.source, Mapping):
            return None
        try:
            return (BUILT_IN if self.source is None else self.source).read_bytes().decode("utf-8", "replace")
        except OSError:  # it is gone since it was read, which `mistake` says
            return ""

    def replace(self, text: str) -> None:
        """Serve other experiences, and write them to the file that they came from.

        Raises:
            ConfigurationError: they have mistakes, or the file cannot be written; nothing has changed.
        """
        found = read_text("the editor", text)
        if isinstance(self.source, Path):
            try:
                self.source.write_text(text, "utf-8")
            except OSError as error:
                raise ConfigurationError(f"expected a file to write, got {self.source}: {error.strerror}") from error
        self.world = evolve(self.world, experiences=found)
        self.edition += 1
        self.mistake = None
        if self.file is not None:
            self.file.has_changed()  # what was written here is read already
