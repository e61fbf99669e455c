"""The rules of the house: the public face, which room may import which, and what is in a wheel."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from helpers import ROOT

import moengage_personalize
from moengage_personalize import events, sandbox

WRAPPER = ROOT / "wrapper" / "moengage_personalize"
# From the top down; a file or a room may import those below it and none above.
ORDER = [
    "__main__",
    "cli",
    "testing",
    "sandbox",
    "integrations",
    "__init__",
    "_client",
    "_async_client",
    "_page",
    "_operations",
    "_reporting",
    "_spool",
    "_base",
    "_run",
    "_split",
    "_request",
    "_web",
    "_generated",
    "_telemetry",
    "_call",
    "_responses",
    "_transport",
    "_policy",
    "_messages",
    "events",
    "_experiences",
    "_context",
    "_settings",
    "_json",
    "_arguments",
    "_redact",
    "_errors",
]
FILES = sorted(WRAPPER.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in WRAPPER.glob("*/__init__.py"))
PUBLIC = {"cli", "integrations", "sandbox", "testing"}  # rooms that services import by name
LINES = 350


def place(path: Path) -> str:
    """The file at the root, or the room, that a file belongs to."""
    return path.relative_to(WRAPPER).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """The modules that a file imports, in full, with the name that it takes from each."""
    package = ["moengage_personalize", *path.relative_to(WRAPPER).with_suffix("").parts][:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


def own(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The places of this package that a file imports, each with the way from there to the module or name."""
    for module, name in imports(path):
        package, *way = [*module.split("."), *([name] if name else [])]
        if package == "moengage_personalize" and way:
            yield (way[0] if way[0] in ORDER else "__init__"), way


@pytest.mark.parametrize("module", [moengage_personalize, events, sandbox], ids=lambda module: module.__name__)
def test_all_is_sorted_and_there(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(hasattr(module, name) for name in names)


def test_everything_public_is_described() -> None:
    assert not [name for name in moengage_personalize.__all__ if not getattr(moengage_personalize, name).__doc__]


def test_every_file_and_room_has_its_place() -> None:
    assert {place(path) for path in FILES} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(WRAPPER)))
def test_imports_run_down_only(path: Path) -> None:
    here = ORDER.index(place(path))
    for there, way in own(path):
        assert ORDER.index(there) >= here, f"{path} imports {'.'.join(way)}"


@pytest.mark.parametrize("room", sorted({*ROOMS} - PUBLIC))
def test_a_room_is_entered_by_its_door(room: str) -> None:
    """Whoever is not in it imports what its `__all__` names, and nothing behind it."""
    door = import_module(f"moengage_personalize.{room}")
    assert sorted(door.__all__) == sorted({*door.__all__})
    assert all(hasattr(door, name) for name in door.__all__)
    assert door.__doc__
    for path in FILES:
        ways = [way for there, way in own(path) if there == room and place(path) != room]
        behind = [way for way in ways if len(way) != 2 or way[1] not in door.__all__]
        assert not behind, f"{path} imports {behind}"


def test_integrations_are_imported_by_name_only() -> None:
    assert {place(path) for path in FILES for there, _ in own(path) if there == "integrations"} <= {"integrations"}


def test_a_room_that_few_need_is_imported_by_those_who_ask_for_it() -> None:
    code = """if True:
        import sys, moengage_personalize
        from moengage_personalize import PersonalizeClient
        client = PersonalizeClient("WS", "key", "01")
        client.reporter().close()
        client.close()
        rooms = ("_spool", "cli", "integrations", "sandbox", "testing")
        print([name for name in sys.modules if name in {f"moengage_personalize.{room}" for room in rooms}])
        print({"sqlite3", "ruamel", "starlette", "jsonschema", "celery", "fastapi", "django", "flask"} & {*sys.modules})
    """
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}  # which has sqlite3
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nset()\n"


def test_one_file_imports_the_generated_client() -> None:
    importers = {
        path.name for path in FILES if any(module.startswith("moengage_personalize_api") for module, _ in imports(path))
    }
    assert importers == {"_generated.py"}


def test_the_sandbox_shares_no_code_with_the_client() -> None:
    shared = {there for path in FILES if place(path) == "sandbox" for there, _ in own(path)}
    assert shared - {"sandbox"} <= {"_errors"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(WRAPPER)))
def test_a_file_holds_one_concept(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES


def test_the_top_level_holds_what_the_design_allows() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "spec", "generated", "wrapper", "scripts", "tests", "uv.lock"}
    assert {name for name in top if not name.startswith(".")} <= allowed


@pytest.mark.slow
def test_an_sdist_builds_and_tests_itself(tmp_path: Path) -> None:
    """Unpacked, it makes the wheel that the checkout makes, and its unit tests run; it has no results of benchmarks."""
    made, again = tmp_path / "made", tmp_path / "again"
    build = [sys.executable, "-m", "hatchling", "build", "--directory"]
    subprocess.run([*build, str(made)], cwd=ROOT, check=True, capture_output=True)
    (archive,) = made.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    assert not (unpacked / "scripts" / "bench-results").exists()
    subprocess.run([*build, str(again), "--target", "wheel"], cwd=unpacked, check=True, capture_output=True)
    names: list[list[str]] = []
    for wheel in (*made.glob("*.whl"), *again.glob("*.whl")):
        with zipfile.ZipFile(wheel) as packed_wheel:
            names.append(sorted(packed_wheel.namelist()))
    assert len(names) == 2
    assert names[0] == names[1]
    environment = os.environ | {"PYTHONPATH": f"{unpacked / 'wrapper'}:{unpacked / 'generated'}"}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_settings.py"]
    done = subprocess.run(run, cwd=unpacked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_wheel_is_whole(tmp_path: Path) -> None:
    """Built and unpacked, it serves an experience without the checkout."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert (unpacked / "moengage_personalize" / "py.typed").is_file()
    assert (unpacked / "moengage_personalize_api" / "py.typed").is_file()
    assert (unpacked / "moengage_personalize_api" / "openapi.json").is_file()  # what the sandbox holds requests against
    code = """if True:
        import sys, moengage_personalize
        from moengage_personalize import sandbox, PersonalizeClient
        assert moengage_personalize.__file__.startswith(sys.argv[1]), moengage_personalize.__file__
        with sandbox.serve() as base_url:
            with PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=base_url) as client:
                print(client.fetch("promo-strip").value("promo-strip", "Countdown", None))
    """
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    run = [sys.executable, "-c", code, str(unpacked)]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
