"""README and guides do as they say.

Each page stands alone. Its YAML blocks are files of experiences, the first one "experiences.yaml" in the folder in
which the Python blocks of the page then run, in order, with a sandbox in the environment; functions whose names begin
with "test_" and that take nothing are called. All Python blocks of a page, one after the other, pass the strict type
checkers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen
from helpers import ROOT

from moengage_personalize import CircuitBreaker, PersonalizeClient, Reporter, _base, _json, _split, sandbox
from moengage_personalize._operations import _pacing
from moengage_personalize._policy import _retry
from moengage_personalize._transport import _body, _idle, _parser

GUIDES = sorted((ROOT / "wrapper" / "guides").glob("*.md"))
PAGES = [ROOT / "README.md", *GUIDES]
DOCUMENTS = [*PAGES, ROOT / "wrapper" / "CHANGELOG.md", *sorted((ROOT / ".github").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"^    (?:python -m moengage_personalize|moengage-personalize) (fetch (?:.*\\\n)*.*)", re.MULTILINE
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]*))?\)")
README = PAGES[0].read_text("utf-8")
ALONE = {"django"}  # whose settings are made once a process
# Django has no types of its own. mypy takes what comes from it as Any; pyright infers, and much of that is wrong.
LENIENT = {"django": "# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@frozen
class Block:
    """What stands between two fences, and the number of the line before it."""

    line: int
    code: str


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text("utf-8")
    found = BLOCK.finditer(text)
    return [Block(text.count("\n", 0, one.start()) + 1, one[2]) for one in found if one[1] == language]


def in_place(page: Path) -> str:
    """The Python blocks of a page, each line where it is in the page."""
    lines: list[str] = []
    for block in blocks(page, "python"):
        lines += [""] * (block.line - len(lines))
        lines += block.code.splitlines()
    return "\n".join([*lines, ""])


def module_name(page: Path) -> str:
    """Of the module that the Python blocks of a page make; no other module has such a name."""
    return f"{page.stem.lower().replace('-', '_')}_page"


@pytest.fixture
def _place(monkeypatch: pytest.MonkeyPatch, sandbox_url: str, tmp_path: Path) -> None:
    monkeypatch.setenv("MOENGAGE_WORKSPACE_ID", sandbox.WORKSPACE_ID)
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", sandbox.API_KEY)
    monkeypatch.setenv("MOENGAGE_BASE_URL", sandbox_url)
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_place")
@every_page
def test_the_blocks_of_a_page_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, block in enumerate(blocks(page, "yaml")):
        path = Path(f"experiences{number or ''}.yaml")
        path.write_text(block.code, "utf-8")
        assert sandbox.app(path).routes
    if page.stem in ALONE:
        run_alone(page)
        return
    module = ModuleType(module_name(page))  # a real one, for what looks up names by module, such as dataclasses
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page, "python"):
        exec(compile("\n" * block.line + block.code, page, "exec"), vars(module))
    for name, test in list(vars(module).items()):
        if name.startswith("test_") and not test.__code__.co_argcount:
            test()


def run_alone(page: Path) -> None:
    """Run the blocks and tests of a page in a process of its own."""
    name = module_name(page)
    Path(f"{name}.py").write_text(in_place(page), "utf-8")
    code = f"import {name}; [test() for name, test in vars({name}).items() if name.startswith('test_')]"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one module for each page."""
    folder = tmp_path_factory.mktemp("blocks")
    for page in PAGES:
        (folder / f"{module_name(page)}.py").write_text(LENIENT.get(page.stem, "") + in_place(page), "utf-8")
    return folder


@pytest.mark.slow
def test_the_blocks_pass_mypy(modules: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", *sorted(map(str, modules.glob("*.py")))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_blocks_pass_pyright(modules: Path) -> None:
    """With the settings of the project, and its environment."""
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT / "generated"), str(ROOT / "wrapper")],
        "reportMissingTypeStubs": False,  # openfeature has its types in its code, which pyright does not see
    }
    (modules / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--project", str(modules), "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_blocks_are_formatted(tmp_path: Path) -> None:
    for page in PAGES:
        for block in blocks(page, "python"):
            (tmp_path / f"{page.stem}_{block.line}.py").write_text(block.code, "utf-8")
    config = str(ROOT / "pyproject.toml")
    command = [sys.executable, "-m", "ruff", "format", "--diff", "--no-cache", "--config", config, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 260


@pytest.mark.usefixtures("_place")
def test_the_first_example_is_twenty_lines_and_prints_what_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks(PAGES[0], "python")[0].code
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    exec(compile(code, PAGES[0], "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == "Free shipping on orders over ₹999 served\n"


@pytest.mark.usefixtures("_place")
def test_the_fetches_from_a_shell_run() -> None:
    found = [one for page in PAGES for one in COMMAND.findall(page.read_text("utf-8"))]
    assert found
    for arguments in found:
        command = [sys.executable, "-m", "moengage_personalize", *arguments.replace("\\\n", " ").split()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "homepage-banner" in done.stdout


def test_the_tree_of_errors_is_the_one_of_the_code() -> None:
    from moengage_personalize import _errors

    def tree(text: str) -> list[str]:
        lines = [line.strip().replace("PersonalizeError(Exception)", "PersonalizeError") for line in text.splitlines()]
        return [" ".join(line.split()) for line in lines if line.startswith(("PersonalizeError ", "├", "└"))]

    assert tree(README) == tree(_errors.__doc__ or "")
    assert len(tree(README)) == 11


def default(function: Callable[..., object], name: str) -> Any:
    return signature(function).parameters[name].default


BREAKER = CircuitBreaker()
FIGURES = {
    "README": [
        f"{_body.ON_THE_WIRE >> 20} MB sent, {_body.DECODED >> 20} MB decoded",
        f"{_retry.QUOTA} tokens; a retry costs {_retry.RETRY_COST}",
        f"At most {_idle.MAX_CONNECTIONS} requests of a client",
        f"More than {_split.KEYS_PER_REQUEST} keys are split",
    ],
    "SECURITY": [
        f"beyond {_body.ON_THE_WIRE >> 20} MB on the wire, {_body.DECODED >> 20} MB decoded, "
        f"{_parser.HEAD >> 10} KB of headers or {_json.MAX_VALUES:,} JSON values",
    ],
    "batch": [
        f"is in requests a minute, {default(PersonalizeClient.fetch_each, 'rate'):,} by default",
        f"under way at once, {default(PersonalizeClient.fetch_each, 'concurrency')} by default",
        f"for each {_split.KEYS_PER_REQUEST} keys",
        f"asked again, {_pacing.MAX_HOLDS} times at most",
    ],
    "events": [
        f"within `flush_interval`, {default(PersonalizeClient.reporter, 'flush_interval'):g} s",
        f"the oldest dropped beyond {default(PersonalizeClient.reporter, 'queue_size'):,}",
        f"sends what is left, within {default(Reporter.close, 'timeout'):g} s",
        f"at most {default(PersonalizeClient.reporter, 'max_batch')} that run side by side",
    ],
    "fetching": [
        f"The API takes {_split.KEYS_PER_REQUEST} keys a request",
        f"`timeout` ({default(PersonalizeClient.__init__, 'timeout')}, seconds",
        f"`max_retries` ({default(PersonalizeClient.__init__, 'max_retries')})",
        f"at most one in {_base.LOG_INTERVAL:g} s",
    ],
    "retries": [
        f"larger than {_body.ON_THE_WIRE >> 20} MB on the wire, {_body.DECODED >> 20} MB decoded, "
        f"{_parser.HEAD >> 10} KB of headers or {_json.MAX_VALUES:,} JSON values; "
        f"more than {_parser.INFORMATIONAL} informational answers",
        f"(`max_retries={default(PersonalizeClient.__init__, 'max_retries')}`)",
        f"{500 * _retry.BACKOFF:g} to {1000 * _retry.BACKOFF:g} ms",
        f"and so on, at most {_retry.BACKOFF_CAP:g} s",
        f"the pause and {1000 * _retry.MIN_ATTEMPT_TIME:g} ms more",
        f"a quota of {_retry.QUOTA} tokens",
        f"costs {_retry.RETRY_COST} tokens, after a 429 it costs {_retry.RETRY_COST_THROTTLED}, and a success gives "
        f"{_retry.SUCCESS_REFUND} back",
        f"until then, {_retry.THROTTLE_CAP:g} s at most",
        f"from {BREAKER.pause:g} s to {BREAKER.max_pause:g} s",
        f"A deadline below {_retry.MIN_FAIR_TIMEOUT:g} s",
    ],
    "transport": [
        f"kept for {_parser.IDLE_EXPIRY:g} s",
        f"longer than {_parser.MAX_AGE / 60:g} minutes",
        f"At most {_idle.MAX_CONNECTIONS} requests",
    ],
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_those_of_the_code(name: str) -> None:
    (page,) = [page for page in DOCUMENTS if page.stem == name]
    text = " ".join(page.read_text("utf-8").split())
    assert [figure for figure in FIGURES[name] if figure not in text] == []


def test_the_changelog_has_this_version_or_what_is_unreleased() -> None:
    text = (ROOT / "wrapper" / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    found = re.findall(r"^## \[(.*?)\]", text, re.MULTILINE)
    assert version in found
    assert found.index(version) == (found[0] == "Unreleased")


def links(page: Path) -> Iterator[tuple[str, str | None]]:
    text = BLOCK.sub("", page.read_text("utf-8"))
    return ((found[1], found[2]) for found in LINK.finditer(text))


def headings(page: Path) -> set[str]:
    """The fragments by which a page's headings are reached on GitHub."""
    found = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, fragment in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert fragment is None or fragment in headings(target), f"{page.name} links to {path}#{fragment}"


def test_every_guide_is_linked_from_the_readme() -> None:
    found = {(ROOT / path).resolve() for path, _ in links(PAGES[0])}
    assert {guide.name for guide in GUIDES} == {path.name for path in found if path.parent.name == "guides"}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_every_script_that_is_named_is_there_and_executable(page: Path) -> None:
    for name in re.findall(r"\bscripts/([a-z0-9-]+)(?![\w.-]*[./])", page.read_text("utf-8")):
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111, f"{page.name} names scripts/{name}"
