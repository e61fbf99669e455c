"""The one command of a maintainer, run as a process on a copy of the repository."""

from __future__ import annotations

import copy
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from test_generated import DOCUMENT

from regeneration import load_yaml

VENDORED = (ROOT / "spec" / "personalize-experience.yaml").read_bytes()
SHA256 = "bd0c5053a3d3b90b6ab158b34a4c5377f073367d2c585b5896549aa1ef413e74"
PAGE = b"# Fetch Experience\n\nText, and ```code```.\n\n````yaml /api/x.yaml post /x\n" + VENDORED + b"````\n\nMore.\n"
OVERLAY = "spec/overlay.yaml"

Tree = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in ("spec", "generated", "wrapper", "scripts"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture
def regenerate(tree: Path, mypy_cache: Path) -> Tree:
    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tree / "scripts" / "regenerate"), *map(str, arguments)]
        given = os.environ | {"MYPY_CACHE_DIR": str(mypy_cache), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd=tree.parent)

    return run


def contents(tree: Path) -> dict[str, bytes]:
    files = (path for name in ("spec", "generated") for path in (tree / name).rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def write(tree: Path, document: Any, name: str = "edition.json") -> Path:
    path = tree.parent / name
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def test_the_vendored_document_is_the_published_one() -> None:
    recorded = tomllib.loads((ROOT / "spec" / "SOURCE.toml").read_text("utf-8"))
    assert hashlib.sha256(VENDORED).hexdigest() == recorded["sha256"] == SHA256


def test_what_is_generated_is_in_step_and_two_runs_are_identical(tree: Path, regenerate: Tree) -> None:
    before = contents(tree)
    assert regenerate("--check").returncode == 0
    done = regenerate()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "generated/moengage_personalize_api: 0 file(s) changed\nwrapper: fits (mypy)\n"
    assert contents(tree) == before
    assert not list(tree.glob(".regenerate-*"))


def test_nothing_on_the_path_is_needed(tree: Path, regenerate: Tree) -> None:
    before = contents(tree)
    shutil.rmtree(tree / "generated")
    assert regenerate(PATH="").returncode == 0
    assert contents(tree) == before


def test_check_shows_drift_and_changes_nothing(tree: Path, regenerate: Tree) -> None:
    (tree / "generated" / "moengage_personalize_api" / "errors.py").unlink()
    (tree / "generated" / "moengage_personalize_api" / "stale.py").write_text("x = 1\n")
    (tree / "generated" / "moengage_personalize_api" / "types.py").write_text("")
    before = contents(tree)
    done = regenerate("--check")
    assert done.returncode == 1
    assert "+++ regenerated/errors.py" in done.stdout
    assert "-x = 1" in done.stdout
    assert done.stdout.endswith("generated/moengage_personalize_api: 3 file(s) drifted\n")
    assert contents(tree) == before


def test_check_notices_a_document_that_was_edited(tree: Path, regenerate: Tree) -> None:
    (tree / "spec" / "personalize-experience.yaml").write_bytes(VENDORED + b"# edited\n")
    done = regenerate("--check")
    assert done.returncode == 1
    assert f"spec/personalize-experience.yaml: expected sha256 {SHA256} (spec/SOURCE.toml), got" in done.stdout


@pytest.mark.parametrize("page", [PAGE, PAGE.replace(b"````", b"~~~~"), VENDORED], ids=["fenced", "tildes", "bare"])
def test_the_published_page_is_a_source(tree: Path, regenerate: Tree, page: bytes) -> None:
    before = contents(tree)
    source = tree.parent / "fetch-experience.md"
    source.write_bytes(page)
    done = regenerate("--from", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"read fetch-experience.md: 21,774 bytes, sha256 {SHA256}\nchanges: none" in done.stdout
    assert contents(tree) == before


@pytest.fixture
def website(tree: Path) -> Iterator[str]:
    (tree.parent / "site").mkdir()
    (tree.parent / "site" / "page.md").write_bytes(PAGE.replace(b"version: 1.0.0", b"version: 1.0.1"))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tree.parent / "site"))

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 -- as the base class names it
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_a_source_and_is_recorded(tree: Path, regenerate: Tree, website: str) -> None:
    done = regenerate("--from", f"{website}/page.md")
    assert (done.returncode, done.stderr) == (0, "")
    vendored = (tree / "spec" / "personalize-experience.yaml").read_bytes()
    assert vendored == VENDORED.replace(b"version: 1.0.0", b"version: 1.0.1")
    recorded = tomllib.loads((tree / "spec" / "SOURCE.toml").read_text("utf-8"))
    assert recorded["source"] == f"{website}/page.md"
    assert recorded["sha256"] == hashlib.sha256(vendored).hexdigest()
    assert regenerate("--check").returncode == 0


@pytest.mark.parametrize("location", ["missing.md", "/page-that-is-not-there.md", "http://127.0.0.1:1/x"])
def test_a_source_that_cannot_be_read_changes_nothing(
    tree: Path, regenerate: Tree, website: str, location: str
) -> None:
    before = contents(tree)
    done = regenerate("--from", location if not location.startswith("/") else website + location)
    assert done.returncode == 1
    assert done.stderr.startswith("regenerate: failed at read: expected")
    assert done.stderr.endswith("regenerate: nothing was changed\n")
    assert contents(tree) == before


@pytest.mark.parametrize(
    "content",
    [b"", b"# A page\n\nwithout a document\n", b"\xff\xfe", b"a: [", b"just: yaml\n", PAGE + PAGE, b"{}"],
    ids=["empty", "page", "not text", "not YAML", "another YAML", "two documents", "empty object"],
)
def test_a_source_that_is_none_changes_nothing(tree: Path, regenerate: Tree, content: bytes) -> None:
    before = contents(tree)
    source = tree.parent / "source"
    source.write_bytes(content)
    done = regenerate("--from", source)
    assert done.returncode == 1
    assert "failed at read: expected an OpenAPI document in YAML or JSON, or a page with exactly one" in done.stderr
    assert contents(tree) == before


def operation(document: Any) -> Any:
    return document["paths"]["/experiences/fetch"]["post"]


def request_schema(document: Any) -> Any:
    return operation(document)["requestBody"]["content"]["application/json"]["schema"]


def answer_schema(document: Any) -> Any:
    return operation(document)["responses"]["200"]["content"]["application/json"]["schema"]


def experience_schema(document: Any) -> Any:
    return answer_schema(document)["properties"]["experiences"]["additionalProperties"]


def add_operations(document: Any) -> None:
    def answer(schema: Any) -> Any:
        return {"description": "OK", "content": {"application/json": {"schema": schema}}}

    header = operation(document)["parameters"][0]
    errors = {code: operation(document)["responses"][code] for code in ("400", "401", "500")}
    listed = {"type": "object", "properties": {"experience_key": {"type": "string"}, "status": {"type": "string"}}}
    metadata = {"type": "object", "properties": {"experiences": {"type": "array", "items": listed}}}
    status = {"name": "status", "in": "query", "schema": {"type": "string", "enum": ["Active", "Paused"]}}
    document["paths"]["/experiences/metadata"] = {
        "get": {
            "operationId": "getMetadata",
            "tags": ["Experiences"],
            "parameters": [header, status],
            "responses": {"200": answer({"type": "object", "properties": {"metadata": metadata}})} | errors,
        }
    }
    action = {"type": "object", "required": ["action"], "properties": {"action": {"enum": ["SHOWN"], "type": "string"}}}
    element = {"type": "object", "properties": {"actions": {"type": "array", "items": action}}}
    body = {"type": "object", "properties": {"elements": {"type": "array", "maxItems": 100, "items": element}}}
    document["paths"]["/experiences/events"] = {
        "post": {
            "operationId": "reportExperienceEvents",
            "tags": ["Events"],
            "parameters": [header],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": answer({"type": "object", "properties": {"req_id": {"type": "string"}}})} | errors,
        }
    }


def type_extra_keys(document: Any) -> None:
    request_schema(document)["additionalProperties"] = {"type": "string"}


def add_to_the_answer(document: Any) -> None:
    properties = experience_schema(document)["properties"]
    properties["priority"] = {"type": "integer"}
    properties["channel"] = {"type": "string", "enum": ["web", "app"]}
    context = properties["experience_context"]["properties"]
    context["type"]["enum"].append("App Personalization")
    context["served_at"] = {"type": "string", "format": "date-time"}
    properties["payload"]["additionalProperties"]["properties"]["data_type"]["enum"].append("array")
    answer_schema(document)["properties"]["request_id"] = {"type": "string"}
    operation(document)["responses"]["200"]["content"]["application/json"]["examples"]["Another"] = {"value": {}}


def backwards(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: backwards(value) for key, value in reversed(node.items())}
    return [backwards(item) for item in node] if isinstance(node, list) else node


def reorder(document: Any) -> None:
    turned = backwards(document)
    document.clear()
    document.update(turned)


def describe(document: Any) -> None:
    document["info"]["description"] = "Another text."
    operation(document)["description"] = 'With "quotes", \\backslashes and \'\'\'three\'\'\' """quotes""".'
    request_schema(document)["description"] = "Another."
    experience_schema(document)["description"] = "Another."


EDITIONS: list[list[Callable[[Any], None]]] = [
    [add_operations],
    [type_extra_keys],
    [add_to_the_answer],
    [reorder],
    [describe],
    [add_operations, type_extra_keys, add_to_the_answer, describe, reorder],
]


def changed(changes: list[Callable[[Any], None]]) -> Any:
    document = copy.deepcopy(DOCUMENT)
    for change in changes:
        change(document)
    return document


ASK = """if True:
    import sys
    from datetime import UTC, datetime
    import moengage_personalize, moengage_personalize_api
    from moengage_personalize import InSession, PersonalizeClient, sandbox
    for package in (moengage_personalize, moengage_personalize_api):
        assert package.__file__.startswith(sys.argv[1]), package.__file__
    session = InSession(at=datetime(2026, 11, 23, 14, tzinfo=UTC), attributes={"utm_medium": "email", "n": 1})
    with PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=sys.argv[2]) as client:
        got = client.fetch(customer_id="user_8821", user_identifiers={"u_em": "a@b.c"}, in_session=session)
    print(sorted(got), got["homepage-banner"]["Title"], len(got["homepage-banner"].context))
"""


@pytest.mark.parametrize("changes", EDITIONS, ids=lambda changes: "+".join(change.__name__ for change in changes))
def test_a_harmless_edition_goes_through_without_touching_the_wrapper(
    tree: Path, regenerate: Tree, sandbox_url: str, changes: list[Callable[[Any], None]]
) -> None:
    done = regenerate("--from", write(tree, changed(changes)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("wrapper: fits (mypy)\n")
    assert regenerate("--check").returncode == 0
    environment = os.environ | {"PYTHONPATH": f"{tree}/generated:{tree}/wrapper"}
    command = [sys.executable, "-c", ASK, str(tree), sandbox_url]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert asked.stdout == (
        "['cart-upsell', 'email-landing-banner', 'homepage-banner', 'promo-strip'] "
        "Free shipping on orders over ₹999 8\n"
    ), asked.stderr


def test_what_changed_is_told_apart(tree: Path, regenerate: Tree) -> None:
    document = changed([add_operations, type_extra_keys, add_to_the_answer])
    request_schema(document)["required"] = ["identifiers"]
    request_schema(document)["properties"]["DAY_OF_THE_WEEK"]["enum"].remove("Monday")
    done = regenerate("--from", write(tree, document))
    breaking, _, harmless = done.stdout.partition("changes, not breaking:\n")
    place = "POST /experiences/fetch: request application/json"
    assert f"  {place} .* type any -> string\n" in breaking
    assert f"  {place} .identifiers is now required\n" in breaking
    assert f"  {place} .DAY_OF_THE_WEEK enum value Monday removed\n" in breaking
    assert "  GET /experiences/metadata: operation added\n" in harmless
    assert ".experience_context .type enum value App Personalization added\n" in harmless
    assert ".experiences .* .priority added\n" in harmless
    # DAYS in the wrapper is held against the generated type, and a request without identifiers no longer fits.
    assert done.returncode == 3
    assert "wrapper: no longer fits here\nwrapper/moengage_personalize/_wire.py:" in done.stdout


def move_to_components(document: Any) -> None:
    sent = operation(document)["requestBody"]["content"]["application/json"]
    answered = operation(document)["responses"]["200"]["content"]["application/json"]
    for name, media in (("Request", sent), ("Answer", answered)):
        document["components"]["schemas"][name] = media["schema"]
        media["schema"] = {"$ref": f"#/components/schemas/{name}"}
    del operation(document)["operationId"]


def test_an_edition_that_moves_its_schemas_names_every_action_that_no_longer_fits(tree: Path, regenerate: Tree) -> None:
    before = contents(tree)
    done = regenerate("--from", write(tree, changed([move_to_components])))
    assert done.returncode == 1
    assert "failed at overlay: 10 action(s) no longer fit the document" in done.stderr
    for name in ("FetchExperienceRequest", "Identifiers", "Experiences", "Payload", "ExperienceContext", "Open every"):
        assert name in done.stderr
    assert "expected the schema itself, got a $ref, beside which nothing counts" in done.stderr
    assert "expected at least one match, got none" in done.stderr
    assert contents(tree) == before


def test_an_edition_without_operation_ids_goes_through(tree: Path, regenerate: Tree) -> None:
    document = changed([])
    del operation(document)["operationId"]
    done = regenerate("--from", write(tree, document))
    assert (done.returncode, done.stderr) == (0, "")
    assert "generated/moengage_personalize_api: 0 file(s) changed" in done.stdout


def test_a_correction_that_upstream_made_itself_is_noticed(tree: Path, regenerate: Tree) -> None:
    document = changed([])
    request_schema(document)["properties"]["identifiers"]["properties"]["user_identifiers"]["type"] = "object"
    done = regenerate("--from", write(tree, document))
    assert done.returncode == 1
    assert "Drop the type of user_identifiers" in done.stderr
    assert "expected to replace 'string', got 'object'" in done.stderr


def mixed_enum() -> Any:
    return {"content": {"application/json": {"schema": {"enum": [1, "two"]}}}}


@pytest.mark.parametrize(
    ("breakage", "step"),
    [
        (lambda document: operation(document).pop("responses"), "overlay"),
        (lambda document: document.pop("info"), "validate"),
        (lambda document: document["paths"].update({"/x/{id}": {"get": {"responses": {}}}}), "validate"),
        (
            lambda document: document["paths"].update(
                {"/x": {"post": {"requestBody": mixed_enum(), "responses": {"200": {"description": ""}}}}}
            ),
            "generate",
        ),
        (lambda document: request_schema(document)["properties"].pop("DAY_OF_THE_WEEK"), "generate"),
    ],
    ids=["no answer", "no info", "undeclared parameter", "a warning of the generator", "a stale override"],
)
def test_a_step_that_fails_is_named_and_changes_nothing(
    tree: Path, regenerate: Tree, breakage: Callable[[Any], Any], step: str
) -> None:
    before = contents(tree)
    document = changed([])
    breakage(document)
    done = regenerate("--from", write(tree, document))
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith(f"regenerate: failed at {step}: ")
    assert done.stderr.endswith("regenerate: nothing was changed\n")
    assert contents(tree) == before
    assert not list(tree.glob(".regenerate-*"))


def test_another_version_of_a_pinned_tool_is_refused(tree: Path, regenerate: Tree) -> None:
    project = tree / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace('"ruff==0.', '"ruff==9.'), "utf-8")
    done = regenerate("--check")
    assert done.returncode == 1
    assert "failed at environment: expected ruff==9." in done.stderr


def test_an_environment_without_the_tools_is_told_how_to_get_them(tree: Path) -> None:
    bare = [sys.executable, "-S", str(tree / "scripts" / "regenerate")]
    done = subprocess.run(bare, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 1
    assert "expected the environment of ./scripts/install dev, got one without" in done.stderr


def test_a_document_that_has_the_companion_operations_wins_and_the_wrapper_still_fits(
    tree: Path, regenerate: Tree
) -> None:
    """As upstream would publish them: no titles, other tags and names, a parameter more, a component of its own."""
    companion = load_yaml((ROOT / "spec" / "companion.yaml").read_text("utf-8"))
    full = copy.deepcopy(DOCUMENT)
    theirs = untitled(companion["paths"])
    report = theirs["/experiences/events"]["post"]
    report |= {"operationId": "trackExperienceEvents", "tags": ["Tracking"], "summary": "Track Experience Events"}
    body = report["requestBody"]["content"]["application/json"]
    full["components"]["schemas"]["TrackEvents"] = body["schema"]
    body["schema"] = {"$ref": "#/components/schemas/TrackEvents"}
    full["paths"] |= theirs
    full["components"]["responses"] = companion["components"]["responses"]
    done = regenerate("--from", write(tree, full))
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrapper: fits (mypy)" in done.stdout
    events = tree / "generated" / "moengage_personalize_api" / "api" / "events" / "report_experience_events.py"
    assert "Track Experience Events" in events.read_text("utf-8")


def untitled(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: untitled(value) for key, value in part.items() if key != "title" or isinstance(value, dict)}
    return [untitled(value) for value in part] if isinstance(part, list) else part


def test_the_move_to_httpx2_is_one_switch_and_so_is_the_way_back(tree: Path, regenerate: Tree) -> None:
    def texts() -> dict[str, bytes]:
        named = tree / "wrapper" / "moengage_personalize" / "_http.py"
        return contents(tree) | {named.name: named.read_bytes()}

    before = texts()
    moved = regenerate("--http", "httpx2")
    assert (moved.returncode, moved.stderr) == (0, "")
    assert moved.stdout == "generated/moengage_personalize_api: 4 file(s) changed\nwrapper: fits (mypy)\n"
    assert b"import httpx2 as httpx\n" in texts()["_http.py"]
    importing = {name for name, text in contents(tree).items() if b"\nimport httpx" in text}
    assert importing
    assert all(b"\nimport httpx2 as httpx\n" in contents(tree)[name] for name in importing)
    assert regenerate("--check").returncode == 0  # what is generated follows the wrapper
    assert regenerate("--check", "--http", "httpx").returncode == 2
    assert regenerate("--http", "httpx").returncode == 0
    assert texts() == before


def test_a_wrapper_that_names_no_library_is_told(tree: Path, regenerate: Tree) -> None:
    named = tree / "wrapper" / "moengage_personalize" / "_http.py"
    named.write_text("import requests as httpx\n", "utf-8")
    done = regenerate()
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "failed at library: expected _http.py to import httpcore and httpx of one kind, got another text" in done.stderr
    )
