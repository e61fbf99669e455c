"""Whether the wrapper fits what has been generated: its types by mypy, and the values that it knows by facts.py.

Both look at the package before it is moved into its place, and at the wrapper of this project, whatever else is
installed. Where a tool itself fails, nothing is known of the fit, and the step has failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from . import Object, Project, StepFailed, contract, step

STEP = "fit"
# Prints the table as JSON, or why the wrapper cannot be imported over this package: a name that is gone, mostly.
FACTS = """
import json, sys
try:
    import moengage_personalize
    from regeneration.facts import FACTS
except (ImportError, AttributeError) as error:
    if "moengage_personalize_api" not in f"{getattr(error, 'name', None)} {error}":
        raise
    print(json.dumps({"import": f"{type(error).__name__}: {error}"}))
else:
    rows = [[fact.constant, fact.place, fact.rule, fact.value] for fact in FACTS]
    print(json.dumps({"file": moengage_personalize.__file__, "rows": rows}))
"""


def misfits(project: Project, package: Path, document: Object, folder: Path) -> list[str]:
    """Where the wrapper does not fit a package and its document; nothing if it fits."""
    with step(STEP):
        errors, facts = type_errors(project, package, folder / "mypy"), known_by_heart(project, package)
        broken = [facts] if isinstance(facts, str) else contract.misfits(document, facts)
        return [*errors, *broken]


def type_errors(project: Project, package: Path, cache: Path) -> list[str]:
    """What mypy says of the wrapper over this package, from an empty cache: a kept one has repeated what was mended."""
    options = ["--no-error-summary", "--no-color-output", "--hide-error-context", "--no-pretty"]
    options += [f"--cache-dir={cache}", f"--config-file={project.root / 'pyproject.toml'}"]
    said = _run(project, package, ["-m", "mypy", *options, "wrapper"])
    errors = [line for line in said.stdout.splitlines() if ": error: " in line]
    if said.returncode not in (0, 1) or bool(errors) != (said.returncode == 1):
        words = f"{said.stdout}{said.stderr}".strip()
        raise StepFailed(STEP, f"expected a verdict of mypy, got status {said.returncode}\n{words}")
    return errors


def known_by_heart(project: Project, package: Path) -> list[contract.Fact] | str:
    """The facts that the wrapper relies on, or why it cannot be imported over this package."""
    said = _run(project, package, ["-P", "-c", FACTS])
    if said.returncode:
        words = said.stderr.strip()
        raise StepFailed(STEP, f"expected the wrapper's contract, got status {said.returncode}\n{words}")
    told = json.loads(said.stdout)
    if "import" in told:
        return f"the wrapper cannot be imported over this package, and its contract not be read: {told['import']}"
    if not Path(told["file"]).is_relative_to(project.wrapper):
        raise StepFailed(STEP, f"expected the wrapper of {project.wrapper}, got {told['file']}")
    return [contract.Fact(*row) for row in told["rows"]]


def _run(project: Project, package: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run Python with this package and this wrapper before whatever is installed."""
    first = os.pathsep.join(map(str, (package.parent, project.wrapper, Path(__file__).resolve().parents[1])))
    environment = {**os.environ, "MYPYPATH": first, "PYTHONPATH": first, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project.root,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
