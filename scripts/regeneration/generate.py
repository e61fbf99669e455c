"""Builds the generated package in a folder of its own, the same bytes every time and on every machine.

Generator and ruff are pinned exactly in pyproject.toml and run as modules of this interpreter, because another ruff
formats differently and one found on PATH may be any.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from . import ROOT, Object, StepFailed, companion, library, load_yaml, overlay

PACKAGE = "moengage_personalize_api"
CONFIGURATION = ROOT / "spec" / "generator.yaml"
RUFF = ("--isolated", "--no-cache", "--target-version=py311")
RULES = "--select=F,I,UP"  # named, because the rules of the default set differ between releases, and some break mypy


def check_pins() -> None:
    """Refuse an environment whose generator or ruff is not the pinned one."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    for pin in groups["regenerate"]:
        name, _, wanted = pin.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        if wanted and found != wanted:
            raise StepFailed("environment", f"expected {pin}, got {found} (./scripts/install dev mends it)")


def build(document: Object, folder: Path, http: str) -> Path:
    """Build the package for an edition and an HTTP library inside `folder`, which is empty; return where it stands."""
    patched = overlay.apply(document, _yaml(ROOT / "spec" / "overlay.yaml"))
    patched = companion.merge(patched, _yaml(ROOT / "spec" / "companion.yaml"))
    _validate(patched)
    # JSON, because a YAML writer leaves '08' bare and a YAML 1.2 reader makes it a number: the operation then vanishes.
    described, package = folder / "document.json", folder / PACKAGE
    described.write_text(json.dumps(patched, ensure_ascii=False), "utf-8")
    arguments = ["--path", described, "--config", CONFIGURATION, "--output-path", package, "--meta", "none"]
    _run("generate", "openapi_python_client", "generate", *map(str, arguments), "--fail-on-warning")
    _check_overrides(package)
    library.follow(package, http)
    _run("format", "ruff", "check", *RUFF, "--quiet", "--fix", RULES, str(package))
    _run("format", "ruff", "format", *RUFF, "--quiet", str(package))
    (package / "py.typed").touch()
    return package


def _validate(document: Object) -> None:
    is_31 = str(document["openapi"]).startswith("3.1")
    validator = OpenAPIV31SpecValidator if is_31 else OpenAPIV30SpecValidator
    problems = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator(document).iter_errors()]
    if problems:
        raise StepFailed("validate", "\n".join([f"{len(problems)} place(s) are not OpenAPI", *problems]))


def _check_overrides(package: Path) -> None:
    """The generator ignores an override whose class is gone, and the name falls back to the long one in silence."""
    exported = (package / "models" / "__init__.py").read_text("utf-8")
    overrides: Object = _yaml(CONFIGURATION).get("class_overrides", {})
    for long_name, override in overrides.items():
        if f'"{override["class_name"]}"' not in exported:
            raise StepFailed("generate", f"expected a class {long_name} to rename {override['class_name']}, got none")


def _run(step: str, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise StepFailed(step, f"{module} ended with status {done.returncode}\n{done.stdout.strip()}")


def _yaml(path: Path) -> Object:
    loaded: Object = load_yaml(path.read_text("utf-8"))
    return loaded
