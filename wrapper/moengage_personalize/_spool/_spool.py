"""The durable side of an outbox: events in a file, so that they survive the death of their process.

Law of this module: it never raises and never waits long. What it cannot do is counted, and the event stays in memory.
An event belongs to the process that put it, until that process is dead.
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

from .._errors import ConfigurationError
from .._policy import register_after_fork
from ._lease import Lease, forget, lives
from ._store import BUSY, USING, Foreign, Store, kind

logger = logging.getLogger("moengage_personalize")
T = TypeVar("T")
Row = tuple[int, int]  # which of the files that were used, and where in it

REST = 1.0  # seconds without a try after one that failed, so that not each page waits
CHUNK = 500  # events of one transaction, so that no page waits long for it


def check_spool(given: Any) -> str:
    """Where a spool can be, in full; ConfigurationError for any other place."""
    path: object = given.__fspath__() if hasattr(given, "__fspath__") else given
    if not isinstance(path, str) or not path or "\0" in path:
        came = repr(path) if isinstance(path, str) else type(path).__name__
        raise ConfigurationError(f"expected spool to be a path, as str or os.PathLike[str], got {came}")
    if find_spec("fcntl") is None:
        raise ConfigurationError("expected a system whose file locks end with a process for a spool, got another")
    path = os.path.realpath(path)
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path)):  # noqa: PTH112, PTH120 -- a str, as sqlite3
        raise ConfigurationError(f"expected spool to be a file in a folder that is there, got {path!r}")
    return path


class Spool:
    """The events of one reporter in a file that it may share with others."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lease: Lease | None = None
        self.reset_after_fork()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """As one that nobody has used: what a child inherits is its parent's."""
        if self._lease is not None:
            self._lease.end()
        self._lease = None
        self._store = Store(self._path)
        self._known: sqlite3.Connection | None = None
        self._owner: int | None = None
        self._begun = 0  # how many files were used
        self._done: list[Row] = []
        self._rests_until = 0.0
        self._released = False
        self._said: set[str] = set()
        self.errors: Counter[str] = Counter()

    def holds(self, row: Row | None) -> bool:
        """Whether this is in the spool, and not in one that was set aside."""
        return row is not None and row[0] == self._begun

    def write(self, events: Sequence[bytes]) -> list[Row]:
        """Keep these, as JSON; their rows, or none if that cannot be."""

        def insert(database: sqlite3.Connection) -> list[Row]:
            asked = "INSERT INTO events (owner, event) VALUES (?, ?)"
            return [(self._begun, database.execute(asked, (self._owner, one)).lastrowid or 0) for one in events]

        return self._use(insert, [], together=len(events) > 1)

    def done(self, rows: Iterable[Row | None]) -> None:
        """These need not be kept any longer; `sweep` removes them."""
        self._done += [row for row in rows if row is not None]

    def sweep(self) -> None:
        """Remove what is done; what cannot be removed now is later."""
        if USING.acquire(timeout=BUSY):
            try:
                while rows := self._done[:CHUNK]:
                    if not self._use(partial(self._remove, rows), False, together=True):
                        break
                    del self._done[: len(rows)]
            finally:
                USING.release()

    def tidy(self) -> None:
        """What is to be done now and then, not by a page: notice another file at the path, remove, write back."""
        with USING:
            if self._store.moved():
                self._store.shut()
        self._use(lambda _: None, None)
        self.sweep()
        with suppress(sqlite3.Error, OSError):  # what is wrong shows at the next write
            self._store.write_back()

    def orphans(self) -> list[tuple[Row, bytes]]:
        """Take over some of what dead processes have left, as rows and JSON."""
        return self._use(self._adopt, [], together=True)

    def release(self) -> None:
        """Leave what is in it to whoever comes next, and write no more."""
        with USING:
            tidily = self._lease is not None and self._use(self._depart, False, together=True)
            self._released = True
            self._store.shut()
            if self._lease is not None:
                self._lease.end(tidily=tidily)
            self._lease = None

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, together: bool = False) -> T:
        if not USING.acquire(timeout=BUSY):
            self.errors["busy"] += 1
            return otherwise
        try:
            for last in (False, True):
                if self._released or time.monotonic() < self._rests_until:
                    break
                try:
                    with self._store.connection() as database:
                        self._register(database)
                        if together:
                            database.execute("BEGIN IMMEDIATE")
                        return work(database)
                except (sqlite3.Error, OSError, Foreign) as error:
                    self._failed(error, last)
            return otherwise
        finally:
            USING.release()

    def _register(self, database: sqlite3.Connection) -> None:
        """Be known in this file, before anything is written to it."""
        if self._known is database:
            return
        if self._lease is None:
            self._lease = Lease(self._path)
        known = database.execute("SELECT id FROM owners WHERE token = ?", (self._lease.token,)).fetchone()
        if known is None:
            self._owner = database.execute("INSERT INTO owners (token) VALUES (?)", (self._lease.token,)).lastrowid
            self._begun += 1
        self._known = database

    def _failed(self, error: Exception, last: bool) -> None:
        what = kind(error)
        self.errors[what] += 1
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        try:
            self._store.shut()
            if what == "corrupt":
                aside = self._store.set_aside()
                if aside is not None:
                    logger.warning("spool: corrupt (%s), set aside as %s; a new one is begun", name, aside)
                if not last:
                    return
        except (sqlite3.Error, OSError) as failure:
            self.errors[kind(failure)] += 1
        self._rests_until = time.monotonic() + REST
        if what not in self._said:
            self._said.add(what)
            logger.warning("spool: %s (%s); events are kept in memory until it is well again", what, name)

    def _remove(self, rows: list[Row], database: sqlite3.Connection) -> bool:
        given = [(row[1], self._owner) for row in rows if self.holds(row)]
        database.executemany("DELETE FROM events WHERE id = ? AND owner = ?", given)
        return True

    def _adopt(self, database: sqlite3.Connection) -> list[tuple[Row, bytes]]:
        owners = database.execute("SELECT id, token FROM owners WHERE id != ?", (self._owner,)).fetchall()
        for owner, token in owners:
            if lives(self._path, token):
                continue
            asked = "SELECT id, event FROM events WHERE owner = ? ORDER BY id LIMIT ?"
            found: list[tuple[int, bytes]] = database.execute(asked, (owner, CHUNK)).fetchall()
            if found:
                given = [(self._owner, row) for row, _ in found]
                database.executemany("UPDATE events SET owner = ? WHERE id = ?", given)
                return [((self._begun, row), event) for row, event in found]
            database.execute("DELETE FROM owners WHERE id = ?", (owner,))
            forget(f"{self._path}-{token}")
        return []

    def _depart(self, database: sqlite3.Connection) -> bool:
        asked = "DELETE FROM owners WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM events WHERE owner = ?1)"
        return database.execute(asked, (self._owner,)).rowcount == 1
