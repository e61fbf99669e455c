"""Where the time of one call on the default engine goes."""

from __future__ import annotations

import cProfile
import io
import pstats

from .canned import MANY, ONE, Server
from .others import Target
from .ours import DEFAULT, blocking

CALLS, TOP = 2_000, 25


def profile(server: Server) -> str:
    """The 25 functions that take most by themselves, for 1 and for 25 experiences; times are of all calls together."""
    parts = [
        f"{CALLS} calls of {DEFAULT}. cProfile makes each call of a Python function slower: read shares, not times.\n"
    ]
    made = blocking()[DEFAULT]
    assert made is not None
    for payload in (ONE, MANY):
        with made(Target(server.plain, server.authority, payload)) as call:
            call()
            profiler = cProfile.Profile()
            profiler.enable()
            for _ in range(CALLS):
                call()
            profiler.disable()
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(TOP)
        parts.append(f"---- {payload.name} ----\n{text.getvalue()}")
    return "\n".join(parts)
