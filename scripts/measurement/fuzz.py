"""A million cases of the suite's mutated responses (tests/support/mutated.py), on every core.

fuzz [--cases 1000000] [--seed N]     what they ended as
fuzz --seed N --only CASE             one case again, its input in full
"""

from __future__ import annotations

import argparse
import os
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from attrs import Factory, define
from mutated import KINDS, SHARES, BrokenPromiseError, dice_of

from .figures import console, show, verdict

BATCH = 2_000  # cases between two reports of a process
SHOWN = 2_000  # characters of an input
KINDS_OF_FAILURE = 10  # told apart by where they were raised


@define
class Report:
    """What came of some cases."""

    outcomes: Counter[tuple[str, str]] = Factory(Counter[tuple[str, str]])
    failures: dict[str, str] = Factory(dict[str, str])
    """The first of each kind, by where and as what it was raised: how to repeat it, and its input."""
    slowest: tuple[float, int] = (0.0, 0)

    def add(self, other: Report) -> None:
        """Put them together."""
        self.outcomes += other.outcomes
        self.failures = {**other.failures, **self.failures}
        self.slowest = max(self.slowest, other.slowest)


def cases(seed: int, start: int, stop: int) -> Report:
    """The cases from start up to stop."""
    report = Report()
    for case in range(start, stop):
        dice = dice_of(seed, case)
        name = dice.choice(SHARES)
        make, check = KINDS[name]
        made = make(dice)
        started = time.perf_counter()
        try:
            outcome = check(made)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it should not have come out
            outcome = f"FAILED: {type(error).__name__}"
            kind = f"{error!r}" if isinstance(error, BrokenPromiseError) else type(error).__name__
            lines = (f"--seed {seed} --only {case} ({name})", repr(error), _where(error), repr(made))
            report.failures.setdefault(f"{kind} {_where(error)}", "\n    ".join(line[:SHOWN] for line in lines))
        report.slowest = max(report.slowest, (time.perf_counter() - started, case))
        report.outcomes[name, outcome] += 1
    return report


def _where(error: Exception) -> str:
    """The last place in the wrapper, where an error has one: what lies below differs from depth to depth."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "moengage_personalize" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].line}"


def again(seed: int, case: int) -> str:
    """One case once more, its input printed whole; what it raises is raised."""
    dice = dice_of(seed, case)
    make, check = KINDS[dice.choice(SHARES)]
    made = make(dice)
    print(ascii(made))
    return check(made)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--only", type=int, metavar="CASE", help="one case again, its input in full")


def run(options: argparse.Namespace) -> int:
    """All the cases, on every core."""
    if options.only is not None:
        print(again(options.seed, options.only))
        return 0
    started, report = time.perf_counter(), Report()
    lost: list[str] = []
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        starts = range(0, options.cases, BATCH)
        tasks = [processes.submit(cases, options.seed, start, min(options.cases, start + BATCH)) for start in starts]
        for task, start in zip(tasks, starts, strict=True):
            try:
                report.add(task.result())
            except Exception as error:  # noqa: BLE001 -- a process that died, by a stack that was too deep perhaps
                lost.append(f"--seed {options.seed}: cases from {start}: {error!r}")
    counted = sorted(report.outcomes.items(), key=lambda item: (item[0][0], -item[1]))
    show("What the cases ended as", ["kind", "outcome", "cases"], [[*name, f"{n:,}"] for name, n in counted])
    seconds, (slowest, case) = time.perf_counter() - started, report.slowest
    console().print(
        f"seed {options.seed}: {report.outcomes.total():,} cases in {seconds:.1f} s, "
        f"{report.outcomes.total() / seconds:,.0f} cases/s\nslowest: case {case}, {slowest * 1000:.0f} ms; failures: "
        f"{sum(number for (_, outcome), number in report.outcomes.items() if outcome.startswith('FAILED')):,}"
    )
    # Any terminal can show ASCII, and an input may hold lone surrogates.
    broken = [*list(report.failures.values())[:KINDS_OF_FAILURE], *lost[:KINDS_OF_FAILURE]]
    return verdict([line.encode("ascii", "backslashreplace").decode() for line in broken])
