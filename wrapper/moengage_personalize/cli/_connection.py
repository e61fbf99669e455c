"""Where the settings of a command come from: its options, the environment, and a file of settings if asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click
from attrs import evolve, frozen

from .. import ConfigurationError, PersonalizeClient

WORKSPACE_ID = "MOENGAGE_WORKSPACE_ID"
API_KEY = "MOENGAGE_PERSONALIZE_API_KEY"
DATA_CENTER = "MOENGAGE_DATA_CENTER"
BASE_URL = "MOENGAGE_BASE_URL"


@frozen
class Found:
    """One setting and where it was found."""

    value: str
    source: str


@frozen
class Connection:
    """What the options of a command say about where and how to ask."""

    data_center: str | None = None
    base_url: str | None = None
    env_file: Path | None = None
    timeout: float = 5.0

    def settings(self) -> dict[str, Found]:
        """What is set, by name of its variable: an option wins over the environment, and that over the file."""
        found: dict[str, Found] = {}
        if self.env_file is not None:
            found |= _found(read_env_file(self.env_file), str(self.env_file))
        environment = _found(os.environ, "the environment")
        if DATA_CENTER in environment or BASE_URL in environment:
            found.pop(DATA_CENTER, None)
            found.pop(BASE_URL, None)
        found |= environment
        # Of the two that name the place, an option replaces both.
        if self.data_center is not None or self.base_url is not None:
            found = {name: one for name, one in found.items() if name not in (DATA_CENTER, BASE_URL)}
            given = {DATA_CENTER: self.data_center, BASE_URL: self.base_url}
            options = {DATA_CENTER: "--data-center", BASE_URL: "--base-url"}
            found |= {name: Found(value, options[name]) for name, value in given.items() if value is not None}
        return found

    def client(self, http_client: Any = None) -> PersonalizeClient:
        """A client with these settings; ConfigurationError names every one that is missing.

        Args:
            http_client: as for PersonalizeClient; with one, certificates and proxies of the environment do not count.
        """
        found = self.settings()
        missing = missing_settings(found)
        if missing:
            raise ConfigurationError(f"expected {' and '.join(missing)} in the environment, got nothing")
        return PersonalizeClient(
            workspace_id=found[WORKSPACE_ID].value,
            api_key=found[API_KEY].value,
            data_center=found[DATA_CENTER].value if DATA_CENTER in found else None,
            base_url=found[BASE_URL].value if BASE_URL in found else None,
            timeout=self.timeout,
            http_client=http_client,
        )


def missing_settings(found: Mapping[str, Found]) -> list[str]:
    """The names of the settings that nothing gives."""
    missing = [name for name in (WORKSPACE_ID, API_KEY) if name not in found]
    return missing if DATA_CENTER in found or BASE_URL in found else [*missing, f"{DATA_CENTER} or {BASE_URL}"]


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=VALUE lines, with or without `export`, quoted as for a shell."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"expected a readable file of settings, got {str(path)!r}: {_why(error)}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            words = [word for word in shlex.split(line, comments=True) if word != "export"]
        except ValueError:
            words = ["?"]
        if any(not word.partition("=")[1] for word in words):  # not repeated: it may hold the key
            raise ConfigurationError(f"expected NAME=VALUE in line {number} of {str(path)!r}, got something else")
        found |= {name: value for name, _, value in (word.partition("=") for word in words)}
    return found


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its Connection, and the options that make it; they may stand before its name, too."""

    @connection_options
    @click.option("--timeout", type=float, default=5.0, metavar="SECONDS", help="For each call (default: 5).")
    @click.pass_context
    @wraps(command)
    def wrapped(context: click.Context, /, **options: Any) -> None:
        named = {name: options.pop(name) for name in ("data_center", "base_url", "env_file", "timeout")}
        given = {name: value for name, value in named.items() if value is not None}
        command(evolve(context.obj, **given), **options)

    return wrapped


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where to ask."""
    for option in (
        click.option(
            "--env-file", type=click.Path(path_type=Path), help="Read settings from a file such as .env, too."
        ),
        click.option("--base-url", metavar="URL", help="Ask here, instead of a data center: a sandbox, a proxy."),
        click.option("--data-center", metavar="DC", help="01 to 06, 101; instead of MOENGAGE_DATA_CENTER."),
    ):
        command = option(command)
    return command


def _found(variables: Mapping[str, str], source: str) -> dict[str, Found]:
    names = (WORKSPACE_ID, API_KEY, DATA_CENTER, BASE_URL)
    return {name: Found(variables[name], source) for name in names if variables.get(name)}


def _why(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is not UTF-8"
