"""Which small changes of what decides and computes no test notices: mutmut over the pure modules, by their own tests.

    mutate                       all of them
    mutate _call _policy/_retry  these modules; a minute or two for a hundred changes on two cores
    mutate --note FILE           add the table of modules and survivors to FILE, a row of Markdown each

A copy of the project in .mutate is changed, never the project itself. At least 97 % of the changes must be noticed; a
change that leaves the meaning as it was is never noticed, so each survivor is printed, to be looked at. mutmut changes
neither constants of a module nor decorated functions, and a change of words in a text only is not counted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from .figures import show, verdict

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".mutate"
NOTICED = 0.97
# A module, and the tests that are to notice: no sockets, no threads, no clock of its own.
MODULES = {
    "_arguments": "unit/test_arguments.py unit/test_request.py events/test_events.py",
    "_call": "unit/test_call.py",
    "_context": "unit/test_experiences.py",
    "_errors": "unit/test_errors.py",
    "_experiences": "unit/test_experiences.py client/test_to_dict.py",
    "_json": "unit/test_json.py unit/test_experiences.py unit/test_generated.py",
    "_redact": "unit/test_errors.py",
    "_request": "unit/test_request.py unit/test_generated.py",
    "_responses": "unit/test_responses.py unit/test_errors.py",
    "_settings": "unit/test_settings.py",
    "_split": "unit/test_generated.py unit/test_experiences.py",
    "_web": "unit/test_web.py",
    "events": "events/test_events.py",
    "_operations/_pacing": "unit/test_pacing.py",
    "_policy/_circuit": "unit/test_policy.py",
    "_policy/_retry": "unit/test_policy.py unit/test_call.py",
    "_transport/_body": "transport/test_parser.py",
    "_transport/_origin": "transport/test_origin.py transport/test_proxies.py",
    "_transport/_parser": "transport/test_parser.py",
    "_reporting/_delivery": "events/test_events.py events/test_schedule.py",
    "_reporting/_outbox": "events/test_schedule.py",
    "_reporting/_schedule": "events/test_schedule.py",
    "_telemetry/_values": "unit/test_telemetry.py",
    "_spool/_store": "events/test_spool.py",
    "sandbox/_answer": "system/test_sandbox.py",
    "integrations/clicks": "events/test_clicks.py",
}
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
also_copy = ["scripts", "spec", "README.md"]
pytest_add_cli_args_test_selection = {tests}
timeout_constant = 2.0
timeout_multiplier = 6.0
"""


def copy(modules: list[str]) -> None:
    """Lay the project out as mutmut expects it: what is imported in src, and beside it what is to notice changes."""
    shutil.rmtree(COPY, ignore_errors=True)
    for package in ("wrapper/moengage_personalize", "generated/moengage_personalize_api"):
        shutil.copytree(ROOT / package, COPY / "src" / Path(package).name)
    for folder in ("tests", "scripts", "spec"):
        shutil.copytree(ROOT / folder, COPY / folder)
    shutil.copy(ROOT / "README.md", COPY)
    tests = sorted({f"tests/{test}" for module in modules for test in MODULES[module].split()})
    only = [f"src/moengage_personalize/{module}.py" for module in modules]
    text = CONFIGURATION.format(modules=only, tests=tests)
    (COPY / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8") + text, "utf-8")


def mutmut(*arguments: str) -> str:
    """What it prints; the whole of it goes to mutmut.log, because it draws while it works."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True, check=False)
    (COPY / "mutmut.log").write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode:
        raise SystemExit(f"expected mutmut {arguments[0]} to end with 0, got {done.returncode}: see {COPY}/mutmut.log")
    return done.stdout


def changed_words_only(diff: str) -> bool:
    """Whether both lines are the same but for the case of letters and the XX that mutmut puts around a text."""
    lines = [line[1:].replace("XX", "").lower() for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
    return len(lines) == 2 and lines[0] == lines[1]


def changed_to(diff: str) -> str:
    """What the line of a change reads like after it."""
    return " ".join(line[1:].strip() for line in diff.splitlines() if re.match(r"\+(?!\+\+)", line))


def row(module: str, counts: Counter[str], survivors: list[str]) -> str:
    """One of the table of a note: the module, its changes, how many were noticed, and which survived."""
    escaped = (line.replace("|", "\\|") for line in survivors)
    listed = "<br>".join(f"`{line}`" for line in escaped) or "none"
    return f"| {module} | {counts['noticed'] + counts['survived']} | {counts['noticed']} | {listed} |\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all by default")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--note", type=Path, help="a file to which a row of Markdown is added for each module")


def run(options: argparse.Namespace) -> int:
    """Change, count, and print what nobody noticed."""
    modules: list[str] = options.modules or list(MODULES)
    unknown = set(modules) - set(MODULES)
    if unknown:
        raise SystemExit(f"expected modules of {', '.join(MODULES)}, got {sorted(unknown)}")
    copy(modules)
    mutmut("run", "--max-children", str(options.cores))
    found = re.findall(r"^\s+(\S+__mutmut_\d+): (.*)$", mutmut("results", "--all", "true"), re.MULTILINE)
    counted: dict[str, Counter[str]] = {}
    survivors: dict[str, list[str]] = {}
    for name, status in found:
        module, kind, diff = name.partition(".")[2].rpartition(".")[0].replace(".", "/"), "noticed", ""
        if status in ("survived", "no tests", "not checked"):
            diff = mutmut("show", name)
            kind = "words only" if changed_words_only(diff) else "survived"
        counted.setdefault(module, Counter())[kind] += 1
        if kind == "survived":
            print(f"\n{name}: {status}\n" + "\n".join(line for line in diff.splitlines() if line[:1] in "-+@"))
            survivors.setdefault(module, []).append(changed_to(diff))
    kinds = ("noticed", "survived", "words only")
    show("", ["module", *kinds], [[name, *(str(counts[kind]) for kind in kinds)] for name, counts in counted.items()])
    if options.note:
        with options.note.open("a", encoding="utf-8") as note:
            note.writelines(row(name, counts, survivors.get(name, [])) for name, counts in counted.items())
    noticed, survived = (sum(counts[kind] for counts in counted.values()) for kind in kinds[:2])
    share = noticed / max(1, noticed + survived)
    return verdict([f"{share:.1%} of {noticed + survived} changes were noticed"] if share < NOTICED else [])
