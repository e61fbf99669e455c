"""bulk: what each of many customers gets, into a file that an interrupted run goes on with.

The file has a line for each customer who was fetched whole, with the number of the input's line, and nothing for one
who was not. So the file alone says what is done: `--resume` leaves out the lines that are in it, and a line that was
being written when the process ended is cut off and asked for again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from .. import AuthenticationFailed, ConfigurationError, Experiences, InSession, PermissionDenied
from ._arguments import Moment, Pair
from ._connection import Connection, connected
from ._customers import ID, Customer, format_of, open_customers, read_customers
from ._terminal import complain, escape

FAILED = 1
LINES_SHOWN = 20  # of each reason


@define
class Done:
    """Which lines of the input are in the output: all up to the last one, but those that are missing.

    Results come nearly in order, so that this is small however many there are.
    """

    last: int = 0
    customer: str = ""
    """The id in the last line, by which another input is noticed."""
    count: int = 0
    missing: set[int] = field(factory=set[int])

    def add(self, number: int, customer: object) -> None:
        self.missing.update(range(self.last + 1, number))
        self.missing.discard(number)
        if number > self.last:
            self.last, self.customer = number, str(customer)
        self.count += 1

    def __contains__(self, customer: Customer) -> bool:
        if customer.number == self.last and str(customer[ID]) != self.customer:
            raise ConfigurationError(f"expected the input of the earlier run, got another customer in line {self.last}")
        return customer.number <= self.last and customer.number not in self.missing


@define
class Report:
    """What is said at the end: numbers of lines, and never what is in them."""

    fetched: int = 0
    failed: dict[str, list[int]] = field(factory=dict[str, list[int]])

    def fail(self, number: int, reason: str) -> None:
        self.failed.setdefault(reason, []).append(number)

    def lines(self) -> Iterator[str]:
        """How many, and one line for each reason."""
        yield f"{self.fetched:,} fetched, {sum(map(len, self.failed.values())):,} not"
        for reason, numbers in self.failed.items():
            shown = ", ".join(map(str, sorted(numbers)[:LINES_SHOWN]))
            more = f" and {len(numbers) - LINES_SHOWN:,} more" if len(numbers) > LINES_SHOWN else ""
            yield f"line{'s' if len(numbers) > 1 else ''} {shown}{more}: {escape(reason)}"


class Speed(ProgressColumn):
    """Customers a minute."""

    def render(self, task: Task) -> Text:
        return Text(f"{60 * (task.speed or 0):,.0f} a minute")


@click.command()
@click.argument("customers", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--keys", multiple=True, metavar="KEY[,KEY]...", help="Repeatable; without it all there are.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="JSON Lines.")
@click.option("--resume", is_flag=True, help="Go on with the file that an earlier run has left.")
@click.option("--rate", type=float, default=3000, metavar="N", help="Requests a minute (default: 3000).")
@click.option("--concurrency", type=int, default=16, metavar="N", help="Customers at once (default: 16).")
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), help="By default as the name of FILE says.")
@click.option("--attribute", "attributes", multiple=True, type=Pair(), help="In-session, for all; repeatable.")
@click.option("--at", type=Moment(), help='When, with its zone: "2026-11-23T14:00+05:30".')
@connected
def bulk(
    connection: Connection,
    customers: Path,
    keys: Sequence[str],
    out: Path,
    resume: bool,
    rate: float,
    concurrency: int,
    kind: str | None,
    attributes: Sequence[tuple[str, str]],
    at: datetime | None,
) -> None:
    """Fetch for each customer in FILE, - for stdin, with at most --rate requests a minute.

    CSV has a header: customer_id, and identifier.NAME or attribute.NAME for more. JSON Lines has an id in each line, or
    an object of customer_id, user_identifiers and attributes.
    """
    kind, wanted = format_of(customers, kind), [key for text in keys for key in text.split(",")]
    session = InSession(at=at, attributes=dict(attributes))
    report, bar = Report(), _progress()
    with connection.client() as client, open_customers(customers) as source, _open_output(out, resume) as file, bar:
        done = _read_output(out) if resume else Done()
        task = bar.add_task("", total=_total(source, kind, done))

        def left_out(number: int, reason: str) -> None:
            report.fail(number, reason)
            bar.advance(task)

        left = (one for one in read_customers(source, kind, session, left_out) if one not in done)
        results = client.fetch_each(left, wanted or None, rate=rate, concurrency=concurrency)
        try:
            for customer, experiences in results:
                _take(file, customer, experiences, report)
                bar.advance(task)
        except OSError as error:
            text = f"expected to read {customers} and write {out}, got {error.strerror}"
            raise click.ClickException(text) from error
        except KeyboardInterrupt:
            complain("interrupted: --resume goes on with it")
            raise
        finally:
            results.close()
            bar.stop()
            for line in report.lines():
                complain(line)
    if report.failed:
        click.get_current_context().exit(FAILED)


def _open_output(path: Path, resume: bool) -> BinaryIO:
    """The file, unbuffered, so that what is interrupted leaves whole lines."""
    try:
        if not resume and path.is_file() and path.stat().st_size:
            raise click.UsageError(f"expected --out to name a new file, or --resume, got {str(path)!r}, which is there")
        return path.open("a+b", buffering=0)
    except OSError as error:
        raise click.UsageError(f"expected a file to write, got {str(path)!r}: {error.strerror}") from None


def _read_output(path: Path) -> Done:
    """What an earlier run has left, without a line that was cut off."""
    done, whole = Done(), 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n"):
                whole += len(line)
                try:
                    found: Any = json.loads(line)
                    done.add(int(found["line"]), found[ID])
                except (ValueError, TypeError, LookupError):
                    text = f"expected --out to be a file of an earlier run, got another in line {number}"
                    raise ConfigurationError(text) from None
    os.truncate(path, whole)
    return done


def _take(file: BinaryIO, customer: Customer, experiences: Experiences, report: Report) -> None:
    """Write what came of a customer, or note why nothing did."""
    error = experiences.error
    if error is not None:
        report.fail(customer.number, f"{type(error).__name__}: {error}")
        if isinstance(error, AuthenticationFailed | PermissionDenied | ConfigurationError):  # as it will be for all
            click.get_current_context().exit(FAILED)
        return
    served = {
        key: {"payload": dict(one), "experience_context": one.context.attributes()} for key, one in experiences.items()
    }
    text = json.dumps({"line": customer.number, ID: customer[ID], "experiences": served})
    file.write(text.encode() + b"\n")
    report.fetched += 1


def _total(source: BinaryIO, kind: str, done: Done) -> int | None:
    """How many lines are left, as far as a file can tell; None for a pipe."""
    if not source.seekable():
        return None
    lines = sum(block.count(b"\n") for block in iter(lambda: source.read(1 << 20), b""))
    source.seek(0)
    return max(0, lines - (kind == "csv") - done.count)


def _progress() -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
