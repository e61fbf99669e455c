"""The durable side of a reporter's queue: it never raises and never waits long.

What it cannot do is counted, and the event stays in memory.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

from .._arguments import plain_text, short_repr, type_name
from .._errors import ConfigurationError
from .._policy import register_after_fork
from ._lease import Lease, is_alive, remove_file
from ._store import BUSY_TIMEOUT, ForeignFileError, Store, check_file, error_kind, exclusive_use

logger = logging.getLogger("moengage_personalize")
T = TypeVar("T")
Row = tuple[int, int]  # which of the files that were used, and where in it

FAILURE_COOLDOWN = 1.0  # seconds without a try after one that failed, so that not each page waits


def open_spool(spool: Any) -> Spool:
    """The spool at a path; ConfigurationError where none can be, and for a file that is none."""
    path = plain_text(spool)
    if path is None:
        with suppress(Exception):  # whatever the code of a caller's object raises
            path = plain_text(os.fspath(spool))
    if not path or "\0" in path:
        found = type_name(spool) if path is None else short_repr(path)
        raise ConfigurationError(f"expected spool to be a path, as str or os.PathLike[str], got {found}")
    if find_spec("fcntl") is None:
        raise ConfigurationError("expected a system whose file locks end with a process for a spool, got another")
    wanted = "expected spool to be a spool or a new file in a folder that is there"
    try:
        path = os.path.realpath(path)
        if not os.path.isdir(os.path.dirname(path)):  # noqa: PTH112, PTH120 -- a str, as sqlite3 has it
            raise ConfigurationError(f"{wanted}, got {path!r}")
        if os.path.exists(path):  # noqa: PTH110
            check_file(path)
    except (ForeignFileError, OSError, UnicodeError) as error:
        found = "another file" if isinstance(error, ForeignFileError) else type(error).__name__
        raise ConfigurationError(f"{wanted}, got {found} at {path!r}") from error
    return Spool(path)


class Spool:
    """The events of one reporter in a file that it may share with others."""

    CHUNK = 500  # events of one transaction, so that no page waits long for it

    def __init__(self, path: str) -> None:
        self._path = path
        self._lease: Lease | None = None
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """As one that nobody has used: what a child inherits is its parent's."""
        if self._lease is not None:
            self._lease.close()
        self._lease = None
        self._store = Store(self._path)
        self._registered_in: sqlite3.Connection | None = None
        self._owner: int | None = None
        self._files_used = 0
        self._done: list[Row] = []
        self._failed_at: float | None = None
        self._released = False
        self._logged: set[str] = set()
        self.errors: Counter[str] = Counter()

    def holds(self, row: Row | None) -> bool:
        """Whether this is in the spool, and not in one that was set aside."""
        return row is not None and row[0] == self._files_used

    def write(self, events: Sequence[bytes]) -> list[Row]:
        """Keep these, as JSON; their rows, or none if that cannot be."""

        def insert(database: sqlite3.Connection) -> list[Row]:
            statement = "INSERT INTO events (owner, event) VALUES (?, ?)"
            return [
                (self._files_used, database.execute(statement, (self._owner, event)).lastrowid or 0) for event in events
            ]

        return self._use(insert, [], transaction=len(events) > 1)

    def mark_done(self, rows: Iterable[Row | None]) -> None:
        """These need not be kept any longer; `remove_done` removes them."""
        self._done += [row for row in rows if row is not None]

    def remove_done(self) -> None:
        """Remove what is done; what cannot be removed now is later."""
        with exclusive_use(BUSY_TIMEOUT) as acquired:
            while acquired and (rows := self._done[: self.CHUNK]):
                if not self._use(partial(self._remove, rows), False, transaction=True):
                    break
                del self._done[: len(rows)]

    def maintain(self) -> None:
        """What is to be done now and then, not by a page: notice another file at the path, remove, write back."""
        with exclusive_use():
            if self._store.was_moved():
                self._store.close()
        self._use(lambda _: None, None)
        self.remove_done()
        with suppress(sqlite3.Error, OSError):  # what is wrong shows at the next write
            self._store.write_back()

    def adopt_orphans(self) -> list[tuple[Row, bytes]]:
        """Take over some of what dead processes have left, as rows and JSON."""
        return self._use(self._adopt, [], transaction=True)

    def release(self) -> None:
        """Leave what is in it to whoever comes next, and write no more."""
        with exclusive_use():
            remove = self._lease is not None and self._use(self._unregister, False, transaction=True)
            self._released = True
            self._store.close()
            if self._lease is not None:
                self._lease.close(remove=remove)
            self._lease = None

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, transaction: bool = False) -> T:
        """What the work gives, or `otherwise` if it cannot be done; twice where the first file had to be set aside."""
        with exclusive_use(BUSY_TIMEOUT) as acquired:
            if not acquired:
                self.errors["busy"] += 1
                return otherwise
            for is_last in (False, True):
                if self._released or self._rests():
                    break
                try:
                    with self._store.connection() as database:
                        self._register(database)
                        if transaction:
                            database.execute("BEGIN IMMEDIATE")
                        return work(database)
                except (sqlite3.Error, OSError, ForeignFileError) as error:
                    self._handle_failure(error, is_last)
            return otherwise

    def _rests(self) -> bool:
        # Not until an instant, which a clock that is set back would move out of reach.
        return self._failed_at is not None and 0 <= time.monotonic() - self._failed_at < FAILURE_COOLDOWN

    def _register(self, database: sqlite3.Connection) -> None:
        """Be known in this file, before anything is written to it."""
        if self._registered_in is database:
            return
        if self._lease is None:
            self._lease = Lease(self._path)
        known = database.execute("SELECT id FROM owners WHERE token = ?", (self._lease.token,)).fetchone()
        if known is None:
            self._owner = database.execute("INSERT INTO owners (token) VALUES (?)", (self._lease.token,)).lastrowid
            self._files_used += 1
        self._registered_in = database

    def _handle_failure(self, error: Exception, is_last: bool) -> None:
        found = error_kind(error)
        self.errors[found] += 1
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        try:
            self._store.close()
            if found == "corrupt":
                aside = self._store.set_aside()
                if aside is not None:
                    logger.warning("spool: corrupt (%s), set aside as %s; a new one is begun", name, aside)
                if not is_last:
                    return
        except (sqlite3.Error, OSError, ForeignFileError) as failure:
            self.errors[error_kind(failure)] += 1
        self._failed_at = time.monotonic()
        if found not in self._logged:
            self._logged.add(found)
            logger.warning("spool: %s (%s); events are kept in memory until it is well again", found, name)

    def _remove(self, rows: list[Row], database: sqlite3.Connection) -> bool:
        ours = [(row[1], self._owner) for row in rows if self.holds(row)]
        database.executemany("DELETE FROM events WHERE id = ? AND owner = ?", ours)
        return True

    def _adopt(self, database: sqlite3.Connection) -> list[tuple[Row, bytes]]:
        owners = database.execute("SELECT id, token FROM owners WHERE id != ?", (self._owner,)).fetchall()
        for owner, token in owners:
            if is_alive(self._path, token):
                continue
            statement = "SELECT id, event FROM events WHERE owner = ? ORDER BY id LIMIT ?"
            found: list[tuple[int, bytes]] = database.execute(statement, (owner, self.CHUNK)).fetchall()
            if found:
                adopted = [(self._owner, row) for row, _ in found]
                database.executemany("UPDATE events SET owner = ? WHERE id = ?", adopted)
                return [((self._files_used, row), event) for row, event in found]
            database.execute("DELETE FROM owners WHERE id = ?", (owner,))
            remove_file(f"{self._path}-{token}")
        return []

    def _unregister(self, database: sqlite3.Connection) -> bool:
        statement = "DELETE FROM owners WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM events WHERE owner = ?1)"
        return database.execute(statement, (self._owner,)).rowcount == 1
