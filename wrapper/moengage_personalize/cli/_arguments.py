"""Types of arguments that several commands take."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click
from dateutil import parser as dates

from .. import InSession


class Pair(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"expected NAME=VALUE, got {value!r}", param, ctx)
        return name, text


class Moment(click.ParamType[datetime]):
    """A time with its zone."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            with warnings.catch_warnings(action="ignore", category=dates.UnknownTimezoneWarning):
                moment = dates.parse(value)
        except (ValueError, OverflowError):
            self.fail(f"expected a time such as 2026-11-23T14:00+05:30, got {value!r}", param, ctx)
        if moment.utcoffset() is None:
            self.fail(f"expected a time with its zone, such as 14:00+05:30, got {value!r}", param, ctx)
        return moment


VISITOR = (
    click.option("--customer-id", metavar="ID", help="The visitor's id in MoEngage."),
    click.option(
        "--identifier", "identifiers", multiple=True, type=Pair(), help="As u_em=jane@example.com; repeatable."
    ),
    click.option(
        "--attribute", "attributes", multiple=True, type=Pair(), help="In-session: utm_medium=email; repeatable."
    ),
    click.option("--at", type=Moment(), help='When, with its zone: "2026-11-23T14:00+05:30".'),
    click.option("--ip-address", metavar="ADDRESS", help="The visitor's IP address."),
    click.option("--user-agent", metavar="TEXT", help="The visitor's User-Agent header."),
)


def visitor_options(command: Any) -> Any:
    """The options that say who is asked for, and when."""
    for option in reversed(VISITOR):
        command = option(command)
    return command


def question(
    *,
    customer_id: str | None,
    identifiers: Iterable[tuple[str, str]],
    attributes: Iterable[tuple[str, str]],
    at: datetime | None,
    ip_address: str | None,
    user_agent: str | None,
) -> dict[str, Any]:
    """The arguments of `fetch` that the options of a visitor make."""
    session = InSession(at=at, ip_address=ip_address, user_agent=user_agent, attributes=dict(attributes))
    return {"customer_id": customer_id, "user_identifiers": dict(identifiers), "in_session": session}
