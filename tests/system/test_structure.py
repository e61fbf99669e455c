"""The rules of the house: the public face, which room may import which, and what is in a wheel."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT

import moengage_personalize
from moengage_personalize import _transport as engines, sandbox

WRAPPER = ROOT / "wrapper" / "moengage_personalize"
# From the top down; a room may import those below it and none above.
ROOMS = [
    "__main__",
    "cli",
    "sandbox",
    "integrations",
    "__init__",
    "_client",
    "_async_client",
    "_companion",
    "_page",
    "_async_reporter",
    "_reporter",
    "_delivery",
    "_outbox",
    "_item",
    "_spool",
    "_store",
    "_lease",
    "_base",
    "_drive",
    "engines",
    "_wire",
    "_refusals",
    "_parts",
    "_flow",
    "_guard",
    "_circuit",
    "_reports",
    "events",
    "_metadata",
    "_experiences",
    "_context",
    "_question",
    "_session",
    "_settings",
    "_forked",
    "_http",
    "_json",
    "_errors",
]
FILES = sorted(WRAPPER.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(WRAPPER).with_suffix("").parts
    return parts[0]


def imported(path: Path) -> set[str]:
    """The modules that a file imports, in full."""
    package = ["moengage_personalize", *path.relative_to(WRAPPER).with_suffix("").parts][:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", [moengage_personalize, engines, sandbox], ids=lambda module: module.__name__)
def test_all_is_sorted_and_there(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(hasattr(module, name) for name in names)


def test_the_public_face_imports_what_is_asked_for_and_nothing_before() -> None:
    code = """if True:
        import sys, moengage_personalize
        print({"moengage_personalize._client", "moengage_personalize_api", "httpx"} & {*sys.modules})
        print(moengage_personalize.PersonalizeClient, dir(moengage_personalize) == moengage_personalize.__all__)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n<class 'moengage_personalize._client.PersonalizeClient'> True\n"
    assert dir(moengage_personalize) == moengage_personalize.__all__
    assert moengage_personalize.__getattr__("events") is moengage_personalize.events  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="has no attribute 'PersonaliseClient'"):
        _ = moengage_personalize.PersonaliseClient  # type: ignore[attr-defined]


def test_everything_public_is_described() -> None:
    assert not [name for name in moengage_personalize.__all__ if not getattr(moengage_personalize, name).__doc__]


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(WRAPPER)))
def test_a_room_imports_only_from_below(path: Path) -> None:
    here = ROOMS.index(room(path))
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "moengage_personalize":
            first = rest.partition(".")[0]
            there = ROOMS.index(first if first in ROOMS else "__init__")
            assert there >= here, f"{path} imports {name}"


def test_integrations_are_imported_by_name_only() -> None:
    importers = {room(path) for path in FILES if any("integrations" in name for name in imported(path))}
    assert importers <= {"integrations"}


def test_only_the_wire_imports_the_generated_client() -> None:
    importers = [
        path.name for path in FILES if any(name.startswith("moengage_personalize_api") for name in imported(path))
    ]
    assert importers == ["_wire.py"]


def test_the_sandbox_shares_no_code_with_the_wire() -> None:
    shared = {name for path in FILES if room(path) == "sandbox" for name in imported(path)}
    assert {name for name in shared if name.startswith("moengage_personalize._")} == {"moengage_personalize._errors"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(WRAPPER)))
def test_a_room_is_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 200


def test_the_top_level_holds_what_the_design_allows() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "spec", "generated", "wrapper", "scripts", "tests", "uv.lock"}
    assert {name for name in top if not name.startswith(".")} <= allowed


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
    code = """if True:
        import sys, moengage_personalize
        from moengage_personalize import sandbox, PersonalizeClient
        from moengage_personalize.sandbox import _document
        assert moengage_personalize.__file__.startswith(sys.argv[1]), moengage_personalize.__file__
        assert (_document.PLACES[0] / "personalize-experience.yaml").is_file()
        assert (_document.PLACES[0] / "companion.yaml").is_file()
        with sandbox.serve() as base_url:
            with PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=base_url) as client:
                print(client.fetch("promo-strip").value("promo-strip", "Countdown", None))
    """
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    run = [sys.executable, "-c", code, str(unpacked)]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
