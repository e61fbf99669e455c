"""Three visitors ask the sandbox for one banner: two get different variations, one gets none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.json import JSON
from rich.table import Table

from moengage_personalize import Experiences, InSession, PersonalizeClient

KEY = "homepage-banner"
DEFAULT = "Welcome"
VISITORS = ("user_8821", "user_8822", "user_0007")


@contextmanager
def sandbox() -> Generator[dict[str, str]]:
    """Run the sandbox as a process on a free port and give the settings that it prints."""
    command = [sys.executable, "-m", "moengage_personalize", "sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        exports = [process.stdout.readline().removeprefix("export ").strip() for _ in range(5)]
        yield dict(export.split("=", 1) for export in exports)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    console = Console()
    table = Table(title="What each visitor gets", title_justify="left")
    for column in ("visitor", f"{KEY}: Title", "variation", "why", "milliseconds"):
        table.add_column(column, justify="right" if column == "milliseconds" else "left")
    served: list[Experiences] = []
    with sandbox() as settings:
        os.environ |= settings  # as pasted into a shell; with NO_PROXY, or a proxy would be asked for the sandbox
        with PersonalizeClient.from_env() as client:
            for visitor in VISITORS:
                started = time.perf_counter()
                experiences = client.fetch_or_empty(
                    [KEY], customer_id=visitor, in_session=InSession(attributes={"utm_medium": "email"})
                )
                took = (time.perf_counter() - started) * 1000
                title = experiences.value(KEY, "Title", f"{DEFAULT} (the default)")
                variation = experiences[KEY].context["moe_variation_id"] if KEY in experiences else "-"
                table.add_row(visitor, title, variation, experiences.reason(KEY), f"{took:.1f}")
                served.append(experiences)
    console.print(table)
    console.print(f"\nThe context to keep for tracking, as {VISITORS[0]} got it:")
    console.print(JSON(served[0][KEY].context.to_json()))
    console.print(f"\nAsked the sandbox at {settings['MOENGAGE_BASE_URL']}, not MoEngage.", highlight=False)


if __name__ == "__main__":
    main()
