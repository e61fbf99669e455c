"""The file of a spool, in SQLite: opened, set aside when it is corrupt, and never carried over a fork.

Law of this module: a file is never deleted, and one that is not a spool of ours is not touched. Every use of SQLite is
within `USING`, which a fork waits for: https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_

The file is in WAL mode with synchronous=NORMAL. What was written is with the system when the write returns, so that a
killed process loses nothing; a power cut may cost the last seconds, and does not corrupt the file.
https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from threading import RLock
from uuid import uuid4
from weakref import WeakSet

from ._lease import gate

BUSY = 0.25  # seconds that a page may wait for another process or thread
LOG = 4 * 2**20  # bytes of the log beyond which it is written back
LOG_PAGES = 8192  # beyond which a page does it, where nothing else ever did
APPLICATION, VERSION = 0x4D6F4573, 1
KINDS = {
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), "busy"),
    sqlite3.SQLITE_FULL: "full",
    # The statements are right, so that what is wrong with them is the schema that they meet.
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR), "corrupt"),
}
USING = RLock()
_WRITING_BACK = RLock()  # of its own, because it may wait for the disk, and no page may wait for it


class Foreign(Exception):
    """The file holds something else, or is of another version."""


def kind(error: Exception) -> str:
    """What went wrong, in one word: "busy", "full", "corrupt", "foreign", or "failed" for all else."""
    if isinstance(error, Foreign):
        return "foreign"
    if isinstance(error, BlockingIOError):
        return "busy"
    if isinstance(error, OSError):
        return "full" if error.errno == errno.ENOSPC else "failed"
    code = getattr(error, "sqlite_errorcode", 0)
    return "corrupt" if code == sqlite3.SQLITE_IOERR_SHORT_READ else KINDS.get(code & 0xFF, "failed")


class Store:
    """One file; its connection is made when it is needed, by this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        _ALL.add(self)

    def connection(self) -> sqlite3.Connection:
        """The connection, made if there is none."""
        if self._connection is None:
            with gate(self.path):
                self._connection = self._open()
        return self._connection

    def shut(self) -> None:
        """End the connection; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def moved(self) -> bool:
        """Whether the file that was opened is no longer the one at this path."""
        return self._connection is not None and _identity(self.path) != self._file

    def set_aside(self) -> str | None:
        """Rename the file that was opened, and what belongs to it; None if another process has done so."""
        self.shut()
        with gate(self.path):
            if _identity(self.path) != self._file:
                return None
            aside = f"{self.path}.corrupt-{uuid4().hex[:8]}"
            for part in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.rename(self.path + part, aside + part)  # noqa: PTH104 -- a str, as sqlite3 has it
        return aside

    def write_back(self) -> None:
        """Move what is in the log to the file, if it is much; no page does it, because it waits for the disk."""
        log = f"{self.path}-wal"
        if self._connection is not None and os.path.exists(log) and os.path.getsize(log) > LOG:  # noqa: PTH110, PTH202
            with _WRITING_BACK, closing(sqlite3.connect(self.path, timeout=BUSY)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _open(self) -> sqlite3.Connection:
        with suppress(FileExistsError):  # made here, because it holds customer ids; its log gets the same mode
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._file = _identity(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection) -> None:
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    fresh = found == [0, 0] and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not fresh and found != [APPLICATION, VERSION]:
        raise Foreign("expected a spool of this version, got another file")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    if fresh:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE owners (id INTEGER PRIMARY KEY, token TEXT NOT NULL)")
            columns = "id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, event BLOB NOT NULL"
            connection.execute(f"CREATE TABLE events ({columns})")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- as above
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


_ALL: WeakSet[Store] = WeakSet()


def _before_fork() -> None:
    _WRITING_BACK.acquire()
    USING.acquire()
    for store in list(_ALL):
        store.shut()


def _after_fork() -> None:
    USING.release()
    _WRITING_BACK.release()


with suppress(AttributeError):  # which Windows has not, and forks neither
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
