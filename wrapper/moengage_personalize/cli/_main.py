"""The command itself: its subcommands, and what an error of each kind means for the shell."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from .. import ConfigurationError, InvalidRequestError, PersonalizeError
from ._bulk import bulk
from ._connection import Connection, connection_options
from ._doctor import doctor
from ._events import clicked, shown
from ._fetch import fetch
from ._init import init
from ._keys import keys
from ._metadata import metadata
from ._sandbox import sandbox
from ._terminal import complain, escape, prepare

PROGRAM = "moengage-personalize"
FAILED, MISUSED, INTERRUPTED = 1, 2, 130

# Or a warning of the client would be printed by logging itself, beside the error that the command prints.
_SILENT = logging.NullHandler()


def _version() -> str:
    try:
        return version("moengage-personalize")
    except PackageNotFoundError:
        return "unknown: not installed"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name=PROGRAM)
@connection_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Ask MoEngage Personalize, look at what a workspace has, report events, or run a local stand-in.

    Settings come from MOENGAGE_WORKSPACE_ID, MOENGAGE_PERSONALIZE_API_KEY, and MOENGAGE_DATA_CENTER or
    MOENGAGE_BASE_URL. `doctor` says what is wrong with them, `init` takes them from a snippet of the dashboard.
    """
    context.obj = Connection(**options)


for _subcommand in (fetch, bulk, metadata, keys, shown, clicked, doctor, init, sandbox):
    command.add_command(_subcommand)


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit status."""
    prepare()
    logging.getLogger("moengage_personalize").addHandler(_SILENT)
    try:
        status = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except (ConfigurationError, InvalidRequestError) as error:
        complain(f"{PROGRAM}: error: {_lines(error)}")
        return MISUSED
    except PersonalizeError as error:
        complain(f"{PROGRAM}: {type(error).__name__}: {describe(error)}")
        return FAILED
    return status if isinstance(status, int) else 0


def describe(error: PersonalizeError) -> str:
    """The text of an error, with the API's own words: a person at a terminal may see what was sent."""
    description = getattr(error, "description", None)
    text = str(error)
    return escape(text if not description or description in text else f"{text}: {description}")


def _lines(error: PersonalizeError) -> str:
    """The text of an error of ours, which has a line for each mistake in a file."""
    return "\n".join(map(escape, str(error).split("\n")))
