"""init: settings from the snippet that the dashboard's Test Experience step shows.

The snippet is text in one of several languages (cURL, Python, Java, ...), and what is wanted from it has the same shape
in all: the host of the data center, the Basic token, the workspace in MOE-APPKEY, and the keys in the JSON of the body.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import shlex
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import click
from attrs import field, frozen

from .. import ConfigurationError, DataCenter
from ._connection import API_KEY, DATA_CENTER, WORKSPACE_ID
from ._terminal import complain, escape, write

_URL = re.compile(r"https?://[^\s'\"\\)>,;]+", re.IGNORECASE)
_HOST = re.compile(r"sdk-(\d{2,3})\.moengage\.com", re.IGNORECASE)
_TOKEN = re.compile(r"\bBasic\s+([^\s'\"\\,;)]+)", re.IGNORECASE)
_WORKSPACE = re.compile(r"MOE-APPKEY['\"]?\s*[:,=]\s*['\"]?([^\s'\",;)\\]+)", re.IGNORECASE)
_KEYS = re.compile(r"['\"]experience_key['\"]\s*:\s*(\[[^\]]*\])")
_PLACEHOLDER = re.compile(r"^[<{\[$].*|.*[>}\]]$|^(?:your|my)[-_ ]?\w*$", re.IGNORECASE)


@frozen
class Snippet:
    """What a snippet says."""

    data_center: str
    workspace_id: str
    api_key: str = field(repr=False)
    keys: list[str]

    def lines(self) -> list[str]:
        """The settings, quoted for a shell."""
        variables = {WORKSPACE_ID: self.workspace_id, API_KEY: self.api_key, DATA_CENTER: self.data_center}
        return [f"{name}={shlex.quote(value)}" for name, value in variables.items()]


@click.command()
@click.argument("snippet", type=click.File("r", encoding="utf-8"), default="-")
@click.option("--write", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write a file, such as .env.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(snippet: TextIO, target: Path | None, force: bool) -> None:
    """Take the settings from the snippet of the dashboard's Test Experience step.

    SNIPPET is a file; without it, paste or pipe the text. The settings, the key among them, are printed as exports, or
    written to a file that only you can read.
    """
    if snippet.isatty():
        complain("Paste the snippet of the Test Experience step, then press Ctrl-D on a line of its own.")
    found = parse(snippet.read())
    if target is None:
        write("\n".join(f"export {line}" for line in found.lines()))
    else:
        _save(target, found.lines(), force)
        complain(f"wrote {target}: to use it, moengage-personalize doctor --env-file {shlex.quote(str(target))}")
    if found.workspace_id.endswith("_DEBUG"):
        complain("this is the test environment of the workspace (its id ends in _DEBUG)")
    if found.keys:
        complain(f"try: moengage-personalize fetch {' '.join(escape(shlex.quote(key)) for key in found.keys)}")


def parse(text: str) -> Snippet:
    """What a snippet says; ConfigurationError for what it lacks, and no word of what may be the key."""
    text = text.replace('\\"', '"')  # a body in double quotes of its language
    if not text.strip():
        raise ConfigurationError("expected the snippet of the Test Experience step, got nothing")
    data_center = _data_center(text)
    workspace_id, api_key = _credentials(text)
    named = _WORKSPACE.search(text)
    if named is not None and not _PLACEHOLDER.match(named[1]) and named[1] != workspace_id:
        raise ConfigurationError("expected one workspace in the token and in MOE-APPKEY, got two")
    return Snippet(data_center, workspace_id, api_key, _keys(text))


def _data_center(text: str) -> str:
    urls: list[str] = _URL.findall(text)
    hosts = [_host(url) for url in urls]
    if not hosts:
        raise ConfigurationError("expected a snippet with an address such as https://sdk-01.moengage.com, got none")
    for host in hosts:
        found = _HOST.fullmatch(host)
        if found is not None:
            return DataCenter(found[1]).value
    raise ConfigurationError(f"expected a host such as sdk-01.moengage.com, got {hosts[0]!r}")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _credentials(text: str) -> tuple[str, str]:
    found = _TOKEN.search(text)
    if found is None:
        raise ConfigurationError("expected a snippet with 'Authorization: Basic ...', got none")
    if _PLACEHOLDER.match(found[1]):
        raise ConfigurationError(
            "expected a snippet with the token itself, got a placeholder: put base64 of WORKSPACE_ID:KEY in its place, "
            "with the key of the Personalize tile (Settings > Account > APIs)"
        )
    try:
        workspace_id, colon, api_key = b64decode(found[1], validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        workspace_id = colon = api_key = ""
    if not (workspace_id and colon and api_key) or not f"{workspace_id}{api_key}".isprintable():
        raise ConfigurationError("expected a token that is base64 of WORKSPACE_ID:KEY, got another text")
    return workspace_id, api_key


def _keys(text: str) -> list[str]:
    """The keys that the snippet asks for; a list in another notation than JSON is left."""
    found: list[str] = []
    for listed in _KEYS.findall(text):
        try:
            keys: Any = json.loads(listed.replace("'", '"'))
        except ValueError:
            continue
        found += [key for key in keys if isinstance(key, str)]
    return list(dict.fromkeys(found))


def _save(path: Path, lines: Iterable[str], force: bool) -> None:
    """Write a file that nobody else can read, not even for an instant."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 -- a descriptor
            path.chmod(0o600)  # before there is anything to read, for a file that was there
            file.write("".join(f"{line}\n" for line in lines))
    except FileExistsError:
        raise ConfigurationError(
            f"expected a new file, got {str(path)!r}, which is there; --force writes over it"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"expected a file to write, got {str(path)!r}: {error.strerror}") from None
