"""The customers of a file, CSV or JSON Lines, each with the number of its line; a bad line costs itself."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from .. import ConfigurationError, InSession

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
ID = "customer_id"

OnBad = Callable[[int, str], None]


class Customer(dict[str, Any]):
    """What `fetch_each` takes for one, and the line that it stands in."""

    def __init__(self, number: int, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.number = number


def open_customers(path: Path) -> BinaryIO:
    """The file, or stdin for "-"."""
    try:
        return sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise click.UsageError(f"expected a readable file of customers, got {str(path)!r}: {error.strerror}") from None


def format_of(path: Path, wanted: str | None) -> str:
    """What a file is, by the option or else by its name."""
    found = wanted or SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise click.UsageError("expected a FILE whose name ends in .csv or .jsonl, or --format")
    return found


def read_customers(file: BinaryIO, kind: str, session: InSession, on_bad: OnBad) -> Iterator[Customer]:
    """Its customers, in order.

    Args:
        file: in UTF-8. What is not costs its customer alone: half a character cannot be sent.
        kind: "csv" or "jsonl".
        session: what a customer with attributes of its own has besides.
        on_bad: called with the number of a line that is no customer, and why, in words that do not repeat it.
    """
    return (_csv if kind == "csv" else _jsonl)(_decoded(file), session, on_bad)


def _decoded(file: BinaryIO) -> Iterator[str]:
    """The lines, with their ends; the first without the mark that Excel writes."""
    for number, line in enumerate(file):
        yield line.decode("utf-8" if number else "utf-8-sig", "surrogateescape")


def _csv(lines: Iterator[str], session: InSession, on_bad: OnBad) -> Iterator[Customer]:
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, list[str]())
    except csv.Error:
        header = []
    if ID not in header:
        raise ConfigurationError(f"expected a header with the column {ID} in the first line, got another")
    while True:
        number = rows.line_num + 1  # where a row begins; text in quotes may go over lines
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            on_bad(number, "expected CSV, got a broken quote or a NUL")
            continue
        if not row:
            continue
        if len(row) != len(header):
            on_bad(number, f"expected {len(header)} columns, got {len(row)}")
            continue
        cells = dict(zip(header, row, strict=True))
        named = {kind: _with_prefix(cells, f"{kind}.") for kind in ("identifier", "attribute")}
        yield _customer(number, cells[ID] or None, named["identifier"], named["attribute"], session)


def _with_prefix(cells: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): cell for name, cell in cells.items() if name.startswith(prefix) and cell}


def _jsonl(lines: Iterator[str], session: InSession, on_bad: OnBad) -> Iterator[Customer]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            on_bad(number, "expected JSON, got something else")
            continue
        if not isinstance(found, dict):
            yield Customer(number, {ID: "" if found is None else found, "in_session": session})
            continue
        fields = cast(dict[str, Any], found)
        more = fields.keys() - {ID, "user_identifiers", "attributes"}
        attributes: object = fields.get("attributes") or {}
        if more or not isinstance(attributes, dict):
            on_bad(number, f"expected an object of {ID}, user_identifiers and attributes, got another")
            continue
        own = cast(dict[str, Any], attributes)
        yield _customer(number, fields.get(ID), fields.get("user_identifiers"), own, session)


def _customer(number: int, customer_id: Any, identifiers: Any, own: Mapping[str, Any], session: InSession) -> Customer:
    """Who has neither an id nor an identifier is nobody, whom the client refuses, and not a visitor without a name."""
    if customer_id is None and not identifiers:
        customer_id = ""
    if own:
        attributes = {**session.attributes, **own}
        try:
            session = InSession(at=session.at, attributes=attributes)
        except ValueError:
            return Customer(number, {ID: customer_id, "in_session": attributes})  # which fails, with its reason
    return Customer(number, {ID: customer_id, "user_identifiers": identifiers or None, "in_session": session})
