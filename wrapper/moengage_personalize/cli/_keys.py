"""keys: the keys of the workspace as Python, so that a misspelt one is a type error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from keyword import iskeyword
from pathlib import Path

import click

from .. import ConfigurationError
from ._connection import Connection, connected
from ._terminal import complain, escape, write

CHANGED = 3
HEAD = '''\
"""The experience keys of the workspace; written by: moengage-personalize keys > keys.py"""

from typing import Final, Literal
'''


@click.command()
@click.option(
    "--check", type=click.Path(path_type=Path), metavar="FILE", help="Exit with status 3 if FILE is not up to date."
)
@connected
def keys(connection: Connection, check: Path | None) -> None:
    """Print the keys of the workspace as a Python module: a Literal type and a constant for each."""
    with connection.client() as client:
        found = sorted({one.key for one in client.metadata()})
    module = "\n".join(_module(found))
    if check is None:
        write(module)
        return
    try:
        before = check.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"expected a readable file of keys, got {str(check)!r}: {reason}") from None
    if before.strip() != module:
        for line in _differences(before, found):
            complain(line)
        click.get_current_context().exit(CHANGED)


def _module(keys: list[str]) -> Iterator[str]:
    yield HEAD
    if not keys:  # a Literal of nothing is a syntax error
        yield "Key = Literal[()]"
        return
    yield "Key = Literal["
    yield from (f"    {_literal(key)}," for key in keys)
    yield "]"
    yield ""
    taken: set[str] = {"Key", "Final", "Literal"}
    for key in keys:
        name = _name(key, taken)
        taken.add(name)
        yield f"{name}: Final = {_literal(key)}"


def _literal(key: str) -> str:
    """A string in double quotes, as formatters write it; escaped, for a key is a stranger's text."""
    return '"' + "".join(f"\\{one}" if one in '"\\' else escape(one) for one in key) + '"'


def _name(key: str, taken: set[str]) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_") or "KEY"
    name = f"KEY_{name}" if name[0].isdigit() or iskeyword(name) else name
    number = 1
    while (name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return name if number == 1 else f"{name}_{number}"


def _differences(before: str, keys: Iterable[str]) -> Iterator[str]:
    written = {_literal(key) for key in keys}
    known = set(re.findall(r'^    ("(?:[^"\\]|\\.)*"),$', before, re.MULTILINE))
    yield from (f"new: {key}" for key in sorted(written - known))
    yield from (f"gone: {escape(key)}" for key in sorted(known - written))
    if written == known:
        yield "the same keys, written otherwise"
