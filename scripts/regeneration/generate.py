"""Builds the generated package in a folder of its own, the same bytes every time and on every machine.

Generator and ruff are pinned exactly in pyproject.toml and run as modules of this interpreter, because another ruff
formats differently and one found on PATH may be any. Beside the code stands the document that it was generated from,
`openapi.json`: the sandbox holds requests against it, and the next edition is compared with it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from attrs import frozen
from jsonschema_path.paths import SchemaPath
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from . import PACKAGE, Object, Project, StepFailed, companion, is_object, overlay, references, step
from .reading import load_own

DOCUMENT = "openapi.json"
SCHEMES = ("http", "https", "ftp", "file", "data", "")
RUFF = ("--isolated", "--no-cache", "--target-version=py311")
RULES = "--select=F,I,UP"  # named, because the rules of the default set differ between releases, and some break mypy


@frozen
class Effective:
    """What is generated from: an edition with everything laid over it."""

    document: Object
    configuration: Object
    applied: overlay.Applied

    def text(self) -> str:
        """The document as JSON, because a YAML writer does not quote '08' and a YAML 1.2 reader makes it a number."""
        return json.dumps(self.document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def check_pins(project: Project) -> None:
    """Refuse an environment whose generator or ruff is not the pinned one."""
    with step("environment"):
        pins = tomllib.loads((project.root / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["regenerate"]
        for pin in pins:
            name, _, wanted = pin.partition("==")
            try:
                found = version(name)
            except PackageNotFoundError:
                found = "none"
            if wanted and found != wanted:
                raise StepFailed("environment", f"expected {pin}, got {found} (./scripts/install dev mends it)")


def effective(document: Object, project: Project) -> Effective:
    """Lay overlay and companion over a document, and see that the outcome is OpenAPI."""
    with step("overlay"):
        applied = overlay.apply(document, load_own(project.overlay, "overlay"))
    with step("companion"):
        merged = companion.merge(applied.document, load_own(project.companion, "companion"))
        references.check(merged, "companion")
    with step("validate"):
        _validate(merged)
    with step("generate"):
        configuration = load_own(project.configuration, "generate")
        overrides = {**configuration.get("class_overrides", {}), **applied.class_overrides}
    return Effective(merged, {**configuration, "class_overrides": overrides}, applied)


def build(edition: Effective, folder: Path) -> Path:
    """Build the package inside `folder`; return where it stands."""
    package = folder / PACKAGE
    with step("generate"):
        _generate(edition, folder, package)
        _check_overrides(package, edition.configuration["class_overrides"])
    with step("format"):
        _run("format", "ruff", "check", *RUFF, "--quiet", "--fix", RULES, str(package))
        _run("format", "ruff", "format", *RUFF, "--quiet", str(package))
        (package / "py.typed").touch()
        (package / DOCUMENT).write_text(edition.text(), "utf-8")
    return package


def _generate(edition: Effective, folder: Path, package: Path) -> None:
    described, configuration = folder / DOCUMENT, folder / "configuration.json"
    described.write_text(edition.text(), "utf-8")
    configuration.write_text(json.dumps(edition.configuration), "utf-8")
    arguments = ["--path", described, "--config", configuration, "--output-path", package, "--meta", "none"]
    _run("generate", "openapi_python_client", "generate", *map(str, arguments), "--fail-on-warning")


def _validate(document: Object) -> None:
    is_31 = str(document["openapi"]).startswith("3.1")
    validator = OpenAPIV31SpecValidator if is_31 else OpenAPIV30SpecValidator
    logging.getLogger("openapi_spec_validator").setLevel(logging.ERROR)
    schema = cast(Any, SchemaPath).from_dict(document, handlers=dict.fromkeys(SCHEMES, _refuse))
    problems = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator(schema).iter_errors()]
    if problems:
        raise StepFailed("validate", "\n".join([f"{len(problems)} place(s) are not OpenAPI", *problems]))


def _refuse(address: str) -> Object:
    """The validator fetches what a document names, unless it is told otherwise."""
    raise StepFailed("validate", f"expected a document that refers to nothing outside, got {address!r}")


def _check_overrides(package: Path, overrides: Object) -> None:
    """The generator ignores an override whose class is gone, and the name falls back to the long one in silence."""
    exported = (package / "models" / "__init__.py").read_text("utf-8")
    for long_name, override in overrides.items():
        name = override.get("class_name") if is_object(override) else None
        if f'"{name}"' not in exported:
            raise StepFailed("generate", f"expected a class {long_name} to rename {name}, got none")


def _run(name: str, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise StepFailed(name, f"{module} ended with status {done.returncode}\n{said}")
