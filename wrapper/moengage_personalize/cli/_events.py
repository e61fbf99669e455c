"""shown and clicked: one event by hand, to see it arrive in the dashboard."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .. import ExperienceContext, InvalidRequestError, PersonalizeClient, events
from ._arguments import question, visitor_options
from ._connection import Connection, connected
from ._terminal import escape, write

_PLATFORM = click.option(
    "--platform", type=click.Choice(["web", "android", "ios", "tv"]), default="web", help="Where (default: web)."
)
_CONTEXT = click.option(
    "--context",
    "context_file",
    type=click.Path(path_type=Path),
    help="A file with the JSON of an experience's context, or - for stdin, instead of KEY.",
)


@click.command()
@click.argument("key", required=False)
@_CONTEXT
@_PLATFORM
@visitor_options
@connected
def shown(
    connection: Connection,
    key: str | None,
    context_file: Path | None,
    platform: Any,
    customer_id: str | None,
    **more: Any,
) -> None:
    """Report that a visitor has seen the experience KEY, which is fetched for its context."""
    _report(
        connection,
        key,
        context_file,
        customer_id,
        more,
        lambda context, customer: events.shown(context, customer_id=customer, platform=platform),
    )


@click.command()
@click.argument("key", required=False)
@click.option("--element", metavar="TEXT", help="What was clicked, such as 'Add to Cart'.")
@_CONTEXT
@_PLATFORM
@visitor_options
@connected
def clicked(
    connection: Connection,
    key: str | None,
    context_file: Path | None,
    platform: Any,
    element: str | None,
    customer_id: str | None,
    **more: Any,
) -> None:
    """Report that a visitor has clicked the experience KEY, which is fetched for its context."""
    _report(
        connection,
        key,
        context_file,
        customer_id,
        more,
        lambda context, customer: events.clicked(context, customer_id=customer, platform=platform, element=element),
    )


def _report(
    connection: Connection,
    key: str | None,
    context_file: Path | None,
    customer_id: str | None,
    more: dict[str, Any],
    event: Callable[[ExperienceContext, str], events.ExperienceEvent],
) -> None:
    if (key is None) == (context_file is None):
        raise click.UsageError(f"expected either KEY or --context, got {'neither' if key is None else 'both'}")
    if customer_id is None:
        raise click.UsageError("expected --customer-id, which every event has, got none")
    with connection.client() as client:
        if context_file is not None:
            context = ExperienceContext.from_json(_read(context_file))
        else:
            context = _fetched(client, str(key), question(customer_id=customer_id, **more))
        made = event(context, customer_id)
        client.report_events([made])
    write(f"accepted: {made.action} {made.uuid} of {escape(context['experience'])}")


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequestError(f"expected a readable file of a context, got {str(path)!r}: {reason}") from None


def _fetched(client: PersonalizeClient, key: str, question: dict[str, Any]) -> ExperienceContext:
    experiences = client.fetch([key], **question)
    if key not in experiences:
        raise InvalidRequestError(
            f"expected an experience that this visitor gets, got {key!r}: {experiences.reason(key)}"
        )
    return experiences[key].context
