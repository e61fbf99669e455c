"""One warm fetch, function by function: what to read, in order, to follow a call from top to bottom.

Each line is a function of ours, indented by depth; one that is called again is listed where it is called first, with
how often it is called. At most 55 functions in at most 16 files may be needed for it.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import moengage_personalize_api

import moengage_personalize

from .figures import verdict
from .server import SOLO, serving
from .sides import Side, Tasks, Threads, Worker

FUNCTIONS, FILES = 55, 16
WRAPPER, GENERATED = (Path(one.__file__ or "").parent for one in (moengage_personalize, moengage_personalize_api))
HOUSES = (WRAPPER, GENERATED)
Function = tuple[str, str]
"""File and qualified name."""


def function(code: CodeType) -> Function | None:
    """Whose code it is; None for what is not ours, what attrs has made, and a comprehension, a part of its function."""
    path = Path(code.co_filename)
    house = next((house for house in HOUSES if path.is_relative_to(house)), None)
    if house is None or code.co_name in ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>"):
        return None
    return str(path.relative_to(house if house is WRAPPER else house.parent)), code.co_qualname.replace("<locals>.", "")


def trace(call: Callable[[], Any]) -> tuple[list[tuple[int, Function]], Counter[Function]]:
    """Each function of ours at its first call, with its depth, and how often each was called."""
    lines: list[tuple[int, Function]] = []
    times: Counter[Function] = Counter()

    def profile(frame: FrameType, event: str, _: object) -> None:
        found = function(frame.f_code) if event == "call" else None
        if found is None:
            return
        if found not in times:
            depth, above = 0, frame.f_back
            while above is not None:
                depth, above = depth + (function(above.f_code) is not None), above.f_back
            lines.append((depth, found))
        # A generator or coroutine is entered again and again, and was called once.
        again = frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE)
        times[found] = 1 if again else times[found] + 1

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return lines, times


Walk = tuple[list[tuple[int, Function]], Counter[Function]]


def walked(side: Side) -> tuple[Walk, Walk]:
    """A fetch of one key on a connection that is open, and the reading of one of its values, which decodes it."""
    found: list[Any] = []

    def worker(client: Any) -> Worker:
        found.append((yield client.fetch(SOLO[0], customer_id="user_8821")))

    def read() -> None:
        assert found[-1].value(SOLO[0], "Title", "") == f"Title of {SOLO[0]}"

    with serving() as server, side, side.opened(lambda: side.client("WS", "key", base_url=server.url())) as client:
        for _ in range(3):
            side.here(worker(client))
        return trace(lambda: side.here(worker(client))), trace(read)


def show(walk: Walk) -> tuple[int, int]:
    """Print a walk, and give the numbers of its functions and files, without those of generated/."""
    lines, times = walk
    for level, found in lines:
        print(f"{'  ' * level}{found[0]}:{found[1]}" + (f"  x{times[found]}" if times[found] > 1 else ""))
    own = [found for found in times if not found[0].startswith(GENERATED.name)]
    functions, files = len(own), len({file for file, _ in own})
    print(f"{functions} functions in {files} files of ours, and {len(times) - functions} functions of generated/\n")
    return functions, files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--tasks", action="store_true", help="the async client instead of the sync one")


def run(options: argparse.Namespace) -> int:
    """Print both walks and their counts; that of the fetch is held to its budget."""
    fetching, reading = walked(Tasks() if options.tasks else Threads())
    print("A warm fetch:")
    functions, files = show(fetching)
    print("Reading one of its values, for the first time:")
    show(reading)
    over = functions > FUNCTIONS or files > FILES
    told = f"{functions} functions in {files} files, more than {FUNCTIONS} in {FILES}"
    return verdict([told] if over and not options.tasks else [])
