"""sandbox: the local stand-in for the API, as a process."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from .. import ConfigurationError
from ._connection import API_KEY, BASE_URL, WORKSPACE_ID
from ._terminal import write


@click.command()
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Listen here (default: 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), default=8025, help="0 for any that is free (default: 8025).")
@click.option("--experiences", type=click.Path(path_type=Path), help="A YAML file instead of the built-in examples.")
@click.option("--rate-limit", type=click.IntRange(0), metavar="N", help="A minute, before a 429 (default: 10000).")
@click.option("--reload", is_flag=True, help="Read the file again when it changes.")
def sandbox(host: str, port: int, experiences: Path | None, rate_limit: int | None, reload: bool) -> None:
    """Run a local stand-in for the API; paste the lines that it prints into another shell."""
    try:
        from .. import sandbox as stand_in
    except ImportError as error:
        raise ConfigurationError(str(error)) from None
    if reload and experiences is None:
        raise click.UsageError("expected --experiences with --reload, got the built-in examples, which never change")
    limit = stand_in.RATE_LIMIT if rate_limit is None else rate_limit
    application = stand_in.app(experiences, rate_limit=limit, reload=reload)
    try:
        listener = stand_in.listen(port, host)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        raise ConfigurationError(f"expected an address and a port that are free, got {host!r}, {port}: {why}") from None
    with listener:
        variables = {
            WORKSPACE_ID: stand_in.WORKSPACE_ID,
            API_KEY: stand_in.API_KEY,
            BASE_URL: stand_in.base_url(listener),
            **stand_in.no_proxy(listener, os.environ),
        }
        write("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
        stand_in.run(application, listener)
