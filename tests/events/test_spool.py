"""Spools: real files and real processes that are killed; what survives, and what a page never notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import event_programs
import pytest
from event_samples import received, shown, within
from faces import CREDENTIALS, Face
from flush_world import DOWN, World, failing
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from moengage_personalize import BadRequest, ConfigurationError, PersonalizeClient, sandbox
from moengage_personalize._policy import _fork as _forked
from moengage_personalize._reporting._schedule import Span
from moengage_personalize._spool import Spool, _lease, _spool as spools, _store as stores

DEAD = "http://127.0.0.1:9/v1"


@pytest.fixture
def url() -> Iterator[str]:
    with sandbox.serve() as base_url:
        yield base_url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "FAILURE_COOLDOWN", 0.0)


def waits(face: Face, done: Callable[[], bool], seconds: float = 15) -> bool:
    """Look again and again, with the loop of an async face running."""

    async def look() -> bool:
        until = time.monotonic() + seconds
        while not done() and time.monotonic() < until:  # noqa: ASYNC110 -- as a test looks
            await asyncio.sleep(0.01)
        return done()

    return bool(face.run(look())) if face.kind == "async" else within(seconds, done)


def made(face: Face, client: Any, **given: Any) -> Any:
    """A reporter, that of an async client made within its loop."""

    async def make() -> Any:
        return client.reporter(**given)

    return face.run(make()) if face.kind == "async" else client.reporter(**given)


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    connection.close()
    return int(count)


def started(way: str, url: str, count: int, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(event_programs.__file__)), way, url, str(count), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def left(path: Path, count: int = 1) -> list[str]:
    """Have a reporter leave so many events behind; their uuids."""
    spool, events = Spool(str(path)), [shown() for _ in range(count)]
    assert len(spool.write([event.to_json().encode() for event in events])) == count
    spool.release()
    return [event.uuid for event in events]


@pytest.mark.parametrize("way", ["put_until_killed", "async_put_until_killed"])
def test_what_was_put_before_a_kill_arrives_once_after_it(face: Face, url: str, path: Path, way: str) -> None:
    with started(way, url, 20, path) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(200)]
        running.kill()
        lines += running.stdout
    reporter = made(face, face.client(base_url=url, timeout=5), spool=path)
    assert face.run(reporter.flush(15))
    arrived = {event["moe_event_uuid"] for event in received(url)["events"]}
    assert {line.strip() for line in lines if line.endswith("\n")} <= arrived
    assert reporter.stats.sent == reporter.stats.recovered
    assert face.run(reporter.close())
    assert sorted(file.name for file in path.parent.iterdir()) == ["spool", "spool-gate"]
    assert rows(path) == 0


def test_what_others_left_is_sent_at_the_start_without_a_put(face: Face, url: str, path: Path) -> None:
    uuids = left(path, 3)
    reporter = made(face, face.client(base_url=url), spool=str(path))
    assert waits(face, lambda: reporter.stats.sent == 3)
    assert {event["moe_event_uuid"] for event in received(url)["events"]} == set(uuids)
    assert face.run(reporter.close())


def test_what_dies_beside_a_reporter_is_found(face: Face, url: str, path: Path) -> None:
    reporter = made(face, face.client(base_url=url), spool=path)
    assert waits(face, lambda: reporter._outbox._adopted)
    left(path, 2)
    assert waits(face, lambda: reporter.stats.sent == 2)
    face.run(reporter.close())


def test_what_the_close_could_not_send_stays_for_the_next(face: Face, url: str, path: Path) -> None:
    dropped: list[str] = []
    down = face.client(base_url=DEAD, timeout=0.2, max_retries=0)
    reporter = made(face, down, spool=path, on_drop=lambda _, reason: dropped.append(reason))
    for _ in range(5):
        reporter.put(shown())
    assert not face.run(reporter.close(0.5))
    stats = reporter.stats
    assert (stats.created, stats.queued, stats.spooled, stats.dropped, dropped) == (5, 0, 5, {}, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    reporter.put(shown())
    assert reporter.stats.dropped == {"closed": 1}
    again = made(face, face.client(base_url=url), spool=path)
    assert face.run(again.flush(10))
    assert (again.stats.recovered, again.stats.sent, again.stats.created) == (5, 5, 0)
    assert face.run(again.close())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "expected spool to be a path, as str or os.PathLike.str., got int"),
        (b"spool", "got bytes"),
        ("", "got ''"),
        ("a\0b", "expected spool to be a path"),
        ("/", "expected spool to be a spool or a new file in a folder that is there, got another file at '/'"),
        ("/nowhere/spool", "expected spool to be a spool or a new file in a folder that is there"),
        ("\ud800", "got UnicodeEncodeError at"),
    ],
)
def test_a_path_that_cannot_be_is_refused(face: Face, url: str, wrong: Any, message: str) -> None:
    client = face.client(base_url=url)
    with pytest.raises(ConfigurationError, match=message):
        client.reporter(spool=wrong)


def test_a_system_without_such_locks_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(spools, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="expected a system whose file locks end with a process"):
        spools.open_spool(path)


def test_a_full_disk_is_counted_and_the_events_are_sent_from_memory(url: str, path: Path) -> None:
    with started("fill_the_disk", url, 300, path) as running:
        said, _ = running.communicate(timeout=60)
    assert (running.returncode, said) == (0, "True True 300\n")
    assert received(url)["count"] == 300


def test_processes_share_a_spool_and_send_nothing_twice(url: str, path: Path) -> None:
    running = [started("share", url, 100, path) for _ in range(3)]
    assert {one.communicate(timeout=60)[0] for one in running} == {"100 {} {}\n"}
    kept = received(url)
    assert (kept["count"], kept["duplicates"]) == (300, 0)


def test_after_a_fork_each_sends_its_own_once(url: str, path: Path) -> None:
    with started("fork_with_a_spool", url, 20, path) as running:
        said, _ = running.communicate(timeout=60)
    assert said == "{}\n"
    kept = received(url)
    assert (kept["count"], kept["duplicates"]) == (40, 0)


def test_a_child_begins_with_nothing_and_a_lease_of_its_own(url: str, path: Path) -> None:
    """What a fork runs in the child, here without one."""
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client:
        reporter = client.reporter(spool=path, flush_interval=60)
        reporter.put(shown())
        assert reporter.close()
        stores._before_fork()
        stores._after_fork()
        _forked._after_fork()
        assert reporter.stats.created == 0
        reporter.put(shown())
        assert reporter.stats.spooled == 1
        assert reporter.close()
        _forked._after_fork()
        assert reporter.flush(5)  # begins to work, though nothing was put
        assert reporter.close()


def database(*statements: str) -> bytes:
    """The file of a database of SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return path.read_bytes()


FOREIGN = {
    "csv": b"user,event\nu1,shown\n",
    "json": b'{"events": []}',
    "zeros": b"\0" * 8192,
    "one byte": b"x",
    "99 bytes": b"SQLite format 3\0".ljust(99, b"\0"),
    "no pages": b"SQLite format 3\0" + b"\xff" * 9000,
    "no pages of another version": b"".join(
        [b"SQLite format 3\0".ljust(60, b"\xff"), b"\1\0\0\1", b"\xff" * 4, b"MoEs", b"\xff" * 9000]
    ),
    "another database": database("CREATE TABLE precious (text)", "INSERT INTO precious VALUES ('kept')"),
    "another application": database("PRAGMA application_id = 7", "PRAGMA user_version = 1", "CREATE TABLE a (b)"),
    "another version": database(
        f"PRAGMA application_id = {0x4D6F4573}", "PRAGMA user_version = 2", "CREATE TABLE a (b)"
    ),
}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_spool_is_refused_and_never_touched(
    face: Face, path: Path, content: bytes, linked: bool
) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
    before = path.stat()
    given = path.parent / "link" if linked else path
    if linked:
        given.symlink_to(path)
    with pytest.raises(ConfigurationError, match=r"expected spool to be a spool or a new file .* got another file at"):
        face.client(base_url=DEAD).reporter(spool=given)
    assert path.read_bytes() == content
    assert (path.stat().st_mtime_ns, path.stat().st_mode) == (before.st_mtime_ns, before.st_mode)
    assert sorted(file.name for file in path.parent.iterdir()) == (["link", "spool"] if linked else ["spool"])


def test_what_is_no_file_is_refused_and_not_waited_for(face: Face, path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="got another file at"):
        face.client(base_url=DEAD).reporter(spool=path)


def test_a_file_that_may_not_be_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise PermissionError

    monkeypatch.setattr(spools, "check_file", refuse)
    path.touch()
    with pytest.raises(ConfigurationError, match="got PermissionError at"):
        spools.open_spool(path)


def test_a_database_that_this_process_has_open_keeps_its_locks(path: Path) -> None:
    """The locks of POSIX end when any descriptor of the file is closed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE precious (text)")
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigurationError):
        spools.open_spool(path)
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM precious')"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "database is locked" in other.stderr
    connection.close()


def test_an_empty_file_and_one_behind_a_link_become_a_spool(path: Path) -> None:
    path.touch()
    link = path.parent / "link"
    link.symlink_to(path)
    left(link, 2)
    assert rows(path) == 2
    spools.open_spool(link)


def test_a_spool_that_others_may_read_is_tightened_with_its_log(url: str, path: Path) -> None:
    spool = Spool(str(path))
    spool.write([b"{}"])
    parts = [path, *(Path(f"{path}{part}") for part in ("-wal", "-shm"))]
    for part in parts:
        part.chmod(0o666)
    spools.open_spool(path)
    assert [stat.S_IMODE(part.stat().st_mode) for part in parts] == [0o600] * 3
    spool.release()


def test_a_spool_is_made_so_that_nobody_else_may_ever_read_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_: pytest.fail("it was open to others until now"))
    spool = Spool(str(path))
    spool.write([b"{}"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    spool.release()


def test_a_spool_is_known_as_ours_from_its_first_byte_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a process has written when it is killed, the next one does not take it for another's file."""
    spool = Spool(str(path))
    spool.write([b"{}"])
    os.link(path, path.parent / "as the killed one left it")
    assert stores.check_file(str(path.parent / "as the killed one left it")) is None
    spool.release()


@pytest.mark.parametrize("damage", [slice(4096, None), slice(100, 4096), slice(4096, 4200)])
def test_a_spool_that_is_damaged_is_set_aside_whole(
    face: Face, url: str, path: Path, damage: slice, caplog: pytest.LogCaptureFixture
) -> None:
    left(path, 30)
    content = bytearray(path.read_bytes())
    content[damage] = b"" if damage.stop is None else b"\xff" * (damage.stop - damage.start)
    path.write_bytes(content)
    reporter = made(face, face.client(base_url=url), spool=path)
    reporter.put(shown())
    assert reporter.stats.spool_errors == {"corrupt": 1}
    assert face.run(reporter.close())
    assert reporter.stats.sent == 1
    (aside,) = path.parent.glob("spool.corrupt-????????")
    assert aside.read_bytes() == content
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("spool: corrupt (SQLITE_")
    assert "user_8821" not in caplog.text


@pytest.mark.usefixtures("no_rest")
def test_a_file_that_takes_its_place_later_is_left_alone(
    url: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = FOREIGN["csv"] * 500
    with PersonalizeClient(**CREDENTIALS, base_url=url) as client, client.reporter(spool=path) as reporter:
        assert reporter._spool is not None
        path.unlink()
        path.write_bytes(content)
        reporter._spool.maintain()
        reporter.put(shown())
        reporter.put(shown())
        assert reporter.flush(5)
        assert path.read_bytes() == content
    assert reporter.stats.sent == 2
    assert "foreign" in reporter.stats.spool_errors
    assert path.read_bytes() == content
    assert len([text for text in caplog.messages if text.startswith("spool: foreign")]) == 1
    assert list(path.parent.glob("spool.corrupt-*")) == []


def test_sqlite_is_not_imported_without_a_spool() -> None:
    code = """if True:
        import sys
        from moengage_personalize import PersonalizeClient
        client = PersonalizeClient("WS", "k" * 8, base_url="http://127.0.0.1:9/v1")
        reporter = client.reporter()
        reporter.put("no event")
        reporter.close()
        print({"sqlite3", "moengage_personalize._spool"} & {*sys.modules})
    """
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}  # which has sqlite3
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@settings(max_examples=25)
@given(st.data())
def test_no_damage_reaches_the_page_or_costs_an_event_of_this_process(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool"
        left(path, 30)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[at:]
        else:
            content[at : at + 600] = data.draw(st.binary(min_size=1, max_size=600))
        path.write_bytes(content)
        world = World(spool=Spool(str(path)))
        mine = world.put(20)
        for _ in range(20):
            world.step()
        assert {event.uuid for event in mine} <= {event.uuid for batch in world.sent for event in batch}
        assert world.stats.queued + world.stats.spooled == 0
        world.schedule.closing = Span(world.time, 0.0)
        world.until_ended()


def test_damage_that_is_found_later_is_set_aside_and_what_waits_is_written_again(path: Path) -> None:
    spool = Spool(str(path))
    world = World(spool=spool)
    world.put(50)
    assert world.stats.spooled == 50
    spool._store.close()  # so that the log is in the file
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    (event,) = world.put()
    assert (world.stats.spooled, world.stats.queued) == (1, 50)
    world.outbox.maintain(spool)
    assert (world.stats.spooled, world.stats.queued) == (51, 0)
    assert rows(path) == 51
    spool.release()
    assert event.uuid.encode() in path.read_bytes()
    assert len(list(path.parent.glob("spool.corrupt-????????"))) == 1


def test_a_file_that_another_process_has_set_aside_is_noticed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(str(path))
    world = World(spool=spool)
    world.put(3)
    for part in ("-wal", "-shm", ""):
        Path(f"{path}{part}").rename(path.parent / f"elsewhere{part}")
    damaged = sqlite3.DatabaseError("disk image is malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    spool._handle_failure(damaged, is_last=False)
    assert (spool.errors, caplog.messages) == ({"corrupt": 1}, [])
    world.outbox.maintain(spool)
    assert (world.stats.spooled, rows(path)) == (3, 3)
    path.rename(path.parent / "elsewhere again")
    world.outbox.maintain(spool)
    assert (world.stats.spooled, rows(path)) == (3, 3)
    spool.release()


@pytest.mark.usefixtures("no_rest")
def test_a_spool_that_is_corrupt_again_and_again_rests(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(_: object) -> None:
        error = sqlite3.DatabaseError("disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(stores, "_prepare", corrupt)
    spool = Spool(str(path))
    assert spool.write([b"{}"]) == []
    assert spool.errors == {"corrupt": 2}


def test_what_cannot_be_set_aside_is_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left(path, 30)
    content = path.read_bytes()[:5000]
    path.write_bytes(content)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", refuse)
    spool = Spool(str(path))
    assert spool.write([b"{}"]) == []
    assert spool.errors == {"corrupt": 1, "failed": 1}
    assert path.read_bytes() == content


def test_a_busy_spool_holds_a_page_only_shortly_and_is_written_later(path: Path) -> None:
    spool = Spool(str(path))
    world = World(spool=spool)
    world.put()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    world.put(50)  # the first of them waits, the others see that it rests
    assert time.monotonic() - began < 1
    assert (world.stats.spooled, world.stats.queued, world.stats.spool_errors) == (1, 50, {"busy": 1})
    other.close()
    spool._failed_at = None
    world.outbox.maintain(spool)
    assert (world.stats.spooled, world.stats.queued) == (51, 0)
    world.until(lambda: world.stats.sent == 51)
    world.outbox.maintain(spool)
    assert rows(path) == 0
    spool.release()


def test_a_thread_that_keeps_the_spool_holds_a_page_only_shortly(path: Path) -> None:
    spool, kept, done = Spool(str(path)), threading.Event(), threading.Event()

    def keep() -> None:
        with stores.exclusive_use():
            kept.set()
            done.wait(10)

    thread = threading.Thread(target=keep)
    thread.start()
    kept.wait(10)
    assert spool.write([b"{}"]) == []
    spool.mark_done([(1, 1)])
    spool.remove_done()
    assert spool._done == [(1, 1)]  # for later
    done.set()
    thread.join()
    assert spool.errors == {"busy": 1}


def test_the_gate_lets_one_through_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lease, "GATE_TIMEOUT", 0.02)
    spool = Spool(str(path))
    with _lease.gate(str(path)):
        assert spool.write([b"{}"]) == []
    assert spool.errors == {"busy": 1}


def test_a_spool_is_set_aside_behind_its_own_gate(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores.Store(str(path))
    store.connection()
    gates: list[str] = []
    monkeypatch.setattr(stores, "gate", lambda path: gates.append(path) or contextlib.nullcontext())
    assert store.set_aside() is not None
    assert gates == [str(path)]


def test_what_uses_sqlite_takes_the_same_locks_until_they_are_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = stores._Locks()
    before = locks.current()
    assert locks.current() == before
    assert len(set(before)) == 2
    monkeypatch.setattr(threading, "Lock", threading.RLock)
    assert not set(locks.current()) & set(before)


def test_a_lease_ends_with_its_holder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/spool"
        lease = _lease.Lease(path)
        assert _lease.is_alive(path, lease.token)
        lease.close()
        assert not _lease.is_alive(path, lease.token)
        _lease.remove_file(f"{path}-{lease.token}")
        _lease.remove_file(f"{path}-{lease.token}")
        assert not _lease.is_alive(path, lease.token)


def test_errors_have_one_word_each() -> None:
    short = sqlite3.OperationalError()
    short.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHORT_READ
    found = [stores.error_kind(error) for error in (OSError(28, "x"), OSError(5, "x"), short, sqlite3.Error())]
    assert found == ["full", "failed", "corrupt", "failed"]


def test_the_queue_size_is_that_of_the_spool_too(path: Path) -> None:
    spool = Spool(str(path))
    world = World(size=3, spool=spool)
    events = world.put(5)
    assert world.gone == [(events[0], "full"), (events[1], "full")]
    assert (world.stats.spooled, rows(path)) == (3, 3)
    spool.release()
    later = World(size=2, spool=Spool(str(path)))
    later.step()
    assert later.gone == [(events[2], "full")]
    assert (later.stats.recovered, later.stats.spooled) == (3, 2)
    later.until(lambda: later.stats.sent == 2)
    assert later.outbox.spool is not None
    later.outbox.spool.release()


def test_what_is_no_event_in_a_spool_is_dropped_as_invalid(path: Path) -> None:
    left(path, 2)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE events SET event = ? WHERE id = 1", (json.dumps({"action": "other"}),))
    connection.commit()
    connection.close()
    spool = Spool(str(path))
    world = World(spool=spool)
    world.until(lambda: world.stats.sent == 1)
    assert world.stats.dropped == {"invalid": 1}
    world.outbox.maintain(spool)
    assert rows(path) == 0
    world.schedule.closing = Span(world.time, 0.0)
    world.until_ended()


def test_an_event_that_is_not_json_costs_itself(path: Path) -> None:
    spool = Spool(str(path))
    world = World(spool=spool)
    world.put()
    changed = shown(user_attributes={"age": 30})
    changed.user_attributes["age"] = object()  # type: ignore[index]  # after it was checked
    world.outbox.put(changed)
    world.put()
    assert (world.stats.spooled, world.stats.dropped, world.stats.spool_errors) == (2, {"invalid": 1}, {})
    spool.release()


def test_ten_minutes_begin_again_for_what_was_taken_over(path: Path) -> None:
    left(path)
    world = World(spool=Spool(str(path)))
    began = world.time
    world.until(lambda: world.stats.dropped == {"expired": 1}, failing(DOWN))
    assert 600 <= world.time - began < 640
    world.schedule.closing = Span(world.time, 0.0)
    world.until_ended()


def test_the_log_is_written_back_when_it_is_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(str(path))
    spool.write([b"{}" * 9_000])
    before = path.stat().st_size
    spool.maintain()
    assert path.stat().st_size == before
    monkeypatch.setattr(stores, "WAL_LIMIT", 0)
    patience: list[float] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *to, **how: patience.append(how["timeout"]) or connect(*to, **how))
    spool.maintain()
    assert path.stat().st_size > before
    assert patience == [stores.BUSY_TIMEOUT]
    spool.release()


def test_where_no_thread_can_be_had_the_loop_looks_after_the_spool(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def seconds_until_allowed(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    face = Face("async")
    monkeypatch.setattr(asyncio, "to_thread", seconds_until_allowed)
    reporter = made(face, face.client(base_url=url), spool=path)
    reporter.put(shown())
    assert face.run(reporter.close())
    assert reporter.stats.sent == 1
    face.finish()


def test_an_event_that_goes_while_it_is_written_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(str(path))
    world = World(size=1, spool=spool)
    with monkeypatch.context() as patched:
        patched.setattr(spool, "write", lambda _: [])
        world.put()
    write = spool.write

    def meanwhile(events: Any) -> Any:
        written = write(events)
        monkeypatch.setattr(spool, "write", write)
        world.put()
        return written

    monkeypatch.setattr(spool, "write", meanwhile)
    world.outbox.maintain(spool)
    assert world.stats.dropped == {"full": 1}
    spool.remove_done()
    assert rows(path) == 1
    spool.release()


class Counting(RuleBasedStateMachine):
    """Whatever happens, to whomever: created + recovered = sent + dropped + queued + spooled, and nothing is lost."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.put_ones: set[str] = set()
        self.gone: set[str] = set()
        self.worlds = [self.world(), self.world()]

    def world(self) -> World:
        return World(size=30, batch=8, spool=Spool(f"{self.folder.name}/spool"))

    def note(self, world: World) -> None:
        self.gone |= {event.uuid for event, _ in world.gone}

    @rule(which=st.integers(0, 1), count=st.integers(1, 12), busy=st.booleans())
    def put(self, which: int, count: int, busy: bool) -> None:
        spool = self.worlds[which].outbox.spool
        assert spool is not None
        spool._failed_at = time.monotonic() if busy else None
        self.put_ones |= {event.uuid for event in self.worlds[which].put(count)}
        spool._failed_at = None

    @rule(which=st.integers(0, 1), error=st.sampled_from([None, None, DOWN, BadRequest("400")]))
    def step(self, which: int, error: Any) -> None:
        world = self.worlds[which]
        before = len(world.sent)
        world.step(lambda _: error)
        if error is None and len(world.sent) > before:
            self.gone |= {event.uuid for event in world.sent[-1]}

    @rule(which=st.integers(0, 1))
    def end(self, which: int) -> None:
        world = self.worlds[which]
        world.outbox.closed = True
        world.schedule.closing = Span(world.time, 0.0)
        world.until_ended()
        assert world.stats.queued == 0
        self.note(world)
        self.worlds[which] = self.world()

    @invariant()
    def it_adds_up(self) -> None:
        for world in getattr(self, "worlds", ()):
            assert world.stats.queued + world.stats.spooled <= 30

    def teardown(self) -> None:
        for which in (0, 1):
            self.end(which)
        last = World(size=1000, spool=Spool(f"{self.folder.name}/spool"))
        last.until(lambda: last.outbox.empty)
        self.note(last)
        self.gone |= {event.uuid for batch in last.sent for event in batch}
        last.schedule.closing = Span(last.time, 0.0)
        last.until_ended()
        assert self.put_ones == self.gone
        self.folder.cleanup()


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=20, stateful_step_count=20)
