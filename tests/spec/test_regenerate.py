"""The one command of a maintainer, on a copy of the repository.

It is called in this process, and what the generator makes of a document and mypy says of a package is kept for the
session; two cases run as a process from end to end, with nothing kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from helpers import ROOT
from regenerating import (
    PROJECT,
    context,
    edited,
    event,
    events,
    experience,
    full,
    move_to_components,
    operation,
    rename,
    request,
    variable,
    vendored,
)

from regeneration import PACKAGE, Project, command, fit, generate, moving, reading

VENDORED = PROJECT.vendored.read_bytes()
RECORDED = tomllib.loads(PROJECT.record.read_text("utf-8"))
PAGE = b"# Fetch Experience\n\nText, and ```code```.\n\n````yaml /api/x.yaml post /x\n" + VENDORED + b"````\n\nMore.\n"
UNCHANGED = "regenerate: nothing was changed\n"
BUILD, TYPE_ERRORS, KNOWN_BY_HEART = generate.build, fit.type_errors, fit.known_by_heart
FITS = "generated: 0 file(s) changed\nwrapper: fits, in its types and in its contract\n"


@frozen
class Done:
    """What a run gave back."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the generator has made, by the hash of what it was told; the vendored edition is there from the start."""
    kept = tmp_path_factory.mktemp("kept")
    edition = generate.effective(reading.parse(VENDORED.decode()), PROJECT)
    shutil.copytree(PROJECT.generated, kept / _key(edition), ignore=shutil.ignore_patterns("__pycache__"))
    return kept


def _key(edition: generate.Effective) -> str:
    return hashlib.sha256((edition.text() + json.dumps(edition.configuration)).encode()).hexdigest()


@pytest.fixture(scope="session")
def answers() -> dict[tuple[object, ...], Any]:
    """What mypy and the wrapper's contract have said, by the hashes of the code of package and wrapper.

    Of what is in the repository ./scripts/test asks mypy itself; here it is asked of what a test has changed.
    """
    return {(TYPE_ERRORS.__name__, code(PROJECT.generated), code(PROJECT.wrapper)): []}


def code(folder: Path) -> str:
    """The hash of the code in a folder; mypy reads nothing else."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        whole.update(f"{path.relative_to(folder)}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return whole.hexdigest()


def copy_of_the_project(tree: Path, *, scripts: bool = False) -> Path:
    """What the command works on; the wrapper is only read, and linked."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("spec", "generated", *(["scripts/regeneration"] if scripts else [])):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    if scripts:
        shutil.copy(ROOT / "scripts" / "regenerate", tree / "scripts")
    (tree / "wrapper").symlink_to(ROOT / "wrapper")
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy keeps of the libraries, made once."""
    folder = tmp_path_factory.mktemp("mypy") / "cache"
    assert TYPE_ERRORS(PROJECT, PROJECT.generated, folder) == []
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path / "tree")


@pytest.fixture
def tree_with_scripts(tmp_path: Path) -> Path:
    """The copy with the command itself, for a process."""
    return copy_of_the_project(tmp_path / "tree", scripts=True)


@pytest.fixture
def wrapper(tree: Path) -> Path:
    """The copy's own wrapper, for a test that changes it."""
    (tree / "wrapper").unlink()
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "wrapper", tree / "wrapper", ignore=ignored)) / "moengage_personalize"


@pytest.fixture
def regenerate(
    tree: Path,
    kept: Path,
    answers: dict[tuple[object, ...], Any],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """The command in this process, on the copy."""

    def build_once(edition: generate.Effective, folder: Path) -> Path:
        if not (kept / _key(edition)).exists():
            shutil.copytree(BUILD(edition, folder), kept / _key(edition))
            shutil.rmtree(folder / PACKAGE)
        return Path(shutil.copytree(kept / _key(edition), folder / PACKAGE))

    def once(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(project: Project, package: Path, *cache: Path) -> Any:
            key = ask.__name__, code(package), code(project.wrapper)
            if key not in answers:
                for place in cache:
                    shutil.copytree(request.getfixturevalue("libraries"), place)
                answers[key] = ask(project, package, *cache)
            return answers[key]

        return asked

    def read_once(path: Path, step: str) -> Any:
        key = "read", path.name, path.read_bytes() if path.is_file() else None
        if key not in answers:
            answers[key] = reading.load_own(path, step)
        return answers[key]

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(generate, "load_own", read_once)
        monkeypatch.setattr(generate, "build", build_once)
        monkeypatch.setattr(fit, "type_errors", once(TYPE_ERRORS))
        monkeypatch.setattr(fit, "known_by_heart", once(KNOWN_BY_HEART))
        capfd.readouterr()
        status = command.main([str(argument) for argument in arguments], Project(tree))
        return Done(status, *capfd.readouterr())

    return run


def contents(tree: Path) -> dict[str, bytes]:
    files = (path for name in ("spec", "generated") for path in (tree / name).rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def write(tree: Path, document: Any, name: str = "edition.json") -> Path:
    path = tree.parent / name
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def process(tree: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, str(tree / "scripts" / "regenerate"), *map(str, arguments)]
    given = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.run(run, env=given, capture_output=True, text=True, check=False, cwd=tree.parent)


# The source.


def test_the_vendored_document_is_the_one_that_is_recorded() -> None:
    assert hashlib.sha256(VENDORED).hexdigest() == RECORDED["sha256"]
    assert moving.digest(PROJECT.generated) == RECORDED["generated"]


BROKEN = {
    "empty": b"",
    "a page without one": b"# A page\n\nwithout a document\n",
    "two in a page": PAGE + PAGE,
    "an unclosed fence": PAGE.replace(b"````\n\nMore.\n", b""),
    "Swagger": b"swagger: '2.0'\ninfo: {title: x, version: '1'}\npaths: {}\n",
    "a key twice": VENDORED + b"openapi: 3.0.3\n",
    "a tab": b"openapi: 3.0.3\npaths:\n\t/x: {}\n",
    "two documents": VENDORED + b"---\na: 1\n",
    "UTF-16": VENDORED.decode().encode("utf-16"),
    "not UTF-8": b"openapi: 3.0.3\npaths: {}\n# \xff\n",
    "laughs": b"openapi: 3.0.3\n"
    + b"a0: &a0 [lollollol]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)),
    "an anchor in itself": b"openapi: 3.0.3\npaths: &p {/x: *p}\n",
    "deep": b"openapi: 3.0.3\nx-deep: " + b"[" * 3000 + b"]" * 3000 + b"\npaths: {}\n",
    "no components": b"openapi: 3.0.3\ncomponents:\npaths: {}\n",
    "no path": b"openapi: 3.0.3\npaths: {/x: }\n",
    "a $ref to a host": b"openapi: 3.0.3\npaths: {/x: {$ref: 'http://127.0.0.1:1/x'}}\n",
    "a $ref in a circle": b"openapi: 3.0.3\npaths: {/x: {$ref: '#/paths/~1x'}}\n",
    "a $ref to nothing": b"openapi: 3.0.3\npaths: {/x: {$ref: '#/paths/~1y'}}\n",
    "JSON cut short": b'{"openapi": "3.0.3", "paths": {',
    "HTML": b"<!doctype html><html><body>openapi: 3.0.3</body></html>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_source_changes_nothing_and_says_why(tree: Path, regenerate: Run, name: str) -> None:
    before = contents(tree)
    source = tree.parent / "source.yaml"
    source.write_bytes(BROKEN[name])
    done = regenerate("--from", source)
    sys.stdout.write(f"{name}: {done.stderr}")  # for whoever runs it with -s
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("regenerate: failed at read: source.yaml: ") or "$ref" in name
    assert done.stderr.startswith("regenerate: failed at read: ")
    assert done.stderr.endswith(UNCHANGED)
    assert "Traceback" not in done.stderr
    assert contents(tree) == before


def test_no_source_is_an_error(tree: Path, regenerate: Run) -> None:
    done = regenerate("--from", "")
    reason = "expected a file or an http(s) address, got an empty text"
    assert done == Done(1, "", f"regenerate: failed at read: {reason}\n{UNCHANGED}")


def mixed_enum() -> Any:
    return {"content": {"application/json": {"schema": {"enum": [1, "two"]}}}}


@pytest.mark.parametrize(
    ("breakage", "step"),
    [
        (lambda document: operation(document).pop("responses"), "overlay"),
        (lambda document: request(document).pop("DAY_OF_THE_WEEK"), "overlay"),
        (lambda document: document["paths"]["/experiences/fetch"].update(post=None), "overlay"),
        (lambda document: document.pop("info"), "validate"),
        (lambda document: document["paths"].update({"/x/{id}": {"get": {"responses": {}}}}), "validate"),
        (lambda document: experience(document).update(x=None), "validate"),
        (
            lambda document: document["paths"].update(
                {"/x": {"post": {"requestBody": mixed_enum(), "responses": {"200": {"description": ""}}}}}
            ),
            "generate",
        ),
        (lambda document: request(document)["DAY_OF_THE_WEEK"].pop("enum"), "generate"),
    ],
    ids=["no answer", "no day", "no operation", "no info", "a parameter", "a null", "a warning", "a stale override"],
)
def test_a_step_that_fails_is_named_and_changes_nothing(
    tree: Path, regenerate: Run, breakage: Callable[[Any], Any], step: str
) -> None:
    before = contents(tree)
    done = regenerate("--from", write(tree, edited(vendored(), breakage)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"regenerate: failed at {step}: ")
    assert done.stderr.endswith(UNCHANGED)
    assert "Traceback" not in done.stderr
    assert contents(tree) == before
    assert not list(tree.glob(".regenerate-*"))


# What is ours and broken, with every way to call it.


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["rebuild", "check"])
@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("spec/overlay.yaml", "a: [", "failed at overlay: spec/overlay.yaml: line 1, column 5"),
        ("spec/overlay.yaml", "- a", "failed at overlay: spec/overlay.yaml: expected a mapping, got list"),
        ("spec/overlay.yaml", "overlay: 1.1.0\nactions: {}", "failed at overlay: expected actions to be a list"),
        ("spec/companion.yaml", "paths: 1", "failed at companion: spec/companion.yaml: expected paths and components"),
        ("spec/companion.yaml", "a: 1\na: 2", "failed at companion: spec/companion.yaml: line 2, column 1: found dup"),
        ("spec/generator.yaml", "\x00", "failed at generate: spec/generator.yaml: "),
        ("spec/SOURCE.toml", "source = ", "failed at record: spec/SOURCE.toml: Invalid value"),
        ("spec/SOURCE.toml", "source = 'x'", "failed at record: spec/SOURCE.toml: expected source, sha256 and gener"),
        ("spec/personalize-experience.yaml", "a: [", "failed at read: personalize-experience.yaml: line 1, column 5"),
        ("pyproject.toml", "[", "failed at environment: TOMLDecodeError"),
        ("pyproject.toml", "[x]", "failed at environment: KeyError: 'dependency-groups'"),
    ],
)
def test_a_broken_file_of_ours_is_named(
    tree: Path, regenerate: Run, arguments: tuple[str, ...], name: str, text: str, reason: str
) -> None:
    (tree / name).write_text(text, "utf-8")
    before = contents(tree)
    done = regenerate(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tree) == before


@pytest.mark.parametrize("name", ["overlay.yaml", "companion.yaml", "generator.yaml", "SOURCE.toml"])
def test_a_file_of_ours_that_is_gone_is_named(tree: Path, regenerate: Run, name: str) -> None:
    (tree / "spec" / name).unlink()
    done = regenerate()
    assert done.returncode == 1
    assert f"spec/{name}: [Errno 2] No such file or directory" in done.stderr


def test_another_version_of_a_pinned_tool_is_refused(tree: Path, regenerate: Run) -> None:
    project = tree / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace('"ruff==0.', '"ruff==9.'), "utf-8")
    assert "failed at environment: expected ruff==9." in regenerate("--check").stderr


def test_an_environment_without_the_tools_is_told_how_to_get_them(tree_with_scripts: Path) -> None:
    bare = [sys.executable, "-S", str(tree_with_scripts / "scripts" / "regenerate")]
    done = subprocess.run(bare, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 1
    assert "expected the environment of ./scripts/install dev, got one without" in done.stderr


def test_an_environment_that_is_a_link_does_not_start_itself_for_ever(tree_with_scripts: Path) -> None:
    (tree_with_scripts / ".venv").symlink_to(Path(sys.prefix))
    assert process(tree_with_scripts, "--help").returncode == 0
    (tree_with_scripts / ".venv").unlink()
    (tree_with_scripts / ".venv" / "bin").mkdir(
        parents=True
    )  # a link to a Python that is not of the folder that it stands in
    (tree_with_scripts / ".venv" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    done = process(tree_with_scripts, "--help", PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 0


# Editions that go through.


@pytest.mark.parametrize("page", [PAGE, PAGE.replace(b"````", b"~~~~"), VENDORED], ids=["fenced", "tildes", "itself"])
def test_the_published_page_is_a_source(tree: Path, regenerate: Run, page: bytes) -> None:
    before = contents(tree)
    source = tree.parent / "fetch-experience.md"
    source.write_bytes(page)
    done = regenerate("--from", source)
    read = f"read fetch-experience.md: {len(VENDORED):,} bytes, sha256 {RECORDED['sha256']}\n"
    assert done == Done(0, f"{read}changes: none that a caller meets\n{FITS}", "")
    assert contents(tree) == before


def test_a_new_edition_is_recorded(tree: Path, regenerate: Run) -> None:
    source = write(tree, vendored())
    assert regenerate("--from", source).returncode == 0
    document = (tree / "spec" / "personalize-experience.yaml").read_bytes()
    assert document == source.read_bytes()
    recorded = tomllib.loads((tree / "spec" / "SOURCE.toml").read_text("utf-8"))
    assert (recorded["source"], recorded["sha256"]) == ("edition.json", hashlib.sha256(document).hexdigest())
    assert recorded["generated"] == moving.digest(Project(tree).generated)
    assert regenerate("--check").returncode == 0
    assert regenerate() == Done(0, FITS, "")


def test_a_file_whose_name_is_no_text_is_a_source(tree: Path, regenerate: Run) -> None:
    source = os.fsdecode(os.fsencode(tree.parent) + b"/\xff.json")
    write(tree, vendored()).rename(source)
    assert regenerate("--from", source).returncode == 0
    recorded = tomllib.loads((tree / "spec" / "SOURCE.toml").read_text("utf-8"))
    assert recorded["source"] == "\N{REPLACEMENT CHARACTER}.json"


def harmless(document: Any) -> None:
    """Everything at once that may come and breaks nobody."""
    document["info"]["description"] = "Another text."
    operation(document)["description"] = 'With "quotes", \\backslashes and \'\'\'three\'\'\' """quotes""".'
    experience(document)["priority"] = {"type": "integer"}
    experience(document)["channel"] = {"type": "string", "enum": ["web", "app"]}
    context(document)["type"]["enum"].append("App Personalization")
    context(document)["served_at"] = {"type": "string", "format": "date-time"}
    variable(document)["data_type"]["enum"].append("array")
    event(document)["attributes"]["properties"]["type"]["enum"].append("App Personalization")
    schema = operation(document)["requestBody"]["content"]["application/json"]["schema"]
    schema["additionalProperties"] = {"type": "string"}
    as_published(document)
    turned = backwards(document)
    document.clear()
    document.update(turned)


def backwards(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: backwards(value) for key, value in reversed(node.items())}
    return [backwards(item) for item in node] if isinstance(node, list) else node


def as_published(document: Any) -> None:
    """Other names and tags than ours, a schema under components, and nothing of an event required."""
    events(document).update(operationId="trackExperienceEvents", tags=["Tracking"], summary="Track Experience Events")
    media = events(document)["requestBody"]["content"]["application/json"]
    document["components"]["schemas"]["TrackEvents"] = without_required(media["schema"])
    media["schema"] = {"$ref": "#/components/schemas/TrackEvents"}


def without_required(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_required(value) for key, value in node.items() if key != "required"}
    return [without_required(item) for item in node] if isinstance(node, list) else node


CALL = """if True:
    import sys
    from datetime import UTC, datetime
    import moengage_personalize, moengage_personalize_api
    from moengage_personalize import InSession, PersonalizeClient, sandbox, events
    for package in (moengage_personalize, moengage_personalize_api):
        assert package.__file__.startswith(sys.argv[1]), package.__file__
    session = InSession(at=datetime(2026, 11, 23, 14, tzinfo=UTC), attributes={"utm_medium": "email"})
    with sandbox.serve() as url, PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=url) as client:
        got = client.fetch(customer_id="user_8821", user_identifiers={"u_em": "a@b.c"}, in_session=session)
        banner = got["homepage-banner"]
        context = {**banner.context, "type": "Another Personalization"}
        client.report_events([events.clicked(context, customer_id="user_8821", element="Buy")])
        print(sorted(got), banner["Title"], len(banner.context), len(client.metadata(["Active"])))
"""


@pytest.mark.slow
def test_a_harmless_edition_goes_through_without_touching_the_wrapper(tree: Path, regenerate: Run) -> None:
    """It fits, and client and sandbox of the copy speak to one another, with a type of context that nobody knows."""
    done = regenerate("--from", write(tree, edited(full(), harmless)))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("wrapper: fits, in its types and in its contract\n")
    assert regenerate("--check").returncode == 0
    environment = os.environ | {"PYTHONPATH": f"{tree}/generated:{tree}/wrapper", "PYTHONDONTWRITEBYTECODE": "1"}
    run = [sys.executable, "-c", CALL, str(tree)]
    called = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert called.stdout == (
        "['cart-upsell', 'email-landing-banner', 'homepage-banner', 'promo-strip'] "
        "Free shipping on orders over ₹999 8 4\n"
    ), called.stderr


@pytest.mark.slow
def test_what_the_companion_requires_of_an_event_is_required_of_the_document_s_own(tree: Path, regenerate: Run) -> None:
    assert regenerate("--from", write(tree, edited(full(), harmless))).returncode == 0
    models = Project(tree).generated / "models"
    assert "    customer_id: str\n" in (models / "event_element.py").read_text("utf-8")
    assert "    moe_event_uuid: str\n" in (models / "event_action.py").read_text("utf-8")
    events_module = Project(tree).generated / "api" / "events" / "report_experience_events.py"
    assert "Track Experience Events" in events_module.read_text("utf-8")


@pytest.mark.slow
def test_an_edition_whose_schemas_moved_goes_through_with_one_line_a_cause(tree: Path, regenerate: Run) -> None:
    assert regenerate("--from", write(tree, vendored())).returncode == 0
    before = contents(tree)
    done = regenerate("--from", write(tree, edited(vendored(), move_to_components)))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert [note.partition(" is now a $ref to ")[2] for note in notes] == [
        "#/components/schemas/Request: 6 action(s) of the overlay follow it",
        "#/components/schemas/Day: 1 action(s) of the overlay follow it",
        "#/components/schemas/Answer: 8 action(s) of the overlay follow it",
    ]
    assert "changes: none that a caller meets\n" in done.stdout
    changed = {name for name, content in contents(tree).items() if content != before[name]}
    code = {name for name in changed if name.endswith(".py")}
    assert not {name for name in code if "/models/" not in name}, code


# Editions that do not.


@pytest.mark.slow
def test_a_tag_that_moves_what_the_wrapper_imports_is_told(tree: Path, regenerate: Run) -> None:
    def edit(document: Any) -> None:
        operation(document)["tags"] = ["Personalize"]

    done = regenerate("--from", write(tree, edited(vendored(), edit)))
    assert (done.returncode, done.stderr) == (3, "")
    assert "  POST /experiences/fetch: tag Experiences -> Personalize, after which the import path is named\n" in (
        done.stdout
    )
    misfits = done.stdout.partition("wrapper: does not fit here\n")[2]
    assert "import" in misfits.splitlines()[0]
    assert "moengage_personalize_api.api.experiences" in misfits
    assert "the wrapper cannot be imported over this package, and its contract not be read: ImportError" in misfits
    assert regenerate("--check").returncode == 0  # it went in


def contradicting(document: Any) -> None:
    """A name and a number that the wrapper knows by heart, and a value that would be markup in a pull request."""
    rename(variable(document), "data_type", "dataType")
    request(document)["experience_key"]["maxItems"] = 10
    context(document)["type"]["enum"].append("```\n<script>")


@pytest.mark.slow
def test_a_name_and_a_number_that_changed_are_told_with_place_and_both_values(tree: Path, regenerate: Run) -> None:
    done = regenerate("--dry-run", "--from", write(tree, edited(vendored(), contradicting)))
    misfits = done.stdout.partition("wrapper: does not fit here\n")[2].splitlines()
    assert done.returncode == 3
    assert any("KEYS_PER_REQUEST: expected 25 at $." in line and line.endswith("maxItems, got 10") for line in misfits)
    (names,) = (line for line in misfits if "VALUE, DATA_TYPE: " in line)
    assert "expected the fields ['value', 'data_type'] at $." in names
    assert names.endswith("got ['dataType', 'value']")


def test_a_correction_that_upstream_made_itself_is_noticed(tree: Path, regenerate: Run) -> None:
    document = vendored()
    request(document)["identifiers"]["properties"]["user_identifiers"]["type"] = "object"
    done = regenerate("--from", write(tree, document))
    assert done.returncode == 1
    assert "Drop the type of user_identifiers" in done.stderr
    assert "expected to replace 'string', got 'object'" in done.stderr


# Drift, local changes, and runs that end early.


def test_check_shows_drift_and_changes_nothing(tree: Path, regenerate: Run) -> None:
    package = Project(tree).generated
    (package / "errors.py").unlink()
    (package / "stale.py").write_text("x = 1\n")
    (package / "types.py").write_text("")
    before = contents(tree)
    done = regenerate("--check")
    assert done.returncode == 1
    assert "+++ regenerated/errors.py" in done.stdout
    assert "-x = 1" in done.stdout
    assert done.stdout.endswith("generated: 3 file(s) drifted\n")
    assert contents(tree) == before


def test_check_notices_a_record_that_is_of_another_package(tree: Path, regenerate: Run) -> None:
    record = tree / "spec" / "SOURCE.toml"
    record.write_text(record.read_text("utf-8").replace(RECORDED["generated"], "0" * 64), "utf-8")
    done = regenerate("--check")
    assert done.returncode == 1
    assert done.stdout.startswith("spec/SOURCE.toml: expected it to record what is generated")


@pytest.mark.parametrize("name", ["errors.py", "untracked.py"])
def test_local_changes_are_not_written_over_unless_that_is_wanted(tree: Path, regenerate: Run, name: str) -> None:
    with (Project(tree).generated / name).open("a") as file:
        file.write("# a change\n")
    before = contents(tree)
    done = regenerate()
    assert done.returncode == 1
    assert f"failed at prepare: expected generated/{PACKAGE} as it was generated last, got local changes" in done.stderr
    assert contents(tree) == before
    assert regenerate("--dry-run").returncode == 0
    assert contents(tree) == before
    assert regenerate("--force").returncode == 0
    assert contents(tree) != before
    assert regenerate("--check").returncode == 0


def test_a_document_that_was_edited_by_hand_is_said(tree: Path, regenerate: Run) -> None:
    document = tree / "spec" / "personalize-experience.yaml"
    document.write_bytes(VENDORED + b"# edited\n")
    said = f"spec/personalize-experience.yaml was edited by hand: expected sha256 {RECORDED['sha256']}"
    assert regenerate("--check").stdout.startswith(said)
    done = regenerate()
    assert done.returncode == 0
    assert done.stderr.startswith(f"regenerate: note: {said}")
    source = tree.parent / "page.md"
    source.write_bytes(PAGE)
    assert said in regenerate("--from", source).stderr
    assert document.read_bytes() == VENDORED
    document.unlink()
    assert "got no file" in regenerate("--from", source).stderr
    assert document.read_bytes() == VENDORED


@pytest.mark.slow
def test_a_dry_run_does_all_but_the_move(tree: Path, regenerate: Run) -> None:
    before = contents(tree)
    done = regenerate("--dry-run", "--from", write(tree, edited(full(), harmless)))
    assert done.returncode == 0
    assert "data_type a new value may arrive: 'array'\n" in done.stdout
    assert done.stdout.endswith("wrapper: fits, in its types and in its contract\n")
    assert done.stderr == "regenerate: a dry run, nothing was changed\n"
    assert contents(tree) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
def test_a_run_that_is_stopped_or_has_no_room_changes_nothing(
    tree: Path, regenerate: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    before = contents(tree)
    monkeypatch.setattr(command, "_differences", fail)
    done = regenerate()
    assert done.returncode == (130 if isinstance(error, KeyboardInterrupt) else 1)
    said = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed at compare: "
    assert done.stderr.startswith(f"regenerate: {said}")
    assert done.stderr.endswith(UNCHANGED)
    assert contents(tree) == before
    assert not list(tree.glob(".regenerate-*"))


def test_a_reader_who_leaves_changes_neither_the_outcome_nor_the_status(
    tree: Path, regenerate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(os.fdopen(writer, "wb"), encoding="ascii") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert regenerate("--from", write(tree, vendored())).returncode == 0
    assert json.loads((tree / "spec" / "personalize-experience.yaml").read_text("utf-8")) == vendored()


# The verdict.


@pytest.mark.slow
def test_a_misfit_is_not_remembered_and_the_copy_s_own_wrapper_is_looked_at(wrapper: Path, regenerate: Run) -> None:
    misfit = wrapper / "_misfit.py"
    misfit.write_text("from moengage_personalize_api.models import NoSuchModel\n", "utf-8")
    done = regenerate()
    assert done.returncode == 3
    assert "wrapper/moengage_personalize/_misfit.py:1: error: Module" in done.stdout
    misfit.unlink()
    assert regenerate().returncode == 0


@pytest.mark.slow
def test_a_constant_that_contradicts_the_vendored_document_is_told(wrapper: Path, regenerate: Run) -> None:
    settings = wrapper / "_settings.py"
    settings.write_text(settings.read_text("utf-8").replace('"https://sdk-{dc}.', '"https://api-{dc}.'), "utf-8")
    done = regenerate()
    assert done.returncode == 3
    assert done.stdout.count("SERVER: expected 'https://api-{dc}.moengage.com/v1' at $.paths") == 3


def test_a_mypy_that_is_missing_or_dies_is_a_failed_step(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(tree)
    for status, words in ((1, "No module named mypy"), (2, "INTERNAL ERROR"), (-9, "")):
        dead = subprocess.CompletedProcess[str]([], status, "", words)
        monkeypatch.setattr(fit, "_run", lambda *_, dead=dead: dead)
        with pytest.raises(fit.StepFailed, match=f"fit: expected a verdict of mypy, got status {status}\n{words}"):
            fit.type_errors(Project(tree), PROJECT.generated, tree / "cache")
    assert contents(tree) == before


@pytest.mark.slow
def test_a_wrapper_that_cannot_be_read_for_another_reason_is_a_failed_step(wrapper: Path, regenerate: Run) -> None:
    with (wrapper / "events.py").open("a", encoding="utf-8") as events:
        events.write("import no_such_module  # type: ignore\n")
    done = regenerate()
    assert done.returncode == 1
    assert "failed at fit: expected the wrapper's contract, got status 1\n" in done.stderr
    assert "No module named 'no_such_module'" in done.stderr


# Reports.


@pytest.mark.slow
def test_a_report_is_json_for_a_program(tree: Path, regenerate: Run) -> None:
    regenerate("--from", write(tree, vendored()))
    done = regenerate("--dry-run", "--report", "json", "--from", write(tree, edited(full(), harmless)))
    told = json.loads(done.stdout)
    assert (told["source"], told["fits"], told["misfits"]) == ("edition.json", True, [])
    assert {change["level"] for change in told["changes"]} == {"breaking", "warning", "info"}
    assert told["changelog"][0] == "### Changed"
    again = json.loads(regenerate("--report", "json").stdout)
    assert (again["changes"], again["changelog"], again["files_changed"]) == ([], [], 0)


@pytest.mark.slow
def test_a_report_is_markdown_for_a_pull_request(tree: Path, regenerate: Run) -> None:
    """What a document says is code in it, and can be nothing else."""
    document = write(tree, edited(vendored(), contradicting))
    done = regenerate("--dry-run", "--report", "markdown", "--from", document)
    assert done.stdout.startswith("## The API's document has changed\n")
    assert "**The wrapper does not fit**\n\n- `` " in done.stdout
    assert "KEYS_PER_REQUEST: expected 25 at" in done.stdout
    assert "\n### Breaking: a caller has to change something\n\n- `` " in done.stdout
    assert "a new value may arrive: ''''\\n<script>' ``\n" in done.stdout
    assert "### Proposed for wrapper/CHANGELOG.md\n\n````markdown\n### Changed\n" in done.stdout


@pytest.mark.slow
def test_an_entry_for_the_changelog_is_proposed(tree: Path, regenerate: Run) -> None:
    regenerate("--from", write(tree, vendored()))
    done = regenerate("--dry-run", "--from", write(tree, vendored()))
    assert "changes: none" in done.stdout
    assert "CHANGELOG" not in done.stdout
    done = regenerate("--dry-run", "--from", write(tree, edited(full(), harmless)))
    entry = done.stdout.partition("proposed for wrapper/CHANGELOG.md:\n")[2]
    assert entry.startswith("  ### Changed\n  \n  - The API's document as it was published on 20")
    assert "addition(s) that a caller need not know of\n" in entry


# From end to end, as a process.


@pytest.mark.slow
def test_a_new_edition_goes_in_from_a_page_and_nothing_on_the_path_is_needed(tree_with_scripts: Path) -> None:
    """Document, overlay, generator, ruff, mypy and the move, on a copy whose generated/ is gone, without a PATH."""
    tree = tree_with_scripts
    before = contents(tree)
    shutil.rmtree(tree / "generated")
    page = tree.parent / "fetch-experience.md"
    page.write_bytes(PAGE)
    done = process(tree, "--from", page, PATH="", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        f"read fetch-experience.md: {len(VENDORED):,} bytes, sha256 {RECORDED['sha256']}\nchanges: unknown"
    )
    assert done.stdout.endswith("wrapper: fits, in its types and in its contract\n")
    assert contents(tree) == before
    assert not list(tree.glob(".regenerate-*"))


@pytest.mark.slow
def test_what_is_generated_is_in_step(tree_with_scripts: Path) -> None:
    """--check builds the same bytes, changes nothing and says so."""
    before = contents(tree_with_scripts)
    done = process(tree_with_scripts, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "generated: 0 file(s) drifted\n", "")
    assert contents(tree_with_scripts) == before
    assert not list(tree_with_scripts.glob(".regenerate-*"))
