"""Draw the picture of the command that the README shows: .venv/bin/python scripts/terminal_picture.py [FILE].

It runs the command in a terminal, against a sandbox of its own, so that the picture shows what there is.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from moengage_personalize import sandbox

PICTURE = Path(__file__).parents[1] / "wrapper" / "guides" / "pictures" / "terminal.svg"
COLUMNS = 108
COMMAND = "moengage-personalize fetch homepage-banner homepage-baner summer-sale --customer-id user_8821"


def in_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, env=environment), os.fdopen(theirs):
        pass
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        return terminal.read(1 << 16).decode().replace("\r\n", "\n")


def main(path: Path) -> None:
    """Draw it."""
    with sandbox.serve() as url:
        settings = {
            "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
            "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
            "MOENGAGE_BASE_URL": url,
            "COLUMNS": str(COLUMNS),
            "TERM": "xterm-256color",
        }
        command = [sys.executable, "-m", "moengage_personalize", *COMMAND.split()[1:]]
        printed = in_a_terminal(command, os.environ | settings)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(f"$ {COMMAND}\n{printed.rstrip()}"))
    svg = console.export_svg(title="moengage-personalize", unique_id="terminal")
    # The fonts that rich names are elsewhere; a picture of ours loads nothing.
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
