"""metadata: the experiences that the workspace has."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ._connection import Connection, connected
from ._terminal import escape, is_terminal, table, to_json, write


@click.command()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["Active", "Paused", "Scheduled"], case_sensitive=False),
    help="Only those with this status; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@connected
def metadata(connection: Connection, statuses: Sequence[str], as_json: bool) -> None:
    """List the experiences of the workspace: key, status, name."""
    with connection.client() as client:
        found = client.metadata(statuses or None)
    rows = [(one.key, one.status, one.name) for one in found]
    if as_json:
        write(to_json([{"key": key, "status": status, "name": name} for key, status, name in rows], indent=2))
    elif is_terminal():
        write(table(("key", "status", "name"), rows))
    elif rows:
        write("\n".join("\t".join(map(escape, row)) for row in rows))
