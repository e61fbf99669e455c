"""The file of a spool, in SQLite: opened, set aside when it is corrupt, and never carried over a fork.

A file is never deleted, and one without our header is not touched.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from urllib.parse import quote
from uuid import uuid4
from weakref import WeakSet

from ._lease import gate

BUSY_TIMEOUT = 0.25  # seconds that a page may wait for another process or thread
WAL_LIMIT = 4 * 2**20  # bytes of the log beyond which maintenance writes it back
WAL_PAGES = 8192  # beyond which a page does it, where nothing else ever did
APPLICATION_ID, VERSION = 0x4D6F4573, 1
HEADER_SIZE = 100  # https://www.sqlite.org/fileformat.html#the_database_header
HEADER_MAGIC = b"SQLite format 3\0"
PARTS = ("-wal", "-shm", "")  # what belongs to a file, itself last
ERROR_KINDS = {
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), "busy"),
    sqlite3.SQLITE_FULL: "full",
    # The statements are right, so that what is wrong with them is the schema that they meet.
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR), "corrupt"),
}


class ForeignFileError(Exception):
    """What stands at the path is no spool of this version."""


def error_kind(error: Exception) -> str:
    """What went wrong, in one word: "busy", "full", "corrupt", "foreign", or "failed" for all else."""
    if isinstance(error, ForeignFileError):
        return "foreign"
    if isinstance(error, BlockingIOError):
        return "busy"
    if isinstance(error, OSError):
        return "full" if error.errno == errno.ENOSPC else "failed"
    code = getattr(error, "sqlite_errorcode", 0)
    return "corrupt" if code == sqlite3.SQLITE_IOERR_SHORT_READ else ERROR_KINDS.get(code & 0xFF, "failed")


class _Locks:
    """What every use of SQLite in this process holds, and what is held while the log is written back.

    The second is of its own, because it may wait for the disk, and no page may wait for that. Both are made when they
    are needed, and again when a monkey patch, such as gevent's, has replaced `threading.Lock` since: a lock of before
    takes all greenlets of a thread for one, and lets them through together.
    """

    def __init__(self) -> None:
        self._made_with: object = None

    def current(self) -> tuple[threading.RLock, threading.RLock]:
        if self._made_with is not threading.Lock:
            self._made_with = threading.Lock
            self._use, self._write_back = threading.RLock(), threading.RLock()
        return self._use, self._write_back


LOCKS = _Locks()


@contextmanager
def exclusive_use(timeout: float = -1) -> Generator[bool]:
    """Keep SQLite for this thread, and say whether that was possible within so many seconds."""
    lock, _ = LOCKS.current()
    acquired = lock.acquire(timeout=timeout)
    try:
        yield acquired
    finally:
        if acquired:
            lock.release()


class Store:
    """One file; its connection is made when it is needed, by this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        _ALL.add(self)

    def connection(self) -> sqlite3.Connection:
        """The connection, made if there is none; ForeignFileError, OSError or sqlite3.Error if that cannot be."""
        if self._connection is None:
            with gate(self.path):
                self._connection = self._open()
        return self._connection

    def close(self) -> None:
        """End the connection; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def was_moved(self) -> bool:
        """Whether the file that was opened is no longer the one at this path."""
        return self._connection is not None and _identity(self.path) != self._file

    def set_aside(self) -> str | None:
        """Rename the file that was opened, and what belongs to it; None if another process has done so."""
        self.close()
        with gate(self.path):
            if _identity(self.path) != self._file:
                return None
            check_file(self.path)  # it may have been overwritten since
            aside = f"{self.path}.corrupt-{uuid4().hex[:8]}"
            for part in PARTS:
                with suppress(FileNotFoundError):
                    os.rename(self.path + part, aside + part)  # noqa: PTH104 -- a str, as sqlite3 has it
        return aside

    def write_back(self) -> None:
        """Move what is in the log to the file, if it is much; no page does it, because it waits for the disk."""
        log = f"{self.path}-wal"
        _, lock = LOCKS.current()
        if self._connection is not None and os.path.exists(log) and os.path.getsize(log) > WAL_LIMIT:  # noqa: PTH110, PTH202
            with lock, closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _open(self) -> sqlite3.Connection:
        with suppress(FileExistsError):  # made here, because it holds customer ids; its log gets the same mode
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        check_file(self.path)
        self._file = _identity(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def check_file(path: str) -> None:
    """Take from others what rights they have to a spool; ForeignFileError for a file that is none, OSError for no file.

    An empty file is one that is yet to become a spool: `touch` makes it, or a process that dies before its first event.
    """
    found = os.stat(path)  # noqa: PTH116 -- a str; and before anything is opened, because a FIFO blocks
    if not stat.S_ISREG(found.st_mode):
        raise ForeignFileError
    if found.st_size and _marks(path) != (APPLICATION_ID, VERSION):
        raise ForeignFileError
    for part in PARTS if found.st_mode & 0o077 else ():
        with suppress(FileNotFoundError):
            os.chmod(path + part, 0o600)  # noqa: PTH101 -- a str


def _marks(path: str) -> tuple[int, int]:
    """Application id and version in the header of a file, which is only read."""
    try:
        # By SQLite, because closing a descriptor of our own would end the locks of a database that is open elsewhere in
        # this process; "immutable" leaves journal and log alone.
        uri = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            application, version = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
            )
            return application, version
    except sqlite3.Error:  # no database, or a damaged one: then its first bytes decide
        with open(path, "rb") as file:  # noqa: PTH123 -- a str
            header = file.read(HEADER_SIZE)
        if not header.startswith(HEADER_MAGIC):
            return 0, 0
        return int.from_bytes(header[68:72]), int.from_bytes(header[60:64])


def _prepare(connection: sqlite3.Connection) -> None:
    if not connection.execute("PRAGMA user_version").fetchone()[0]:
        # Before the WAL mode, so that the first bytes that the file ever has are our header.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE owners (id INTEGER PRIMARY KEY, token TEXT NOT NULL)")
            columns = "id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, event BLOB NOT NULL"
            connection.execute(f"CREATE TABLE events ({columns})")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- as above
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


_ALL: WeakSet[Store] = WeakSet()


def _before_fork() -> None:
    for lock in reversed(LOCKS.current()):
        lock.acquire()
    for store in list(_ALL):
        store.close()


def _after_fork() -> None:
    for lock in LOCKS.current():
        lock.release()


with suppress(AttributeError):  # which Windows has not, and forks neither
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
