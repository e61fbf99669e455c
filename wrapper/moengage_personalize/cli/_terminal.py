"""What reaches the terminal: escaped, in an encoding it has, and for as long as somebody reads.

An answer is a stranger's text. Written as it came, it could clear the screen, fake a line or change a title, by control
characters, or by those that turn the direction of text. So whatever is not printable is written as an escape.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNREAD = 141  # as the shell has it for a process that SIGPIPE ended


def escape(text: object) -> str:
    """Text in one line, with an escape for each character that is not printable."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def to_json(value: object, indent: int | None = None) -> str:
    """JSON with an escape for each character that is not printable."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # Line breaks stand between values only: within text they are escaped already.
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def prepare() -> None:
    """Let an encoding that lacks a character have its escape, on both streams."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write lines to stdout; the process ends quietly when nobody reads them.

    SIGPIPE is left as Python has it, ignored: with its default a socket whose other end is gone would end the process.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be written when the process ends, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(UNREAD) from None


def complain(text: str) -> None:
    """Write a line to stderr."""
    print(text, file=sys.stderr)


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a terminal; its cells are escaped here, line by line."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text("\n".join(map(escape, cell.splitlines()))) for cell in row))
    text = io.StringIO()
    width = Console(file=sys.stdout).width
    Console(file=text, width=width, force_terminal=is_terminal(), highlight=False).print(made)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")
