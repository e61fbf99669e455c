"""The command, moengage-personalize: ask, look, report and check from a shell.

What a shell user may rely on: answers go to stdout, everything else to stderr. The exit status is 0 for an answer, 1
when the API or the network failed, or a line of a file did, 2 for what was asked wrongly, 3 when a key was not served
(--fail-on-missing) or a file is out of date (keys --check), 130 when interrupted, 141 when nobody reads on. Nothing
that came from a server reaches the terminal unescaped, and the key is printed by `init` alone, which was given it.

Needs the extra: pip install "moengage-personalize[cli]".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default that of the process, and return its exit status."""
    try:
        from ._main import run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "moengage_personalize":
            raise
        needed = 'pip install "moengage-personalize[cli]"'
        sys.stderr.write(
            f"moengage-personalize: error: expected the extra of the command ({needed}), got no {missing}\n"
        )
        return 2
    return run(arguments)
