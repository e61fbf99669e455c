"""Every Python block of the README runs, in order, against the sandbox; its YAML is served by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

from moengage_personalize import sandbox
from moengage_personalize.cli import main

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch, sandbox_url: str) -> None:
    monkeypatch.setenv("MOENGAGE_WORKSPACE_ID", sandbox.WORKSPACE_ID)
    monkeypatch.setenv("MOENGAGE_PERSONALIZE_API_KEY", sandbox.API_KEY)
    monkeypatch.setenv("MOENGAGE_BASE_URL", sandbox_url)
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")


@pytest.mark.usefixtures("_settings")
def test_the_python_blocks_run(sandbox_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"workspace_id": sandbox.WORKSPACE_ID, "api_key": sandbox.API_KEY}
    blocks = [code for language, code in BLOCKS if language == "python"]
    assert len(blocks) > 8
    for code in blocks:
        exec(compile(code, "README.md", "exec"), names)
        if 'data_center="03"' in code:  # never asked: the next blocks ask the sandbox
            names["client"].close()
            names["client"] = names["PersonalizeClient"].from_env()
    names["test_banner"]()
    names["client"].close()
    names["own"].close()
    names["patient"].close()
    assert capsys.readouterr().out == "Free shipping on orders over ₹999 served\n"


def test_the_first_example_is_twenty_lines() -> None:
    code = next(code for language, code in BLOCKS if language == "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_the_yaml_block_is_a_file_of_experiences(tmp_path: Path) -> None:
    (text,) = [code for language, code in BLOCKS if language == "yaml"]
    path = tmp_path / "experiences.yaml"
    path.write_text(text, "utf-8")
    assert sandbox.app(path).routes


@pytest.mark.usefixtures("_settings")
def test_the_shell_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"python -m moengage_personalize (fetch .*?--json)", README, re.DOTALL)
    assert found is not None
    assert main(found[1].replace("\\\n", " ").split()) == 0
    assert '"homepage-banner": "served"' in capsys.readouterr().out


def test_the_tree_of_errors_is_the_one_of_the_code() -> None:
    from moengage_personalize import _errors

    def tree(text: str) -> list[str]:
        lines = [re.sub(r"before any(thing is sent| I/O)", "before", line.strip()) for line in text.splitlines()]
        found = [line.replace("PersonalizeError(Exception)", "PersonalizeError") for line in lines]
        return [" ".join(line.split()) for line in found if line.startswith(("PersonalizeError ", "├", "└"))]

    assert tree(README) == tree(_errors.__doc__ or "")
    assert len(tree(README)) == 11


@pytest.mark.parametrize("script", ["demo", "test", "install", "regenerate"])
def test_every_script_that_is_named_is_there_and_executable(script: str) -> None:
    assert f"scripts/{script}" in README
    assert (ROOT / "scripts" / script).stat().st_mode & 0o111
