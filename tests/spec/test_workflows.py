"""The workflows of GitHub: linted, with the least that they need, and every action pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

from regeneration import reading

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def workflow(name: str) -> Any:
    return reading.parse((ROOT / ".github" / "workflows" / name).read_text("utf-8"))


def steps(job: Any) -> str:
    return "\n".join(str(step) for step in job["steps"])


@pytest.mark.parametrize(
    "command",
    [
        ["zizmor", "--offline", "--persona=pedantic", "--no-progress"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    ],
    ids=lambda command: command[0],
)
def test_the_linters_of_workflows_find_nothing(command: list[str]) -> None:
    lint = [str(BIN / command[0]), *command[1:], *map(str, FILES)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_names_its_version(path: Path) -> None:
    uses = re.findall(r"uses: (.+)", path.read_text("utf-8"))
    assert uses
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in uses)


def test_every_path_of_a_command_is_there() -> None:
    for path in FILES:
        for name in re.findall(r"(?:\./|\s)((?:scripts|tests|spec)/[\w./-]+)", path.read_text("utf-8")):
            assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_all_tests_run_where_contributions_are_checked() -> None:
    """Where CI is set, as GitHub sets it, ./scripts/test leaves nothing out; .ci/run sets it for any other host."""
    script = (ROOT / "scripts" / "test").read_text("utf-8")
    quick = script.partition('if [ -z "${CI:-}" ]; then\n')[2].partition("\nfi\n")[0]
    assert script.count("--quick") == quick.count("--quick") == 1
    assert {"run": "./scripts/test", "name": "Check everything"} in workflow("ci.yml")["jobs"]["test"]["steps"]
    assert 'export CI="${CI:-true}"\n' in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_job_that_runs_what_came_from_outside_may_only_read() -> None:
    jobs = workflow("watch.yml")["jobs"]
    assert workflow("watch.yml")["permissions"] == {}
    assert jobs["read"]["permissions"] == {"contents": "read"}
    assert "./scripts/regenerate --from" in steps(jobs["read"])
    assert jobs["propose"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert "scripts/" not in steps(jobs["propose"])
    assert "token" not in steps(jobs["read"])


def test_contributions_are_checked_on_every_python_that_is_supported() -> None:
    jobs = workflow("ci.yml")["jobs"]
    pythons = jobs["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert {"3.11", "3.12", "3.13", "3.14"} <= set(pythons)
    assert "--resolution lowest-direct" in steps(jobs["lowest"])
    assert "python -m build" in steps(jobs["wheel"])
    assert workflow("ci.yml")["permissions"] == {"contents": "read"}
