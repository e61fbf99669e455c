"""What a call costs by this client, by others and by hand, all of it in each round; exit 1 if an answer was wrong."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import cases, report
from .canned import Server, serving
from .capacity import capacity
from .fresh import measured
from .goals import rows
from .picture import draw
from .profiling import profile
from .rounds import rounds

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "scripts" / "bench-results"


def show(console: Console, title: str, lines: report.Table) -> None:
    """One table, headings first."""
    table = Table(*lines[0], title=title)
    for line in lines[1:]:
        table.add_row(*line)
    console.print(table)


def run(server: Server, quick: bool, count: int, seconds: float, out: Path) -> int:
    """Measure, print, and write bench.json and bench.svg."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    able = capacity(server, 0.5 if quick else 2)
    fresh = measured(server, 3 if quick else 9)
    every = list(cases.chosen(quick))
    samples = rounds(server, every, count, seconds, lambda text: print(f"bench: {text}", file=sys.stderr))
    absent = sorted({f"{case.client} ({case.setting.face})" for case in every if case not in samples})
    goals = report.goals(rows(samples, fresh))
    show(console, "Every case: medians of rounds", report.table(samples))
    show(
        console,
        "New processes: medians",
        [["what", "value"], *([name, f"{value:.3g}"] for name, value in fresh.items())],
    )
    show(console, "Goals", goals)
    apart = "on different cores" if server.apart else "on the same core or cores"
    busiest = max(taken.server for each in samples.values() for taken in each)
    console.print(f"{able} Client and server ran {apart}; in no round did the server use more than {busiest:.0%}.")
    console.print(f"Not installed: {', '.join(absent) or 'nothing'}.")
    kept = {
        "machine": report.machine(),
        "quick": quick,
        "server": {**able.told(), "busiest": busiest, "own core": server.apart},
        "absent": absent,
        "goals": goals,
        "new processes": fresh,
        "cases": report.values(samples),
    }
    (out / "bench.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    draw(samples, out / "bench.svg")
    wrong = report.broken(samples)
    for line in wrong:
        print(f"bench: failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


def write(out: Path) -> None:
    """Keep the run, and show it in the README."""
    KEPT.mkdir(exist_ok=True)
    for name in ("bench.json", "bench.svg"):
        shutil.copyfile(out / name, KEPT / name)
    readme = ROOT / "README.md"
    kept = json.loads((KEPT / "bench.json").read_text("utf-8"))
    text = report.markdown(kept, "scripts/bench-results/bench.svg")
    readme.write_text(report.shown(readme.read_text("utf-8"), text), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the goals need, in three short rounds")
    parser.add_argument("--rounds", type=int, help="7 by default")
    parser.add_argument("--seconds", type=float, help="that each case is measured for in a round, 0.25 by default")
    parser.add_argument("--out", type=Path, default=ROOT / ".bench", help="the folder for what is written")
    parser.add_argument("--write", action="store_true", help="keep the run in scripts/bench-results and the README")
    parser.add_argument("--profile", action="store_true", help="only write profile.txt: where one call's time goes")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    count = given.rounds or (3 if given.quick else 7)
    seconds = given.seconds or (0.15 if given.quick else 0.25)
    with serving() as server:
        os.environ["SSL_CERT_FILE"] = server.authority  # how our clients are told whom to trust
        if given.profile:
            text = profile(server)
            (given.out / "profile.txt").write_text(text, "utf-8")
            print(text)
            return 0
        status = run(server, given.quick, count, seconds, given.out)
    if given.write and not status:
        write(given.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
